"""Evaluates the votes that were read before the first snapshot existed.

Later votes are evaluated when they are read, with the reference of a snapshot. Earlier votes are evaluated all together
by comparing voters with each other. A run includes the votes that earlier runs evaluated, because a few new votes alone
could not be compared. The first refresh of a store calls `backfill_before_first_snapshot`. So an imported history is
evaluated before its first board is published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline import settings as configuration
from pipeline.backlog.evaluation import Nested
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.jobs.backlog.evaluation_run import EvaluationRun
from pipeline.open_store import existing_store
from pipeline.spilled_arrays import spilled_arrays
from pipeline.store import Store
from pipeline.store.boards import snapshots
from pipeline.store.log import leaf_index
from pipeline.store.votes import backlog_runs, unchecked_votes
from pipeline.store.votes.backlog_runs import RunForm

Progress = Callable[[str, int], None]
"""A function that is called after each part of the work: with "read" and the number of votes that were read, or with
"evaluated" and 1 for each pass over some votes."""


def no_progress(_what: str, _done: int) -> None:
    """Ignore a progress report. Callers that show no progress pass this function."""


def backfill(
    url: str, *, strict: bool = False, check: bool = False, progress: Progress = no_progress
) -> dict[str, Any]:
    """Evaluate all votes from before the first snapshot. Nothing is done if earlier runs have evaluated all of them.

    Votes that an earlier run evaluated are evaluated again, so that new votes can be compared with them. An alert is
    opened only if it says more than the stored alerts (`alert_news`).

    Args:
        url: address of the store.
        strict: whether to compute the nested form of the evaluation too. In this form, a voter's votes cannot influence
            the reference that evaluates the voter. The e-values of this form decide which voters the policy
            `backfill-voter/1` excludes. If True, votes that earlier runs evaluated only in the other form are evaluated
            again.
        check: whether to return the report only, and to write nothing to the store.
        progress: called after each block of votes as ("read", number of votes), and after each pass over some votes as
            ("evaluated", 1).

    Returns:
        A dictionary with these keys. If there is nothing to evaluate, no vote is read and nothing is found.

        kind                    "backfill"
        form                    "iterated" or "nested" (`pipeline.backlog.voter_rounds`)
        rounds, nested_rounds   number of rounds of the form without nesting (iterated) and of the nested form
        votes, voters           number of votes that were read, and number of their voters
        votes_without_voter     number of votes that cannot be evaluated, because they name no voter. If there is
                                nothing to evaluate, the number that earlier backfills stored
        voters_not_comparable   number of voters who were not evaluated, because the other votes cannot be rated
        complete                whether all voters were evaluated
        found, critical         number of findings, and of critical findings
        findings                the findings as dictionaries
        alerts                  ids of the alerts that were opened or escalated
        unchecked               number of votes that are still not evaluated
        written                 whether the run was stored. False with `check`, if there was nothing to evaluate, or if
                                another process evaluated the same votes meanwhile
    """
    with existing_store(url) as store, spilled_arrays():
        return _run(store, None, "always" if strict else "never", "nested" if strict else None, check, progress)


def backfill_before_first_snapshot(url: str, log_size: int, progress: Progress = no_progress) -> dict[str, Any] | None:
    """Evaluate the sealed votes if the store has no snapshot yet and some of these votes are not evaluated.

    If the setting `backfill` is "strict" and a voter would be excluded, the votes are evaluated again in the nested
    form, in which a voter's votes cannot influence the voter's reference. If `backfill` is "off", nothing is done.

    Args:
        url: address of the store.
        log_size: number of leaves of the vote log that the first snapshot will rate.
        progress: called while votes are read and evaluated.

    Returns:
        The report of the run, with the keys that `backfill` returns. None if nothing was done.
    """
    with existing_store(url) as store, spilled_arrays():
        with store.read() as connection:
            if (form := configuration.load().backfill) == "off" or snapshots.newest_sequence(connection):
                return None
            ends = leaf_index.next_offsets(connection, log_size)
            if not unchecked_votes.unchecked_ranges(connection, ends):
                return None
        return _run(store, ends, "if_found" if form == "strict" else "never", None, check=False, progress=progress)


def _run(
    store: Store, ends: Mapping[int, int] | None, nested: Nested, form: RunForm | None, check: bool, progress: Progress
) -> dict[str, Any]:
    options = configuration.load()
    with store.read() as connection:
        todo = unchecked_votes.unchecked_ranges(connection, ends, form)
        if not todo:
            without = unchecked_votes.count_without_voter(connection)
            return {**_nothing(unchecked_votes.count_unchecked(connection)), "votes_without_voter": without}
        ranges = unchecked_votes.unpreceded_ranges(connection, ends)
        given = BacklogInput.read(connection, ranges, progress=lambda votes: progress("read", votes))
        start = backlog_runs.state_before(connection, "backfill", ranges, options.nightly_share)
    run = EvaluationRun(
        "backfill", given, store.voter_key, nested, options.nightly_share, lambda: progress("evaluated", 1)
    )
    findings, alerts = run.evaluate(start)
    if check:
        with store.read() as connection:
            left = unchecked_votes.count_unchecked(connection)
        return {**run.report(findings, alerts.signals()), "alerts": [], "unchecked": left, "written": False}
    with store.write() as connection:
        backlog_runs.lock_runs(connection)
        written = bool(unchecked_votes.unchecked_ranges(connection, ends, form))
        # Another process may have evaluated the same votes meanwhile.
        report = run.record(connection, findings, alerts, start) if written else run.report(findings, alerts.signals())
        left = unchecked_votes.count_unchecked(connection)
    return {"alerts": [], **report, "unchecked": left, "written": written}


def _nothing(unchecked: int) -> dict[str, Any]:
    """Return the report of a backfill that has no vote to evaluate; `unchecked` is the number of unchecked votes."""
    counts = ("rounds", "nested_rounds", "votes", "voters", "votes_without_voter", "voters_not_comparable", "found")
    return {
        "kind": "backfill", "form": "iterated", **dict.fromkeys(counts, 0), "complete": True, "critical": 0,
        "findings": [], "alerts": [], "unchecked": unchecked, "written": False,
    }  # fmt: skip
