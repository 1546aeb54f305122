"""Puts the votes of a baseline in the order of their voters, so that a pass over each voter's votes needs no search."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.evidence.grouped_sums import number_groups, order_by_group
from pipeline.evidence.taste_pairs import Cells, shared_cells
from pipeline.store.log.newest_votes import NewestVotes
from pipeline.vocabulary.arrays import Bool, Int8, Int32, Int64

_COLUMNS = ("voter", "who", "model_a", "model_b", "outcome")


@dataclass(frozen=True)
class OrderedVotes:
    """Votes as arrays of length n in the order of their voters, those of one voter oldest first.

    In this order a pass over the votes of each voter needs no search.

    Attributes:
        voter: pseudonym of the voter: first 0 for the votes without a voter, then the others, ascending.
        who: number of the voter in this order.
        model_a, model_b: model numbers of the store (model_no).
        outcome: index into OUTCOMES.
    """

    voter: Int64
    who: Int32
    model_a: Int32
    model_b: Int32
    outcome: Int8

    def where(self, kept: Bool) -> OrderedVotes:
        """Return the votes for which the mask `kept` is true."""
        return OrderedVotes(*(getattr(self, name)[kept] for name in _COLUMNS))

    def among(self, number: Int64) -> OrderedVotes:
        """Return the votes between the models with these numbers; a model is then its position in `number`."""
        code = codes_of(number, int(max(self.model_a.max(initial=0), self.model_b.max(initial=0))))
        a, b = code[self.model_a], code[self.model_b]
        kept = (a >= 0) & (b >= 0)
        found = OrderedVotes(self.voter, self.who, a, b, self.outcome)
        if not kept.all():
            return found.where(kept)
        if "cells" in vars(self):
            vars(found)["cells"] = self.cells  # of the same models, under other numbers
        return found

    @cached_property
    def cells(self) -> Cells:
        """The cells with two or more rows of the votes with a voter (`shared_cells`), oldest votes first.

        Votes are counted from the first vote with a voter.
        """
        first = self.unknown
        return shared_cells(self.who[first:], self.model_a[first:], self.model_b[first:])

    def newest_cells(self) -> Cells:
        """Return the cells of the votes with a voter in reverse order, so newest votes first."""
        row, sizes = self.cells
        last = len(self.voter) - self.unknown - 1
        return (2 * (last - row // 2) + row % 2)[::-1], sizes[::-1]

    @property
    def unknown(self) -> int:
        """The number of votes without a voter."""
        return int(np.count_nonzero(self.voter == 0))


def order_by_voter(votes: NewestVotes) -> OrderedVotes:
    """Return the votes in the order of their voters."""
    code = number_groups(votes.voter)
    names = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.int64)
    names[code] = votes.voter
    ascending = np.lexsort((names, names != 0))
    rank = np.empty(len(names), dtype=np.int32)
    rank[ascending] = np.arange(len(names), dtype=np.int32)
    who = rank[code]
    order = order_by_group(who, len(names))
    model_a, model_b = (column.astype(np.int32)[order] for column in (votes.model_a, votes.model_b))
    who = np.repeat(np.arange(len(names), dtype=np.int32), np.bincount(who, minlength=len(names)))
    return OrderedVotes(names[ascending][who], who, model_a, model_b, votes.outcome[order])


def codes_of(number: Int64, largest: int) -> Int32:
    """Return an array whose element i is the position of the number i in `number`; −1 if `number` lacks i.

    The array goes up to the number `largest`, or further.
    """
    code = np.full(max(largest, int(number.max(initial=0))) + 1, -1, dtype=np.int32)
    code[number] = np.arange(len(number))
    return code
