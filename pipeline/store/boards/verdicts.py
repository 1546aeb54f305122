"""Stores the verdicts of the expectation suites, and reads the votes and registry events that the suites check.

An expectation is a condition that data must meet. A refresh continues only if all critical expectations of a suite are
met.
"""

import hashlib
import json
from collections import Counter
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import format_pseudonym
from pipeline.store.cold import cold_votes
from pipeline.store.db import schema
from pipeline.store.db.sort_order import CodePointOrder
from pipeline.store.votes import dictionary
from pipeline.vocabulary.fates import FATES
from pipeline.vocabulary.outcomes import OUTCOMES

# A check reads the votes since the last passed one; the first check of a long history reads the newest
# ones of each partition.
_MAX_ROWS = 1_000_000
_WARNING = ("part", "column", "expectation", "observed", "reason")


class PassedVerdict(NamedTuple):
    """Identifies a verdict that let a refresh continue: its id, and the size of the checked log."""

    verdict_id: str
    log_size: int


def last_passed(connection: Connection, suite: str) -> PassedVerdict | None:
    """Return the passed verdict of a suite that covers the largest log. None if no verdict of the suite passed."""
    v = schema.verdict.c
    row = connection.execute(
        sa.select(v.verdict_id, v.log_size)
        .where(v.suite == suite, v.success)
        .order_by(v.log_size.desc(), v.at.desc())
        .limit(1)
    ).one_or_none()
    return PassedVerdict(row.verdict_id, int(row.log_size)) if row else None


def all_passed(connection: Connection, suite: str | None = None) -> bool | None:
    """Return whether the newest verdict of one suite passed, or the newest verdicts of all suites.

    Args:
        connection: reads the store.
        suite: name of the suite; None for all suites.

    Returns:
        None if there is no verdict.
    """
    found = [bool(row.success) for row in _newest(connection) if suite in (None, row.suite)]
    return all(found) if found else None


def list_warnings(connection: Connection) -> list[dict[str, Any]]:
    """Return the failed expectations of severity `warning`, from the newest verdict of each suite.

    Returns:
        {"suite", "part", "column", "expectation", "observed", "reason"} for each expectation. In the suite of
        snapshots, "part" is the name of the view; in other suites it is "".
    """
    return [
        {"suite": verdict.suite, **{name: row.get(name, "") for name in _WARNING}}
        for verdict in _newest(connection)
        for row in json.loads(verdict.results)["results"]
        if row["severity"] == "warning" and not row["success"]
    ]


def count_warnings(connection: Connection) -> dict[str, int]:
    """Return the number of warnings in the newest verdict of each suite, as name of a suite → number."""
    found = Counter(row["suite"] for row in list_warnings(connection))
    return {verdict.suite: found[verdict.suite] for verdict in _newest(connection)}


def _newest(connection: Connection) -> list[Any]:
    """Return the newest verdict of each suite, sorted by the suite's name."""
    v = schema.verdict.c
    newest = sa.select(v.suite, sa.func.max(v.at).label("at")).group_by(v.suite).subquery()
    query = (
        sa.select(v.suite, v.success, v.results)
        .join(newest, sa.and_(v.suite == newest.c.suite, v.at == newest.c.at))
        .order_by(CodePointOrder(v.suite))
    )
    return list(connection.execute(query).all())


def newest_id(connection: Connection, suite: str) -> str | None:
    """Return the id of the newest verdict of a suite, None if there is none."""
    v = schema.verdict.c
    found: str | None = connection.scalar(
        sa.select(v.verdict_id).where(v.suite == suite).order_by(v.at.desc()).limit(1)
    )
    return found


