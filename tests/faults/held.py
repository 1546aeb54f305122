"""Everything that a store holds, by names: two stores number models, terms and partitions in their own order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.open_store import open_store
from pipeline.store.votes import window_counts

Table = dict[Any, Any]
"""What identifies a row → the rest of it."""

TABLES = {
    "votes": 'SELECT p.number, v."offset", v.voter, cast_at, appended_at, a.name, b.name, outcome, fate, prompt,'
    " voter_since, style, (SELECT text FROM term WHERE term_no = language),"
    " (SELECT text FROM term WHERE term_no = category), (SELECT text FROM term WHERE term_no = network),"
    " flags, turn, session, (SELECT text FROM term WHERE term_no = categories)"
    " FROM vote v JOIN partition p USING (partition_no)"
    " JOIN model a ON a.model_no = v.model_a JOIN model b ON b.model_no = v.model_b",
    "duplicates": 'SELECT p.number, d."offset", f.number, d.first_offset, d.same_body FROM duplicate d'
    " JOIN partition p ON p.partition_no = d.partition_no JOIN partition f ON f.partition_no = d.first_partition_no",
    "rejects": 'SELECT p.number, "offset", reason, sha256 FROM reject JOIN partition p USING (partition_no)',
    "in force": "SELECT p.number, from_offset, sequence FROM in_force JOIN partition p USING (partition_no)",
    "partitions": "SELECT number, 0, next_offset, event_time FROM partition",
    "alerts": 'SELECT alert_id, p.number, "offset", detector, severity, subject_kind, subject, direction, opened_at,'
    " level, e_value, evidence FROM alert LEFT JOIN partition p USING (partition_no)",
}
_ALWAYS = 1 << 60


@dataclass(frozen=True)
class Held:
    """The tables of a store.

    Attributes:
        tables: name → rows. Votes, duplicates and rejects are keyed by their place.
        windows: (partition, start) → accepted, late, (kind, group, model) → row.
        states: (partition, voter) → the state. Its bytes hold numbers of models, so they can be compared
            only between stores that gave the models the same numbers.
        models: number → name.
        history: alert id → what became of it, in order.
        batches: partition → (first, next, read, sum of the fates) in order.
        marks: partition → first, next, sealed and state offset.
        sequences: of the published snapshots, in order.
        waiting: messages in the outbox.
    """

    tables: Mapping[str, Table]
    windows: Table
    states: Table
    models: Mapping[int, str]
    history: Mapping[str, list[tuple[str, str]]]
    batches: Mapping[int, list[tuple[int, int, int, int]]]
    marks: Mapping[int, tuple[int, int, int]]
    sequences: list[int]
    waiting: int

    @property
    def votes(self) -> Table:
        """Place → the vote."""
        return self.tables["votes"]


def read(url: str, key: bytes) -> Held:
    """Read a whole store, at one moment."""
    store = open_store(url, voter_key=key)
    try:
        with store.read() as connection:
            return _held(connection)
    finally:
        store.close()


def _held(connection: Connection) -> Held:
    ask = partial(_rows, connection)
    models = dict(ask("SELECT model_no, name FROM model"))
    numbers = dict(ask("SELECT partition_no, number FROM partition"))
    history: dict[str, list[tuple[str, str]]] = {}
    for alert, action, reason in ask("SELECT alert_id, action, reason FROM alert_event ORDER BY event_no"):
        history.setdefault(alert, []).append((action, reason))
    batches: dict[int, list[tuple[int, int, int, int]]] = {number: [] for number in numbers.values()}
    ledger = (
        "SELECT partition_no, first_offset, next_offset, read, accepted + late + quarantined + duplicate + rejected"
    )
    for no, *rest in ask(ledger + " FROM batch ORDER BY partition_no, first_offset"):
        batches[numbers[no]].append(tuple(rest))
    return Held(
        tables={name: {row[:2]: row[2:] for row in ask(query)} for name, query in TABLES.items()},
        windows={
            (numbers[w.partition], w.start): (
                w.accepted,
                w.late,
                {(k, group, models.get(m, "")): tuple(row) for k, group, m, *row in w.counts.tolist()},
            )
            for w in window_counts.read_range(connection, -_ALWAYS, _ALWAYS)
        },
        states={
            (numbers[no], voter): state
            for no, voter, state in ask("SELECT partition_no, voter, state FROM voter_state")
        },
        models=models,
        history=history,
        batches=batches,
        marks={
            number: tuple(rest)
            for number, *rest in ask("SELECT number, next_offset, sealed_offset, state_offset FROM partition")
        },
        sequences=[s for (s,) in ask("SELECT sequence FROM snapshot WHERE sequence IS NOT NULL ORDER BY sequence")],
        waiting=ask("SELECT count(*) FROM outbox")[0][0],
    )


def _rows(connection: Connection, query: str) -> list[Any]:
    found = connection.execute(sa.text(query))
    return [tuple(bytes(c) if isinstance(c, memoryview) else c for c in row) for row in found]


def differences(one: Held, other: Held) -> Iterable[str]:
    """Where two stores of one log say different things, a sentence each; at most three a table."""
    assert one.models == other.models, "expected stores that began as copies of one: their models have the same numbers"
    tables = {**one.tables, "windows": one.windows, "voter states": one.states, "alert histories": one.history}
    others = {**other.tables, "windows": other.windows, "voter states": other.states, "alert histories": other.history}
    for name, here in tables.items():
        there = others[name]
        for key in sorted(here.keys() ^ there.keys(), key=repr)[:3]:
            yield f"{name}: {key} is {'only here' if key in here else 'missing'}: {here.get(key, there.get(key))}"
        unlike = [key for key in here.keys() & there.keys() if here[key] != there[key]]
        for key in sorted(unlike, key=repr)[:3]:
            yield f"{name}: {key}: expected {there[key]}, got {here[key]}"


def board_of(url: str, key: bytes) -> dict[tuple[str, str], tuple[float, ...]]:
    """(view, model) → rating, lower, upper, votes of the newest snapshot."""
    store = open_store(url, voter_key=key)
    try:
        with store.read() as connection:
            query = (
                "SELECT view, model, rating, lower, upper, votes FROM snapshot_row JOIN snapshot USING (snapshot_id)"
                " WHERE sequence = (SELECT max(sequence) FROM snapshot)"
            )
            return {(view, model): tuple(rest) for view, model, *rest in _rows(connection, query)}
    finally:
        store.close()


def repeated(values: Iterable[Any]) -> list[Any]:
    """Those that come more than once."""
    return [value for value, count in Counter(values).items() if count > 1]


def evidence_of(alert: tuple[Any, ...]) -> Mapping[str, Any]:
    """What an alert's row says was seen."""
    found: Mapping[str, Any] = json.loads(alert[-1])
    return found
