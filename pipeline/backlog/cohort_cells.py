"""Computes likelihood ratios of each voter's votes within one cohort, and combines them to the evidence of the cohort.

A cell has the votes of one voter in one cohort on one model. The ratios of a cell with LEAST_VOTES votes or more come
from `pipeline.evidence.cells` (`PooledCells`). The ratios of cells with fewer votes are tabulated (`SmallCells`). Let
E_v be the ratio of voter v's cell for one alternative. The evidence of a cohort for this alternative is the mean over ε
in SHARES of Π_v (1 − ε + ε E_v), over all cells of the cohort on the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from pipeline.backlog.backlog_votes import BacklogCells, BacklogVotes
from pipeline.backlog.cell_sums import count_rows
from pipeline.backlog.pooled_voters import LEAST_VOTES, MOST_VOTES, SIDES, PooledCells
from pipeline.backlog.small_cells import SmallCells
from pipeline.backlog.voter_values import log_cells
from pipeline.evidence import Reference
from pipeline.evidence.cells import WEIGHTS
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64

SHARES = (0.03, 0.1, 0.3, 0.6, 0.95)
"""The shares ε of biased voters in a cohort. Nearly all voters of a cohort may be biased."""

TIE_VOTES, TIES_RAISED = 100.0, 0.3
"""Constants for a cohort's share of ties.

