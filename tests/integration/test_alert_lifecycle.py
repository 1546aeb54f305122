"""The life cycle of an alert about a window: opened, escalated, cleared, and the actions of people."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline.detectors import VOTER
from pipeline.errors import Usage
from pipeline.lab.simulate import HonestSpec, SimulatedStream, simulate_stream
from pipeline.lab.simulate.voter_population import NETWORKS
from pipeline.open_store import open_store
from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal
from pipeline.scoring.window import NEW_ACCOUNT
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, alert_queries
from pipeline.store.boards import excluded_votes, exclusion_list
from pipeline.store.db import schema
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from pipeline.vocabulary.time import to_microseconds

OPTIONS = Settings(voter_key="33" * 32)
HOUR = 3_600_000_000
START = to_microseconds(datetime(2024, 7, 1, 12, tzinfo=UTC))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = str(tmp_path / "a.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store")
    opened = open_store(url, voter_key=OPTIONS.key)
    request.addfinalizer(opened.close)
    return opened


def burst(level: int, e: float, start: int = START, **evidence: Any) -> AlertSignal:
    evidence = {"what": "too many", "window": [START - HOUR, start + HOUR], **evidence}
    severity: Any = "critical" if level > 1 else "warning"
    return AlertSignal(
        "vote_burst", "model", "m", "up", severity, e, level, NO_PARTITION, start, start + HOUR, evidence
    )


CLEARED = ClearedSignal("vote_burst", "m", "up", START + 9 * HOUR, "normal again")


def record(store: Store, *signals: AlertSignal | ClearedSignal, now: int = 5) -> list[str | None]:
    with store.write() as connection:
        return alert_lifecycle.record_signals(connection, signals, {}, now)


def shown(store: Store, now: int | None = None) -> list[tuple[str, str, float | None]]:
    with store.read() as connection:
        return [(a["state"], a["severity"], a["e_value"]) for a in alert_queries.list_alerts(connection, None, now)]


def actions(store: Store, alert_id: str) -> list[str]:
    with store.read() as connection:
        return [h["action"] for h in alert_queries.find_alert(connection, alert_id)["history"]]


def test_an_alert_opens_escalates_is_cleared_and_a_new_one_opens(store: Store) -> None:
    first, second = record(store, burst(1, 150.0), burst(2, 2e4, START + HOUR))
    assert first == second
    assert shown(store) == [("open", "critical", 2e4)]
    assert record(store, CLEARED) == [first]
    assert shown(store) == [("resolved", "critical", 2e4)]
    again = record(store, burst(1, 200.0, START + 20 * HOUR))[0]
    assert again != first
    assert sorted(shown(store)) == [("open", "warning", 200.0), ("resolved", "critical", 2e4)]
    assert actions(store, str(first)) == ["opened", "escalated", "cleared"]


def test_a_resolved_alert_is_not_cleared_again(store: Store) -> None:
    (alert_id,) = record(store, burst(1, 150.0))
    with store.write() as connection:
        alert_lifecycle.change_state(connection, str(alert_id), "resolve", "ann", "looked", 6)
    assert record(store, CLEARED) == [None]
    assert actions(store, str(alert_id)) == ["opened", "resolve"]


def test_a_snooze_ends_at_its_time_and_the_end_is_recorded(store: Store) -> None:
    (alert_id,) = record(store, burst(1, 150.0))
    with store.write() as connection:
        assert (
            alert_lifecycle.change_state(connection, str(alert_id), "snooze", "ann", "tonight", 10, until=50)
            == "snoozed"
        )
        assert alert_lifecycle.end_snoozes(connection, 49) == 0
    assert shown(store, 49)[0][0] == "snoozed"
    assert shown(store, 50)[0][0] == "open"  # a list shows it as open before the monitor has recorded the end
    with store.write() as connection:
        assert alert_lifecycle.end_snoozes(connection, 50) == 1
    assert shown(store)[0][0] == "open"
    assert actions(store, str(alert_id)) == ["opened", "snooze", "woke"]


def test_a_snooze_without_an_end_lasts_until_somebody_acts(store: Store) -> None:
    (alert_id,) = record(store, burst(1, 150.0))
    with store.write() as connection:
        alert_lifecycle.change_state(connection, str(alert_id), "snooze", "ann", "", 10)
        assert alert_lifecycle.end_snoozes(connection, 10**18) == 0
        alert_lifecycle.change_state(connection, str(alert_id), "reopen", "ann", "", 11)
    assert shown(store)[0][0] == "open"


@pytest.mark.long
@pytest.mark.parametrize(("action", "after"), [("snooze", "open"), ("ack", "acknowledged"), ("appeal", "appealed")])
def test_escalation_reopens_a_snoozed_alert_only(store: Store, action: str, after: str) -> None:
    (alert_id,) = record(store, burst(1, 150.0))
    with store.write() as connection:
        alert_lifecycle.change_state(connection, str(alert_id), action, "ann", "", 10)
    record(store, burst(2, 2e4, START + HOUR))
    assert shown(store) == [(after, "critical", 2e4)]


@pytest.fixture(scope="module")
def stream() -> SimulatedStream:
    return simulate_stream(HonestSpec(votes=3_000, seed=5, days=3.0, models=20))


def stored(store: Store, stream: SimulatedStream, tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    stream.write_jsonl(path)
    Worker(FileSource(path), store, OPTIONS, VOTER, "test").run(until_end=True)


FILTERS: dict[str, tuple[dict[str, str], Callable[[SimulatedStream], np.ndarray]]] = {
    "time": ({}, lambda s: np.ones(len(s), dtype=bool)),
    "model": (
        {"model": "gpt-4-turbo-2024-04-09"},
        lambda s: (
            (s.model_a == s.models.index("gpt-4-turbo-2024-04-09"))
            | (s.model_b == s.models.index("gpt-4-turbo-2024-04-09"))
        ),
    ),
    "new": ({"cohort": "new"}, lambda s: s.cast_at - s.voter_since <= NEW_ACCOUNT),
    "established": ({"cohort": "established"}, lambda s: s.cast_at - s.voter_since > NEW_ACCOUNT),
    "unknown": ({"cohort": "unknown"}, lambda s: np.zeros(len(s), dtype=bool)),
    "network": ({"network": NETWORKS[0]}, lambda s: s.network == 0),
    "both": (
        {"network": NETWORKS[0], "cohort": "new"},
        lambda s: (s.network == 0) & (s.cast_at - s.voter_since <= NEW_ACCOUNT),
    ),
}


def test_a_selection_gives_the_votes_that_a_loop_chooses(store: Store, stream: SimulatedStream, tmp_path: Path) -> None:
    stored(store, stream, tmp_path)
    first, end = int(stream.cast_at[500]), int(stream.cast_at[2200])
    inside = (stream.cast_at >= first) & (stream.cast_at < end)
    with store.read() as connection:
        for filters, chosen in FILTERS.values():
            found = VoteSelection(first, end, **filters).read_votes(connection)
            assert sorted(row.offset for row in found) == np.flatnonzero(inside & chosen(stream)).tolist()
        some = connection.execute(sa.select(schema.vote.c["prompt"]).where(schema.vote.c.offset == 700)).scalar_one()
        for bits in (32, 4):
            text = f"{some & ((1 << bits) - 1):x}" + ("" if bits == 32 else f"/{bits}")
            found = VoteSelection(first, end, prompt=text).read_votes(connection)
            every = connection.execute(sa.select(schema.vote.c["offset", "prompt"])).all()
            alike = [o for o, p in every if inside[o] and (p ^ some) & ((1 << bits) - 1) == 0]
            assert sorted(row.offset for row in found) == sorted(alike)
            assert 700 in alike


@pytest.mark.parametrize("text", [
    "from=2024-07-01T00:00:00Z,to=2024-07-01T01:00:00Z,model=a,cohort=new",
    '{"from": "2024-07-01T02:00:00+02:00", "to": "2024-07-01T01:00:00Z", "cohort": "new", "model": "a"}',
])  # fmt: skip
def test_one_selection_has_one_text(text: str) -> None:
    canonical = '{"from": "2024-07-01T00:00:00Z", "to": "2024-07-01T01:00:00Z", "model": "a", "cohort": "new"}'
    assert str(VoteSelection.parse(text)) == canonical
    assert VoteSelection.parse(canonical) == VoteSelection.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "from=TIME"),
        ("from=2024-07-01T00:00:00Z", "from=TIME"),
        ("from=yesterday,to=today", "a date or time in ISO 8601"),
        ("from=2024-07-01T00:00:00,to=2024-07-01T01:00:00", "a time with a zone"),  # no zone
        ("from=2024-07-01T01:00:00Z,to=2024-07-01T01:00:00Z", "before"),
        ("from=2024-07-01T00:00:00Z,to=2024-07-01T01:00:00Z,voter=x", "'voter'"),
        ("from=2024-07-01T00:00:00Z,to=2024-07-01T01:00:00Z,cohort=old", "'old'"),
        ("from=2024-07-01T00:00:00Z,to=2024-07-01T01:00:00Z,prompt=xyz", "'xyz'"),
        ("[1, 2]", "from=TIME"),
        ('{"from": 1, "to": 2}', "a date or time in ISO 8601"),
    ],
)
def test_an_invalid_selection_is_refused_with_what_was_expected(text: str, says: str) -> None:
    with pytest.raises(Usage, match=says):
        VoteSelection.parse(text)


def test_excluded_votes_count_once_however_many_entries_name_them(
    store: Store, stream: SimulatedStream, tmp_path: Path
) -> None:
    stored(store, stream, tmp_path)
    first, end = int(stream.cast_at[100]), int(stream.cast_at[400])
    with store.write() as connection:
        connection.execute(sa.update(schema.partition).values(sealed_offset=3_000))
        connection.execute(
            schema.segment.insert(),
            {
                "segment_no": 1,
                "log_size": 3_000,
                "leaves": 3_000,
                "root": "r",
                "edge": b"",
                "sha256": "s",
                "counts": b"",
                "at": 0,
            },
        )
        one_range = {
            "segment_no": 1,
            "partition_no": 1,
            "first_offset": 0,
            "next_offset": 3_000,
            "first_leaf": 0,
            "leaves": 3_000,
        }
        connection.execute(schema.segment_range.insert(), one_range)
        both = [VoteSelection(first, end), VoteSelection(first, end, cohort="new")]
        voter = connection.execute(sa.select(schema.vote.c.voter).where(schema.vote.c.offset == 150)).scalar_one()
        counted = excluded_votes.count_by_pair(excluded_votes.find_votes(connection, 3_000, [voter], selections=both))
        mine = connection.scalar(
            sa.select(sa.func.count()).where(
                schema.vote.c.voter == voter, sa.or_(schema.vote.c.cast_at < first, schema.vote.c.cast_at >= end)
            )
        )
        assert sum(votes for *_, votes in counted) == 300 + (mine or 0)
        rest = excluded_votes.count_by_pair(
            excluded_votes.find_votes(connection, 3_000, [voter], except_selections=both)
        )
        assert sum(votes for *_, votes in rest) == mine


def test_a_restore_with_the_same_text_undoes_an_exclusion(store: Store) -> None:
    text = "from=2024-07-01T00:00:00Z,to=2024-07-01T01:00:00Z,cohort=new"
    with store.write() as connection:
        target = str(VoteSelection.parse(text))
        exclusion_list.add_entry(connection, "exclude", "votes", target, "bought", "ann", 1, "alert")
        assert [e.target for e in exclusion_list.read_active_of_alert(connection, "alert")] == [target]
        exclusion_list.add_entry(connection, "restore", "votes", target, "no, honest", "bob", 2)
        assert exclusion_list.read_active(connection) == []
        assert exclusion_list.read_active_of_alert(connection, "alert") == []
        with pytest.raises(Usage, match="from=TIME"):
            exclusion_list.add_entry(connection, "exclude", "votes", "everything", "bought", "ann", 3)
