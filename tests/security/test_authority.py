"""Who may do what: scopes of tokens, what a decision changes, and the operators' log."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError

from pipeline.api.app import create_app
from pipeline.api.change_token import ChangeToken
from pipeline.cli.command_table import COMMANDS
from pipeline.devstack.postgres import binary_folder
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs import incident_actions
from pipeline.open_store import now, open_store
from pipeline.scoring.signals import AlertSignal
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, incident_grouping, incident_table, operator_tokens, operators_log
from pipeline.store.boards import exclusion_list
from pipeline.store.db import schema
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, copied_board, using

API = "/api/v1"
SETTINGS = {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": ""}
VOTES = 120
# Every voter of the board casts as many votes.
VOTES_EACH = VOTES // 30
WHY = {"reason": "a test"}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A board with votes and a snapshot."""
    with using(OPTIONS):
        if request.param == "sqlite":
            yield copied_board(tmp_path / "board.db", VOTES)
            return
        made = Board(request.getfixturevalue("postgres_store"), tmp_path)
        made.vote(VOTES)
        made.refresh()
        yield made


@pytest.fixture
def store(board: Board) -> Iterator[Store]:
    with closing(open_store(board.url, voter_key=OPTIONS.key, create=False)) as opened:
        yield opened


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store)) as found:
        yield found


def voter(store: Store, number: int) -> str:
    return format_pseudonym(store.pseudonym(f"voter {number}"))


def critical(store: Store, number: int) -> str:
    """Open a critical alert about a voter; its id."""
    signal = AlertSignal("voter_bias", "voter", voter(store, number), "up", "critical", 2e4, 2, 1, number, 0, {})
    with store.write() as connection:
        return alert_lifecycle.open_alerts(connection, [signal], {}, now())[0]


def token(store: Store, *scopes: str) -> dict[str, str]:
    at = now()
    with store.write() as connection:
        made = operator_tokens.create(connection, f"owner of {' '.join(scopes)}", scopes, "a", "test", at, at + 10**9)
    return {"Authorization": f"Bearer {made}"}


def entries(store: Store) -> list[dict[str, Any]]:
    """The operators' log, oldest first."""
    with store.read() as connection:
        return operators_log.list_entries(connection, 1_000)[::-1]


def excluded(board: Board, store: Store) -> list[str]:
    """What is excluded after the next refresh."""
    board.refresh()
    with store.read() as connection:
        return [one.target for one in exclusion_list.read_active(connection)]


# Snoozing is silence, not acquittal.


@pytest.mark.long
def test_only_a_resolved_alert_ends_the_exclusion_and_both_ends_say_how_many_votes_move(
    board: Board, store: Store, client: TestClient
) -> None:
    alert, both = critical(store, 4), token(store, "alerts", "exclusions")
    label = voter(store, 4)
    assert excluded(board, store) == [label]

    def decide(action: str) -> dict[str, Any]:
        answer = client.post(f"{API}/alerts/{alert}/{action}", json=WHY, headers=both)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    for action in ("ack", "snooze", "appeal"):
        said = decide(action)
        assert said["next_refresh"] == {"votes_in": 0, "votes_out": 0}
        assert "no vote moves" in said["done"]
        assert excluded(board, store) == [label], action
    said = decide("resolve")
    assert said["next_refresh"] == {"votes_in": VOTES_EACH, "votes_out": 0}
    assert f"{VOTES_EACH} votes go into the defended view at the next refresh" in said["done"]
    with store.read() as connection:
        assert [one.target for one in exclusion_list.read_active(connection)] == [label]  # until the next refresh
    assert excluded(board, store) == []
    for action in ("ack", "snooze", "appeal"):  # each would exclude the voter again with the scope for alerts alone
        refused = client.post(f"{API}/alerts/{alert}/{action}", json=WHY, headers=both)
        assert refused.status_code == 422
        assert "reopen" in refused.json()["detail"]
    said = decide("reopen")
    assert said["next_refresh"] == {"votes_in": 0, "votes_out": VOTES_EACH}
    assert excluded(board, store) == [label]


