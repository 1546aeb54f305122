"""Adds the intervals of a snapshot's file `intervals.json` to the rows of a board.

Snapshots of earlier versions have no such file. Boards by category and language, and the view `style`, have none of
these intervals. Their rows get None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import Unavailable
from pipeline.ledger.interval_rows import COLUMNS, read_intervals
from pipeline.store.db.ledger_files import LedgerFiles

_NOTHING = dict.fromkeys(COLUMNS)
_TO_NEXT = ("gap_lower", "gap_upper")
# Files that are kept in memory, some 100 kB each.
_CACHED = 32

_Rows = Mapping[str, Mapping[str, Any]]


def add_intervals(
    files: LedgerFiles, body: Mapping[str, Any], view: str, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows with the columns `interval_rows.COLUMNS`, None where the snapshot has no intervals.

    A row has the interval of the gap between its model and the next model of the snapshot. This interval is None if
    `rows` lacks the next model, because the model is not listed. All columns are None if the ledger's folder lacks the
    snapshot's file of intervals.

    Args:
        files: the files of the ledger.
        body: the body of the snapshot.
        view: raw, defended or style, or the name of a board by category or language.
        rows: rows of the view, best first.
    """
    stated = body.get("intervals")
    found: _Rows = {}
    if stated is not None:
        try:
            found = _read(files, stated["sha256"]).get(view, {})
        except Unavailable:
            found = {}
    after = [*(row["model"] for row in rows[1:]), None][: len(rows)]
    return [{**row, **_of_row(found.get(row["model"]), following)} for row, following in zip(rows, after, strict=True)]


def shown_interval(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return the 95% interval of a row that pages show: the clustered one, or the plain one if there is no other."""
    low, high = (
        row[side] if row.get(f"clustered_{side}") is None else row[f"clustered_{side}"] for side in ("lower", "upper")
    )
    return low, high


def _of_row(intervals: Mapping[str, Any] | None, following: str | None) -> dict[str, Any]:
    if intervals is None:
        return dict(_NOTHING)
    gap = {} if intervals["next"] == following else dict.fromkeys(_TO_NEXT)
    return {name: intervals[name] for name in COLUMNS} | gap


def _read(files: LedgerFiles, digest: str) -> Mapping[str, _Rows]:
    return _cached(files.folder.as_posix(), digest)


@lru_cache(maxsize=_CACHED)
def _cached(folder: str, digest: str) -> Mapping[str, _Rows]:
    """Return view → model → its intervals, and the `next` model below it."""
    published = read_intervals(LedgerFiles(Path(folder)).get(digest))
    found = {}
    for view, rows in published.views.items():
        after = [*(row.model for row in rows[1:]), None]
        found[view] = {
            row.model: {**asdict(row), "next": following} for row, following in zip(rows, after, strict=True)
        }
    return found
