"""Evaluates the quality gate of a refresh, and stores the verdicts.

An expectation is a condition that data must meet. A candidate is a snapshot before its publication. The gate has three
suites of expectations:

    votes      evaluated before rating, on the votes that were added to the log since the last passed verdict
    registry   evaluated before rating, on all registry events, if there are new events
    snapshot   evaluated before publishing, on the rows of each view of a candidate. The rows of all its boards by
               category and language are evaluated together, by the expectations of severity `critical` only

A failed expectation of severity `critical` stops the refresh. A failed expectation of severity `warning` does not;
`verdicts.list_warnings` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from pipeline.errors import BadCounts, QualityGate
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.boards import snapshots, verdicts

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.expectation_suites import SuiteVerdict

Columns = Mapping[str, list[Any]]
Rows = list[dict[str, Any]]
BOARDS = "boards by category and language"
"""The name of the part of a verdict that is about the boards by category and language."""

# The id of a verdict, and why it stops the refresh ("" if it does not).
Outcome = tuple[str, str]


def check(url: str, log_size: int) -> str:
    """Evaluate the suite `votes` on new votes, and the suite `registry` if there are new registry events.

    New votes are those that were added to the log since the last passed verdict of the suite.

    Args:
        url: address of the store.
        log_size: size of the vote log up to which votes are evaluated.

    Returns:
        The id of the verdict on the votes. If there are no new votes, this is the last passed verdict.

    Raises:
        BadCounts: the log is empty. No verdict is stored, so that an empty board causes no alert.
        QualityGate: a critical expectation failed. The verdict is stored.
    """
    if not log_size:
        raise BadCounts("expected votes in the log, got none yet: there is nothing to check or to rate")
    with existing_store(url) as store:
        votes = _check_new(store, "votes", log_size, verdicts.read_votes)
        with store.read() as connection:
            events = verdicts.newest_registry_event(connection)
        registry = _check_new(
            store, "registry", events, lambda connection, _, last: verdicts.read_registry(connection, last)
        )
    return _required(votes, registry)


def check_snapshot(url: str, candidate: str) -> str | None:
    """Evaluate the suite `snapshot` on the views of a candidate, and on its boards by category and language.

    Returns:
        The id of the verdict; None if nothing was evaluated, because the candidate is already published and the last
        verdict did not fail.

    Raises:
        QualityGate: a critical expectation failed. The verdict is stored.
        Usage: no candidate has this id.
    """
    with existing_store(url) as store:
        with store.read() as connection:
            found = snapshots.find_candidate(connection, candidate)
            if found.sequence is not None and verdicts.all_passed(connection, "snapshot") is not False:
                return None
            parts = {view: snapshots.read_rows(connection, candidate, view) for view in found.body["views"]}
            if found.body.get("boards"):
                parts[BOARDS] = _rows_of_boards(connection, candidate, found.body["boards"])
        outcome = _verdict(store, "snapshot", found.body["log_size"], parts, f"candidate {candidate[:12]}")
    return _required(outcome)


def _rows_of_boards(connection: Connection, candidate: str, names: Iterable[str]) -> Rows:
    """Return the rows of all boards by category and language; the name of the board is put before that of the model."""
    return [
        {**row, "model": None if row["model"] is None else f"{board}: {row['model']}"}
        for board in names
        for row in snapshots.read_rows(connection, candidate, board)
    ]


def _check_new(store: Store, suite: str, size: int, read: Callable[[Connection, int, int], Columns]) -> Outcome:
    """Evaluate a suite on what is new since its last passed verdict. If nothing is new, return that verdict.

    Args:
        store: the store.
        suite: name of the suite.
        size: size of the log, or number of the newest registry event.
        read: returns the columns between two sizes.
    """
    with store.read() as connection:
        passed = verdicts.last_passed(connection, suite)
        if passed is not None and passed.log_size == size:
            return passed.verdict_id, ""
        columns = read(connection, passed.log_size if passed else 0, size)
    if passed is not None and not any(columns.values()):
        return passed.verdict_id, ""  # only retractions were appended: there is no new vote
    return _verdict(store, suite, size, {"": columns}, f"{suite} up to {size}")


def evaluate(suite: str, parts: Mapping[str, Columns | Rows]) -> SuiteVerdict:
    """Evaluate a suite of expectations, without storing the verdict.

    Args:
        suite: name of the suite.
        parts: name of a part → its data, for example the rows of each view of a candidate. The suite is evaluated on
            each part. On the part BOARDS, only the expectations of severity `critical` are evaluated.

    Returns:
        One verdict over all parts.
    """
    from pipeline import expectation_suites  # noqa: PLC0415  # pandas and Great Expectations are slow to import

    frames = {part: _frame(data) for part, data in parts.items()}
    return expectation_suites.check_parts(suite, frames, critical_only=(BOARDS,))


def _verdict(store: Store, suite: str, size: int, parts: Mapping[str, Columns | Rows], about: str) -> Outcome:
    verdict = evaluate(suite, parts)
    with store.write() as connection:
        verdict_id = verdicts.add_verdict(connection, suite, size, verdict.success, verdict.as_json(), now())
    failed = f"{about}: {'; '.join(verdict.critical_failures)} (verdict {verdict_id})"
    return verdict_id, "" if verdict.success else failed


def _frame(data: Columns | Rows) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(data)
    for name in {"at", "cast_at", "appended_at"} & set(frame.columns):
        frame[name] = pd.to_datetime(frame[name], unit="us", utc=True)
    return frame


def _required(*outcomes: Outcome) -> str:
    """Return the id of the first verdict if no verdict stops the refresh.

    Raises:
        QualityGate: a critical expectation failed.
    """
    failed = [why for _, why in outcomes if why]
    if failed:
        raise QualityGate(
            f"expected no critical expectation to fail, got {'; '.join(failed)}: nothing is published, "
            "see deploy/runbooks/quality-gate.md"
        )
    return outcomes[0][0]
