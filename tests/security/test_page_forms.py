"""The forms with which operators decide on the pages: sessions, cookies, CSRF, scopes, foreign text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.api.page_sessions import PageSessions
from pipeline.api.pages.incident_pages import PreviewedAction
from pipeline.jobs import incident_actions
from pipeline.open_store import now, open_store
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, incident_grouping, operator_tokens, operators_log
from pipeline.store.db import schema
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, using
from tests.integration.incident_board import incidents, new_token

HTML = {"accept": "text/html"}
SITE = "https://testserver"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with using(OPTIONS):
        if request.param == "sqlite":
            made = incident_board.copied(tmp_path / "board.db")
        else:
            made = incident_board.filled(str(request.getfixturevalue("postgres_url")), tmp_path)
        # As `integrity serve`, without the voter key.
        with closing(open_store(made.url, create=False, voter_key=OPTIONS.key)) as opened:
            if request.param != "sqlite":
                incident_board.raise_alerts(opened)
            yield opened


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store), base_url=SITE, follow_redirects=False, headers=HTML) as found:
        yield found


def field(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found is not None, text[:500]
    return found[1]


def sign_in(client: TestClient, token: str, following: str = "/incidents") -> httpx.Response:
    csrf = field(client.get("/sign-in").text, "csrf")
    return client.post("/sign-in", data={"csrf": csrf, "token": token, "next": following})


def signed_in(client: TestClient, store: Store, *scopes: str) -> str:
    """Sign in with a new token; the CSRF token of the session."""
    answer = sign_in(client, new_token(store, f"owner of {' '.join(scopes)}", *scopes))
    assert answer.status_code == 303, answer.text
    return field(client.get("/incidents").text, "csrf")


def entries(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        return operators_log.list_entries(connection, 1_000)[::-1]


def effects(store: Store) -> list[Any]:
    """All that the forms can change, without the operators' log."""
    tables = (schema.alert, schema.alert_event, schema.exclusion, schema.incident_event)
    with store.read() as connection:
        return [sorted(map(tuple, connection.execute(sa.select(table))), key=repr) for table in tables]


def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(store: Store, client: TestClient) -> None:
    token = new_token(store, "ann", "alerts")
    answers = [client.get("/sign-in"), sign_in(client, token)]
    for answer in answers:
        for header in answer.headers.get_list("set-cookie"):
            cookie = SimpleCookie(header)
            for name, morsel in cookie.items():
                assert name.startswith("__Host-"), header
                assert (morsel["httponly"], morsel["secure"], morsel["path"]) == (True, True, "/"), header
                assert morsel["samesite"].lower() == "strict", header
                assert morsel["domain"] == "", header
        assert answer.headers["cache-control"] == "no-store"
        assert token not in str(answer.headers)
    with TestClient(create_app(store), follow_redirects=False) as plain:  # without TLS a browser would drop Secure
        header = plain.get("/sign-in").headers["set-cookie"]
    assert header.startswith("integrity_sign_in=")
    assert "Secure" not in header


def test_a_form_of_another_site_or_without_the_csrf_token_changes_nothing(store: Store, client: TestClient) -> None:
    dog, other = incidents(store)["dog"]["id"], PageSessions().csrf_token("another session")
    csrf, before = signed_in(client, store, "alerts", "exclusions"), effects(store)
    nobody = TestClient(client.app, base_url=SITE, headers=HTML)
    for action in incident_actions.SCOPES.keys() - {"appeal"}:
        address, whole = f"/incidents/{dog}/{action}", {"reason": "x", "csrf": csrf}
        for given in ("", other, csrf[:-1], f"{csrf}é"):
            assert client.post(address, data={**whole, "csrf": given}).status_code == 403, (action, given)
        assert client.post(address, data={"reason": "x"}).status_code == 403, action
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "https://testserver:8000"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            assert client.post(address, data=whole, headers=headers).status_code == 403, (action, headers)
        assert client.post(address, json=whole).status_code == 415, action
        assert client.get(f"{address}?reason=x&csrf={csrf}").status_code in (405, 422), action
        assert nobody.post(address, data=whole).status_code == 401, action
        assert nobody.post(address, data=whole, headers={"authorization": "Bearer x"}).status_code == 401, action
    assert effects(store) == before


