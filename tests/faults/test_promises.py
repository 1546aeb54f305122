"""The judge is judged: a store that is broken in any one way is found to be broken, and under the right promise."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.detectors import VOTER
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from tests.faults.held import read
from tests.faults.log import Log, Record, file_log
from tests.faults.promises import Case, findings
from tests.faults.scene import KEY, SETTINGS, make_stream, refresh

BEFORE, VOTES = 1_100, 6_000


@dataclass(frozen=True)
class Whole:
    """A store with nothing wrong in it, and the case about it."""

    path: Path
    case: Case


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("promises")
    stream = make_stream(VOTES, BEFORE, seed=5, late=20)
    path, store = folder / "votes.jsonl", folder / "whole.db"
    lines = [*stream.before, *stream.after, b"no vote"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        path.write_bytes(b"".join(line + b"\n" for line in stream.before))
        work(path, store)
        refresh(str(store))
        with path.open("ab") as file:
            file.writelines(line + b"\n" for line in lines[len(stream.before) :])
        work(path, store)
        refresh(str(store))
    log, held = file_log(stream.before, lines[len(stream.before) :]), read(str(store), KEY)
    acknowledged = Counter(record.vote["vote_id"] for record in log.records.values() if record.vote)
    case = Case(log, str(store), KEY, acknowledged, held, announced=[key[0] for key in held.tables["alerts"]])
    return Whole(store, case)


def work(path: Path, url: Path) -> None:
    store = open_store(str(url), voter_key=KEY, worker=True)
    Worker(FileSource(path), store, Settings(batch_votes=500), VOTER, "test").run(until_end=True)
    store.close()


@pytest.fixture
def broken(whole: Whole, tmp_path: Path) -> Callable[[str], list[str]]:
    """What the judge says of a copy of the store after one statement."""

    def broken(statement: str) -> list[str]:
        copy = tmp_path / "copy.db"
        with sqlite3.connect(whole.path) as source, sqlite3.connect(copy) as target:
            source.backup(target)
            for table, its_own in (("vote", "offset"), ("alert", "alert_id")):
                names = [name for _, name, *_ in target.execute(f"PRAGMA table_info({table})") if name != its_own]
                others = ", ".join(f'"{name}"' for name in names)
                statement = statement.replace(f"{{others of {table}}}", others)
            changed = target.execute(statement)
            assert changed.rowcount != 0, f"expected {statement!r} to change something"
        shutil.rmtree(tmp_path / "copy.db.keys", ignore_errors=True)
        return findings(replace(whole.case, url=str(copy)))

    return broken


def promises(found: list[str]) -> set[str]:
    return {line.partition(":")[0] for line in found}


@pytest.mark.long
def test_a_store_with_nothing_wrong_in_it_keeps_every_promise(whole: Whole) -> None:
    assert findings(whole.case) == []
    alerts = whole.case.undisturbed.tables["alerts"] if whole.case.undisturbed else {}
    assert len(alerts) >= 5
    assert whole.case.undisturbed is not None
    assert min(len(rows) for rows in whole.case.undisturbed.tables.values()) > 0, "expected something in every table"
    assert whole.case.undisturbed.states


SOME = '(SELECT max("offset") FROM vote WHERE fate = 0)'
BROKEN = {
    "a vote is gone": (f'DELETE FROM vote WHERE "offset" = {SOME}', "C1"),
    "a vote stands somewhere else": (f'UPDATE vote SET "offset" = 10000000 WHERE "offset" = {SOME}', "C1"),
    "a vote counts twice": (
        'INSERT INTO vote ("offset", {others of vote}) SELECT (SELECT min("offset") FROM duplicate),'
        " {others of vote} FROM vote"
        ' WHERE "offset" = (SELECT first_offset FROM duplicate ORDER BY "offset" LIMIT 1)',
        "C1",
    ),
    "the second of two counts": (
        'UPDATE vote SET "offset" = (SELECT d."offset" FROM duplicate d WHERE d.first_offset = vote."offset")'
        ' WHERE "offset" = (SELECT first_offset FROM duplicate GROUP BY 1 HAVING count(*) = 1 LIMIT 1)',
        "C1",
    ),
    "a duplicate is gone": ('DELETE FROM duplicate WHERE "offset" = (SELECT max("offset") FROM duplicate)', "C1"),
    "a duplicate points at another vote": (
        'UPDATE duplicate SET first_offset = 0 WHERE "offset" = (SELECT max("offset") FROM duplicate)',
        "C1",
    ),
    "a good vote is rejected": (f'UPDATE reject SET "offset" = {SOME}', "C1"),
    "an outcome is another": (f'UPDATE vote SET outcome = (outcome + 1) % 4 WHERE "offset" = {SOME}', "C2"),
    "a model is another": (f'UPDATE vote SET model_a = model_b WHERE "offset" = {SOME}', "C2"),
    "an accepted vote is late": (f'UPDATE vote SET fate = 1 WHERE "offset" = {SOME}', "C2"),
    "a window counts one more": (
        'UPDATE "window" SET accepted = accepted + 1 WHERE start = (SELECT min(start) FROM "window")',
        "C2",
    ),
    "a window is gone": ('DELETE FROM "window" WHERE start = (SELECT max(start) FROM "window")', "C2"),
    "a window has another's counts": (
        'UPDATE "window" SET counts = (SELECT counts FROM "window" ORDER BY start DESC LIMIT 1)'
        ' WHERE start = (SELECT min(start) FROM "window")',
        "C2",
    ),
    "a batch is gone": ("DELETE FROM batch WHERE first_offset = (SELECT max(first_offset) FROM batch)", "C3"),
    "the first batch is gone": ("DELETE FROM batch WHERE first_offset = 0", "C3"),
    "a batch ends early": (
        "UPDATE batch SET next_offset = next_offset - 1 WHERE first_offset = (SELECT min(first_offset) FROM batch)",
        "C3",
    ),
    "the partition goes back": ("UPDATE partition SET next_offset = next_offset - 1", "C3"),
    "the partition runs ahead": ("UPDATE partition SET next_offset = next_offset + 1", "C3"),
    "a batch counts one more": (
        "UPDATE batch SET accepted = accepted + 1 WHERE first_offset = (SELECT min(first_offset) FROM batch)",
        "C3",
    ),
    "a batch read one more": (
        "UPDATE batch SET read = read + 1 WHERE first_offset = (SELECT min(first_offset) FROM batch)",
        "C3",
    ),
    "states run ahead": ("UPDATE partition SET state_offset = next_offset + 1", "C4"),
    "seals run ahead": ("UPDATE partition SET sealed_offset = next_offset + 1", "C4"),
    "a snapshot that is not there is in force": ("UPDATE in_force SET sequence = 99", "C4"),
    "a snapshot comes into force twice": (
        "INSERT INTO in_force SELECT partition_no, from_offset + 1, sequence FROM in_force",
        "C4",
    ),
    "a snapshot is missing from the chain": (
        "UPDATE snapshot SET sequence = 3 WHERE sequence = 2",
        "C4",
    ),
    "a message was never sent": (
        "INSERT INTO outbox (source_no, topic, \"key\", value) VALUES (1, 't', x'00', x'00')",
        "C4",
    ),
    "a rating is another": ("UPDATE snapshot_row SET rating = rating + 1", "C5"),
    "a sealed vote is changed": ('UPDATE vote SET cast_at = cast_at + 1 WHERE "offset" = 7', "C5"),
    "an alert fired twice": (
        "INSERT INTO alert_event (alert_id, at, action, name, reason)"
        " SELECT alert_id, at, action, name, reason FROM alert_event WHERE action = 'opened' LIMIT 1",
        "C7",
    ),
    "an escalation was told twice": (
        "INSERT INTO alert_event (alert_id, at, action, name, reason)"
        " SELECT alert_id, at, action, name, reason FROM alert_event WHERE action = 'escalated' LIMIT 1",
        "C7",
    ),
    "an alert was reopened": (
        "INSERT INTO alert_event (alert_id, at, action, name, reason)"
        " SELECT alert_id, at, 'reopened', name, 'again' FROM alert_event LIMIT 1",
        "C7",
    ),
    "two alerts say the same": (
        "INSERT INTO alert (alert_id, {others of alert}) SELECT 'other', {others of alert} FROM alert LIMIT 1",
        "C7",
    ),
    "an alert is gone": ("DELETE FROM alert WHERE alert_id = (SELECT min(alert_id) FROM alert)", "C7"),
    "an alert says nothing": ("UPDATE alert SET evidence = '{}'", "C7"),
    "an alert's evidence is another": ("UPDATE alert SET e_value = 2 * e_value", "same"),
    "a voter's state is gone": ("DELETE FROM voter_state WHERE voter = (SELECT min(voter) FROM voter_state)", "same"),
    "a voter's state is another's": (
        "UPDATE voter_state SET state = (SELECT state FROM voter_state ORDER BY voter DESC LIMIT 1)"
        " WHERE voter = (SELECT min(voter) FROM voter_state)",
        "same",
    ),
    "a voter is another": (f'UPDATE vote SET voter = voter + 1 WHERE "offset" = {SOME}', "same"),
    "the event time is another": ("UPDATE partition SET event_time = event_time + 1", "same"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(what: str, broken: Callable[[str], list[str]]) -> None:
    statement, promise = BROKEN[what]
    found = broken(statement)
    assert promise in promises(found), found[:20]


def test_an_acknowledged_vote_that_the_broker_lost_is_found(whole: Whole) -> None:
    for gone in ({"no such vote": 1}, {next(iter(whole.case.acknowledged)): 99}):
        found = findings(replace(whole.case, acknowledged=gone))
        assert promises(found) == {"C1"}


def test_a_record_that_nobody_read_is_found(whole: Whole) -> None:
    log, end = whole.case.log, whole.case.log.bounds[0][1]
    vote = {**(log.records[0, 0].vote or {}), "vote_id": "new"}
    more = Log({**log.records, (0, end): Record(0, vote)}, {0: (0, end + 1)}, of_file=True)
    assert promises(findings(replace(whole.case, log=more, undisturbed=None))) >= {"C1", "C3"}


@pytest.mark.long
def test_a_pause_beyond_the_bound_and_an_alert_that_never_reached_its_topic_are_found(whole: Whole) -> None:
    assert promises(findings(replace(whole.case, pauses=[(9.0, "x"), (61.0, "y")]))) == {"C6"}
    assert promises(findings(replace(whole.case, announced=list(whole.case.announced or ())[1:]))) == {"C7"}
    assert promises(findings(replace(whole.case, announced=[*(whole.case.announced or ()), "other"]))) == {"C7"}