def test_the_command_says_what_resolve_and_reopen_change(board: Board, store: Store) -> None:
    alert = critical(store, 5)
    for action, moves in (("resolve", "into"), ("reopen", "out of")):
        board.refresh()
        done = called("alerts", action, alert, "--store", board.url, "--reason", "x", settings=SETTINGS)
        assert done.returncode == 0, done.stderr
        said = " ".join((done.stdout + done.stderr).split())
        assert f"{VOTES_EACH} votes go {moves} the defended view at the next refresh" in said


def test_votes_that_another_exclusion_names_do_not_move(board: Board, store: Store, client: TestClient) -> None:
    alert, both = critical(store, 6), token(store, "alerts", "exclusions")
    board.refresh()
    with store.write() as connection:
        exclusion_list.add_entry(connection, "exclude", "vote", "vote 6", "a copy", "ann", 1)
    said = client.post(f"{API}/alerts/{alert}/resolve", json=WHY, headers=both).json()
    assert said["next_refresh"] == {"votes_in": VOTES_EACH - 1, "votes_out": 0}


# What does not exist is not excluded.


@pytest.mark.parametrize(
    ("action", "target", "says"),
    [
        ("exclude", "vote:no such vote", "expected the id of a stored vote, got 'no such vote'"),
        ("restore", "vote:no such vote", "expected the id of a stored vote, got 'no such vote'"),
        ("restore", "vote:vote 1", "expected an exclusion in force, got vote:vote 1"),
        ("exclude", "voter:00000000000000aa", "expected the pseudonym of a voter with stored votes"),
        ("restore", "voter:00000000000000aa", "expected the pseudonym of a voter with stored votes"),
        ("exclude", "voter:0000000000000000", "expected the pseudonym of a voter with stored votes"),
        ("exclude", "voter:me", "expected 16 lower-case hexadecimal digits"),
        ("exclude", "votes:from=2031-01-01T00:00:00Z,to=2031-01-02T00:00:00Z", "at least one counted vote"),
        ("exclude", "votes:from=2026-01-01T00:00:00Z,to=2027-01-01T00:00:00Z,model=nobody", "at least one counted"),
        ("exclude", "model:ant", "expected exclude or restore of a"),
        ("exclude", "0123456789abcdef", "expected the id of an alert"),
        ("resolve", "0123456789abcdef", "expected the id of an alert"),
        ("snooze", "vote 1", "expected the id of an alert"),
    ],
)
def test_a_target_that_does_not_exist_is_refused(
    board: Board, store: Store, action: str, target: str, says: str
) -> None:
    done = called("alerts", action, target, "--store", board.url, "--reason", "x", settings=SETTINGS)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert entries(store) == []
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.exclusion)) == 0


def test_a_vote_that_exists_is_excluded_and_restored(board: Board) -> None:
    for action, moved in (("exclude", {"votes_in": 0, "votes_out": 1}), ("restore", {"votes_in": 1, "votes_out": 0})):
        words = ("alerts", action, "vote:vote 1", "--store", board.url, "--reason", "x", "--json")
        done = called(*words, settings=SETTINGS)
        assert json.loads(done.stdout)["next_refresh"] == moved
        board.refresh()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("retract", "no such vote", "--reason", "x", "--name", "ann"), "expected the id of a stored vote"),
        (("erase", "no such vote"), "expected the id of a stored vote"),
        (("tokens", "revoke", "nobody", "--reason", "x"), "expected a name with a valid token"),
        (("notice", "add", "0" * 64, "--text", "x"), "expected the id of a published snapshot"),
        (("refresh", "--release", "0" * 64, "--reason", "x"), "expected the id of one held candidate"),
    ],
)
def test_other_decisions_about_what_does_not_exist_are_refused(
    board: Board, store: Store, words: tuple[str, ...], says: str
) -> None:
    done = called(*words, "--store", board.url, settings=SETTINGS)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert entries(store) == []


# The page works without the voter key.


