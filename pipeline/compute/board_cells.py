"""Represents counts of votes by board as sorted arrays, which can be added and subtracted.

A board has all votes, or the votes with one category, or the votes in one language. A cell of a board has the votes
that agree in five things: both models, the outcome, the fate (such as accepted or late), and the set of method rules
that may leave the vote out. A model is represented by its model number (model_no).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.vote_flags import RULES

# Bits of a cell packed into one number: 27 of each model, 2 of the outcome, 2 of the fate, 5 of the rules.
_MODEL_A, _MODEL_B, _OUTCOME, _FATE = 36, 9, 7, 5
# Votes that are expanded at a time: a vote has a row for each of its boards.
_BLOCK = 131_072
_HEADER = struct.Struct("<I")
_CODEC = "zstd"


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """The name of a board.

    Its kind is "all", "category" or "language". Its text is the category or the language, "" for the kind "all".
    """

    kind: str
    text: str = ""


ALL = Label("all")

MAX_LABELS = 1_000
"""Largest number of categories and languages of a log that are counted. A vote with any other label counts on the board
of all votes and on the boards of its counted labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of a board, each with its number of votes.

    Attributes:
        key: int64[n], the number of each cell (`cell_keys`), ascending.
        votes: int64[n], the number of votes of each cell, never 0. It is negative if a segment retracts more votes of a
            cell than it adds.
    """

    key: Int64
    votes: Int64

    def rows(self) -> Int64:
        """Return one row for each cell, int64[n, 6]: model_a, model_b, outcome, fate, rules, votes."""
        key, model = self.key, (1 << _MODEL_A - _MODEL_B) - 1
        parts = (key >> _MODEL_A, key >> _MODEL_B & model, key >> _OUTCOME & 3, key >> _FATE & 3, key & RULES)
        return np.column_stack([*parts, self.votes])

    def plus(self, other: Cells, sign: int = 1) -> Cells:
        """Return the sum of these counts and `other`; with `sign` −1, these counts minus `other`.

        Cells with 0 votes are dropped.
        """
        if not len(self.key):
            return Cells(other.key, sign * other.votes)
        at = np.minimum(np.searchsorted(self.key, other.key), len(self.key) - 1)
        known = self.key[at] == other.key
        votes = self.votes.copy()
        votes[at[known]] += sign * other.votes[known]
        kept = votes != 0
        key, votes = self.key[kept], votes[kept]
        new = np.searchsorted(key, other.key[~known])
        return Cells(np.insert(key, new, other.key[~known]), np.insert(votes, new, sign * other.votes[~known]))

    def equals(self, other: Cells) -> bool:
        """Return whether these counts and `other` have the same number of votes in every cell."""
        return np.array_equal(self.key, other.key) and np.array_equal(self.votes, other.votes)


Boards = dict[Label, Cells]
NOTHING = Cells(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class LabelCodes:
    """The categories and languages of n votes.

    Attributes:
        lists: the distinct lists of categories.
        list_code: int64[n], position of each vote's list in `lists`.
        languages: the distinct languages.
        language_code: int64[n], position of each vote's language in `languages`, −1 for a vote without a language.
    """

    lists: Sequence[Sequence[str]]
    list_code: Int64
    languages: Sequence[str]
    language_code: Int64

    def take(self, rows: Int64) -> LabelCodes:
        """Return the categories and languages of the votes at the given indices, int64[m]."""
        return LabelCodes(self.lists, self.list_code[rows], self.languages, self.language_code[rows])


def cell_keys(model_a: Int64, model_b: Int64, outcome: Int64, fate: Int64, rules: Int64) -> Int64:
    """Return the number of each vote's cell, int64[n], which contains the five arguments in its bits.

    Args:
        model_a, model_b: int64[n], model numbers (model_no).
        outcome: int64[n], positions in OUTCOMES.
        fate: int64[n], positions in FATES.
        rules: int64[n], bits of the rules that may leave the vote out.
    """
    key = model_a.astype(np.int64) << _MODEL_A | model_b.astype(np.int64) << _MODEL_B
    return np.asarray(key | outcome.astype(np.int64) << _OUTCOME | fate.astype(np.int64) << _FATE | rules & RULES)


def count(key: Int64, votes: Int64 | None = None) -> Cells:
    """Count votes by cell. Cells whose votes sum to 0 are dropped.

    Args:
        key: int64[n], numbers of cells, in any order and with repetition.
        votes: int64[n], the number of votes to add to the cell of each key; None to count each key as one vote.
    """
    cells, group = np.unique(key, return_inverse=True)
    total = np.bincount(group.ravel(), minlength=len(cells)).astype(np.int64)
    if votes is not None:
        total = np.zeros(len(cells), dtype=np.int64)
        np.add.at(total, group.ravel(), votes)
    return Cells(cells[total != 0], total[total != 0])


def count_boards(key: Int64, labels: LabelCodes) -> Boards:
    """Count votes by board, and return label → counts of the label's board.

    A vote counts on the board of all votes, and on the board of each of its labels.

    The board of all votes is always included. The board of a label is included only if it has votes.

    Args:
        key: int64[n], the number of each vote's cell.
        labels: categories and languages of these votes.
    """
    texts = sorted({text for one in labels.lists for text in one})
    number = {text: at for at, text in enumerate(texts)}
    lengths = np.array([len(one) for one in labels.lists], dtype=np.int64)
    flat = np.array([number[text] for one in labels.lists for text in one], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    boards: Boards = {ALL: NOTHING}
    for first in range(0, len(key), _BLOCK):
        rows = slice(first, first + _BLOCK)
        cells, cell = np.unique(key[rows], return_inverse=True)
        cell = cell.ravel()
        add(boards, {ALL: Cells(cells, np.bincount(cell, minlength=len(cells)).astype(np.int64))})
        code, language = labels.list_code[rows], labels.language_code[rows]
        if len(flat):
            many = lengths[code]
            vote = np.repeat(np.arange(len(code)), many)
            within = np.arange(len(vote)) - np.repeat(np.cumsum(many) - many, many)
            add(boards, _by_text("category", texts, flat[starts[code][vote] + within], cell[vote], cells))
        stated = language >= 0
        add(boards, _by_text("language", labels.languages, language[stated], cell[stated], cells))
    return boards


def _by_text(kind: str, texts: Sequence[str], text: Int64, cell: Int64, cells: Int64) -> Boards:
    """Return the counts of the boards of one kind, from m pairs of a vote and one of its boards.

    Args:
        kind: "category" or "language".
        texts: names of the boards.
        text: int64[m], the board of each pair, as a position in `texts`.
        cell: int64[m], the cell of each pair's vote, as a position in `cells`.
        cells: int64[c], the distinct keys of cells (`cell_keys`), ascending.
    """
    group, size = text * len(cells) + cell, len(texts) * len(cells)
    if size <= 4 * _BLOCK:
        votes = np.bincount(group, minlength=size).astype(np.int64)
        found = np.flatnonzero(votes)
        votes = votes[found]
    else:
        found, votes = np.unique(group, return_counts=True)
    which = found // max(1, len(cells))
    edges = np.searchsorted(which, np.arange(len(texts) + 1))
    return {
        Label(kind, one): Cells(cells[found[start:end] - at * len(cells)], votes[start:end])
        for at, (one, start, end) in enumerate(zip(texts, edges[:-1].tolist(), edges[1:].tolist(), strict=True))
        if end > start
    }


def add(boards: Boards, added: Mapping[Label, Cells], sign: int = 1) -> None:
    """Add counts to the counts of boards in place, or subtract them.

    Args:
        boards: label → counts; changed in place.
        added: label → counts to add. A label that `boards` lacks is added.
        sign: 1 to add, −1 to subtract.
    """
    for label, cells in added.items():
        boards[label] = boards.get(label, NOTHING).plus(cells, sign)


def total(parts: Iterable[Mapping[Label, Cells]]) -> Boards:
    """Add up the counts of votes of each board.

    Args:
        parts: counts to add, each a mapping from the name of a board to the counts of its cells.

    Returns:
        The summed counts in the same form. A board is left out if all its counts are 0.
    """
    found: dict[Label, list[Cells]] = {}
    for part in parts:
        for label, cells in part.items():
            found.setdefault(label, []).append(cells)
    summed = {label: _sum(cells) for label, cells in found.items()}
    return {label: cells for label, cells in summed.items() if len(cells.key)}


def _sum(cells: Sequence[Cells]) -> Cells:
    """Return the sum of several counts of one board, computed with a single sort."""
    if len(cells) == 1:
        return cells[0]
    return count(np.concatenate([one.key for one in cells]), np.concatenate([one.votes for one in cells]))


def within_limit(boards: Mapping[Label, Cells], known: Collection[Label]) -> Boards:
    """Return the boards that are counted: the board of all votes, the known boards, and new boards up to the limit.

    A log counts at most MAX_LABELS categories and languages. If a segment has too many new labels, the labels with the
    most votes are taken, and the others are refused. The limit is then reached for good, because a counted label is
    never dropped. So a refused label is never counted later.

    Args:
        boards: counts of the votes of a segment.
        known: the labels that were counted before.

    Returns:
        The counted boards among `boards`. A known label without votes in the segment is absent.
    """
    counted = {label for label in known if label != ALL}
    new = [label for label in boards if label != ALL and label not in counted]
    new.sort(key=lambda label: (-int(boards[label].votes.sum()), label))
    counted.update(new[: max(0, MAX_LABELS - len(counted))])
    return {label: cells for label, cells in boards.items() if label == ALL or label in counted}


def first_difference(one: Mapping[Label, Cells], other: Mapping[Label, Cells]) -> Label | None:
    """Return the first board whose counts in `one` and `other` differ; None if none differ.

    A missing board equals an empty one.
    """
    labels = sorted(one.keys() | other.keys())
    return next((label for label in labels if not one.get(label, NOTHING).equals(other.get(label, NOTHING))), None)


def pack(boards: Mapping[Label, Cells]) -> bytes:
    """Return counts as bytes: a JSON header that lists the boards, then differences of keys, then numbers of votes."""
    ordered = sorted(boards.items())
    header = json.dumps([[label.kind, label.text, len(cells.key)] for label, cells in ordered]).encode()
    steps = [np.diff(cells.key, prepend=0) for _, cells in ordered]
    raw = b"".join(column.astype("<i8").tobytes() for column in (*steps, *(cells.votes for _, cells in ordered)))
    return _HEADER.pack(len(header)) + header + bytes(pa.compress(raw, codec=_CODEC, asbytes=True))


def unpack(data: bytes) -> Boards:
    """Return the counts by board, label → counts, that `pack` packed as bytes."""
    (length,) = _HEADER.unpack_from(data)
    header = json.loads(data[_HEADER.size : _HEADER.size + length])
    size = sum(cells for _, _, cells in header)
    raw = pa.decompress(data[_HEADER.size + length :], decompressed_size=16 * size, codec=_CODEC, asbytes=True)
    steps, votes = np.frombuffer(raw, dtype="<i8").astype(np.int64).reshape(2, size)
    boards, start = {}, 0
    for kind, text, cells in header:
        rows = slice(start, start + cells)
        boards[Label(kind, text)] = Cells(np.cumsum(steps[rows]), votes[rows])
        start += cells
    return boards
