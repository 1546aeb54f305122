"""Merges rows about one model on one board and day.

A repeated row is dropped. Two rows of one file that differ are both kept, since a file may list two models under one
name. If rows of several files differ, the file that was read first gives the values, and the conflict is counted. If a
day has several snapshots, the last one counts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.formats.published_boards.board_cells import day_of
from pipeline.formats.published_boards.board_table import BoardColumns
from pipeline.formats.published_boards.published_board import BoardConflict
from pipeline.vocabulary.arrays import Bool, Int64

_SECONDS_OF_DAY = 86_400
# Decimals to which two numbers are compared: files write them with more or fewer digits.
_DECIMALS = 6
_NUMBERS = ("score", "lower", "upper", "votes", "rank", "style_rank")
_TEXTS = ("organization", "license")
# Conflicts that are listed; all are counted.
MAX_CONFLICTS = 1_000


@dataclass(frozen=True, slots=True)
class MergedRows:
    """The rows of published boards after merging, and the numbers of rows that were dropped.

    Attributes:
        columns: the rows, sorted by board and day, then in the order of the files.
        repeated: number of rows that were dropped because they repeat another row.
        conflicting: number of rows that were dropped because they contradict a row of an earlier file.
        earlier_of_day: number of rows that were dropped because the same day has a later snapshot.
        conflicts: the first `MAX_CONFLICTS` conflicts, including conflicts within one file.
        within_file: number of rows that differ from a row of the same file about the same model. They are kept.
    """

    columns: BoardColumns
    repeated: int
    conflicting: int
    earlier_of_day: int
    conflicts: tuple[BoardConflict, ...]
    within_file: int


def merge_rows(columns: BoardColumns) -> MergedRows:
    """Merge rows that are about the same model, board and day.

    Three kinds of rows are dropped: repeated rows, rows that contradict a file read earlier, and rows that a later
    snapshot of the day replaces.
    """
    columns, earlier = _last_of_day(columns)
    order, starts = _groups(columns)
    sizes = np.diff(np.r_[starts, len(order)])
    kept = np.ones(len(order), dtype=np.bool_)
    # Rows that equal the first of their group are left out at once; the other groups are few.
    like_first = _like_first(columns, order, starts, sizes)
    alike = np.logical_and.reduceat(like_first, starts) if len(starts) else np.empty(0, dtype=np.bool_)
    kept[order[np.repeat(alike, sizes)]] = False
    kept[order[starts]] = True
    counts = [int(len(order) - kept.sum()), 0, 0]
    conflicts: list[BoardConflict] = []
    for start, size in zip(starts[~alike].tolist(), sizes[~alike].tolist(), strict=True):
        conflicts += _merge_group(columns, order[start : start + size], kept, counts, MAX_CONFLICTS - len(conflicts))
    rows = np.flatnonzero(kept)
    day = _days(columns)[rows]
    rows = rows[np.lexsort((rows, day, columns.codes["board"][rows]))]
    return MergedRows(columns.select(rows), counts[0], counts[1], earlier, tuple(conflicts), counts[2])


def _days(columns: BoardColumns) -> Int64:
    return (columns.numbers["snapshot"] // _SECONDS_OF_DAY).astype(np.int64)


def _groups(columns: BoardColumns) -> tuple[Int64, Int64]:
    """Sort the n rows by board, day and model, and find the groups of rows in which all three are equal.

    Returns:
        Two values: int64[n], the positions of the rows in this order; and int64[g], where each group starts in it.
    """
    keys: list[Any] = [columns.codes["model"], _days(columns), columns.codes["board"]]
    order = np.lexsort([np.arange(len(columns.row)), *keys])
    new = np.zeros(len(order), dtype=np.bool_)
    for key in keys:
        sorted_key = key[order]
        new[1:] |= sorted_key[1:] != sorted_key[:-1]
    new[:1] = True
    return order.astype(np.int64), np.flatnonzero(new).astype(np.int64)


def _last_of_day(columns: BoardColumns) -> tuple[BoardColumns, int]:
    """Leave out rows that a later snapshot of the day replaces; return the other rows and the number left out."""
    time = columns.numbers["snapshot"]
    if not len(time) or not (time % _SECONDS_OF_DAY).any():
        return columns, 0
    order, starts = _groups(columns)
    latest = np.maximum.reduceat(time[order], starts)
    replaced = np.zeros(len(order), dtype=np.bool_)
    replaced[order] = time[order] < np.repeat(latest, np.diff(np.r_[starts, len(order)]))
    return columns.select(~replaced), int(replaced.sum())


def _like_first(columns: BoardColumns, order: Int64, starts: Int64, sizes: Int64) -> Bool:
    """Return bool[n], in the order of `order`: whether a row has the values of the first row of its group.

    Args:
        columns: the n rows.
        order, starts: the result of `_groups`.
        sizes: int64[g], number of rows of each group.
    """
    first = np.repeat(order[starts], sizes)
    alike = np.ones(len(order), dtype=np.bool_)
    for name in _NUMBERS:
        values = np.round(columns.numbers[name], _DECIMALS)
        alike &= (values[order] == values[first]) | (np.isnan(values[order]) & np.isnan(values[first]))
    for name in _TEXTS:
        alike &= columns.codes[name][order] == columns.codes[name][first]
    return alike


def _merge_group(
    columns: BoardColumns, rows: npt.NDArray[np.int64], kept: Bool, counts: list[int], most: int
) -> list[BoardConflict]:
    """Mark the rows about one model, board and day that are dropped, and count them.

    Args:
        columns: all N rows.
        rows: positions of the rows about this model, board and day.
        kept: bool[N], set to false for each dropped row.
        counts: numbers of rows that repeat another, contradict an earlier file, and differ within a file; increased.
        most: largest number of conflicts to return.

    Returns:
        The first conflicts between these rows.
    """
    first = int(rows[0])
    seen = {_values(columns, first)}
    found: list[BoardConflict] = []
    for row in rows[1:].tolist():
        values = _values(columns, row)
        if values in seen:
            kept[row] = False
            counts[0] += 1
            continue
        seen.add(values)
        if len(found) < most:
            found.append(_conflict(columns, first, row))
        within = columns.codes["file"][row] == columns.codes["file"][first]
        counts[2 if within else 1] += 1
        kept[row] = within
    return found


def _values(columns: BoardColumns, row: int) -> tuple[object, ...]:
    numbers = (round(float(columns.numbers[name][row]), _DECIMALS) for name in _NUMBERS)
    return (*(None if n != n else n for n in numbers), *(int(columns.codes[name][row]) for name in _TEXTS))


def _conflict(columns: BoardColumns, first: int, other: int) -> BoardConflict:
    values = [_values(columns, row) for row in (first, other)]
    names = (*_NUMBERS, *_TEXTS)
    column = next(names[i] for i, (one, two) in enumerate(zip(*values, strict=True)) if one != two)
    files = [columns.texts["file"][columns.codes["file"][row]] for row in (first, other)]
    return BoardConflict(
        columns.texts["board"][columns.codes["board"][first]],
        day_of(float(columns.numbers["snapshot"][first])),
        columns.texts["model"][columns.codes["model"][first]],
        column,
        _shown(columns, column, first),
        _shown(columns, column, other),
        files[0],
        int(columns.row[first]),
        files[1],
        int(columns.row[other]),
    )


def _shown(columns: BoardColumns, name: str, row: int) -> str:
    if name in _TEXTS:
        return columns.texts[name][columns.codes[name][row]] or "nothing"
    value = float(columns.numbers[name][row])
    return "nothing" if value != value else f"{value:.6f}".rstrip("0").rstrip(".")
