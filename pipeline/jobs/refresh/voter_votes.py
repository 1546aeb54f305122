"""Sorts the votes for the reference by voter, so that the votes of one voter are adjacent."""

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
    """The n votes from which a reference is estimated, sorted by voter and then from oldest to newest.

    The votes of one voter are adjacent.

    Attributes:
        voter: int64[n], pseudonym of the voter, ascending; 0 for a vote without a voter. Votes without a voter come
            first.
        who: int32[n], number of the voter in this order, counted from 0.
        model_a, model_b: int32[n], model numbers of the store (model_no).
        outcome: int8[n], index into OUTCOMES.
    """

    voter: Int64
    who: Int32
    model_a: Int32
    model_b: Int32
    outcome: Int8

    def where(self, kept: Bool) -> OrderedVotes:
        """Return the votes for which the mask `kept`, bool[n], is true."""
        return OrderedVotes(*(getattr(self, name)[kept] for name in _COLUMNS))

    def among(self, number: Int64) -> OrderedVotes:
        """Return the votes between the models with these numbers.

        In the result, a model is given by its position in `number`.

        Args:
            number: int64[K], model numbers of the store (model_no).
        """
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
        """The cells with two or more votes, as (rows, sizes). A cell is the votes of one voter on one model.

        `rows` has the rows of all cells, one cell after another, oldest vote first. `sizes` has the number of rows of
        each cell. Votes without a voter are left out. Vote i of the other votes has row 2i for its first model and row
        2i + 1 for its second.
        """
        first = self.unknown
        return shared_cells(self.who[first:], self.model_a[first:], self.model_b[first:])

    def newest_cells(self) -> Cells:
        """Return what `cells` would be if the order of the votes were reversed.

        Vote 0 is the newest vote here, and the newest votes of a cell come first.
        """
        row, sizes = self.cells
        last = len(self.voter) - self.unknown - 1
        return (2 * (last - row // 2) + row % 2)[::-1], sizes[::-1]

    @property
    def unknown(self) -> int:
        """The number of votes without a voter."""
        return int(np.count_nonzero(self.voter == 0))


def order_by_voter(votes: NewestVotes) -> OrderedVotes:
    """Sort votes by voter. The votes of one voter keep their order, oldest first."""
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
    """Return an array that converts a value to its position in `number`.

    Args:
        number: int64[K], different values ≥ 0.
        largest: the result has an element for each value up to this one, and up to the largest value of `number`.

    Returns:
        int32[values]. Element i is the position of the value i, or −1 if `number` lacks it.
    """
    code = np.full(max(largest, int(number.max(initial=0))) + 1, -1, dtype=np.int32)
    code[number] = np.arange(len(number))
    return code
