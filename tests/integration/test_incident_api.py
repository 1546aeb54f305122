"""Incidents over the API: the public reads counts and hours, operators read accounts; filters, pages, formats."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.api.documents.incident_documents import IncidentDetailDocument, IncidentListDocument
from pipeline.events.codenames import codename
from pipeline.events.pseudonym import format_pseudonym
from pipeline.incidents.carriers import CarriedAlert, incident_id
from pipeline.incidents.claims import Claim
from pipeline.jobs import incident_decisions, moderation
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, alert_queries, incident_grouping
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import snapshots
from pipeline.store.db import schema
from pipeline.store.votes import registry_events
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, START, Board, using
from tests.integration.incident_board import FEW, SYBILS, incidents, new_token, voter

API = "/api/v1"
WHO = Operator("erin", "cli", "test")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with using(OPTIONS):
        if request.param == "sqlite":
            with incident_board.copied(tmp_path / "board.db").store() as opened:
                yield opened
            return
        with incident_board.filled(str(request.getfixturevalue("postgres_url")), tmp_path).store() as opened:
            incident_board.raise_alerts(opened)
            yield opened


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store)) as found:
        yield found


@pytest.fixture
def operator(store: Store) -> dict[str, str]:
    return {"Authorization": f"Bearer {new_token(store, 'ann', 'alerts')}"}


def rows(client: TestClient, query: str = "", headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    answer = client.get(f"{API}/incidents{query}", headers=headers or {})
    assert answer.status_code == 200, answer.text
    IncidentListDocument.model_validate(answer.json())
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def test_the_public_reads_counts_and_hours_and_operators_the_accounts(
    store: Store, client: TestClient, operator: dict[str, str]
) -> None:
    found = incidents(store)
    addresses = ["", "?format=csv", *(f"/{one['id']}" for one in found.values())]
    for address in addresses:
        text = client.get(f"{API}/incidents{address}").text
        assert not [one for one in incident_board.secrets_of(store) if one in text], address
        assert not [one for one in (incident_board.NETWORK, "net 3") if one in text], address
    public = {one["about"][0]["name"]: one for one in rows(client)}
    assert set(public) == {"dog", "bee", "one network", "many_variants Beta"}
    dog = public["dog"]
    assert (dog["accounts"], dog["votes"], dog["e_value"]) == (SYBILS, SYBILS * incident_board.EACH, 1.2e5)
    assert dog["headline"].startswith(
        "60 votes that fit no honest pattern lifted dog between the hours of 02:00 and 03:00 UTC"
    )
    assert all(dog[name].endswith(":00:00Z") for name in ("opened_at", "begun_at", "last_at"))
    told = client.get(f"{API}/incidents/{found['dog']['id']}", headers=operator)
    IncidentDetailDocument.model_validate(told.json())
    shown = told.json()
    assert told.headers["cache-control"] == "no-store"
    assert len(shown["evidence"]) == len(shown["alert_ids"]) == SYBILS + 2
    assert {one["voter"] for one in shown["account_rows"]} == {voter(store, f"sybil {n}") for n in range(SYBILS)}
    assert all(one["codename"] == codename(one["voter"]) for one in shown["account_rows"])
    assert {(one["votes"], one["networks"]) for one in shown["account_rows"]} == {(incident_board.EACH, 1)}
    assert shown["headline"].startswith(f"{SYBILS} accounts on 1 network lifted dog")
    assert shown["networks"] == [incident_board.NETWORK]


def test_alerts_about_one_voter_cannot_be_tied_by_an_incident(store: Store, client: TestClient) -> None:
    bee = incidents(store)["bee"]
    public = client.get(f"{API}/incidents/{bee['id']}").json()
    assert (bee["accounts"], public["accounts"], public["alert_ids"], public["evidence"]) == (2, None, [], [])
    assert public["headline"].startswith("8 votes that fit no honest pattern lifted bee")
    assert set(public) == set(IncidentDetailDocument.model_fields)
    leads = {one: client.get(f"{API}/incidents/{made_from(one)}").status_code for one in bee["alert_ids"]}
    assert sorted(leads.values()) == [200, 404, 404]  # only the present id is one


def made_from(alert_id: str) -> str:
    """The id of an incident that begins with an alert, which anybody can compute."""
    return incident_id(CarriedAlert(alert_id, Claim("model", "bee"), 0, 0.0, False, 0, 0, 0))


def test_former_ids_lead_on_where_many_accounts_are_together_and_for_operators(
    store: Store, client: TestClient, operator: dict[str, str]
) -> None:
    found = incidents(store)
    assert len(found["dog"]["former_ids"]) == SYBILS + 1
    for name, seen in (("dog", 200), ("bee", 404)):
        for former in found[name]["former_ids"]:
            assert client.get(f"{API}/incidents/{former}").status_code == seen
            told = client.get(f"{API}/incidents/{former}", headers=operator).json()
            assert told["id"] == found[name]["id"]


def test_a_note_is_about_one_voter_and_has_no_public_form(
    store: Store, client: TestClient, operator: dict[str, str]
) -> None:
    note = incidents(store)["note"]
    assert rows(client, "?severity=note") == []
    assert client.get(f"{API}/incidents/{note['id']}").status_code == 404
    assert [one["id"] for one in rows(client, "?severity=note", operator)] == [note["id"]]
    assert note["id"] not in [one["id"] for one in rows(client, "", operator)]
    assert client.get(f"{API}/incidents/{note['id']}", headers=operator).json()["accounts"] == 1


def test_filters_choose(store: Store, client: TestClient, operator: dict[str, str]) -> None:
    def about(query: str, headers: dict[str, str] | None = None) -> set[str]:
        return {one["about"][0]["name"] for one in rows(client, query, headers)}

    assert about("?about=dog") == {"dog"}
    assert about("?about=ant") == set()
    assert about("?subject=ant") == {"dog"}  # one of its alerts says that ant is demoted
    assert about("?severity=critical") == {"dog"}
    assert about("?about=net%203") == set()
    assert about("?about=net%203", operator) == {"net 3"}
    assert about("?state=resolved") == set()
    assert about("?since=2031-01-01T00:00:00Z") == set()
    assert "dog" in about("?since=2026-03-01T00:00:00Z")
    with store.write() as connection:
        incident_decisions.change_state(connection, incidents(store)["dog"]["id"], "resolve", WHO, "a class")
    assert about("?state=resolved", operator) == {"dog"}


def test_the_public_cannot_find_an_exact_time_by_asking_since(client: TestClient) -> None:
    last = rows(client, "?about=dog")[0]["last_at"]
    within = [f"{last[:14]}{minute:02}:00Z" for minute in (0, 20, 40, 59)]
    assert [len(rows(client, f"?about=dog&since={at}")) for at in within] == [1, 1, 1, 1]


def test_pages_and_formats_have_every_incident_once(client: TestClient, operator: dict[str, str]) -> None:
    whole = rows(client)
    paged: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = client.get(f"{API}/incidents?limit=1{cursor}").json()
        paged += answer["rows"]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert paged == whole
    ids = [one["id"] for one in whole]
    table = list(csv.DictReader(io.StringIO(client.get(f"{API}/incidents?format=csv").text)))
    assert [one["id"] for one in table] == ids
    for headers in ({}, operator):
        parquet = client.get(f"{API}/incidents?format=parquet", headers=headers)
        assert pq.read_table(io.BytesIO(parquet.content)).column("votes").to_pylist()
    empty = client.get(f"{API}/incidents?format=csv&about=nobody").text.strip().split(",")
    assert empty == list(table[0])


def test_bad_input_is_a_problem_document(client: TestClient) -> None:
    for where, status, says in (
        ("?state=asleep", 422, "query state"),
        ("?severity=high", 422, "query severity"),
        ("?since=yesterday", 422, "query since"),
        ("?cursor=W10", 422, "query cursor"),
        ("?limit=0", 422, "query limit"),
        ("?nobody=1", 422, "query nobody: expected one of"),
        ("?about=%00", 422, "query about"),
        ("/0123456789ab", 404, "expected the id of an incident"),
        ("/XYZ", 422, "path incident"),
    ):
        answer = client.get(f"{API}/incidents{where}")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), where
        assert says in answer.json()["detail"] + str(answer.json().get("errors")), where


def test_a_unique_beginning_is_enough_and_an_ambiguous_one_says_so(
    store: Store, client: TestClient, operator: dict[str, str]
) -> None:
    dog = incidents(store)["dog"]["id"]
    assert client.get(f"{API}/incidents/{dog[:6]}").json()["id"] == dog
    with store.write() as connection:  # two ids that begin alike
        for number, name in enumerate(("dog", "bee")):
            i, new = schema.incident.c, f"aaaabbbbccc{number}"
            body = json.dumps({**incidents(store)[name], "id": new})
            changed = schema.incident.update().where(i.incident_id == incidents(store)[name]["id"])
            connection.execute(changed.values(incident_id=new, body=body))
    for headers in ({}, operator):
        for given, said in (("aaaabb", "begins the ids of 2 incidents"), ("0123456789ab", "no incident has it")):
            answer = client.get(f"{API}/incidents/{given}", headers=headers)
            assert (answer.status_code, said in answer.json()["detail"]) == (404, True), answer.text
        assert client.get(f"{API}/incidents/aaaabbbbccc0", headers=headers).json()["id"] == "aaaabbbbccc0"


def test_models_under_test_are_not_named(store: Store, client: TestClient, tmp_path: Path) -> None:
    events, method = tmp_path / "registry.jsonl", tmp_path / "method.toml"
    at = START.isoformat()
    events.write_text(
        f'{{"schema": 1, "event_id": "r", "at": "{at}", "type": "model.submitted", "model": "bee", '
        '"provider": "Acme", "visibility": "private", "license": "open"}\n'
    )
    method.write_text('name = "listing"\n[listing]\nprivate_models = "hidden"\n')
    registry_events.load_file(store, events)
    with using(OPTIONS.model_copy(update={"method": str(method)})):
        Board(store.url, tmp_path).refresh()
    found = incidents(store)
    for address in ("", "?format=csv", *(f"/{found[name]['id']}" for name in ("bee", "dog"))):
        text = client.get(f"{API}/incidents{address}").text
        assert not re.search(r"\bbee\b", text), address
    assert rows(client, "?about=bee") == rows(client, "?subject=bee") == []
    shown = client.get(f"{API}/incidents/{found['bee']['id']}").json()
    assert (shown["about"][0]["name"], shown["rank"]) == ("a model under test", None)
    assert "lifted a model under test" in shown["headline"]


def test_history_has_hours_and_no_notes_for_the_public(
    store: Store, client: TestClient, operator: dict[str, str]
) -> None:
    dog = incidents(store)["dog"]["id"]
    with store.write() as connection:
        incident_decisions.add_note(connection, dog, WHO, "ask the shop")
        incident_decisions.change_state(connection, dog, "ack", WHO, "I look at it")
    public, told = (client.get(f"{API}/incidents/{dog}", headers=one).json() for one in ({}, operator))
    assert [one["action"] for one in told["history"]] == ["note", "ack"]
    assert [(one["action"], one["name"], one["reason"]) for one in public["history"]] == [
        ("ack", "erin", "I look at it")
    ]
    assert public["history"][0]["at"].endswith(":00:00Z")
    assert public["state"] == "acknowledged"


def test_codenames_in_reasons_become_labels_before_anybody_reads_them(store: Store, tmp_path: Path) -> None:
    found, one, two = incidents(store), voter(store, "sybil 3"), voter(store, "sybil 4")
    spaced = codename(two).replace("-", " ").title()
    reason, dog = f"{codename(one)} and {spaced} are one person", found["dog"]["id"]
    with store.read() as connection:
        alerts = {alert["subject"]["id"]: alert for alert in alert_queries.list_alerts(connection)}
    mine, about = alerts[one], alerts["dog"]["id"]
    with store.write() as connection:
        for action in ("ack", "snooze", "appeal", "resolve", "reopen"):
            incident_decisions.change_state(connection, dog, action, WHO, reason)
            for alert in (mine["id"], about):
                moderation.change_alert_state(connection, alert, action, WHO, reason)
        incident_decisions.add_note(connection, dog, WHO, reason)
        parts = incident_decisions.split(connection, dog, [mine["id"]], WHO, reason)
        incident_decisions.merge(connection, parts["incident"], parts["rest"], WHO, reason)
        incident_decisions.change_exclusions(connection, dog, "exclude", WHO, reason)
        incident_decisions.change_exclusions(connection, dog, "restore", WHO, reason)
        for target in (mine["id"], f"voter:{one}", about):
            moderation.change_exclusion(connection, "exclude", target, WHO, f"{reason}, {codename(one)}")
    body = json.dumps(snapshot_body(store, tmp_path))
    secret = {re.sub("[- ]", "", codename(voter(store, f"sybil {n}"))) for n in range(SYBILS)}
    addresses = [f"{API}/incidents/{dog}", f"{API}/exclusions", f"{API}/alerts/{mine['id']}", f"{API}/alerts/{about}"]
    with TestClient(create_app(store)) as reader, store.read() as connection:
        texts = {one: reader.get(one).text for one in [*addresses, f"/incidents/{dog}", "/exclusions"]}
        for table in (schema.alert_event, schema.exclusion, schema.incident_event, schema.operator_log):
            reasons = [row for row in connection.scalars(table.select().with_only_columns(table.c.reason)) if row]
            assert any("are one person" in row for row in reasons), table.name
            texts[table.name] = "\n".join(reasons)
    for where, text in {**texts, "snapshot": body}.items():
        assert not [words for words in secret if words in re.sub(r"[-\s]", "", text.lower())], where
        assert where == "snapshot" or "are one person" in text, where
    assert f"{mine['label']} and voter-" in texts[f"{API}/alerts/{mine['id']}"]


def snapshot_body(store: Store, folder: Path) -> dict[str, Any]:
    """The body of a snapshot that is published now, with its exclusions."""
    Board(store.url, folder).refresh()
    with store.read() as connection:
        newest = snapshots.latest(connection)
    assert newest is not None
    assert newest.body["exclusions"]
    return dict(newest.body)


def test_alerts_that_name_a_model_in_any_role_are_found(client: TestClient) -> None:
    def found(query: str) -> int:
        return len(client.get(f"{API}/alerts?limit=100&{query}").json()["rows"])

    assert found("subject=dog") == SYBILS + 1
    assert found("subject=dog&subject_kind=model") == 1
    assert found("subject=ant") == 1
    assert found("subject=DOG") == found("subject=do") == found("subject=%25") == 0
    assert found("subject=Beta") == 1


def test_a_list_says_whether_all_alerts_are_grouped(store: Store, client: TestClient) -> None:
    assert client.get(f"{API}/incidents").json()["current"]
    late = incident_board.of_voter(store, FEW[1], 700, {"what": "promotes", "model": "cat"}, detector="another")
    with store.write() as connection:
        alert_lifecycle.open_alerts(connection, [late], {}, 1)
    with TestClient(create_app(store)) as fresh:
        assert not fresh.get(f"{API}/incidents").json()["current"]
    with store.write() as connection:
        incident_grouping.regroup(connection)
        assert connection.execute(schema.grouping.select()).one()
    with TestClient(create_app(store)) as fresh:
        assert fresh.get(f"{API}/incidents").json()["current"]


def test_an_unknown_token_is_refused(client: TestClient) -> None:
    assert client.get(f"{API}/incidents", headers={"Authorization": "Bearer integrity_no"}).status_code == 401


def test_a_token_that_decides_nothing_about_voters_reads_the_public_form(store: Store, client: TestClient) -> None:
    headers = {"Authorization": f"Bearer {new_token(store, 'lou', 'log')}"}
    dog = incidents(store)["dog"]["id"]
    assert "account_rows" not in client.get(f"{API}/incidents/{dog}", headers=headers).json()
    assert format_pseudonym(store.pseudonym("sybil 1")) not in client.get(f"{API}/incidents", headers=headers).text
