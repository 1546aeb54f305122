"""Tabulates the likelihood ratios of cells with one or two votes. A backlog may have millions of such cells.

A cell has the votes of one voter in one cohort on one model. The ratios are defined by `pipeline.evidence.taste_nulls`.
The chances of a win are rounded up to one of _LEVELS levels, and the cohort's share of ties to one of _TIE_LEVELS
levels. The voters of a cohort are taken to differ in their share of ties as much as the voters of the board do. One or
two votes cannot show that ties are rare. So the alternative "wins and rarer ties" has the ratio of decided battles
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pipeline.backlog.pooled_voters import LEAST_VOTES
from pipeline.evidence import Reference
from pipeline.evidence.cell_counts import CellCounts
from pipeline.evidence.cells import KINDS
from pipeline.evidence.honest_reference import CHANCE_UNIT, DELTAS
from pipeline.evidence.taste_nulls import chances_by_taste, loss_ratios, tie_shares, win_ratios
from pipeline.vocabulary.arrays import Float64, Int32, Int64
from pipeline.vocabulary.large_arrays import join_large

_LEVELS, _TIE_LEVELS = 64, 24
# The kind of alternatives that is tabulated by ties; all others by decided battles.
_RARE_LOSSES = len(KINDS) - 1

SmallRows: TypeAlias = tuple[Int32, Int32, Int32, Int32, Int32]
"""Five arrays of some cells of `SmallCells`: `cell`, `decided` for promotes and for demotes, `lost` for promotes and
for demotes."""


@dataclass(frozen=True)
class SmallCells:
    """The likelihood ratios of c cells with fewer than LEAST_VOTES votes, as row numbers of two tables of ratios.

    Attributes:
        cell: int32[c], positions in `CohortVotes.cells`.
        decided: the row of each cell in `decided_table`, as two arrays int32[c]: one for voters who promote the model,
            one for voters who demote it.
        lost: the row of each cell in `lost_table`, as two arrays in the same order.
        decided_table, lost_table: float64[t, 3], ln of the ratio, with a column for each δ in DELTAS. `decided_table`
            has the ratio that compares wins with losses, without ties. `lost_table` has the ratio that compares the
            number of losses with all votes, ties included.
    """

    cell: Int32
    decided: tuple[Int32, Int32]
    lost: tuple[Int32, Int32]
    decided_table: Float64
    lost_table: Float64

    def log_ratios(self, verb: int, kind: int, delta: int) -> tuple[Float64, Int32]:
        """Return ln of the likelihood ratios of one alternative for all c cells.

        Args:
            verb: 0 for "promotes", 1 for "demotes".
            kind: position of the alternative's kind in `pipeline.evidence.cells.KINDS`.
            delta: position of the size of the bias in DELTAS.

        Returns:
            Two arrays: float64[t], a column of one of the tables; and int32[c], the position in this column of each
            cell's value.
        """
        if kind == _RARE_LOSSES:
            return self.lost_table[:, delta], self.lost[verb]
        return self.decided_table[:, delta], self.decided[verb]


@dataclass(frozen=True)
class SmallTables:
    """The tables of ratios of cells with fewer than LEAST_VOTES votes, for one reference.

    Attributes:
        decided_table, lost_table: float64[t, 3], as in `SmallCells`.
    """

    decided_table: Float64
    lost_table: Float64

    @classmethod
    def of(cls, reference: Reference) -> SmallTables:
        """Compute the tables of likelihood ratios from the distributions of taste and of ties in a reference."""
        return cls(_decided_table(reference.taste.sd), _lost_table(reference.taste.sd, sum(reference.tie_prior)))

    def cells(self, runs: Sequence[SmallRows]) -> SmallCells:
        """Join several results of `rows`, and return their cells as one object."""
        cell, promoted, demoted, lost, lost_against = (join_large(list(one)) for one in zip(*runs, strict=True))
        return SmallCells(cell, (promoted, demoted), (lost, lost_against), self.decided_table, self.lost_table)

    @staticmethod
    def rows(cell: Int64, counts: CellCounts, ties: Float64) -> SmallRows:
        """Find the rows in the tables for cells that have one or two votes.

        Args:
            cell: int64[c], positions of the cells in `CohortVotes.cells`.
            counts: the counts of these cells. The chances in `counts` are upper limits over the band.
            ties: float64[c], for each cell the largest honest share of ties in its cohort.
        """
        battles, votes = counts.wins + counts.losses, counts.votes
        tie_level = _level(ties, _TIE_LEVELS)
        decided, lost = [], []
        for hits, misses, high, over_all in (
            (counts.wins, counts.losses, counts.high, counts.high + counts.tied_high),
            (counts.losses, counts.wins, counts.against, counts.against + counts.tied_against),
        ):
            level = _level(high * CHANCE_UNIT / np.maximum(battles, 1), _LEVELS)
            decided.append((battles * LEAST_VOTES + hits) * _LEVELS + level)
            level = _level(over_all * CHANCE_UNIT / votes, _LEVELS)
            lost.append(((votes * LEAST_VOTES + misses) * _LEVELS + level) * _TIE_LEVELS + tie_level)
        return cell.astype(np.int32), *(one.astype(np.int32) for one in (*decided, *lost))  # type: ignore[return-value]


def _level(share: Float64, levels: int) -> Int64:
    """Return the number of the level to which each share is rounded up. Level i is the share (i + 1)/`levels`."""
    return np.ceil(share * levels).astype(np.int64).clip(1, levels) - 1


def _decided_table(taste: float) -> Float64:
    table = np.zeros((LEAST_VOTES, LEAST_VOTES, _LEVELS, len(DELTAS)))
    chances = chances_by_taste(np.arange(1, _LEVELS + 1) / _LEVELS, taste)
    for battles in range(1, LEAST_VOTES):
        for hits in range(battles + 1):
            table[battles, hits] = win_ratios(np.full(_LEVELS, float(hits)), np.full(_LEVELS, float(battles)), chances)
    return table.reshape(-1, len(DELTAS))


def _lost_table(taste: float, concentration: float) -> Float64:
    """Return ln of the likelihood ratios for too few losses, float64[t, 3], with a column for each δ in DELTAS.

    There is a row for each combination of a number of votes, a number of losses, a level of the chance of a win, and a
    level of the share of ties. Rows are sorted by these four values, in this order.

    Args:
        taste: the standard deviation of honest tastes, in logits.
        concentration: α + β of the beta distribution of the voters' shares of ties.
    """
    chance, share = (x.ravel() for x in np.meshgrid(
        np.arange(1, _LEVELS + 1) / _LEVELS, np.arange(1, _TIE_LEVELS + 1) / _TIE_LEVELS, indexing="ij"
    ))  # fmt: skip
    chances, zero = chances_by_taste(chance, taste), np.zeros(len(share))
    share = np.minimum(share, 1 - 0.5 / _TIE_LEVELS)
    # The voters' share is given as their ties so far.
    shares = tie_shares(concentration * share, np.full(len(share), concentration), (0.0, 0.0))
    table = np.zeros((LEAST_VOTES, LEAST_VOTES, len(share), len(DELTAS)))
    for votes in range(1, LEAST_VOTES):
        for losses in range(votes + 1):
            table[votes, losses] = loss_ratios(zero + losses, zero + votes, chances, shares)
    return table.reshape(-1, len(DELTAS))
