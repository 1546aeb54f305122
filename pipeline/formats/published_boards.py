"""Reads tables of published leaderboard snapshots, one row for each board, snapshot and model.

Laws: the first row that cannot be read is an error with its 0-based row; a rank under style control, an interval, an
organisation or a licence that a row lacks is missing, never zero; names are kept as published, so two spellings of an
organisation are two organisations.

Not handled: the time of day of a snapshot; files without a column for the day.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import isfinite, nan
from pathlib import Path

import numpy as np

from pipeline.errors import BadRecord, UnknownFormat
from pipeline.vocabulary.arrays import Float64, Int64

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "snapshot": ("snapshot", "date", "leaderboard_publish_date", "publish_date"),
    "board": ("board", "arena", "category"),
    "model": ("model", "model_name", "name"),
    "rank": ("rank", "rank_ub"),
    "style_rank": ("rank_stylectrl", "rank_style_control", "style_rank"),
    "score": ("arena_score", "score", "rating"),
    "interval": ("95_pct_ci", "ci", "95% ci"),
    "lower": ("rating_lower", "lower"),
    "upper": ("rating_upper", "upper"),
    "votes": ("votes", "vote_count", "num_battles"),
    "organization": ("organization", "organisation", "provider"),
    "license": ("license", "licence"),
}
"""Names of our fields in public tables; the first that a table has is used."""

_FIRST_YEAR, _LAST_YEAR = 2000, 2099
# Above any rating and any number of votes; larger ones are mistakes, and squares of them would overflow.
_LARGEST = 1e12
_NEEDED = ("snapshot", "model", "score", "votes")
# "+5/-4": the distances of the upper and the lower bound from the score.
_MARGINS = re.compile(r"\+\s*(\d+(?:\.\d+)?)\s*/\s*[-−]\s*(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True, eq=False)
class PublishedBoard:
    """A board on one day: m rows, in the order of the file.

    Attributes:
        board: name of the board.
        day: day of the snapshot.
        models: names as published; a name may occur twice.
        rank, style_rank: float64[m], NaN where missing.
        score, lower, upper: float64[m], points; bounds are NaN where missing.
        votes: int64[m].
        organizations, licenses: as published, "" where missing.
    """

    board: str
    day: date
    models: tuple[str, ...]
    rank: Float64
    style_rank: Float64
    score: Float64
    lower: Float64
    upper: Float64
    votes: Int64
    organizations: tuple[str, ...]
    licenses: tuple[str, ...]


def read_published_boards(path: Path) -> dict[str, tuple[PublishedBoard, ...]]:
    """Read a table of snapshots.

    Args:
        path: .csv with a header that `SYNONYMS` covers.

    Returns:
        Board → its snapshots, oldest first; boards sorted by name. A table without a column for the board is one board
        named "board".

    Raises:
        UnknownFormat: no rows, or no column for a required field.
        BadRecord: a row that cannot be read, with its 0-based row.
    """
    parts: dict[tuple[str, date], list[_Row]] = {}
    with path.open(newline="", encoding="utf-8-sig", errors="backslashreplace") as text:
        table = csv.DictReader(text)
        named = _columns(path, [header for header in table.fieldnames or () if header])
        try:
            for position, cells in enumerate(table):
                row = _row(path.name, position, {name: (cells.get(h) or "").strip() for name, h in named.items()})
                parts.setdefault((row.board, row.day), []).append(row)
        except csv.Error as error:
            raise UnknownFormat(f"{path.name}, line {table.line_num}: {error}") from None
    if not parts:
        raise UnknownFormat(f"{path.name}: expected rows of snapshots, got none")
    boards: dict[str, list[PublishedBoard]] = {}
    for board, day in sorted(parts):
        boards.setdefault(board, []).append(_board(board, day, parts[board, day]))
    return {board: tuple(snapshots) for board, snapshots in boards.items()}


@dataclass(frozen=True, slots=True)
class _Row:
    board: str
    day: date
    model: str
    rank: float
    style_rank: float
    score: float
    lower: float
    upper: float
    votes: int
    organization: str
    license: str


def _columns(path: Path, headers: list[str]) -> dict[str, str]:
    lowered = {header.strip().lower(): header for header in reversed(headers)}
    named = {
        name: next(lowered[known] for known in names if known in lowered)
        for name, names in SYNONYMS.items()
        if any(known in lowered for known in names)
    }
    for name in _NEEDED:
        if name not in named:
            known = ", ".join(SYNONYMS[name])
            raise UnknownFormat(f"{path.name}: expected a column for {name} ({known}), got {headers}")
    return named


def _row(source: str, position: int, cells: Mapping[str, str]) -> _Row:
    def bad(name: str, expected: str) -> BadRecord:
        return BadRecord(source, position, name, f"expected {expected}, got {cells.get(name, '')!r}")

    def number(name: str) -> float:
        if not cells.get(name):
            return nan
        try:
            value = float(cells[name])
        except ValueError:
            raise bad(name, "a number") from None
        if not isfinite(value) or abs(value) > _LARGEST:
            raise bad(name, f"a number up to {_LARGEST:,.0f}")
        return value

    if not cells["model"]:
        raise bad("model", "a name")
    try:
        day = date.fromisoformat(cells["snapshot"][:10])
    except ValueError:
        raise bad("snapshot", "a day as YYYY-MM-DD") from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise bad("snapshot", f"a day from {_FIRST_YEAR} to {_LAST_YEAR}")
    score, votes = number("score"), number("votes")
    if score != score:
        raise bad("score", "a number")
    if not votes >= 0 or votes != int(votes):
        raise bad("votes", "a whole number of at least 0")
    lower, upper = number("lower"), number("upper")
    if cells.get("interval"):
        margins = _MARGINS.fullmatch(cells["interval"])
        if not margins:
            raise bad("interval", "margins as +5/-4")
        lower, upper = score - float(margins[2]), score + float(margins[1])
    return _Row(
        cells.get("board") or "board", day, cells["model"], number("rank"), number("style_rank"), score, lower, upper,
        int(votes), cells.get("organization", ""), cells.get("license", ""),
    )  # fmt: skip


def _board(board: str, day: date, rows: Iterable[_Row]) -> PublishedBoard:
    kept = list(rows)

    def floats(name: str) -> Float64:
        return np.array([getattr(row, name) for row in kept], dtype=np.float64)

    return PublishedBoard(
        board, day, tuple(row.model for row in kept), floats("rank"), floats("style_rank"), floats("score"),
        floats("lower"), floats("upper"), np.array([row.votes for row in kept], dtype=np.int64),
        tuple(row.organization for row in kept), tuple(row.license for row in kept),
    )  # fmt: skip
