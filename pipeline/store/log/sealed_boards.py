"""Stores the counts of sealed votes, separately for each board.

A board is here a set of votes that are counted together: all votes, the votes with one category, or the votes with one
language. Votes are counted by pair of models, outcome, fate and rules. A refresh reads these counts instead of votes.

The stored total of a board is the sum of its counts in all segments (`totals_match_segments`). A total changes only in
a transaction with the lock of seals. The labels of a vote are its categories and its language. A segment that an early
version sealed has no labels, so its votes count only on the board of all votes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.compute import board_cells
from pipeline.compute.board_cells import ALL, Boards, Label
from pipeline.store.cold.vote_positions import read_at
from pipeline.store.db import dialect, schema
from pipeline.store.log import frequent_prompts, leaf_index, sealed_counts, sealed_labels
from pipeline.store.votes.dictionary import term_texts
from pipeline.store.votes.ingest import VotePosition
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT

_PREFIX = "board/"
_COLUMNS = ("model_a", "model_b", "outcome", "fate", "flags", "category", "categories", "language")
_TERMS = 500  # a bound on parameters that every database takes


def read_boards(
    connection: Connection, log_size: int, boards: Collection[Label] | None = None
) -> Mapping[Label, Int64]:
    """Return the counts of the votes in the first `log_size` leaves, for each board.

    For the newest log size, one stored row for each board is read. For an older size, the counts of later segments are
    subtracted from the totals. If there are fewer earlier segments than later ones, the counts of the earlier segments
    are added up instead.

    Args:
        connection: reads the store.
        log_size: number of leaves.
        boards: the boards that are read; None for all boards.

    Returns:
        Board → int64[n, 6] with the columns model_a, model_b, outcome, fate, rules (bits of
        `vocabulary.vote_flags.RULES`) and number of votes. Boards without votes are left out.
    """
    s = schema.segment.c
    names = None if boards is None else [_name(label) for label in boards]
    totals = _totals(connection, names)
    newer = connection.scalar(sa.select(sa.func.count()).where(s.log_size > log_size)) or 0
    older = connection.scalar(sa.select(sa.func.count()).where(s.log_size <= log_size)) or 0
    if not totals or older < newer:
        found = board_cells.total(_segments(connection, s.log_size <= log_size))
    else:
        board_cells.add(totals, board_cells.total(_segments(connection, s.log_size > log_size)), -1)
        found = board_cells.total([totals])
    return _Rows({label: cells for label, cells in found.items() if boards is None or label in boards})


class _Rows(Mapping[Label, Int64]):
    """Makes the rows of a board from its cells on each access, since rows take three times the memory of cells."""

    def __init__(self, cells: Boards) -> None:
        self._cells = cells

    def __getitem__(self, label: Label) -> Int64:
        return self._cells[label].rows()

    def __iter__(self) -> Iterator[Label]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


def read_new(connection: Connection, first: int, log_size: int, boards: Collection[Label]) -> Mapping[Label, Int64]:
    """Return the counts of the votes in the leaves `first` to `log_size` − 1, for each board.

    If a retraction among these leaves retracts a vote, the vote is subtracted.

    Args:
        connection: reads the store.
        first, log_size: two sizes of the log, each the size after a seal.
        boards: the boards that are read.

    Returns:
        Board → int64[n, 6], with the columns that `read_boards` names.
    """
    s = schema.segment.c
    found = board_cells.total(_segments(connection, sa.and_(s.log_size > first, s.log_size <= log_size)))
    return {label: cells.rows() for label, cells in found.items() if label in boards}


def count_votes(connection: Connection, positions: Collection[VotePosition]) -> Mapping[Label, Int64]:
    """Return the counts of the votes at these positions (partition_no, offset), for each board.

    Returns:
        Board → int64[n, 6], with the columns that `read_boards` names.
    """
    return {label: cells.rows() for label, cells in boards_of(connection, positions).items()}


def boards_of(connection: Connection, positions: Collection[VotePosition]) -> Boards:
    """Return the counts of the votes at these positions (partition_no, offset), as board → `board_cells.Cells`."""
    labelled = leaf_index.next_offsets(connection, sealed_labels.labelled_from(connection))
    by_part: dict[int, list[int]] = {}
    for part, offset in positions:
        by_part.setdefault(part, []).append(offset)
    parts = []
    for part, offsets in by_part.items():
        parts.append(_boards_at(connection, part, sorted(offsets), labelled.get(part, 0)))
    return board_cells.total(parts)


def _boards_at(connection: Connection, part: int, offsets: list[int], labelled: int) -> Boards:
    found = read_at(connection, _COLUMNS, ((part, offset) for offset in offsets))
    rows = [(offset, *row) for (_, offset), row in sorted(found.items())]
    table = np.array(rows, dtype=np.int64).reshape(-1, 1 + len(_COLUMNS))
    offset, model_a, model_b, outcome, fate, flags, category, categories, language = table.T
    marked = frequent_prompts.find_marked(connection, part, offsets)
    rules = flags | np.where(np.isin(offset, np.array(marked, dtype=np.int64)), FREQUENT_PROMPT, 0)
    known = offset >= labelled
    lists = np.where(known, sealed_labels.list_terms(category, categories), 0)
    spoken = np.where(known, language, 0)
    terms = _terms(connection, np.unique(np.abs(np.concatenate([lists, spoken]))).tolist())
    key = board_cells.cell_keys(model_a, model_b, outcome, fate, rules)
    return board_cells.count_boards(key, sealed_labels.label_codes(lists, spoken, terms))


def _terms(connection: Connection, numbers: list[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(numbers), _TERMS):
        found |= term_texts(connection, numbers[start : start + _TERMS])
    return found


def totals_match_segments(connection: Connection) -> bool:
    """Return whether the stored total of each board is the sum of its counts in all segments."""
    totals = _totals(connection)
    if not totals:
        # No seal of this version has run yet.
        return not connection.scalar(sa.select(sa.func.count()).where(schema.segment.c.boards.is_not(None)))
    return board_cells.first_difference(totals, board_cells.total(_segments(connection, sa.true()))) is None


def add_segment(connection: Connection, before: int, size: int, added: Boards) -> None:
    """Add the counts of a new segment to the stored totals of its boards.

    Args:
        connection: a transaction with the lock of seals.
        before: number of leaves of the log before the segment.
        size: number of leaves of the log after the segment.
        added: board → counts of the segment's votes.
    """
    names = [_name(ALL), *(_name(label) for label in added)]
    totals = _totals(connection, names)
    if ALL not in totals:
        totals |= board_cells.total(_segments(connection, schema.segment.c.log_size <= before))
    board_cells.add(totals, added)
    rows = [
        {"name": _name(label), "log_size": size, "counts": board_cells.pack({label: totals[label]})}
        for label in sorted({ALL, *totals, *added})
        if label in totals
    ]
    dialect.upsert(connection, schema.sealed_total, ["name"], rows)


def counted_labels(connection: Connection, log_size: int) -> set[Label]:
    """Return the categories and languages that have a board of their own.

    Args:
        connection: reads the store.
        log_size: number of leaves of the log. This number is used only if the store has no totals of boards yet.
    """
    t = schema.sealed_total.c
    names = list(connection.scalars(sa.select(t.name).where(t.name.startswith(_PREFIX, autoescape=True))))
    if names:
        parts = (name.removeprefix(_PREFIX).partition("/") for name in names)
        return {Label(kind, text) for kind, _, text in parts} - {ALL}
    return set(board_cells.total(_segments(connection, schema.segment.c.log_size <= log_size))) - {ALL}


def _name(label: Label) -> str:
    return f"{_PREFIX}{label.kind}/{label.text}"


def _totals(connection: Connection, names: list[str] | None = None) -> Boards:
    """Return the totals of the boards with these names, or of all boards if `names` is None."""
    t = schema.sealed_total.c
    query = sa.select(t.counts)
    if names is None:
        return _merged(connection.scalars(query.where(t.name.startswith(_PREFIX, autoescape=True))))
    found: Boards = {}
    for start in range(0, len(names), _TERMS):
        found |= _merged(connection.scalars(query.where(t.name.in_(names[start : start + _TERMS]))))
    return found


def _merged(blobs: Any) -> Boards:
    return {label: cells for raw in blobs for label, cells in board_cells.unpack(bytes(raw)).items()}


def _segments(connection: Connection, which: sa.ColumnElement[bool]) -> list[Boards]:
    s = schema.segment.c
    rows = connection.execute(sa.select(s.boards, s.counts).where(which).order_by(s.segment_no))
    return [of_segment(row.boards, row.counts) for row in rows]


def of_segment(boards: bytes | None, counts: bytes) -> Boards:
    """Return the counts of a segment's votes for each board, from two columns of the segment's row.

    Args:
        boards: column `boards`, the packed counts by board. None for a segment that was sealed before votes had labels;
            its votes count only on the board of all votes.
        counts: column `counts`, the packed counts by pair of models. This column is read only if `boards` is None.
    """
    if boards is not None:
        return board_cells.unpack(bytes(boards))
    model_a, model_b, outcome, fate, votes = sealed_counts.unpack(bytes(counts)).pairs.T
    key = board_cells.cell_keys(model_a, model_b, outcome, fate, np.zeros(len(votes), dtype=np.int64))
    return {ALL: board_cells.count(key, votes)}
