"""Runs all steps of a refresh in a row."""

import gc
from typing import Any

from pipeline.jobs.backlog.backfill import Progress, backfill_before_first_snapshot, no_progress
from pipeline.jobs.refresh import publication_hold
from pipeline.jobs.refresh.publish import publish
from pipeline.jobs.refresh.quality_gate import check, check_snapshot
from pipeline.jobs.refresh.rate import rate_evaluated
from pipeline.jobs.refresh.seal import seal
from pipeline.jobs.refresh.step_times import measure_steps, step
from pipeline.open_store import existing_store
from pipeline.spilled_arrays import release_memory
from pipeline.store.alerting.voter_share import describe
from pipeline.store.boards import verdicts
from pipeline.store.log import sealed_boards
from pipeline.store.votes.dominant_voter import find_dominant_voter

# Another refresh may publish first: usually there are two, the scheduler's and a person's.
_TRIES = 3


def refresh_board(url: str, progress: Progress = no_progress) -> dict[str, Any]:
    """Run all steps of a refresh: seal, check, rate, check the candidate, publish.

    The first refresh of a store also runs a backfill before it rates the votes. These votes were read before the first
    snapshot, so no snapshot has evaluated them. If another refresh publishes a different snapshot meanwhile, all steps
    are run again, at most three times in total.

    Args:
        url: address of the store.
        progress: called while a backfill reads and evaluates votes.

    Returns:
        The keys of the newest snapshot that `publish` returns, and five more. "warnings" lists the warnings of the
        newest verdicts. "labels" is the number of categories and languages that are counted. "voter_share" is a list
        with one sentence about a dominant voter, if there is one. "backfill" is the report of the backfill, if there
        was one. "seconds" is name of a step → its duration (`step_times`).
    """
    backfilled: dict[str, Any] | None = None
    with measure_steps() as seconds:
        for _ in range(_TRIES):
            with step("seal"):
                size = seal(url)
                release_memory()
            with step("check_votes"):
                check(url, size)
                gc.collect()  # the checked frames, which refer to each other
                release_memory()
            if backfilled is None:
                with step("backfill"):
                    backfilled = backfill_before_first_snapshot(url, size, progress)
            with step("rate"):
                candidate = rate_evaluated(url, size)
            with step("check_snapshot"):
                check_snapshot(url, candidate)
            with step("publish"):
                result = publish(url, candidate)
            if result["snapshot"] == candidate:
                break
    found = {"backfill": backfilled} if backfilled else {}
    return {**_with_warnings(url, result), **found, "seconds": seconds}


def publish_held(url: str, candidate: str, name: str | None, reason: str) -> dict[str, Any]:
    """Release a held candidate and publish it.

    Args:
        url: address of the store.
        candidate: id of the candidate, or the beginning of the id.
        name: the person who releases the candidate; None for the login of this process.
        reason: reason of the release.

    Returns:
        The newest snapshot, with the keys that `refresh_board` returns except "backfill" and "seconds".

    Raises:
        Usage: the reason is missing, or no candidate with this id is held.
    """
    return _with_warnings(url, publish(url, publication_hold.release(url, candidate, name, reason)))


def _with_warnings(url: str, result: dict[str, Any]) -> dict[str, Any]:
    with existing_store(url) as store, store.read() as connection:
        dominant = find_dominant_voter(connection)
        told = {} if dominant is None else {"voter_share": [describe(dominant)]}
        labels = len(sealed_boards.counted_labels(connection, result["log_size"]))
        return {**result, "warnings": verdicts.list_warnings(connection), "labels": labels, **told}