def test_an_action_needs_its_scopes_and_is_a_row_of_the_log_with_its_source(store: Store) -> None:
    dog = incidents(store)["dog"]["id"]
    app = create_app(store)
    for scopes in (("alerts",), ("exclusions",), ("log",), ("alerts", "exclusions")):
        with TestClient(app, base_url=SITE, follow_redirects=False, headers=HTML) as client:
            csrf = signed_in(client, store, *scopes)
            for action in ("ack", "snooze", "exclude", "restore", "note", "resolve", "reopen"):
                before, logged = effects(store), len(entries(store))
                answer = client.post(f"/incidents/{dog}/{action}", data={"csrf": csrf, "reason": "a test"})
                allowed = set(incident_actions.SCOPES[action]) <= set(scopes)
                assert answer.status_code == (303 if allowed else 403), (action, scopes, answer.text[:300])
                fresh = entries(store)[logged:]
                expected = f"incident.{action}" if allowed else "login.denied"
                assert [(row["action"], row["via"]) for row in fresh] == [(expected, "page")], (action, scopes)
                assert fresh[0]["operator"] == f"owner of {' '.join(scopes)}"
                assert (effects(store) != before) == allowed, (action, scopes)
            if scopes == ("alerts",):  # so that the next one may acknowledge again
                _reset(store)


def _reset(store: Store) -> None:
    with store.write() as connection:
        connection.execute(sa.update(schema.alert).values(state="open"))
        incident_grouping.regroup(connection)


def test_a_page_shows_accounts_to_those_who_decide_about_voters_alone(store: Store, client: TestClient) -> None:
    dog, secrets = incidents(store)["dog"]["id"], incident_board.secrets_of(store)
    public = client.get(f"/incidents/{dog}").text
    assert not [one for one in secrets if one in public]
    assert "Decide" not in public
    signed_in(client, store, "log")
    assert not [one for one in secrets if one in client.get(f"/incidents/{dog}").text]
    signed_in_again = TestClient(client.app, base_url=SITE, follow_redirects=False, headers=HTML)
    signed_in(signed_in_again, store, "alerts")
    told = signed_in_again.get(f"/incidents/{dog}")
    assert incident_board.voter(store, "sybil 4") in told.text
    assert told.headers["cache-control"] == "no-store"
    # The page of an operator is in no cache, and a cached page is not for an operator.
    after = TestClient(client.app, base_url=SITE, headers=HTML).get(f"/incidents/{dog}")
    assert after.text == public
    assert incident_board.voter(store, "sybil 4") in signed_in_again.get(f"/incidents/{dog}").text


def test_a_session_ends_with_its_token_with_signing_out_and_with_time(store: Store, client: TestClient) -> None:
    csrf = signed_in(client, store, "alerts")
    assert "Signed in" in client.get("/incidents").text
    with store.write() as connection:
        operator_tokens.revoke(connection, "owner of alerts", "a test", "left", now())
    assert "Signed in" not in client.get("/incidents").text
    csrf = signed_in(client, store, "exclusions")
    assert client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
    assert "Signed in" in client.get("/incidents").text
    kept = dict(client.cookies)
    assert client.post("/sign-out", data={"csrf": csrf}).status_code == 303
    client.cookies.update(kept)  # the session has ended on the server too
    assert "Signed in" not in client.get("/incidents").text
    clock = [0.0]
    sessions = PageSessions(lambda: clock[0])
    made = sessions.start("digest")
    clock[0] = 8 * 3_600 - 1
    assert sessions.find(made)
    clock[0] = 8 * 3_600 + 1
    assert sessions.find(made) is None


def test_signing_in_needs_its_form_makes_a_new_session_and_leads_back_to_this_site(
    store: Store, client: TestClient
) -> None:
    token = new_token(store, "ann", "alerts")
    assert client.post("/sign-in", data={"token": token}).status_code == 403
    csrf = field(client.get("/sign-in").text, "csrf")
    client.cookies.clear()
    assert client.post("/sign-in", data={"token": token, "csrf": csrf}).status_code == 403
    client.cookies.set("__Host-integrity_session", "chosen by somebody else")
    for following, leads in (
        ("https://evil.example/incidents", "/incidents"),
        ("//evil.example", "/incidents"),
        ("/incidents/../alerts", "/incidents"),
        ("/incidents/0123456789ab", "/incidents/0123456789ab"),
    ):
        answer = sign_in(client, token, following)
        assert (answer.status_code, answer.headers["location"]) == (303, leads)
        assert "chosen" not in answer.headers["set-cookie"]
        client.cookies.clear()
    wrong = sign_in(client, "integrity_wrong")
    assert (wrong.status_code, "not valid" in wrong.text) == (401, True)
    assert "integrity_wrong" not in wrong.text
    assert [(row["action"], row["via"]) for row in entries(store)[-2:]] == [("login", "page"), ("login.failed", "page")]


