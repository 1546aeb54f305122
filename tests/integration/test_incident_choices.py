"""What an incident's page offers an operator: only decisions that change something, each with what it would change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.events.codenames import codename
from pipeline.open_store import now
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, incident_grouping
from pipeline.store.db import schema
from pipeline.vocabulary.time import HOUR, format_rfc3339
from tests.command import called
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, Board, event, using
from tests.integration.incident_board import EACH, SYBILS, incidents, new_token
from tests.security.test_page_forms import HTML, SITE, field, sign_in

ROOT = Path(__file__).parents[2]
CRITICAL = 9


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The board on which `auto-voter/1` leaves out nine of the twelve accounts that lift `dog`."""
    with using(OPTIONS), incident_board.on_database(request, tmp_path).store() as opened:
        dog = {"what": "promotes", "model": "dog"}
        signals = [
            incident_board.of_voter(opened, f"sybil {n}", 900 + n, dog, detector="voter_rate", severity="critical",
                                    e_value=1e9, level=2)
            for n in range(CRITICAL)
        ]  # fmt: skip
        with opened.write() as connection:
            alert_lifecycle.open_alerts(connection, signals, {}, now())
            incident_grouping.regroup(connection)
        Board(opened.url, tmp_path).refresh()
        yield opened


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store), base_url=SITE, headers=HTML) as found:
        sign_in(found, new_token(store, "ann", "alerts", "exclusions"))
        yield found


def decide(client: TestClient, address: str) -> str:
    csrf = field(client.get("/incidents").text, "csrf")
    answer = client.post(address, data={"csrf": csrf, "reason": "a test"})
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.mark.parametrize("store", incident_board.EITHER, indirect=True)
def test_undoing_is_offered_only_where_a_person_left_votes_out(store: Store, client: TestClient) -> None:
    address = f"/incidents/{incidents(store)['dog']['id']}"
    text = client.get(address).text
    assert f'href="{address}/restore"' not in text
    assert "Only auto-voter/1 left votes out" in plain(text)
    refused = client.get(f"{address}/restore")
    assert (refused.status_code, f'href="{address}"' in refused.text) == (422, True)
    done = decide(client, f"{address}/exclude")
    assert f'<a href="{address}/restore">Undo it</a>' in done
    assert "Only auto-voter/1" not in plain(done)
    assert f'href="{address}/exclude"' not in done
    assert "Nothing left to leave out" in plain(done)
    assert "Still counts none of its votes, from the next refresh on" in plain(done)
    assert f'<a href="{address}/exclude">Undo it</a>' in decide(client, f"{address}/restore")


def test_the_page_names_the_accounts_that_still_count_to_operators_alone(store: Store, client: TestClient) -> None:
    address = f"/incidents/{incidents(store)['dog']['id']}"
    left = [codename(incident_board.voter(store, f"sybil {n}")) for n in range(CRITICAL, SYBILS)]
    few = SYBILS - CRITICAL
    votes = f"{EACH * few} of its {EACH * SYBILS} votes, of {few} of its {SYBILS} accounts"
    shown = re.search(r"<dt>Still counts</dt><dd>(.*?)</dd>", client.get(address).text)
    assert shown is not None
    assert shown[1].startswith(votes)
    assert all(f"{one} ({EACH} votes)" in shown[1] for one in left)
    public = TestClient(client.app, base_url=SITE, headers=HTML).get(address).text
    assert f"<dd>{votes}</dd>" in public


@pytest.mark.parametrize("store", incident_board.EITHER, indirect=True)
def test_resolving_says_first_which_votes_of_a_policy_count_again(store: Store, client: TestClient) -> None:
    address = f"/incidents/{incidents(store)['dog']['id']}"
    text = plain(client.get(address).text)
    assert f"{EACH * CRITICAL} votes that auto-voter/1 leaves out would then count again" in text
    preview = plain(client.get(f"{address}/resolve").text)
    assert f"{EACH * CRITICAL} votes go back into the defended view" in preview
    assert f"{CRITICAL} accounts" in preview
    assert "If it was an attack, go back and acknowledge or snooze it" in preview
    assert incidents(store)["dog"]["state"] == "open"
    done = decide(client, f"{address}/resolve")
    assert f"{EACH * CRITICAL} votes go into the defended view at the next refresh" in plain(done)
    assert f'href="{address}/resolve"' not in done
    again = client.get(f"{address}/resolve")
    assert (again.status_code, f'href="{address}"' in again.text) == (422, True)


def test_a_preview_shows_the_model_of_the_incident_and_the_form_before_other_models(
    store: Store, client: TestClient
) -> None:
    text = client.get(f"/incidents/{incidents(store)['dog']['id']}/resolve").text
    places = [text.index(one) for one in ('name="reason"', '<th scope="row">dog</th>')]
    assert places == sorted(places)
    assert "Rank,<br>left out" in text
    folded = text.partition("<details>")[2]
    assert '<th scope="row">dog</th>' not in folded


