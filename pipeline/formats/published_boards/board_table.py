"""Collects the rows of published boards from all files as columns of codes and numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import BadRecord
from pipeline.formats.published_boards.board_columns import NUMBERS, TEXTS, BoardPiece, Cells, fault, read_piece
from pipeline.formats.published_boards.board_files import BoardFile
from pipeline.formats.published_boards.board_pieces import OpenBoardFile
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64


@dataclass(frozen=True, slots=True)
class BoardColumns:
    """n rows of published boards as columns.

    Attributes:
        texts: field → its distinct texts.
        codes: field → int32[n], the position of each row's text in `texts`. The field "file" has the file of each row.
            The field "board" has the name of the board, joined from the board and the category in the file.
        numbers: field → float64[n], NaN where missing. The field "snapshot" is in seconds since 1970 UTC.
        row: int64[n], 0-based row in the file.
    """

    texts: Mapping[str, list[str]]
    codes: Mapping[str, Int32]
    numbers: Mapping[str, Float64]
    row: Int64

    def select(self, rows: npt.NDArray[np.int64] | Bool) -> "BoardColumns":
        """Return some of the rows as new columns.

        Args:
            rows: which rows. Either int64[m], their positions, in the order of the result; or bool[n], true for each
                row of the result.
        """
        codes = {name: column[rows] for name, column in self.codes.items()}
        numbers = {name: column[rows] for name, column in self.numbers.items()}
        return BoardColumns(self.texts, codes, numbers, self.row[rows])


@dataclass
class BoardTable:
    """Collects the rows of several files of published boards.

    Attributes:
        skip_bad: whether a row that cannot be read is left out and counted, instead of raising an error.
        left_out: fault → number of rows.
        first_left_out: fault → place and explanation of the first row with this fault.
    """

    skip_bad: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    first_left_out: dict[str, str] = field(default_factory=dict)
    _texts: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in (*TEXTS, "file")})
    _parts: list[tuple[dict[str, Int32], dict[str, Float64], Int64]] = field(default_factory=list)

    def add(self, file: BoardFile, opened: OpenBoardFile) -> int:
        """Add the rows of a file.

        Args:
            file: the file, whose name is stored with each row.
            opened: the file with its columns, from `open_board_file`.

        Returns:
            The number of rows that were added, without rows that were left out.

        Raises:
            BadRecord: a row cannot be read and `skip_bad` is false. The message has the 0-based row.
        """
        start = kept = 0
        for cells, rows in opened.pieces():
            piece = read_piece({**{name: [value] for name, value in opened.constants.items()}, **cells})
            bad = self._check(file.name, opened, cells, piece, start, rows)
            good = np.flatnonzero(~bad)
            codes = {name: self._codes(name, piece, rows)[good] for name in TEXTS}
            codes["file"] = np.full(len(good), self._code("file", file.name), dtype=np.int32)
            numbers = {name: np.broadcast_to(column, rows)[good] for name, column in _numbers(piece, rows).items()}
            self._parts.append((codes, numbers, good + start))
            start, kept = start + rows, kept + len(good)
        return kept

    def columns(self) -> BoardColumns:
        """Return all rows, in the order in which they were added. The table has no rows afterwards."""
        codes = {name: _joined([part[0][name] for part in self._parts], np.int32) for name in (*TEXTS, "file")}
        numbers = {name: _joined([part[1][name] for part in self._parts], np.float64) for name in NUMBERS}
        row = _joined([part[2] for part in self._parts], np.int64)
        self._parts.clear()
        texts = {name: list(known) for name, known in self._texts.items()}
        names, codes["board"] = _board_names(texts, codes.pop("board"), codes.pop("category"))
        return BoardColumns({**texts, "board": names}, codes, numbers, row)

    def _check(
        self, name: str, opened: OpenBoardFile, cells: Mapping[str, Cells], piece: BoardPiece, start: int, rows: int
    ) -> Bool:
        bad = np.zeros(rows, dtype=np.bool_)
        for column in piece.bad.values():
            bad |= column
        for i in np.flatnonzero(bad).tolist():
            reason = next(one for one, column in piece.bad.items() if column[i if len(column) > 1 else 0])
            header = opened.columns.get(reason, reason)
            cell = _cell(cells[reason][i])
            shown = "" if cell is None else str(cell).strip()
            detail = f"expected {fault(cell, reason)}, got {shown!r:.200}"
            error = BadRecord(name, start + i, reason, detail + (f" in column {header}" if header != reason else ""))
            if not self.skip_bad:
                raise error
            self.left_out[reason] += 1
            self.first_left_out.setdefault(reason, str(error))
        return bad

    def _codes(self, name: str, piece: BoardPiece, rows: int) -> Int32:
        if name not in piece.texts:
            return np.full(rows, self._code(name, ""), dtype=np.int32)
        values, positions = piece.texts[name]
        used = np.zeros(len(values), dtype=np.bool_)
        used[positions] = True
        table = [self._code(name, value) if used[i] else -1 for i, value in enumerate(values)]
        return np.broadcast_to(np.array(table, dtype=np.int32)[positions], rows)

    def _code(self, name: str, text: str) -> int:
        known = self._texts[name]
        return known.setdefault(text, len(known))


def _cell(cell: object) -> object:
    return cell.as_py() if hasattr(cell, "as_py") else cell


def _joined(parts: list[Any], kind: type[np.generic]) -> Any:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def _numbers(piece: BoardPiece, rows: int) -> dict[str, Float64]:
    """Return field → float64[rows] for each field in NUMBERS; NaN for a field that the piece lacks.

    If a row states margins, the bounds of its interval are computed from the score and the margins.
    """
    found = dict(piece.numbers)
    below, above = found.pop("margin_lower", None), found.pop("margin_upper", None)
    if below is not None and above is not None:
        stated = ~np.isnan(below)
        lower, upper = found.get("lower", np.full(rows, np.nan)), found.get("upper", np.full(rows, np.nan))
        found["lower"] = np.where(stated, found["score"] - below, lower)
        found["upper"] = np.where(stated, found["score"] + above, upper)
    return {name: found.get(name, np.full(rows, np.nan)) for name in NUMBERS}


def _board_names(texts: Mapping[str, list[str]], board: Int32, category: Int32) -> tuple[list[str], Int32]:
    """Return the names of the boards, and int32[n], the position of each row's board among them.

    A name has the form BOARD/CATEGORY. An empty part is left out with the slash. If both parts are empty, the name is
    "board".
    """
    pairs = board.astype(np.int64) * max(1, len(texts["category"])) + category
    distinct, positions = np.unique(pairs, return_inverse=True)
    names: dict[str, int] = {}
    codes = np.empty(len(distinct), dtype=np.int32)
    for i, pair in enumerate(distinct.tolist()):
        subset, of_category = divmod(pair, max(1, len(texts["category"])))
        parts = (texts["board"][subset], texts["category"][of_category])
        name = "/".join(part for part in parts if part) or "board"
        codes[i] = names.setdefault(name, len(names))
    return list(names), codes[positions]