def add_verdict(connection: Connection, suite: str, log_size: int, success: bool, results: str, now: int) -> str:
    """Store a verdict of an expectation suite.

    Args:
        connection: the transaction.
        suite: name of the suite.
        log_size: number of leaves of the vote log that was checked. For the suite `registry`, the number of the newest
            registry event instead.
        success: whether a refresh may continue.
        results: the verdict as JSON (`SuiteVerdict.as_json`).
        now: present time in microseconds since 1970 UTC.

    Returns:
        The id of the verdict.
    """
    verdict_id = hashlib.sha256(f"{log_size}|{now}|{results}".encode()).hexdigest()[:16]
    connection.execute(
        schema.verdict.insert(),
        {
            "verdict_id": verdict_id,
            "suite": suite,
            "log_size": log_size,
            "success": success,
            "results": results,
            "at": now,
        },
    )
    return verdict_id


def read_votes(connection: Connection, first: int, end: int) -> dict[str, list[Any]]:
    """Return the votes that were sealed between two log sizes, for the checks of an expectation suite.

    At most a million votes are returned, and each partition gets a share of them. From a partition with more votes than
    its share, the newest votes are returned.

    Args:
        connection: reads the store.
        first: the smaller log size. Votes before it are left out.
        end: the larger log size. Votes after it are left out.

    Returns:
        Name of a column → list of values, one for each vote.
    """
    s, r, v = schema.segment.c, schema.segment_range.c, schema.vote.c
    ranges = connection.execute(
        sa.select(r.partition_no, sa.func.min(r.first_offset), sa.func.max(r.next_offset))
        .join(schema.segment, s.segment_no == r.segment_no)
        .where(s.log_size > first, s.log_size <= end)
        .group_by(r.partition_no)
    ).all()
    rows: list[Any] = []
    names = ("vote_id", "model_a", "model_b", "outcome", "fate", "cast_at", "appended_at", "voter")
    # The shortest first: what it leaves of its share is for the longer ones.
    for done, (part, low, high) in enumerate(sorted(ranges, key=lambda row: (row[2] - row[1], row[0]))):
        share = (_MAX_ROWS - len(rows)) // (len(ranges) - done)
        mine = connection.execute(
            sa.select(*(v[name] for name in names))
            .where(v.partition_no == part, v.offset >= low, v.offset < high)
            .order_by(v.offset.desc())
            .limit(share)
        ).all()
        rows += mine
        if len(mine) < share and (archived := cold_votes.read_rows(connection, part, low, high)):
            newest = archived.slice(max(0, len(archived) - share + len(mine)))
            rows += list(zip(*(newest[name].to_pylist() for name in names), strict=True))
    models = dictionary.model_names(connection)
    vote_id, model_a, model_b, outcome, fate, cast_at, appended_at, voter = (
        zip(*rows, strict=True) if rows else [()] * 8
    )
    return {
        "vote_id": list(vote_id),
        "model_a": [models.get(number) for number in model_a],
        "model_b": [models.get(number) for number in model_b],
        "winner": [OUTCOMES[code] for code in outcome],
        "fate": [FATES[code] for code in fate],
        "cast_at": list(cast_at),
        "appended_at": list(appended_at),
        "voter": [None if number == 0 else format_pseudonym(number) for number in voter],
    }


def newest_registry_event(connection: Connection) -> int:
    """Return the number of the registry event that arrived last, 0 if there is none."""
    return int(connection.scalar(sa.select(sa.func.max(schema.registry_event.c.event_no))) or 0)


def read_registry(connection: Connection, last: int) -> dict[str, list[Any]]:
    """Return the registry events with numbers up to `last`, in the order of arrival.

    Returns:
        Name of a column → list of values, one for each event.
    """
    e = schema.registry_event.c
    rows = connection.execute(
        sa.select(e.event_id, e.at, e.type, e.body).where(e.event_no <= last).order_by(e.event_no)
    ).all()
    return {
        "event_id": [row.event_id for row in rows],
        "at": [row.at for row in rows],
        "type": [row.type for row in rows],
        "model": [json.loads(row.body).get("model") for row in rows],
    }