@pytest.mark.long
@pytest.mark.parametrize(("command", "path"), [("serve", "/"), ("exporter", "/metrics")])
def test_a_server_starts_without_the_voter_key(tmp_path: Path, command: str, path: str) -> None:
    url = str(tmp_path / "board.db")
    with using(OPTIONS):
        made = Board(url, tmp_path)
        made.vote(VOTES)
        made.refresh()
    (tmp_path / "board.db.keys" / "voter.key").unlink(missing_ok=True)
    started = [str(Path(sys.executable).parent / "integrity"), command, "--store", url, "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INTEGRITY_")}
    with subprocess.Popen(started, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = "".join(iter(process.stderr.readline, "")) if process.poll() else process.stderr.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert address, said
            with urllib.request.urlopen(address[0] + path, timeout=30) as answer:  # noqa: S310  # our own server
                assert answer.status == 200
        finally:
            process.terminate()
            process.wait(30)


def test_containers_that_only_read_have_no_voter_key() -> None:
    services = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "compose.yaml").read_text())["services"]
    for name in ("page", "exporter"):
        mounted = [one if isinstance(one, str) else one["source"] for one in services[name]["secrets"]]
        assert "voter_key" not in mounted, name


# Scopes.


def decisions(store: Store) -> dict[str, tuple[tuple[str, ...], Callable[[TestClient, dict[str, str]], Any]]]:
    """Every action of an operator over HTTP: its scopes, and a request that does it."""
    alert, label, (incident, *_) = critical(store, 7), voter(store, 8), two_incidents(store)
    with store.read() as connection:
        snapshot = connection.scalar(sa.select(schema.snapshot.c.snapshot_id))

    def post(path: str, body: dict[str, Any]) -> Callable[[TestClient, dict[str, str]], Any]:
        return lambda client, headers: client.post(API + path, json={**WHY, **body}, headers=headers)

    def exclusion(action: str) -> Callable[[TestClient, dict[str, str]], Any]:
        return post("/exclusions", {"action": action, "kind": "voter", "target": label})

    def notice(client: TestClient, headers: dict[str, str]) -> Any:
        return client.post(f"{API}/snapshots/{snapshot}/notices", json={"text": "wrong"}, headers=headers)

    return {
        "alert.ack": (("alerts",), post(f"/alerts/{alert}/ack", {})),
        "alert.snooze": (("alerts",), post(f"/alerts/{alert}/snooze", {"hours": 2})),
        "alert.appeal": (("alerts",), post(f"/alerts/{alert}/appeal", {})),
        "alert.resolve": (("alerts", "exclusions"), post(f"/alerts/{alert}/resolve", {})),
        "alert.reopen": (("alerts", "exclusions"), post(f"/alerts/{alert}/reopen", {})),
        "exclusion.exclude": (("exclusions",), post(f"/alerts/{alert}/votes/exclude", {})),
        "exclusion.restore": (("exclusions",), post(f"/alerts/{alert}/votes/restore", {})),
        "exclusion.exclude voter": (("exclusions",), exclusion("exclude")),
        "exclusion.restore voter": (("exclusions",), exclusion("restore")),
        "notice.add": (("notices",), notice),
        **{
            f"incident.{action}": (incident_actions.SCOPES[action], post(f"/incidents/{incident}/{action}", {}))
            for action in ("ack", "snooze", "appeal", "note", "exclude", "restore", "resolve", "reopen")
        },
        "export.operators_log": (("log",), lambda client, headers: client.get(f"{API}/operators/log", headers=headers)),
    }


def test_an_action_needs_the_scopes_of_all_that_it_changes(store: Store, client: TestClient) -> None:
    table = decisions(store)
    given = [*operator_tokens.SCOPES, "alerts exclusions"]
    holders = {scopes: token(store, *scopes.split()) for scopes in given}
    nobody: dict[str, dict[str, str]] = {"none": {}}  # a guessed token would soon be refused with 429
    for scopes, headers in {**holders, **nobody}.items():
        for action, (needed, act) in table.items():
            allowed = set(needed) <= set(scopes.split())
            before, logged = _effects(store), len(entries(store))
            status = act(client, headers).status_code
            assert status == (200 if allowed else 401 if scopes == "none" else 403), (action, scopes)
            changed = _effects(store) != before
            assert changed == (allowed and action != "export.operators_log"), (action, scopes)
            fresh = entries(store)[logged:]
            expected = action.split()[0] if allowed else "login.failed" if scopes == "none" else "login.denied"
            assert [row["action"] for row in fresh] == [expected], (action, scopes)


def _effects(store: Store) -> list[Any]:
    """All that operators can change, without their log."""
    tables = (schema.alert, schema.alert_event, schema.exclusion, schema.notice, schema.incident_event)
    with store.read() as connection:
        return [sorted(map(tuple, connection.execute(sa.select(table))), key=repr) for table in tables]


