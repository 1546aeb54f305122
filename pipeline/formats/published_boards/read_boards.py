"""Reads published leaderboards from files, folders and bundles as one history."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UnknownFormat
from pipeline.formats.containers import readable_path
from pipeline.formats.published_boards.board_cells import day_of
from pipeline.formats.published_boards.board_files import find_board_files
from pipeline.formats.published_boards.board_merging import MergedRows, merge_rows
from pipeline.formats.published_boards.board_pieces import open_board_file
from pipeline.formats.published_boards.board_table import BoardColumns, BoardTable
from pipeline.formats.published_boards.published_board import PublishedBoard


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file of published boards that was read.

    Attributes:
        name: name of the file.
        rows: number of rows that were read, without rows that were left out.
        unread: names of the columns that were not read.
        note: a sentence for people if the content has another kind than the suffix names; else "".
    """

    name: str
    rows: int
    unread: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class PublishedHistory:
    """Published boards, and how they were read.

    Attributes:
        boards: board → its snapshots, oldest first; boards sorted by name.
        files: the files.
        merged: the merged rows of `boards`, and the numbers of repeated and conflicting rows.
        left_out: fault → a pair: the number of rows that were left out because of this fault, and the place of the
            first such row.
    """

    boards: dict[str, tuple[PublishedBoard, ...]]
    files: tuple[ReadFile, ...]
    merged: MergedRows
    left_out: dict[str, tuple[int, str]]


def read_published_boards(path: Path) -> dict[str, tuple[PublishedBoard, ...]]:
    """Read the published boards of a file, a folder, a glob or a bundle.

    Returns:
        Board → its snapshots, oldest first. Boards are sorted by name. A table that does not name a board is the board
        "board".

    Raises:
        UnknownFormat: there are no rows, or a file lacks a column for a required field.
        BadRecord: a row cannot be read. The message has the 0-based row.
    """
    return read_published_history([path]).boards


def read_published_history(paths: Sequence[Path], *, skip_bad: bool = False) -> PublishedHistory:
    """Read the published boards of several files, folders, globs or bundles.

    Args:
        paths: where the boards are; "-" is standard input.
        skip_bad: whether rows that cannot be read are left out and counted, instead of raising an error.

    Returns:
        The boards, and how they were read.

    Raises:
        UnknownFormat: there are no rows, or a file lacks a column for a required field.
        BadRecord: a row cannot be read and `skip_bad` is false. The message has the 0-based row.
    """
    table, files = BoardTable(skip_bad=skip_bad), []
    with ExitStack() as stack:
        for file in find_board_files([stack.enter_context(readable_path(path)) for path in paths]):
            opened = open_board_file(file)
            note = file.container.note if file.container else ""
            files.append(ReadFile(file.name, table.add(file, opened), opened.unread, note))
    merged = merge_rows(table.columns())
    if not len(merged.columns.row):
        names = ", ".join(file.name for file in files[:3])
        raise UnknownFormat(f"{names}: expected rows of snapshots, got none")
    left_out = {reason: (count, table.first_left_out[reason]) for reason, count in table.left_out.items()}
    boards: dict[str, list[PublishedBoard]] = {}
    for board in _boards(merged.columns):
        boards.setdefault(board.board, []).append(board)
    ordered = {name: tuple(boards[name]) for name in sorted(boards)}
    return PublishedHistory(ordered, tuple(files), merged, left_out)


def _boards(columns: BoardColumns) -> Iterator[PublishedBoard]:
    """Yield the snapshots of rows that are sorted by board and day."""
    day = columns.numbers["snapshot"] // 86_400
    new = (np.diff(columns.codes["board"]) != 0) | (np.diff(day) != 0)
    starts = np.r_[0, np.flatnonzero(new) + 1, len(day)]
    names = {name: columns.texts[name] for name in ("model", "organization", "license")}
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        rows = slice(start, end)
        number = {name: column[rows] for name, column in columns.numbers.items()}
        model, organization, license_ = (
            tuple(known[code] for code in columns.codes[name][rows].tolist()) for name, known in names.items()
        )
        yield PublishedBoard(
            columns.texts["board"][columns.codes["board"][start]], day_of(float(number["snapshot"][0])), model,
            number["rank"], number["style_rank"], number["score"], number["lower"], number["upper"],
            number["votes"].astype(np.int64), organization, license_,
        )  # fmt: skip
