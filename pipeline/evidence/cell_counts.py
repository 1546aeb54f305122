"""Counts votes by voter and model, or by voter and provider.

A cell has the votes of one voter on one model, or on the models of one provider. `cells` computes evidence from the
counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evidence.honest_reference import Reference
from pipeline.vocabulary.arrays import Int8, Int64


@dataclass(frozen=True)
class CellCounts:
    """The counts of c cells, int64[c] each, from which the evidence of the cells is computed. Counts can be added.

    Honest chances are predicted by the reference. The largest honest chance is the predicted one plus two standard
    errors. Sums of chances are in units of `CHANCE_UNIT`.

    Attributes:
        votes: number of the voter's votes on the model. In a cell of a provider, number of the voter's votes on one of
            the provider's models against another provider's model.
        wins, losses: number of these votes that the model won, and that it lost.
        high: over the decided votes, the sum of the largest honest chance that the model wins.
        against: over the decided votes, the sum of the largest honest chance that the opponent wins.
        tied_high, tied_against: the sums `high` and `against` over the ties instead of the decided votes.
        even: over all votes, the sum of the factor by which unequal models tie more rarely (`Reference.tie_factors`).
        other_votes, other_ties: number of the voter's votes and of the voter's ties outside the cell.
    """

    votes: Int64
    wins: Int64
    losses: Int64
    high: Int64
    against: Int64
    tied_high: Int64
    tied_against: Int64
    even: Int64
    other_votes: Int64
    other_ties: Int64

    def take(self, rows: npt.NDArray[Any] | slice) -> CellCounts:
        """Return the counts of selected cells; `rows` is a mask, positions or a slice."""
        return CellCounts(*(getattr(self, column.name)[rows] for column in fields(self)))

    def turned(self) -> CellCounts:
        """Return the counts with wins and losses swapped: "promotes" becomes "demotes"."""
        return CellCounts(
            self.votes, self.losses, self.wins, self.against, self.high, self.tied_against, self.tied_high,
            self.even, self.other_votes, self.other_ties,
        )  # fmt: skip


@dataclass(frozen=True)
class VoterCells:
    """The cells of voters, sorted by voter and key.

    A cell has a voter's votes on one model, or on the models of one provider.

    Attributes:
        voter: int64[c], the voter of each cell.
        key: int64[c], the position of the cell's model in the reference, or the number of the cell's provider.
        counts: the counts of each cell.
    """

    voter: Int64
    key: Int64
    counts: CellCounts


def count_cells(
    voter: Int64, a: Int64, b: Int64, outcome: Int8, reference: Reference, key: Int64 | None = None
) -> VoterCells:
    """Count votes by voter and model, or by voter and provider.

    By model, a vote counts in two cells: voter and model a, and voter and model b. By provider, it counts in the cells
    of the providers of both models, but nowhere if both models have the same provider.

    Args:
        voter: int64[n], the voter of each vote.
        a, b: int64[n], positions of the models in `reference`; none may be missing.
        outcome: int8[n], 0 (a wins), 1 (b wins), or 2 and more for ties.
        reference: the reference of a snapshot that does not count these votes.
        key: None to count by model. To count by provider, int64[K], the number of each model's provider. Models with −1
            have no cell.

    Returns:
        The cells that have votes.
    """
    own, other = np.concatenate([a, b]), np.concatenate([b, a])
    group, against = (own, other) if key is None else (key[own], key[other])
    who, result = np.tile(voter, 2), np.tile(np.minimum(outcome, 2), 2)
    won = result == np.repeat([0, 1], len(voter))
    rows = np.flatnonzero((group >= 0) & (group != against))
    own, other, who, group, won, tied = (x[rows] for x in (own, other, who, group, won, result == 2))
    names, number = np.unique(who, return_inverse=True)
    width = int(group.max(initial=0)) + 1
    code, cell = np.unique(number.ravel() * width + group, return_inverse=True)
    high, against = reference.high_chances[own, other], reference.high_chances[other, own]
    even = reference.tie_factors[own, other]
    columns = (np.ones_like(high), won & ~tied, ~won & ~tied, high * ~tied, against * ~tied, high * tied,
               against * tied, even)  # fmt: skip
    # Sums of integers below 2⁵³ are exact in floating point.
    sums = [np.bincount(cell.ravel(), weights=x, minlength=len(code)).astype(np.int64) for x in columns]
    everything = np.unique(voter, return_inverse=True)
    total = np.bincount(everything[1].ravel()), np.bincount(everything[1].ravel(), weights=outcome >= 2)
    of_voter = names[code // width]
    place = np.searchsorted(everything[0], of_voter)
    elsewhere = total[0][place] - sums[0], total[1][place].astype(np.int64) - (sums[0] - sums[1] - sums[2])
    return VoterCells(of_voter, code % width, CellCounts(*[*sums, *elsewhere]))
