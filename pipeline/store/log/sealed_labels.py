"""Computes the labels of the votes of a segment: categories, language, and rules of the method.

A rule of the method may leave a vote out of a board. A segment is a range of leaves that was sealed together. Its
labels are in a public file beside the file of its leaves. The label file depends only on the stored votes and on the
stored decisions about frequent prompts, so it can be made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.compute import board_cells
from pipeline.compute.board_cells import LabelCodes
from pipeline.ledger import leaf, leaf_labels
from pipeline.store.db import schema
from pipeline.store.votes.arrow_reader import to_numpy
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT, RULES

_Codes = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVotes:
    """Holds the n votes of a segment with their labels, in the order of their leaves.

    Attributes:
        key: int64[n]. The bits of each integer hold the models, the outcome and the fate of a vote, and the rules that
            its flags name (`board_cells.cell_keys`). The rule about frequent prompts is not included yet.
        prompt: int64[n], hash of the vote's prompt; 0 for a vote without a prompt.
        counted: bool[n], True for a vote whose fate counts.
        vote_id: ids of the n votes.
        codes: categories and languages of the votes.
    """

    key: Int64
    prompt: Int64
    counted: Bool
    vote_id: pa.ChunkedArray
    codes: LabelCodes

    def rules(self, frequent: Int64) -> Int64:
        """Return the rules of the method that apply to each vote, including the rule about frequent prompts.

        Args:
            frequent: int64[m], indices of the votes on frequent prompts that are outside the samples
                (`frequent_prompts.decide`).

        Returns:
            int64[n], bits of `vocabulary.vote_flags.RULES`.
        """
        rules = self.key & RULES
        rules[frequent] |= FREQUENT_PROMPT
        return rules

    def boards(self) -> board_cells.Boards:
        """Count the votes for each board, without the rule about frequent prompts (`move_frequent`).

        Returns:
            Board → counts of its votes.
        """
        return board_cells.count_boards(self.key, self.codes)

    def move_frequent(self, boards: board_cells.Boards, frequent: Int64) -> None:
        """Apply the rule about frequent prompts to counts: move votes to the cells with this rule.

        Args:
            boards: counts of all votes, from the method `boards`; changed in place.
            frequent: int64[m], indices of the votes on frequent prompts that are outside the samples.
        """
        if len(frequent):
            key, codes = self.key[frequent], self.codes.take(frequent)
            board_cells.add(boards, board_cells.count_boards(key, codes), -1)
            board_cells.add(boards, board_cells.count_boards(key | FREQUENT_PROMPT, codes))

    def file(self, first: int, rules: Int64) -> bytes | None:
        """Return the content of the segment's public label file. None if no vote has a label.

        Args:
            first: index of the first leaf of the segment.
            rules: int64[n], rules of each vote, as `LabelledVotes.rules` returns them.
        """
        codes = self.codes
        filled = np.array([bool(one) for one in codes.lists], dtype=np.bool_)
        rows = np.flatnonzero((rules != 0) | filled[codes.list_code] | (codes.language_code >= 0))
        if not len(rows):
            return None
        lists = pa.array(codes.lists, pa.list_(pa.string())).take(pa.array(codes.list_code[rows]))
        spoken = codes.language_code[rows]
        languages = pa.DictionaryArray.from_arrays(
            pa.array(spoken.astype(np.int32), mask=spoken < 0), pa.array(codes.languages, pa.string())
        )
        return leaf_labels.write(first + rows, rules[rows].astype(np.int32), lists, languages)


class LabelCollector:
    """Collects the votes of a segment and computes their labels, batch by batch."""

    def __init__(self, terms: Mapping[int, str]) -> None:
        """Create a collector without votes.

        Args:
            terms: number of a term → its text, for the categories and languages of all votes that will be added.
        """
        self._terms = terms
        self._columns: list[tuple[Int64, Int64, Bool, Int64, Int64]] = []
        self._ids: list[pa.Array] = []

    def add_votes(self, batch: pa.RecordBatch) -> None:
        """Add the votes of a batch, which has the columns of `arrow_reader.VOTE_SCHEMA`."""
        column = {name: to_numpy(batch, name) for name in _READ}
        key = board_cells.cell_keys(*(column[name] for name in ("model_a", "model_b", "outcome", "fate", "flags")))
        lists = list_terms(column["category"], column["categories"])
        counted = np.isin(column["fate"], COUNTED)
        self._columns.append((key, _from_hex(batch["prompt"]), counted, lists, column["language"].astype(np.int64)))
        self._ids.append(batch["vote_id"])

    def votes(self) -> LabelledVotes:
        """Return all votes that were added, with their labels, in the order of addition."""
        empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_), *np.zeros((2, 0), np.int64))
        key, prompt, counted, lists, languages = (
            np.concatenate(parts) for parts in zip(empty, *self._columns, strict=True)
        )
        ids = pa.chunked_array(self._ids, pa.string())
        return LabelledVotes(key, prompt, counted, ids, label_codes(lists, languages, self._terms))


_READ = ("model_a", "model_b", "outcome", "fate", "flags", "category", "categories", "language")


def list_terms(category: _Codes, categories: _Codes) -> Int64:
    """Combine two columns about categories into one number for each vote.

    Args:
        category: term number (term_no) of the vote's only category; 0 for a vote with none or with several.
        categories: term number (term_no) of the vote's list of categories; 0 for a vote without a list.

    Returns:
        int64[n]: the number of the category, or the number of the list with a minus sign; 0 for a vote without
        categories.
    """
    return np.where(categories != 0, -categories.astype(np.int64), category)


def label_codes(lists: Int64, languages: Int64, terms: Mapping[int, str]) -> LabelCodes:
    """Convert the categories and languages of n votes from the store's numbers to `LabelCodes`, which have texts.

    Args:
        lists: int64[n], for each vote the number that stands for its categories, as `list_terms` returns it.
        languages: int64[n], the term number (term_no) of each vote's language; 0 for a vote without a language.
        terms: number of a term → its text. The text of a list of categories is a JSON array.
    """
    distinct, list_code = leaf.unique_codes(lists)
    spoken, language_code = leaf.unique_codes(languages)
    texts = [_categories(terms[abs(one)], one < 0) if one else () for one in distinct.tolist()]
    stated = spoken != 0
    place = np.where(stated, np.cumsum(stated) - 1, -1)
    names = [terms[one] for one in spoken[stated].tolist()]
    of_vote = place[language_code] if len(place) else np.zeros(0, dtype=np.int64)
    return LabelCodes(texts, list_code.astype(np.int64), names, of_vote)


@lru_cache(maxsize=10_000)
def _categories(text: str, is_list: bool) -> tuple[str, ...]:
    return tuple(json.loads(text)) if is_list else (text,)


def _from_hex(prompts: pa.StringArray) -> Int64:
    """Return numbers that are written as 16 hexadecimal digits each."""
    if not len(prompts):
        return np.zeros(0, dtype=np.int64)
    start = 16 * prompts.offset
    digits = prompts.buffers()[2].slice(start, 16 * len(prompts)).to_pybytes()
    return np.frombuffer(bytes.fromhex(digits.decode()), dtype=">i8").astype(np.int64)


def files(connection: Connection, log_size: int) -> list[tuple[int, str]]:
    """Return the label files of the first `log_size` leaves of the vote log, oldest first.

    A segment has one label file, or none if no vote of the segment has a label.

    Returns:
        One pair for each file: the index of the first leaf of its segment, and the SHA-256 of the file in hexadecimal
        digits.
    """
    s = schema.segment.c
    query = (
        sa.select(s.log_size - s.leaves, s.labels)
        .where(s.log_size <= log_size, s.labels.is_not(None))
        .order_by(s.log_size)
    )
    return [(int(first), str(digest)) for first, digest in connection.execute(query)]


def labelled_from(connection: Connection) -> int:
    """Return the index of the first leaf whose segment has labels.

    Earlier leaves were sealed by a version without labels, and never get any. The index is 0 if there are no such
    leaves.
    """
    s = schema.segment.c
    return int(connection.scalar(sa.select(sa.func.max(s.log_size)).where(s.boards.is_(None))) or 0)
