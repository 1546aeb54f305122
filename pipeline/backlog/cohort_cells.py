"""Computes likelihood ratios of each voter's votes within one cohort, and combines them to the evidence of the cohort.

A cell has the votes of one voter in one cohort on one model. From LEAST_VOTES votes on, the ratios of a cell are those
of `pipeline.evidence.cells` (`PooledCells`). In a cell with fewer votes only the decided battles count, and the ratios
are tabulated, since there may be millions of such cells. Let E_v be the ratio of voter v's cell for one alternative.
The evidence of a cohort for this alternative is the mean over ε in SHARES of Π_v (1 − ε + ε E_v), over all cells of the
cohort on the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.backlog.backlog_votes import BacklogCells, BacklogVotes
from pipeline.backlog.cell_sums import count_rows
from pipeline.backlog.pooled_voters import LEAST_VOTES, MOST_VOTES, SIDES, PooledCells
from pipeline.backlog.voter_values import log_cells
from pipeline.evidence import Reference
from pipeline.evidence.cells import KINDS, WEIGHTS, CellCounts
from pipeline.evidence.honest_reference import CHANCE_UNIT, DELTAS
from pipeline.evidence.taste_nulls import chances_by_taste, win_ratios
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64

SHARES = (0.03, 0.1, 0.3, 0.6, 0.95)
"""The shares ε of biased voters in a cohort: a cohort may consist of nobody else."""

_LEVELS = 256
# ln of the largest ratio of one cell, so that the products stay finite.
_MAX_LOG = 30.0
# The kinds of alternatives before "rare losses".
_DECIDED_KINDS = 2


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


@dataclass(frozen=True)
class SmallCells:
    """The ratios of c cells with fewer than LEAST_VOTES votes. A cell has the number of its row in a table of ratios.

    Attributes:
        cell: int32[c], positions in `CohortVotes.cells`.
        entry: int32[2, c], two rows of `table` for each cell: for a voter who promotes the model, and for one who
            demotes it.
        table: float64[t, 3], ln of the ratio for each size of a bias.
    """

    cell: Int32
    entry: Int32
    table: Float64

    @classmethod
    def of(cls, cell: Int64, counts: CellCounts, taste: float) -> SmallCells:
        """Return the cells with a decided battle. The chances in `counts` are already raised."""
        decided = counts.wins + counts.losses
        kept = decided > 0
        cell, counts, decided = cell[kept], counts.take(kept), decided[kept]
        table = np.zeros((LEAST_VOTES, LEAST_VOTES, _LEVELS, len(DELTAS)))
        chances = chances_by_taste(np.arange(1, _LEVELS + 1) / _LEVELS, taste)
        for n in range(1, LEAST_VOTES):
            for count in range(n + 1):
                table[n, count] = win_ratios(np.full(_LEVELS, float(count)), np.full(_LEVELS, float(n)), chances)
        entries = []
        for hits, high in ((counts.wins, counts.high), (counts.losses, counts.against)):
            level = np.ceil(high * (CHANCE_UNIT * _LEVELS) / np.maximum(decided, 1)).astype(np.int64)
            entries.append((decided * LEAST_VOTES + hits) * _LEVELS + level.clip(1, _LEVELS) - 1)
        return cls(cell.astype(np.int32), np.stack(entries).astype(np.int32), table.reshape(-1, len(DELTAS)))


@dataclass(frozen=True)
class CohortCells:
    """The evaluated cells of the cohorts of one fold.

    Attributes:
        large: cells with LEAST_VOTES votes or more; `large.voter` has the part of each cell (`CohortVotes`).
        small: the cells with fewer votes.
    """

    large: PooledCells
    small: SmallCells

    @classmethod
    def of(cls, cohorts: CohortVotes, reference: Reference, parts: Bool, raised: float) -> CohortCells:
        """Evaluate the cells of some parts.

        Args:
            cohorts: the votes in cohorts.
            reference: a reference that was fitted without the votes of these cohorts.
            parts: bool[p], the parts.
            raised: number of logits by which the honest chances are raised.
        """
        cells = cohorts.cells
        rows = np.flatnonzero(parts[cells.voter[cells.cell]] & (cells.place < MOST_VOTES))
        found, counts = count_rows(cohorts.votes, cells, rows, reference, raised)
        many = counts.votes >= LEAST_VOTES
        logs = np.minimum(log_cells(counts.take(many), reference, reference.taste.sd), _MAX_LOG)
        place = found[many]
        large = PooledCells(cells.voter[place].astype(np.int64), cells.model[place].astype(np.int64), logs)
        return cls(large, SmallCells.of(found[~many], counts.take(~many), reference.taste.sd))


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
        logs[:, :, :_DECIDED_KINDS] = part.small.table[part.small.entry[:, few]].swapaxes(0, 1)[:, :, None]
        voter, model = cohorts.cells.voter[cell].astype(np.int64), cohorts.cells.model[cell].astype(np.int64)
        found.append(PooledCells(voter, model, logs.reshape(len(few), WEIGHTS.size)))
    joined = PooledCells.join(found)
    return PooledCells(cohorts.owner[joined.voter], joined.model, joined.log_e)


def log_products(parts: list[CohortCells], pair_of: PairNumbers) -> Float64:
    """Return ln of the evidence of each pair of a cohort and a model, by side: float64[pairs, 2].

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
    for verb, delta in np.ndindex(len(SIDES), len(DELTAS)):
        gains = [np.expm1(part.small.table[:, delta])[part.small.entry[verb]] for part in parts]
        few = _products(cells, gains, pairs)
        for kind in range(len(KINDS)):
            large = _products(places, [np.expm1(log[:, verb, kind, delta]) for log in logs], pairs)
            # Rare losses show in no single decided battle: cells with few votes are no evidence of them.
            whole = large + few if kind < _DECIDED_KINDS else large
            one = np.logaddexp.reduce(whole, axis=0) - np.log(len(SHARES)) + np.log(WEIGHTS[verb, kind, delta])
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
        code: int64[pairs], group × models + model, ascending.
        voters: int64[pairs], the number of voters of the cohort with votes on the model.
    """

    cohorts: CohortVotes
    code: Int64
    voters: Int64

    @classmethod
    def of(cls, cohorts: CohortVotes, parts: Bool, least: int) -> PairNumbers:
        """Number the pairs of a cohort and a model that are tested.

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
        """Return the pair to which each cell belongs, as `__call__` numbers pairs."""
        cells = self.cohorts.cells
        return self(cells.voter[cell].astype(np.int64), cells.model[cell].astype(np.int64))
