"""Records evaluations of backlogs (runs): which votes each run evaluated and how.

A backlog is a set of votes that are evaluated together after they were cast. A vote counts as evaluated if it names a
voter and a complete run of the kind `backfill` covers its offset. The ranges of a partition begin at its first offset
or where an earlier range ends.

e-LOND bounds the share of false discoveries over all runs. The hypotheses of all runs form one sequence of e-LOND, so
each run stores the state of e-LOND before and after it. If runs of one kind have the same ranges, their hypotheses
count once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.evidence.multiple_testing import ELond
from pipeline.store.db import dialect, schema
from pipeline.store.votes.arrow_reader import OffsetRange

RunKind = Literal["backfill", "reevaluate"]
RunForm = Literal["iterated", "nested"]

COMPLETE = "complete"
"""Key in the summary of a run. Its value is true if every voter could be compared with the other voters."""

_LOCK = 0xBAC10


@dataclass(frozen=True)
class BacklogRun:
    """Describes one evaluation of a backlog, as it is recorded.

    Attributes:
        kind: `backfill` for votes from before the first snapshot, or `reevaluate` for those of the last weeks.
        form: how the voters were found whose votes are left out of the reference. `iterated`: in rounds over all folds
            of voters. `nested`: for each fold in rounds over the other folds only, so that the voters of a fold do not
            influence the reference that evaluates them.
        fold_key: id of the secret key that assigns voters to folds.
        rounds: number of rounds of the iterated form.
        nested_rounds: largest number of rounds of the nested form, 0 if it was not computed.
        votes, voters: the number of evaluated votes, and of their voters.
        ranges: (partition_no, first offset, end) of each range that was read. The votes in these ranges count as
            evaluated if the run is complete.
        summary: JSON object with what was found. Its entry COMPLETE says whether all votes with a voter could be
            compared.
        start, end: the states of e-LOND before and after the run.
    """

    kind: RunKind
    form: RunForm
    fold_key: str
    rounds: int
    nested_rounds: int
    votes: int
    voters: int
    ranges: Sequence[OffsetRange]
    summary: Mapping[str, Any]
    start: ELond
    end: ELond


def lock_runs(connection: Connection) -> None:
    """Take a lock, so that no other run is recorded until the end of this transaction."""
    dialect.lock(connection, _LOCK)


def newest_state(connection: Connection, alpha: float) -> ELond:
    """Return the state of e-LOND after the newest run. Without a run, return the initial state.

    Args:
        connection: reads the store.
        alpha: e-LOND's upper bound of the share of false discoveries.
    """
    r = schema.backlog_run.c
    found = connection.execute(sa.select(r.submitted, r.rejected).order_by(r.run_no.desc()).limit(1)).one_or_none()
    submitted, rejected = found or (0, 0)
    return ELond(alpha, int(submitted), int(rejected))


def state_before(connection: Connection, kind: RunKind, ranges: Sequence[OffsetRange], alpha: float) -> ELond:
    """Return the state of e-LOND with which a run over some ranges of offsets starts.

    Normally this is the state after the newest run. There is one exception: if the newest run of this kind that tested
    anything had the same ranges, the state before that run is returned. The hypotheses of the same votes then count
    once.

    Args:
        connection: reads the store.
        kind: kind of the run: `backfill` or `reevaluate`.
        ranges: (partition_no, first offset, end) of each range.
        alpha: e-LOND's upper bound of the share of false discoveries.
    """
    return repeated_state(connection, kind, ranges, alpha) or newest_state(connection, alpha)


def repeated_state(connection: Connection, kind: RunKind, ranges: Sequence[OffsetRange], alpha: float) -> ELond | None:
    """Return the state of e-LOND before the newest run of a kind, if it had the given ranges of offsets.

    Runs that tested nothing are ignored.

    Args:
        connection: reads the store.
        kind: kind of the run: `backfill` or `reevaluate`.
        ranges: (partition_no, first offset, end) of each range, in any order.
        alpha: e-LOND's upper bound of the share of false discoveries.

    Returns:
        None if the newest run of this kind had other ranges, or if there is no such run.
    """
    r, g = schema.backlog_run.c, schema.backlog_range.c
    query = sa.select(r.run_no, r.submitted_before, r.rejected_before)
    # A run that tested nothing is no family.
    query = query.where(r.kind == kind, r.submitted > r.submitted_before)
    newest = connection.execute(query.order_by(r.run_no.desc()).limit(1)).one_or_none()
    if newest is None:
        return None
    rows = connection.execute(sa.select(g.partition_no, g.first_offset, g.next_offset).where(g.run_no == newest[0]))
    same = sorted(tuple(row) for row in rows) == sorted(tuple(one) for one in ranges)
    return ELond(alpha, int(newest[1]), int(newest[2])) if same else None


def record_run(connection: Connection, run: BacklogRun, now: int) -> int:
    """Store a run and its ranges.

    Args:
        connection: the transaction.
        run: the run, with its ranges and its states of e-LOND.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The number of the run (run_no).
    """
    row = {
        "kind": run.kind,
        "form": run.form,
        "fold_key": run.fold_key,
        "rounds": run.rounds,
        "nested_rounds": run.nested_rounds,
        "votes": run.votes,
        "voters": run.voters,
        "summary": json.dumps(run.summary, sort_keys=True),
        "submitted_before": run.start.submitted,
        "rejected_before": run.start.rejected,
        "submitted": run.end.submitted,
        "rejected": run.end.rejected,
        "at": now,
    }
    added = connection.execute(schema.backlog_run.insert().returning(schema.backlog_run.c.run_no), row)
    number = int(added.scalar_one())
    columns = ("run_no", "partition_no", "first_offset", "next_offset")
    if run.ranges:
        rows = [dict(zip(columns, (number, *one), strict=True)) for one in run.ranges]
        connection.execute(schema.backlog_range.insert(), rows)
    return number


def evaluated_until(connection: Connection, form: RunForm | None = None) -> dict[int, int]:
    """Return how far each partition is evaluated by complete runs of the kind `backfill`.

    Args:
        connection: reads the store.
        form: only runs of this form; None for all.

    Returns:
        Partition number (partition_no) → the offset before which the votes are evaluated. A partition without such a
        run is left out.
    """
    g = schema.backlog_range.c
    query = sa.select(g.partition_no, sa.func.max(g.next_offset)).group_by(g.partition_no)
    query = query.where(g.run_no.in_(_complete_backfills(connection, form)))
    return {int(part): int(end) for part, end in connection.execute(query)}


def evaluated_without_voter(connection: Connection) -> int:
    """Return how many of the votes that the newest complete backfill evaluated have no voter.

    The result is 0 if there is no complete backfill.
    """
    complete = _complete_backfills(connection)
    return max(complete.items())[1] if complete else 0


def _complete_backfills(connection: Connection, form: RunForm | None = None) -> dict[int, int]:
    """Return run number → number of votes without a voter, for each complete run of the kind `backfill`."""
    r = schema.backlog_run.c
    query = sa.select(r.run_no, r.summary).where(r.kind == "backfill")
    if form is not None:
        query = query.where(r.form == form)
    found = [(int(number), json.loads(summary)) for number, summary in connection.execute(query)]
    # Earlier versions stored no ranges of an incomplete run, and no mark.
    return {
        number: int(summary.get("votes_without_voter", 0)) for number, summary in found if summary.get(COMPLETE, True)
    }