async def _never() -> None:
    """The token of a cache that is not there."""


def test_every_route_that_changes_something_is_in_the_table(store: Store) -> None:
    """A new route must be given its scopes here."""
    from pipeline.api import incident_operator_routes, operator_routes
    from pipeline.api.store_reader import StoreReader

    makers = (operator_routes, incident_operator_routes)
    routes = [one for made in makers for one in made.routes(StoreReader(store), ChangeToken(_never)).routes]
    ours = {(min(one.methods), one.path) for one in routes if isinstance(one, APIRoute)}
    assert ours == {
        ("POST", "/alerts/{alert}/{action}"),
        ("POST", "/alerts/{alert}/votes/{action}"),
        ("POST", "/incidents/{incident}/{action}"),
        ("POST", "/exclusions"),
        ("POST", "/snapshots/{snapshot}/notices"),
        ("GET", "/operator"),
        ("GET", "/operators/log"),
    }
    changing = [
        one.path
        for one in create_app(store).routes
        if isinstance(one, APIRoute) and one.methods - {"GET", "HEAD"} and one.path.removeprefix(API) not in
        {path for _, path in ours}
    ]  # fmt: skip
    # The forms of the pages, also those about incidents, need a session: tests/security/test_page_forms.py.
    assert sorted(changing) == ["/sign-in", "/sign-out"]


# The operators' log.


def test_the_name_is_that_of_the_token_and_the_row_says_from_where_and_what_changed(
    store: Store, client: TestClient
) -> None:
    alert, headers = critical(store, 9), token(store, "alerts")
    forged = client.post(f"{API}/alerts/{alert}/ack", json={**WHY, "name": "somebody else"}, headers=headers)
    assert forged.status_code == 422
    assert entries(store) == []
    client.post(f"{API}/alerts/{alert}/ack", json=WHY, headers=headers)
    (row,) = entries(store)
    assert row.pop("at")
    assert row.pop("database_role") in (None, "postgres")
    assert row == {
        "number": 1, "operator": "owner of alerts", "via": "api", "origin": "testclient", "action": "alert.ack",
        "target": alert, "reason": "a test", "before": {"state": "open", "snoozed_until": None},
        "after": {"state": "acknowledged", "snoozed_until": None, "votes_in": 0, "votes_out": 0},
    }  # fmt: skip


def test_logins_and_failed_logins_are_rows(store: Store, client: TestClient) -> None:
    headers = token(store, "log")
    assert client.get(f"{API}/operator", headers=headers).json() == {"name": "owner of log", "scopes": ["log"]}
    assert client.get(f"{API}/operator").status_code == 401
    shown = client.get(f"{API}/operators/log", headers=headers).json()["rows"]
    assert [(one["action"], one["operator"]) for one in shown] == [
        ("login.failed", "unknown"), ("login", "owner of log")
    ]  # fmt: skip
    assert all("integrity_" not in json.dumps(one) for one in entries(store))
    table = client.get(f"{API}/operators/log?format=csv", headers=headers)
    assert table.text.splitlines()[0] == ",".join(operators_log.TABLE_COLUMNS)


def test_reading_pseudonyms_is_a_login_once_an_hour(store: Store, client: TestClient) -> None:
    alert, label = critical(store, 14), voter(store, 14)
    seen = {scope: client.get(f"{API}/alerts/{alert}", headers=token(store, scope)) for scope in ("alerts", "log")}
    assert label in seen["alerts"].text
    assert label not in seen["log"].text  # this token decides about no voter
    assert [row["action"] for row in entries(store)] == ["login", "login"]
    headers = token(store, "exclusions")
    for _ in range(3):
        assert label in client.get(f"{API}/alerts", headers=headers).text
    assert [row["operator"] for row in entries(store)][2:] == ["owner of exclusions"]
    guessed = client.get(f"{API}/alerts/{alert}", headers={"Authorization": "Bearer integrity_guess"})
    assert (guessed.status_code, label in guessed.text) == (401, False)
    assert entries(store)[-1]["action"] == "login.failed"