def test_figures_of_an_incident_agree_between_its_page_the_list_and_the_public(
    store: Store, client: TestClient
) -> None:
    dog = incidents(store)["dog"]["id"]
    public = TestClient(client.app, base_url=SITE, headers=HTML)
    detail = client.get(f"/incidents/{dog}").text
    begun = re.search(r"lifted dog.*?between (\d\d:\d\d)", detail)
    assert begun is not None
    listed = plain(client.get("/incidents").text)
    assert f"since {incidents(store)['dog']['begun_at'][:10]} {begun[1]} UTC" in listed
    assert "(e-value about " in public.get(f"/incidents/{dog}").text
    assert "(e-value about " not in detail
    assert f"{SYBILS} accounts cast {EACH * SYBILS} votes; {EACH * CRITICAL} of them" in plain(
        public.get(f"/incidents/{dog}").text
    )
    assert "since the hour of" in plain(public.get("/incidents").text)


def test_one_alert_of_many_is_shown_to_the_public_as_one_of_many(store: Store, client: TestClient) -> None:
    dog = incidents(store)["dog"]
    public = TestClient(client.app, base_url=SITE, headers=HTML)
    text = plain(public.get(f"/incidents/{dog['id']}").text)
    assert f"1 of its {dog['alerts']} alerts, of cohort bias, strong evidence" in text
    assert "the incident rests on all of them" in text


def test_a_page_leads_to_its_runbook_with_the_id_in_the_commands(store: Store, client: TestClient) -> None:
    found = incidents(store)
    names = {"dog": "incident-lifted", "net 3": "incident-more-votes", "note": "incident-habit"}
    for about, name in names.items():
        address = f"/runbooks/{name}?incident={found[about]['id']}"
        assert f'href="{address}"' in client.get(f"/incidents/{found[about]['id']}").text
        text = client.get(address).text
        assert f"integrity incidents show {found[about]['id']} --store" in text
        assert " ID " not in plain(text.partition("<main")[2])
    assert client.get("/runbooks/incident-lifted?incident=%3Cb%3E").status_code == 422
    assert " ID " in client.get("/runbooks/incident-lifted").text


def test_each_block_of_commands_in_a_runbook_can_be_reached_and_scrolled_by_keyboard(client: TestClient) -> None:
    for path in (ROOT / "deploy/runbooks").glob("*.md"):
        page = client.get(f"/runbooks/{path.stem}").text
        blocks = re.findall(r"<pre([^>]*)>", page)
        named = re.findall(r'<pre tabindex="0" role="region" aria-label="(Commands \d+)">', page)
        assert len(named) == len(blocks) == len(set(named)) == path.read_text(encoding="utf-8").count("```") // 2


@pytest.mark.parametrize("name", ["fact", "habit", "lifted", "lowered", "more-votes"])
def test_commands_of_a_runbook_are_whole_lines_and_name_the_store(name: str) -> None:
    text = (ROOT / f"deploy/runbooks/incident-{name}.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    rest = re.sub(r"```sh\n.*?```", "", text, flags=re.DOTALL)
    assert not re.findall(r"`integrity [^`]*`", rest)
    assert all("--store" in line for line in blocks.splitlines())


@pytest.mark.parametrize("name", ["habit", "lifted", "lowered"])
def test_runbooks_about_votes_that_policies_leave_out_warn_before_resolving(name: str) -> None:
    text = (ROOT / f"deploy/runbooks/incident-{name}.md").read_text(encoding="utf-8")
    ignore, over = text.partition("## When to ignore it")[2].split("## How to know that it is over")
    assert "then count again" in ignore
    assert "integrity incidents snooze ID" in over
    assert "integrity incidents resolve" not in over


@pytest.mark.long
def test_page_and_command_say_when_the_next_refresh_is_expected(
    store: Store, client: TestClient, tmp_path: Path
) -> None:
    address = f"/incidents/{incidents(store)['dog']['id']}"
    assert "next refresh is expected" not in client.get(address).text  # two snapshots are no rhythm
    board = Board(store.url, tmp_path)
    board.files = 100  # those of the copied board stay
    board.read(*(event(5_000 + n) for n in range(12)))
    board.refresh()
    latest = now()
    c = schema.snapshot.c
    with store.write() as connection:
        numbers = connection.scalars(sa.select(c.sequence).where(c.sequence.is_not(None)).order_by(c.sequence)).all()
        assert len(numbers) == 3
        for sequence in numbers:
            at = latest - (numbers[-1] - sequence) * HOUR
            connection.execute(sa.update(schema.snapshot).where(c.sequence == sequence).values(published_at=at))
    at = format_rfc3339(latest + HOUR)
    sentence = f"next refresh is expected about {at[:10]} {at[11:16]} UTC (every hour)"
    for page in (address, f"{address}/exclude"):
        assert sentence in plain(client.get(page).text), page
    settings = {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": "", "TZ": "UTC"}
    found = called("incidents", "show", address.rpartition("/")[2][:8], "--store", store.url, settings=settings)
    assert sentence in " ".join(found.stdout.split())
