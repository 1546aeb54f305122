"""Finds the columns of a published table by name, and reads pieces of the table as columns.

Each distinct cell is read once, by the functions of `board_cells`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.formats.published_boards import board_cells
from pipeline.vocabulary.arrays import Bool, Float64

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "snapshot": ("leaderboard_publish_date", "published_at", "snapshot", "date", "publish_date"),
    "board": ("subset", "board", "arena", "leaderboard"),
    "category": ("category", "view"),
    "model": ("model", "model_name", "name"),
    "rank": ("rank", "rank_ub"),
    "style_rank": ("rank_stylectrl", "rank_style_control", "style_rank"),
    "score": ("arena_score", "score", "rating"),
    "interval": ("95_pct_ci", "ci", "95% ci"),
    "lower": ("rating_lower", "score_ci_lower", "lower"),
    "upper": ("rating_upper", "score_ci_upper", "upper"),
    "votes": ("votes", "vote_count", "observation_count", "num_battles"),
    "organization": ("organization", "organisation", "provider"),
    "license": ("license", "licence"),
}
"""Names of our fields in public tables; the first that a table has is used."""

NEEDED = ("snapshot", "model", "score", "votes")
TEXTS = ("board", "category", "model", "organization", "license")
NUMBERS = ("snapshot", "score", "votes", "lower", "upper", "rank", "style_rank")

Cells = Sequence[Any]
"""Cells of a column: an Arrow array, or a list."""

_READERS: Mapping[str, Callable[[Any], Any]] = {
    "model": board_cells.name_cell,
    "snapshot": board_cells.time_cell,
    "score": board_cells.score_cell,
    "votes": board_cells.votes_cell,
    "lower": board_cells.number_cell,
    "upper": board_cells.number_cell,
    "interval": board_cells.margins_cell,
    "rank": board_cells.number_cell,
    "style_rank": board_cells.number_cell,
    "board": board_cells.text_cell,
    "category": board_cells.text_cell,
    "organization": board_cells.text_cell,
    "license": board_cells.text_cell,
}
"""Reader of each field, in the order in which the faults of a row are reported."""

_WHOLE = frozenset({"votes"})
_REQUIRED = frozenset({"score", "votes"})


@dataclass(frozen=True, slots=True)
class BoardPiece:
    """Some rows of a table, as columns.

    Attributes:
        numbers: field → float64[n], NaN where missing. The margins of an interval are the fields "margin_lower" and
            "margin_upper".
        texts: field → a pair: the distinct texts; and int64[n], the position of each row's text among them.
        bad: field → bool[n], true for the rows whose cell cannot be read. Such a cell is NaN or "" in the columns.
    """

    numbers: dict[str, Float64]
    texts: dict[str, tuple[list[str], npt.NDArray[np.int64]]]
    bad: dict[str, Bool]


def name_columns(headers: Sequence[str]) -> dict[str, str]:
    """Find the column of each of our fields in a table.

    Args:
        headers: the names of the table's columns.

    Returns:
        Our field → the header of its column, without fields that the table lacks.
    """
    lowered = {header.strip().lower(): header for header in reversed(headers)}
    return {
        name: next(lowered[known] for known in names if known in lowered)
        for name, names in SYNONYMS.items()
        if any(known in lowered for known in names)
    }


def read_piece(cells: Mapping[str, Cells]) -> BoardPiece:
    """Read the columns of some rows.

    Args:
        cells: our field → its cells, one for each row.

    Returns:
        The columns, with marks for the cells that cannot be read. Fields that are not in `cells` are absent.
    """
    piece = BoardPiece({}, {}, {})
    for field, read in _READERS.items():
        if field not in cells:
            continue
        given = cells[field]
        if field in TEXTS:
            values, positions, bad = _distinct(given, read, "")
            piece.texts[field] = values, positions
        elif field == "interval":
            values, positions, bad = _distinct(given, read, (np.nan, np.nan))
            pairs = np.array(values, dtype=np.float64).reshape(-1, 2)[positions]
            piece.numbers["margin_lower"], piece.numbers["margin_upper"] = pairs[:, 0], pairs[:, 1]
        else:
            piece.numbers[field], bad = _numbers(given, field, read)
        piece.bad[field] = bad
    return piece


def fault(cell: Any, field: str) -> str:
    """Return what was expected in place of a cell that cannot be read, as text.

    Args:
        cell: the cell.
        field: our field of the cell's column.
    """
    try:
        _READERS[field](cell)
    except ValueError as error:
        return str(error)
    return "another value"


def _numbers(cells: Cells, field: str, read: Callable[[Any], float]) -> tuple[Float64, Bool]:
    numeric = isinstance(cells, pa.Array) and (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type))
    if numeric and field != "snapshot":
        return _arrow_numbers(cells, field)
    plain = None if numeric or field == "snapshot" else _plain_numbers(cells)
    if plain is not None:
        return _checked(plain, field)
    values, positions, bad = _distinct(cells, read, np.nan)
    return np.array(values, dtype=np.float64)[positions], bad


def _plain_numbers(cells: Cells) -> Float64 | None:
    """Return a list of numbers, or of texts that are all numbers, as float64[n]; None for any other column."""
    if isinstance(cells, pa.Array) or not set(map(type, cells)) <= {str, int, float}:
        return None
    try:
        found = np.array(cells, dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    return found if np.isfinite(found).all() else None


def _arrow_numbers(cells: pa.Array, field: str) -> tuple[Float64, Bool]:
    return _checked(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), field)


def _checked(found: Float64, field: str) -> tuple[Float64, Bool]:
    """Return the numbers of a field unchanged, and bool[n], true for each number that is not valid in this field."""
    missing = np.isnan(found)
    with np.errstate(invalid="ignore"):
        bad = ~missing & ~(np.abs(found) <= board_cells.LARGEST)
        if field in _WHOLE:
            bad |= ~missing & ((found < 0) | (found != np.trunc(found)))
    if field in _REQUIRED:
        bad |= missing
    return found, bad


def _distinct(cells: Cells, read: Callable[[Any], Any], empty: Any) -> tuple[list[Any], npt.NDArray[np.int64], Bool]:
    """Read each distinct cell once.

    Returns:
        The values of the distinct cells, `empty` for a cell that cannot be read; int64[n], the position of each cell's
        value among them; and bool[n], true for each cell that cannot be read.
    """
    keys, positions = _keys(cells)
    values, bad = [], np.zeros(len(keys) + 1, dtype=np.bool_)
    for i, key in enumerate([*keys, None]):
        try:
            values.append(read(key))
        except ValueError:
            values.append(empty)
            bad[i] = True
    return values, positions, bad[positions]


def _keys(cells: Any) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the distinct cells, and int64[n], the position of each cell among them.

    Nulls of an Arrow array are not among the distinct cells. The position of a null is the number of distinct cells.
    """
    if not isinstance(cells, pa.Array) and set(map(type, cells)) == {str}:
        with suppress(UnicodeEncodeError):  # half a surrogate pair
            cells = pa.array(cells, pa.string())
    if isinstance(cells, pa.Array) and not pa.types.is_nested(cells.type):
        if pa.types.is_timestamp(cells.type):
            cells = cells.cast(pa.timestamp("us", cells.type.tz), safe=False)
        coded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
        values = [_value(cell) for cell in coded.dictionary]
        indices = coded.indices.cast(pa.int64()).fill_null(len(values))
        return values, indices.to_numpy(zero_copy_only=False)
    seen: dict[Any, int] = {}
    listed = cells.to_pylist() if isinstance(cells, pa.Array) else cells
    keys: list[Any] = []
    positions = np.empty(len(listed), dtype=np.int64)
    for i, cell in enumerate(listed):
        # 1, 1.0 and True are one key of a dict; a list has no hash.
        key = (type(cell), cell if cell.__hash__ is not None else id(cell))
        position = seen.get(key)
        if position is None:
            position = seen[key] = len(keys)
            keys.append(cell)
        positions[i] = position
    return keys, positions


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return cell.as_buffer().to_pybytes().decode(errors="backslashreplace")
    except (OverflowError, ValueError):
        return f"{cell.cast(pa.int64())} as {cell.type}"