def test_refused_requests_fill_so_many_rows_an_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators_log, "_MOST_REFUSED", 3)
    guesser = operators_log.Operator("unknown", "api", "203.0.113.9")
    with store.write() as connection:
        for _ in range(5):
            operators_log.record_refusal(connection, guesser, operators_log.FAILED_LOGIN, "GET /", now())
    assert [bool(row["reason"]) for row in entries(store)] == [False, False, True]


def test_the_log_names_voters_by_labels_since_it_cannot_forget_them(board: Board, store: Store) -> None:
    label = voter(store, 13)
    alert = critical(store, 13)
    for words in (
        ("exclude", f"voter:{label}"),
        ("restore", f"voter:{label}"),
        ("exclude", alert),
        ("ack", alert),
    ):
        done = called("alerts", *words, "--reason", f"about {label}", "--store", board.url, settings=SETTINGS)
        assert done.returncode == 0, done.stderr
    rows = entries(store)
    assert label not in json.dumps(rows)
    assert [row["target"].startswith("voter:voter-") or row["target"] == alert for row in rows] == [True] * 4


def test_a_row_is_never_changed_or_deleted(store: Store) -> None:
    with store.write() as connection:
        operators_log.record(connection, operators_log.process_operator(), "key.rotate", "", now())
        connection.execute(
            schema.notice.insert(), {"sequence": 1, "snapshot_id": "s", "text": "t", "name": "n", "at": 1}
        )
    statements = [
        f"{change} {table}{rest}"
        for table, column in (("operator_log", "reason"), ("notice", "text"))
        for change, rest in (("UPDATE", f" SET {column} = 'x'"), ("DELETE FROM", ""))
    ]
    if store.engine.dialect.name == "postgresql":
        statements += ["TRUNCATE operator_log", "TRUNCATE notice"]
    else:
        statements += [
            "INSERT OR REPLACE INTO operator_log SELECT * FROM operator_log",
            "INSERT OR REPLACE INTO notice SELECT * FROM notice",
        ]
    for statement in statements:
        with pytest.raises(DBAPIError, match="append-only"), store.write() as connection:
            connection.execute(sa.text(statement))
    assert len(entries(store)) == 1


def two_incidents(store: Store) -> tuple[str, str, str]:
    """Open warnings about voters for two models; the ids of their incidents, and the first alert of the second."""
    signals = [
        AlertSignal(
            "voter_bias", "voter", voter(store, number), "biased", "warning", 2e2, 1, 1, number, now() + number,
            {"likeliest": [{"what": "promotes", "model": model, "share": 1.0}]},
        )
        for number, model in ((20, "ant"), (21, "ant"), (22, "bee"))
    ]  # fmt: skip
    with store.write() as connection:
        *_, last = alert_lifecycle.open_alerts(connection, signals, {}, now())
        incident_grouping.regroup(connection)
        found = {one["about"][0]["name"]: one["id"] for one in incident_table.read_public(connection)}
    return found["ant"], found["bee"], last


