"""Adds clustered intervals and confidence sequences to the rows of a board, from the file `intervals.json`.

The file belongs to a snapshot. A snapshot of an earlier version has no such file. The file has no intervals for the
view `style` and for boards by category or language. Rows without intervals get None.
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
    """Return copies of the rows with the columns `interval_rows.COLUMNS` added.

    A column is None if the snapshot has no such interval, or if its file of intervals is missing. The columns
    `gap_lower` and `gap_upper` are the interval of the gap between a model and the next model of the snapshot. They are
    also None if readers do not see the next model, so that it is not in `rows`.

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
    """Return the 95% interval of a row that pages show, as (lower, upper).

    It is the clustered interval, or the plain interval if the row has no clustered one.
    """
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
    """Read the intervals file with this digest from a ledger folder: view → model → its intervals.

    Under the key `next`, each model's intervals have the name of the model in the next row; None in the last row.
    """
    published = read_intervals(LedgerFiles(Path(folder)).get(digest))
    found = {}
    for view, rows in published.views.items():
        after = [*(row.model for row in rows[1:]), None]
        found[view] = {
            row.model: {**asdict(row), "next": following} for row, following in zip(rows, after, strict=True)
        }
    return found
