"""Evaluates the votes of the last weeks again every night, to find attacks by many accounts with few votes each.

As in a backfill, voters are compared with other voters, not with snapshots. The weeks of successive runs overlap. Each
night is one family of e-LOND, so that the share of false discoveries over all nights is bounded. A run begins with a
backfill, which evaluates the votes from before the first snapshot.
"""

from __future__ import annotations

from typing import Any

from pipeline import settings as configuration
from pipeline.jobs.backlog.backfill import Progress, backfill, no_progress
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.jobs.backlog.evaluation_run import EvaluationRun
from pipeline.open_store import existing_store
from pipeline.spilled_arrays import spilled_arrays
from pipeline.store.votes import backlog_runs, partitions, unchecked_votes
from pipeline.vocabulary.time import DAY


def reevaluate(url: str, *, progress: Progress = no_progress) -> dict[str, Any]:
    """Evaluate the votes of the last weeks (setting `nightly_weeks`) by comparing voters with each other.

    If some votes from before the first snapshot are not evaluated yet, a backfill runs first. A repeated run on the
    same votes opens no further alert and does not count as a further test in e-LOND.

    Args:
        url: address of the store.
        progress: called after each block of votes as ("read", number of votes), and after each pass over some votes as
            ("evaluated", 1).

    Returns:
        The report of the run, with the keys that `backfill` returns and two more. "level" is the level of e-LOND at
        which this run tested. "backfill" is the report of the backfill that ran first, None if none ran.
    """
    options = configuration.load()
    with existing_store(url) as store, spilled_arrays():
        with store.read() as connection:
            unchecked = bool(unchecked_votes.unchecked_ranges(connection))
        before = backfill(url, progress=progress) if unchecked else None
        with store.read() as connection:
            since = partitions.newest_event_time(connection) - options.nightly_weeks * 7 * DAY
            ranges = partitions.ranges_since(connection, since)
            given = BacklogInput.read(connection, ranges, since=since, progress=lambda votes: progress("read", votes))
            start = backlog_runs.state_before(connection, "reevaluate", ranges, options.nightly_share)
        run = EvaluationRun(
            "reevaluate", given, store.voter_key, "never", options.nightly_share, lambda: progress("evaluated", 1)
        )
        findings, alerts = run.evaluate(start)
        with store.write() as connection:
            backlog_runs.lock_runs(connection)
            report = run.record(connection, findings, alerts, start)
            left = unchecked_votes.count_unchecked(connection)
    return {**report, "unchecked": left, "written": True, "level": start.level, "backfill": before}
