"""Counts the votes of each segment of the log by board, from the public files of the segment.

A board has all votes, or the votes of one category or language. A retraction subtracts a vote of an earlier segment. So
`recount` reads the segments twice: first to find the votes that are retracted, then to count the votes of every
segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute import board_cells
from pipeline.compute.board_cells import Boards, LabelCodes
from pipeline.compute.runner import Runner
from pipeline.compute.sealed_segment import SealedSegment
from pipeline.compute.thread_runner import ThreadRunner
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import FATES
from pipeline.vocabulary.outcomes import OUTCOMES

# Texts that a mask of 64 bits has a bit for.
_MASK_BITS = 62


@dataclass(frozen=True, slots=True)
class SegmentBoards:
    """The votes of one segment, counted by board, and the votes that the segment retracts.

    Attributes:
        first: index of the segment's first leaf.
        boards: counts by board of the votes whose leaves are in the segment. Retractions are not subtracted.
        retracted: int64[r], leaf indices of the votes that the retractions in the segment retract.
    """

    first: int
    boards: Boards
    retracted: Int64


def recount(
    segments: Sequence[SealedSegment],
    numbers: Mapping[str, int],
    retracted: Iterable[int],
    runner: Runner | None = None,
) -> Iterator[tuple[SealedSegment, Boards]]:
    """Yield each segment with its counts by board.

    A retraction is subtracted from the counts of its own segment, and not of the segment that has the vote. So a count
    may be negative.

    Args:
        segments: all segments of a log, in order.
        numbers: name of a model → model number (model_no).
        retracted: leaf indices of all retracted votes of the log.
        runner: runs the reading of the segments; None for threads of this process.

    Raises:
        Refuted: a file of a segment is not what was sealed.
        Unavailable: a file is missing.
    """
    runner = runner or ThreadRunner()
    taken = np.array(sorted(set(retracted)), dtype=np.int64)
    cells: dict[int, Boards] = {}
    involved = [one for one in segments if _within(one, taken).any()]
    for found in runner.map(partial(count_leaves, numbers=numbers, leaves=taken), involved):
        cells |= found
    counted = runner.map(partial(count_segment, numbers=numbers), segments)
    for segment, one in zip(segments, counted, strict=True):
        boards = dict(one.boards)
        for leaf in one.retracted.tolist():
            board_cells.add(boards, cells.get(leaf, {}), -1)
        yield segment, boards


def count_segment(segment: SealedSegment, numbers: Mapping[str, int]) -> SegmentBoards:
    """Count the votes of a segment by board, and find the votes that the retractions in the segment retract.

    Args:
        segment: the segment.
        numbers: name of a model → model number (model_no).
    """
    rows = segment.read_rows()
    retracts = rows["retracts"]
    of_votes = np.asarray(retracts.is_null())
    leaf = np.flatnonzero(of_votes)
    boards = _boards(rows, leaf, segment.read_labels(), segment.first, numbers)
    return SegmentBoards(segment.first, boards, retracts.drop_null().to_numpy().astype(np.int64))


def count_leaves(segment: SealedSegment, numbers: Mapping[str, int], leaves: Int64) -> dict[int, Boards]:
    """Count single votes of a segment, each by itself.

    Args:
        segment: the segment.
        numbers: name of a model → model number (model_no).
        leaves: int64[l], leaf indices of votes. Leaves of other segments are ignored.

    Returns:
        Leaf index of a vote → the counts of this one vote by board.
    """
    rows, labels = segment.read_rows(), segment.read_labels()
    chosen = leaves[_within(segment, leaves)] - segment.first
    return {
        int(at) + segment.first: _boards(rows, np.array([at]), labels, segment.first, numbers) for at in chosen.tolist()
    }


def _within(segment: SealedSegment, leaves: Int64) -> Any:
    return (leaves >= segment.first) & (leaves < segment.first + segment.leaves)


def _boards(rows: pa.Table, at: Int64, labels: pa.Table, first: int, numbers: Mapping[str, int]) -> Boards:
    """Return the counts by board of some votes of a segment.

    Args:
        rows: the leaves of the segment.
        at: int64[n], positions of the votes in `rows`, ascending.
        labels: the labels of the segment's votes.
        first: index of the segment's first leaf.
        numbers: name of a model → model number (model_no).
    """
    votes = rows.take(pa.array(at))
    model_a, model_b = (_codes(votes[name], numbers.__getitem__) for name in ("model_a", "model_b"))
    outcome, fate = _codes(votes["outcome"], OUTCOMES.index), _codes(votes["fate"], FATES.index)
    place = np.searchsorted(at, labels["leaf"].to_numpy() - first)
    there = place < len(at)
    there[there] = at[place[there]] == labels["leaf"].to_numpy()[there] - first
    stated = labels.filter(pa.array(there))
    place = place[there]
    rules = np.zeros(len(at), dtype=np.int64)
    rules[place] = stated["rules"].to_numpy()
    key = board_cells.cell_keys(model_a, model_b, outcome, fate, rules)
    return board_cells.count_boards(key, _label_codes(stated, place, len(at)))


def _label_codes(stated: pa.Table, place: Int64, size: int) -> LabelCodes:
    """Return the labels (categories and language) of `size` votes.

    Row i of `stated` has the labels of vote `place[i]`. Votes that are not in `place` have no labels.
    """
    list_code, language_code = np.zeros(size, dtype=np.int64), np.full(size, -1, dtype=np.int64)
    lists, list_code[place] = _list_codes(stated["categories"])
    languages, language_code[place] = _text_codes(stated["language"])
    return LabelCodes(lists, list_code, languages, language_code)


def _list_codes(column: pa.ChunkedArray) -> tuple[list[tuple[str, ...]], Int64]:
    """Return the distinct lists of a column, the empty list first, and the position of the list of each row."""
    flat = pa.chunked_array([one.flatten() for one in column.chunks], column.type.value_type)
    texts, code = _text_codes(flat)
    if len(texts) > _MASK_BITS:
        lists = [tuple(one) for one in column.to_pylist()]
        distinct = {one: at for at, one in enumerate(dict.fromkeys([(), *lists]))}
        return list(distinct), np.array([distinct[one] for one in lists], dtype=np.int64)
    # One bit for each text: a list of a million rows as Python objects takes a second and 200 MB.
    masks = np.zeros(len(column) + 1, dtype=np.int64)
    lengths = pc.list_value_length(column).to_numpy() if len(column) else np.zeros(0, dtype=np.int64)
    np.bitwise_or.at(masks[1:], np.repeat(np.arange(len(column)), lengths), np.int64(1) << code)
    found, group = np.unique(masks, return_inverse=True)
    named = [tuple(text for bit, text in enumerate(texts) if mask >> bit & 1) for mask in found.tolist()]
    return named, group.ravel()[1:].astype(np.int64)


def _text_codes(column: pa.ChunkedArray) -> tuple[list[str], Int64]:
    """Return the texts of a dictionary column, and the position of the text of each row, −1 for null."""
    if not len(column):
        return [], np.zeros(0, dtype=np.int64)
    whole = column.unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    codes: Int64 = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return whole.dictionary.to_pylist(), codes


def _codes(column: pa.ChunkedArray, number: Callable[[str], int]) -> Int64:
    """Return the integer that `number` assigns to the text of each row. The column has dictionary type and no nulls."""
    texts, codes = _text_codes(column)
    table = np.zeros(len(texts), dtype=np.int64)
    used = np.unique(codes)
    table[used] = [number(texts[code]) for code in used.tolist()]
    found: Int64 = table[codes]
    return found