def commands(store: Store, folder: Path) -> dict[str, tuple[str, ...]]:
    """Every command that decides, exports or handles keys and tokens: what the log calls it, and its words."""
    alert = critical(store, 10)
    incident, other, unlike = two_incidents(store)
    name, why = ("--name", "ann"), ("--reason", "a test")
    with store.read() as connection:
        snapshot = str(connection.scalar(sa.select(schema.snapshot.c.snapshot_id)))
    return {
        "alert.ack": ("alerts", "ack", alert, *name, *why),
        "alert.snooze": ("alerts", "snooze", alert, *name, *why),
        "alert.appeal": ("alerts", "appeal", alert, *name, *why),
        "alert.resolve": ("alerts", "resolve", alert, *name, *why),
        "alert.reopen": ("alerts", "reopen", alert, *name, *why),
        "exclusion.exclude": ("alerts", "exclude", "vote:vote 2", *name, *why),
        "exclusion.restore": ("alerts", "restore", "vote:vote 2", *name, *why),
        "export.alerts": ("alerts", "export"),
        "incident.ack": ("incidents", "ack", incident, *name, *why),
        "incident.snooze": ("incidents", "snooze", incident, *name, *why),
        "incident.appeal": ("incidents", "appeal", incident, *name, *why),
        "incident.note": ("incidents", "note", incident, *name, *why),
        "incident.resolve": ("incidents", "resolve", incident, *name, *why),
        "incident.exclude": ("incidents", "exclude", incident, "--yes", *name, *why),
        "incident.restore": ("incidents", "restore", incident, "--yes", *name, *why),
        "incident.reopen": ("incidents", "reopen", incident, *name, *why),
        "incident.merge": ("incidents", "merge", incident, other, *name, *why),
        "incident.split": ("incidents", "split", incident, unlike, *name, *why),
        "export.incidents": ("incidents", "export"),
        "token.add": ("tokens", "add", "ada", "--scope", "alerts", *name, *why),
        "token.revoke": ("tokens", "revoke", "ada", *name, *why),
        "notice.add": ("notice", "add", snapshot, "--text", "a correction", *name),
        "votes.archive": ("archive", "--older-than", "0"),
        "vote.retract": ("retract", "vote 3", *name, *why),
        "vote.erase": ("erase", "vote 4", *name, *why),
        "voter.erase": ("erase", "--voter", "voter 11", *name, *why),
        "export.mirror": ("mirror", str(folder / "mirror")),
        "export.bundle": ("bundle", "--out", str(folder / "bundle.zip")),
        "export.votes": ("export", "--out", str(folder / "votes.parquet")),
        "export.backup": ("backup", "--out", str(folder / "backup")),
        "export.receipts": ("receipt", "--voter", "voter 12"),
        "export.pseudonym": ("pseudonym", "voter 12"),
        "export.operators_log": ("operators", "log", "--csv", str(folder / "log.csv")),
        "alert.replay": ("replay", "--detector", "voter_rate", "--write"),
        "key.rotate": ("rotate-key", *name, *why),
    }


# Commands that decide nothing: they read, run the pipeline as a machine, or measure. `refresh --release` is tested with
# the hold, `restore`, whose row is in the restored store, with backups.
NOT_DECIDING = {
    "publish", "work", "monitor", "refresh", "leaderboard", "diff", "verify", "audit", "witness", "rate", "report",
    "history", "sweep", "provider", "redteam", "migrate", "rejects", "doctor", "serve", "exporter", "bench", "demo",
    "restore", "convert", "backfill", "drill",
}  # fmt: skip


@pytest.mark.long
def test_every_command_that_decides_writes_exactly_one_row(
    board: Board, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.engine.dialect.name == "postgresql":  # pg_dump may not be older than the server
        monkeypatch.setenv("PATH", str(binary_folder()), prepend=os.pathsep)
    login = pwd.getpwuid(os.getuid()).pw_name
    table = commands(store, tmp_path)
    assert {words[0] for words in table.values()} | NOT_DECIDING == set(COMMANDS)
    for action, words in table.items():
        before = len(entries(store))
        done = called(*words, "--store", board.url, "--json", settings=SETTINGS)
        assert done.returncode == 0, (words, done.stderr)
        fresh = entries(store)[before:]
        named = "ann" if "--name" in words else login
        assert [(row["action"], row["operator"], row["via"]) for row in fresh] == [(action, named, "cli")], words
        assert fresh[0]["origin"].startswith(f"{login}@")
    text = json.dumps(entries(store))
    assert "voter 11" not in text
    assert voter(store, 11) not in text
    assert "vote 4" not in text  # an erasure says how many, not which
    erased = {row["action"]: row["after"] for row in entries(store) if row["action"].endswith("erase")}
    assert erased == {"vote.erase": {"erased": 1}, "voter.erase": {"erased": VOTES_EACH}}


def test_the_log_is_listed_and_written_as_csv_for_its_reader_alone(board: Board, tmp_path: Path) -> None:
    done = called("tokens", "add", "=cmd()", "--scope", "log", "--reason", "x", "--store", board.url, settings=SETTINGS)
    assert done.returncode == 0
    listed = called("operators", "log", "--store", board.url, settings=SETTINGS)
    assert "token.add =cmd()" in " ".join(listed.stdout.split())
    path = tmp_path / "log.csv"
    for status in (0, 2):  # an existing file is not overwritten
        words = ("operators", "log", "--csv", str(path), "--store", board.url)
        assert called(*words, settings=SETTINGS).returncode == status
    assert path.stat().st_mode & 0o777 == 0o600
    assert ",'=cmd()," in path.read_text()