The share is estimated from the cohort's votes together with TIE_VOTES votes that have the board's share of ties. The
estimate is then raised by TIES_RAISED logits or more.
"""

# ln of the largest ratio of one cell, so that the products stay finite.
_MAX_LOG = 30.0


@dataclass(frozen=True)
class CohortVotes:
    """The votes that are in cohorts, divided into p parts. A part has all votes of one voter in one cohort.

    Attributes:
        votes: these votes; `votes.voter` is the part of each vote, and not the voter.
        cells: the cells of these votes. A cell has the votes of one part on one model.
        owner: int64[p], the voter of each part.
        group: int64[p], the cohort of each part.
    """

    votes: BacklogVotes
    cells: BacklogCells
    owner: Int64
    group: Int64

    @classmethod
    def of(cls, votes: BacklogVotes, group: Int32) -> CohortVotes:
        """Return the votes that are in cohorts; `group` (int32[n]) has the cohort of each vote, 0 for none."""
        rows = np.flatnonzero(group > 0)
        numbers, place = np.unique(group[rows].astype(np.int64), return_inverse=True)
        code = votes.voter[rows].astype(np.int64) * max(len(numbers), 1) + place.ravel()
        order = np.argsort(code, kind="stable")
        parts, part = np.unique(code[order], return_inverse=True)
        rows = rows[order]
        own = replace(votes.take(rows), names=parts, voter=part.ravel().astype(np.int32))
        owner, number = np.divmod(parts, max(len(numbers), 1))
        return cls(own, BacklogCells.of(own), owner, numbers[number] if len(parts) else parts)

    def tie_shares(self, cell: Int64, parts: Bool, share: float, raised: float) -> Float64:
        """Return float64[c], the largest share of ties that counts as honest in each cell.

        The share of ties is estimated from the cohort's battles without the cell's model, together with TIE_VOTES votes
        that have the board's share of ties. The estimate is raised by two standard errors, and then by `raised` logits.

        Args:
            cell: int64[c], positions of cells in `cells`.
            parts: bool[p], the parts whose votes count.
            share: the share of ties among all votes of the board.
            raised: number of logits.
        """
        votes, ties = self.votes.votes_of_voter * parts, self.votes.ties_of_voter * parts
        numbers, place = np.unique(self.group, return_inverse=True)
        of_cell = place.ravel()[self.cells.voter]
        code = of_cell * self.votes.models + self.cells.model
        mine, size = parts[self.cells.voter], len(numbers) * self.votes.models
        n, k = (
            np.bincount(place.ravel(), whole, len(numbers))[of_cell[cell]]
            - np.bincount(code, own * mine, size)[code[cell]]
            for whole, own in ((votes, self.cells.votes), (ties, self.cells.ties))
        )
        mean = (k + TIE_VOTES * share) / (n + TIE_VOTES)
        high = np.clip(mean + 2 * np.sqrt(mean * (1 - mean) / (n + TIE_VOTES)), 1e-3, 1 - 1e-3)
        return np.asarray(expit(logit(high) + raised))


@dataclass(frozen=True)
class CohortCells:
    """The evaluated cells of the cohorts of one fold.

    Attributes:
        large: cells with LEAST_VOTES votes or more. `large.voter` has parts instead of voters. A part has all votes of
            one voter in one cohort.
        small: the cells with fewer votes.
    """

    large: PooledCells
    small: SmallCells

    @classmethod
    def of(cls, cohorts: CohortVotes, reference: Reference, parts: Bool, raised: float) -> CohortCells:
        """Compute the likelihood ratios of the cells of some parts. A part has all votes of one voter in one cohort.

        Of each cell, the first MOST_VOTES votes count.

        Args:
            cohorts: the votes in cohorts.
            reference: a reference that was fitted without the votes of these cohorts.
            parts: bool[p], the parts whose cells are evaluated.
            raised: number of logits by which the honest chances are raised.
        """
        cells = cohorts.cells
        rows = np.flatnonzero(parts[cells.voter[cells.cell]] & (cells.place < MOST_VOTES))
        found, counts = count_rows(cohorts.votes, cells, rows, reference, raised)
        many = counts.votes >= LEAST_VOTES
        logs = np.minimum(log_cells(counts.take(many), reference, reference.taste.sd), _MAX_LOG)
        place = found[many]
        large = PooledCells(cells.voter[place].astype(np.int64), cells.model[place].astype(np.int64), logs)
        few = found[~many]
        ties = cohorts.tie_shares(few, parts, reference.tie_share, max(raised, TIES_RAISED))
        return cls(large, SmallCells.of(few, counts.take(~many), ties, reference))


def cells_of_pair(parts: list[CohortCells], pair_of: PairNumbers, pair: int) -> PooledCells:
    """Return all cells of one pair of a cohort and a model, including the cells with few votes.

    Args:
        parts: the evaluated cells of the cohorts, one item for each fold.
        pair_of: the pairs that are tested.
        pair: number of the pair in `pair_of`.

    Returns:
        The cells. Their attribute `voter` has voters, and not parts of voters.
    """
    cohorts, found = pair_of.cohorts, []
    for part in parts:
        large = np.flatnonzero(pair_of(part.large.voter, part.large.model) == pair)
        found.append(PooledCells(part.large.voter[large], part.large.model[large], part.large.log_e[large]))
        few = np.flatnonzero(pair_of.of_cells(part.small.cell) == pair)
        cell = part.small.cell[few]
        logs = np.zeros((len(few), *WEIGHTS.shape))
        for verb, kind, delta in np.ndindex(*WEIGHTS.shape):
            logs[:, verb, kind, delta] = part.small.log_ratios(verb, kind, delta)[few]
        voter, model = cohorts.cells.voter[cell].astype(np.int64), cohorts.cells.model[cell].astype(np.int64)
        found.append(PooledCells(voter, model, logs.reshape(len(few), WEIGHTS.size)))
    joined = PooledCells.join(found)
    return PooledCells(cohorts.owner[joined.voter], joined.model, joined.log_e)


def log_products(parts: list[CohortCells], pair_of: PairNumbers) -> Float64:
    """Return ln of the evidence about each pair of a cohort and a model, by side: float64[pairs, 2].

    The sides are "promotes" and "demotes" (SIDES). The e-value of a pair is the sum over both sides. Its null
    hypothesis is that all voters of the cohort are honest about the model.

    Args:
        parts: the evaluated cells of all folds.
        pair_of: numbers the pairs that are tested.
    """
    pairs = len(pair_of.code)
    places = [pair_of(part.large.voter, part.large.model) for part in parts]
    cells = [pair_of.of_cells(part.small.cell) for part in parts]
    logs = [part.large.log_e.reshape(-1, *WEIGHTS.shape) for part in parts]
    total = np.full((pairs, len(SIDES)), -np.inf)
    # One alternative after another: there may be 100,000 pairs.
    for verb, kind, delta in np.ndindex(*WEIGHTS.shape):
        large = _products(places, [np.expm1(log[:, verb, kind, delta]) for log in logs], pairs)
        few = _products(cells, [np.expm1(part.small.log_ratios(verb, kind, delta)) for part in parts], pairs)
        one = np.logaddexp.reduce(large + few, axis=0) - np.log(len(SHARES)) + np.log(WEIGHTS[verb, kind, delta])
        total[:, verb] = np.logaddexp(total[:, verb], one)
    return total


def _products(places: list[Int64], gains: list[Float64], pairs: int) -> Float64:
    """Return ln Π (1 + ε gain) over the cells of each pair, for each ε in SHARES: float64[5, pairs].

    Args:
        places: for each fold, the pair of each cell; `pairs` for cells of untested pairs.
        gains: for each fold, the ratio of each cell, minus 1.
        pairs: number of pairs.
    """
    found = np.zeros((len(SHARES), pairs))
    for place, gain in zip(places, gains, strict=True):
        for row, share in enumerate(SHARES):
            found[row] += np.bincount(place, np.log1p(share * gain), pairs + 1)[:pairs]
    return found


@dataclass(frozen=True)
class PairNumbers:
    """The pairs of a cohort and a model that are tested. The number of a pair is its position in `code`.

    Attributes:
        cohorts: the votes in cohorts.
        code: int64[pairs], number of the cohort × M + number of the model, ascending, for a board of M models.
        voters: int64[pairs], the number of voters of the cohort with votes on the model.
    """

    cohorts: CohortVotes
    code: Int64
    voters: Int64

    @classmethod
    def of(cls, cohorts: CohortVotes, parts: Bool, least: int) -> PairNumbers:
        """Assign numbers to the pairs of a cohort and a model that are tested.

        Args:
            cohorts: the votes in cohorts.
            parts: bool[p], true for the parts (voters within a cohort) that count.
            least: least number of voters with votes on the model that a pair needs.
        """
        cells = cohorts.cells
        mine = parts[cells.voter]
        whole = cohorts.group[cells.voter[mine]] * cohorts.votes.models + cells.model[mine]
        code, voters = np.unique(whole, return_counts=True)
        tested = voters >= least
        return cls(cohorts, code[tested], voters[tested])

    def __call__(self, part: Int64, model: Int64) -> Int64:
        """Return the number of each pair, given parts and models; `len(code)` for untested pairs."""
        whole = self.cohorts.group[part] * self.cohorts.votes.models + model
        place = np.searchsorted(self.code, whole)
        known = np.append(self.code, -1)[place] == whole
        return np.where(known, place, len(self.code))

    def of_cells(self, cell: Int32) -> Int64:
        """Return int64[c], the number of the pair (cohort and model) to which each cell belongs.

        The number is `len(code)` for a pair that is not tested.

        Args:
            cell: int32[c], positions of the cells in `cohorts.cells`.
        """
        cells = self.cohorts.cells
        return self(cells.voter[cell].astype(np.int64), cells.model[cell].astype(np.int64))