def test_guessing_tokens_on_the_page_is_refused_after_some_tries(store: Store) -> None:
    with (
        using(OPTIONS.model_copy(update={"logins_per_minute": 2})),
        TestClient(create_app(store), base_url=SITE, follow_redirects=False, headers=HTML) as client,
    ):
        assert [sign_in(client, f"integrity_{n}").status_code for n in range(4)] == [401, 401, 429, 429]


def test_bad_fields_are_refused(store: Store, client: TestClient) -> None:
    dog = incidents(store)["dog"]["id"]
    csrf, before = signed_in(client, store, "alerts", "exclusions"), effects(store)
    for reason in ("", "   ", "two\nlines", "x" * 2_001, "x\u202ey"):
        answer = client.post(f"/incidents/{dog}/snooze", data={"csrf": csrf, "reason": reason})
        assert answer.status_code == 422, reason
    for fields in ({"name": "somebody else"}, *({"hours": text} for text in ("soon", "-1", "nan", "1e9"))):
        answer = client.post(f"/incidents/{dog}/snooze", data={"csrf": csrf, "reason": "x", **fields})
        assert answer.status_code == 422, fields
    twice = client.post(
        f"/incidents/{dog}/ack", content=f"csrf={csrf}&reason=a&reason=b",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert twice.status_code == 422
    assert client.post(f"/incidents/{'0' * 12}/ack", data={"csrf": csrf, "reason": "x"}).status_code == 404
    assert client.post(f"/incidents/{dog}/merge", data={"csrf": csrf, "reason": "x"}).status_code == 422
    assert effects(store) == before


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=1>{{7*7}}"


def test_hostile_names_and_reasons_are_text(store: Store, client: TestClient) -> None:
    evil = incident_board.of_voter(store, "sybil 1", 800, {"what": "promotes", "model": HOSTILE}, severity="critical",
                                   e_value=1e9, level=2)  # fmt: skip
    with store.write() as connection:
        alert_lifecycle.open_alerts(connection, [evil], {}, now())
        incident_grouping.regroup(connection)
    found = next(one for one in incidents(store).values() if HOSTILE in one["named"])
    csrf = signed_in(client, store, "alerts", "exclusions")
    address = f"/incidents/{found['id']}"
    assert client.post(f"{address}/note", data={"csrf": csrf, "reason": HOSTILE}).status_code == 303
    assert client.post(f"{address}/ack", data={"csrf": csrf, "reason": HOSTILE}).status_code == 303
    reader = TestClient(client.app, base_url=SITE, headers=HTML)
    pages = [client.get(path).text for path in ("/incidents", address, f"{address}/exclude")]
    pages += [reader.get(path).text for path in ("/", "/incidents", address)]
    for text in pages:
        assert "<script>" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;" in pages[1]
    wanted = client.get("/incidents", params={"subject": HOSTILE})
    assert (wanted.status_code, "<script" in wanted.text) == (200, False)


@pytest.mark.parametrize("action", get_args(PreviewedAction))
def test_signing_in_leads_back_to_the_preview(store: Store, client: TestClient, action: str) -> None:
    asked = client.get(f"/incidents/{incidents(store)['dog']['id']}/{action}").headers["location"]
    assert asked.startswith("/sign-in?next=")
    assert field(client.get(asked).text, "next") == asked.partition("next=")[2]


def test_the_preview_says_what_changes_and_changes_nothing(store: Store, client: TestClient) -> None:
    dog = incidents(store)["dog"]["id"]
    assert client.get(f"/incidents/{dog}/exclude").headers["location"] == f"/sign-in?next=/incidents/{dog}/exclude"
    csrf, before = signed_in(client, store, "exclusions"), effects(store)
    text = client.get(f"/incidents/{dog}/exclude").text
    assert "60 votes go out of the defended view" in text
    assert "12 accounts" in text
    assert re.search(r"<th scope=\"row\">dog</th><td class=\"figure\">3</td><td class=\"figure\">4</td>", text)
    assert client.get(f"/incidents/{dog}/restore").status_code == 422  # nothing was excluded
    assert effects(store) == before
    assert client.post(f"/incidents/{dog}/exclude", data={"csrf": csrf, "reason": "bought"}).status_code == 303
    shown = client.get(f"/incidents/{dog}").text
    assert "60 votes go out of the defended view at the next refresh" in shown
    assert "60 votes go out of the defended view at the next refresh" not in client.get(f"/incidents/{dog}").text
    restored = client.get(f"/incidents/{dog}/restore").text
    assert "60 votes go back into the defended view" in restored
