"""Runs the third step of a refresh: rates the votes of the log up to a given size, and stores a candidate.

A candidate is a snapshot before its publication.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from importlib.metadata import version
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.concurrency import short_switch_interval
from pipeline.errors import RatingError
from pipeline.jobs.backlog.backfill import backfill_before_first_snapshot
from pipeline.jobs.refresh import manifest_builder
from pipeline.jobs.refresh.baseline_reference import (
    BaselineReference,
    estimate_baseline_reference,
    read_baseline_votes,
)
from pipeline.jobs.refresh.board_intervals import state_intervals
from pipeline.jobs.refresh.board_method import describe_method, method_of, models_under_test
from pipeline.jobs.refresh.board_rows import board_rows, fit_summary, rate_view
from pipeline.jobs.refresh.label_boards import rate_label_boards
from pipeline.jobs.refresh.rating_input import VIEWS, RatingInput, find_unregistered, read_rating_input
from pipeline.jobs.refresh.step_times import step
from pipeline.jobs.refresh.style_view import published_view, rate_style_view
from pipeline.ledger.manifest import LATE_COUNT
from pipeline.open_store import existing_store, now
from pipeline.ratings import Leaderboard
from pipeline.ratings.blas_threads import limited_blas
from pipeline.ratings.method import Method
from pipeline.registry import Registry
from pipeline.settings import Settings
from pipeline.spilled_arrays import release_memory
from pipeline.store import Store
from pipeline.store.alerting import voter_share
from pipeline.store.boards import exclusion_list, notices, snapshots, verdicts
from pipeline.store.log import leaf_index, seals
from pipeline.store.votes import dictionary, registry_events, unchecked_votes


def rate(url: str, log_size: int) -> str:
    """Rate all views and boards of a candidate, and store it. A candidate is a snapshot before its publication.

    If the store has no snapshot yet, a backfill evaluates the votes first. A candidate has the raw view, the defended
    view, the view `style` if votes have style counts, and the boards by category and language.

    Args:
        url: address of the store.
        log_size: number of leaves of the vote log to rate.

    Returns:
        The id of the candidate, or the id of the newest snapshot if it was made from the same input.

    Raises:
        RatingError: the models cannot be compared (largest component too small), or the fit does not converge.
    """
    backfill_before_first_snapshot(url, log_size)
    return rate_evaluated(url, log_size)


def rate_evaluated(url: str, log_size: int) -> str:
    """Rate the first `log_size` leaves of the vote log as `rate` does, but without a backfill.

    Returns:
        The id that `rate` returns.
    """
    with existing_store(url) as store, store.write() as connection:
        return rate_log(connection, store, log_size, configuration.load())


def rate_log(connection: Connection, store: Store, log_size: int, options: Settings) -> str:
    """Do the work of `rate` in the caller's write transaction, without a backfill; return the same id as `rate`.

    First the alert about a dominant voter is updated, and policies exclude voters. Files go to the ledger of `store`.
    """
    voter_share.update_alert(connection, now())
    if options.auto_voter:
        exclusion_list.apply_auto_voter(connection, now())
    work = _work_key(connection, log_size, options)
    newest = snapshots.latest(connection)
    if newest is not None and newest.body["work"] == work:
        return newest.snapshot_id
    method, hidden = method_of(options), models_under_test(connection)
    given = read_rating_input(connection, log_size, method=method)
    release_memory()  # of the counts by category and language
    boards = {view: _rate(view, given, options) for view in VIEWS}
    with step("style"):
        numbers = {number: name for name, number in given.model_no.items()}
        style = rate_style_view(given.styled, numbers, options, before=published_view(connection, newest))
    release_memory()
    if style.board is not None:
        boards["style"] = style.board
    with _estimate_beside(connection, log_size, given, method) as estimated:
        by_label = rate_label_boards(given, method, options)
        reference = estimated.result()
    with step("intervals"):
        intervals = state_intervals(connection, store.files, given, options, method, log_size)
    rows = {**{view: board_rows(shown) for view, shown in boards.items()}, **by_label.rows}
    # Read in the same transaction as the input: a candidate follows the snapshot that it was compared with.
    after = newest.sequence if newest is not None else 0
    body = {
        "work": work,
        "log_size": log_size,
        "log_root": work["log_root"],
        "settings": options.shaping(),
        "code": version("leaderboard-integrity"),
        "votes_counted": given.views["defended"].total,
        "votes_excluded": given.excluded,
        "votes_flagged": given.flagged,
        "exclusions": given.exclusions,
        "unregistered": list(given.waiting["raw"]),
        "votes_unregistered": given.unregistered,
        "excluded": manifest_builder.write_excluded_leaves(store.files, given),
        "alerts": manifest_builder.open_alerts(connection),
        "watermark": manifest_builder.source_positions(connection, log_size),
        "verdict": verdicts.newest_id(connection, "votes"),
        "coverage": _coverage(connection, log_size, given.late),
        "views": {view: fit_summary(shown, given.views.get(view)) for view, shown in boards.items()},
        "method": describe_method(method, given.by_rule, hidden),
        **by_label.stated(),
        "intervals": intervals,
        "style": {"votes": style.votes, "coefficients": style.coefficients, "reason": style.reason},
        **({"reference": reference.stated} if reference.stated is not None else {}),
        **({"notices": listed} if (listed := notices.list_published(connection)) else {}),
        "rows": {view: snapshots.canonical_digest({"rows": shown}) for view, shown in rows.items()},
        "after": after,
    }
    key = snapshots.canonical_digest({"work": work, "after": after})
    return snapshots.add_candidate(connection, key, body, rows, reference.packed, now())


@contextmanager
def _estimate_beside(
    connection: Connection, log_size: int, given: RatingInput, method: Method
) -> Iterator[Future[BaselineReference]]:
    """Read the votes for the reference, then estimate the reference in a second thread while the `with` block runs.

    The thread sorts a million votes in numpy, which needs Python's lock only rarely. BLAS is limited to one thread
    while both run. Otherwise the number of BLAS threads, and with it the last digits of the ratings, would depend on
    which of the two finishes first.

    Yields:
        A future with the reference. The thread does not use `connection`.
    """
    registry = Registry(registry_events.read_since(connection, 0)[0]).as_of(now())
    with step("reference"):
        baseline = read_baseline_votes(connection, log_size, given, method)

    def estimate() -> BaselineReference:
        with step("reference"):
            return estimate_baseline_reference(baseline, given.model_no, registry, method)

    with limited_blas(), short_switch_interval(), ThreadPoolExecutor(1) as beside:
        yield beside.submit(copy_context().run, estimate)


def _coverage(connection: Connection, log_size: int, late: int) -> dict[str, Any]:
    unchecked = unchecked_votes.count_unchecked(connection, leaf_index.next_offsets(connection, log_size))
    return {"late_rule": LATE_COUNT, "late": late, "unchecked": unchecked}


def _rate(view: str, given: RatingInput, options: Settings) -> Leaderboard:
    """Return the board of a view.

    Raises:
        RatingError: the votes of the view cannot be rated. For a view other than `raw`, the message also names the
            exclusions and the rules that left votes out.
    """
    try:
        return rate_view(given.views[view], options, given.waiting[view])
    except RatingError as error:
        if view == "raw" or not (given.excluded or sum(given.by_rule.values())):
            raise
        raise RatingError(f"the view {view}: {error}{_explain_method(given)}{_explain_exclusions(given)}") from error


def _explain_method(given: RatingInput) -> str:
    """Return a text with the number of votes that each rule leaves out; "" if the rules leave out no vote."""
    named = [f"{votes:,} by {rule}" for rule, votes in given.by_rule.items() if votes]
    total = given.views["raw"].total
    text = f"; of {total:,} votes the method leaves out {', '.join(named)} (INTEGRITY_METHOD=none counts them)"
    return text if named else ""


def _explain_exclusions(given: RatingInput) -> str:
    """Return a text that names the exclusion with most votes; "" without excluded votes."""
    if not given.excluded:
        return ""
    total = given.views["raw"].total
    largest, votes = Counter(given.left_out.values()).most_common(1)[0]
    entry = given.exclusions[largest]
    return (
        f"; {given.excluded:,} of {total:,} votes are excluded, {votes:,} of them by the exclusion of {entry['kind']} "
        f"{entry['target']} ({entry['reason']}; by {entry['name']}): `integrity alerts exclusions` lists all, "
        "`integrity alerts restore` undoes one"
    )


def _work_key(connection: Connection, log_size: int, options: Settings) -> dict[str, Any]:
    """Return everything that determines the content of a snapshot, so that the same input is rated once."""
    current = [[e.kind, e.public, e.reason, e.name] for e in exclusion_list.read_active(connection)]
    flagged = [str(voter) for voter in exclusion_list.flagged_voters(connection)]
    # Without such models the key is that of earlier versions, whose snapshots are not published again.
    unregistered = find_unregistered(connection, dictionary.model_names(connection).values())
    return {
        **({"unregistered": snapshots.canonical_digest({"models": list(unregistered)})} if unregistered else {}),
        "log_size": log_size,
        "log_root": seals.root_at(connection, log_size),
        "configuration": options.digest(),
        "method": snapshots.canonical_digest(describe_method(method_of(options), {}, models_under_test(connection))),
        "late_rule": LATE_COUNT,
        "exclusions": snapshots.canonical_digest({"exclusions": current, "flagged": flagged}),
        # A new notice makes a new manifest, also where no vote is new.
        **({"notices": number} if (number := notices.count_notices(connection)) else {}),
    }
