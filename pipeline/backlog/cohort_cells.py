"""Computes likelihood ratios of each voter's votes within one cohort, and combines them to the evidence of the cohort.

A cell has the votes of one voter in one cohort on one model. The ratios of a cell with LEAST_VOTES votes or more come
from `pipeline.evidence.cells` (`PooledCells`). The ratios of cells with fewer votes are tabulated (`SmallCells`). Let
E_v be the ratio of voter v's cell for one alternative. The evidence of a cohort for this alternative is the mean over ε
in SHARES of Π_v (1 − ε + ε E_v), over all cells of the cohort on the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from pipeline.backlog.backlog_votes import BacklogCells, BacklogVotes
from pipeline.backlog.cell_sums import count_rows, join_counts
from pipeline.backlog.pooled_voters import LEAST_VOTES, MOST_VOTES, SIDES, PooledCells
from pipeline.backlog.small_cells import SmallCells, SmallTables
from pipeline.backlog.voter_values import log_cells
from pipeline.evidence import Reference
from pipeline.evidence.cells import WEIGHTS
from pipeline.evidence.grouped_sums import group_starts
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64
from pipeline.vocabulary.large_arrays import join_large, keep, new_large, pieces

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
        present = np.zeros(int(group.max(initial=0)) + 1, dtype=np.bool_)
        present[group] = True
        present[0] = False
        numbers, place = np.flatnonzero(present), np.cumsum(present) - 1
        found, parts, count = [], [], 0
        for run in votes.runs_of_voters():
            rows = run.start + np.flatnonzero(group[run] > 0)
            code = votes.voter[rows].astype(np.int64) * max(len(numbers), 1) + place[group[rows]]
            order = np.argsort(code, kind="stable")
            code = code[order]
            new = group_starts(code)
            found.append((keep(rows[order]), keep((np.cumsum(new) - 1 + count).astype(np.int32))))
            parts.append(code[new])
            count += len(parts[-1])
        rows, part = (join_large(list(column)) for column in zip(*found, strict=True))
        del found
        names = np.concatenate(parts)
        own = replace(votes.take(rows), names=names, voter=part)
        owner, number = np.divmod(names, max(len(numbers), 1))
        return cls(own, BacklogCells.of(own), owner, numbers[number] if len(names) else names)

    @cached_property
    def numbers(self) -> tuple[Int64, Int64]:
        """Two arrays: the distinct cohorts in `group`, ascending; and int64[p], the position of each part's cohort."""
        numbers, place = np.unique(self.group, return_inverse=True)
        return numbers, keep(place.ravel())

    def tie_shares(self, parts: Bool, share: float, raised: float) -> Callable[[Int64], Float64]:
        """Return a function that gives the largest share of ties that counts as honest in some cells, float64[c].

        The argument of the function is int64[c], positions of cells in `cells`.

        The share of ties is estimated from the cohort's battles without the cell's model, together with TIE_VOTES votes
        that have the board's share of ties. The estimate is raised by two standard errors, and then by `raised` logits.

        Args:
            parts: bool[p], the parts of `CohortVotes` whose votes count.
            share: the share of ties among all votes of the board.
            raised: number of logits.
        """
        votes, ties = self.votes.votes_of_voter * parts, self.votes.ties_of_voter * parts
        (numbers, place), models = self.numbers, self.votes.models
        own = [np.bincount(place, whole, len(numbers)) for whole in (votes, ties)]
        on_model = [np.zeros(len(numbers) * models) for _ in own]
        for piece in pieces(len(self.cells.voter)):
            part = self.cells.voter[piece]
            mine = np.flatnonzero(parts[part])
            codes, at = np.unique(place[part[mine]] * models + self.cells.model[piece][mine], return_inverse=True)
            for table, column in zip(on_model, (self.cells.votes, self.cells.ties), strict=True):
                table[codes] += np.bincount(at.ravel(), column[piece][mine], len(codes))

        def of_cells(cell: Int64) -> Float64:
            of_cell = place[self.cells.voter[cell]]
            code = of_cell * models + self.cells.model[cell]
            n, k = (whole[of_cell] - table[code] for whole, table in zip(own, on_model, strict=True))
            mean = (k + TIE_VOTES * share) / (n + TIE_VOTES)
            high = np.clip(mean + 2 * np.sqrt(mean * (1 - mean) / (n + TIE_VOTES)), 1e-3, 1 - 1e-3)
            return np.asarray(expit(logit(high) + raised))

        return of_cells


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
        cells, tables = cohorts.cells, SmallTables.of(reference)
        ties = cohorts.tie_shares(parts, reference.tie_share, max(raised, TIES_RAISED))
        places, large, small = [], [], []
        for run in cells.runs_of_cells():
            counted = parts[cells.voter[cells.cell[run]]] & (cells.place[run] < MOST_VOTES)
            rows = run.start + np.flatnonzero(counted)
            found, counts = count_rows(cohorts.votes, cells, rows, reference, raised)
            many = counts.votes >= LEAST_VOTES
            places.append(found[many])
            large.append(counts.take(many))
            few = found[~many]
            small.append(tables.rows(few, counts.take(~many), ties(few)))
        place, counts = np.concatenate(places), join_counts(large)
        logs = np.minimum(log_cells(counts, reference, reference.taste.sd, pooled=True), _MAX_LOG)
        pooled = PooledCells(cells.voter[place].astype(np.int64), cells.model[place].astype(np.int64), logs)
        return cls(pooled, tables.cells(small))


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
            table, row = part.small.log_ratios(verb, kind, delta)
            logs[:, verb, kind, delta] = table[row[few]]
        voter, model = cohorts.cells.voter[cell].astype(np.int64), cohorts.cells.model[cell].astype(np.int64)
        found.append(PooledCells(voter, model, logs.reshape(len(few), WEIGHTS.size)))
    joined = PooledCells.join(found)
    return PooledCells(cohorts.owner[joined.voter], joined.model, joined.log_e)


def log_products(parts: list[CohortCells], pair_of: PairNumbers) -> Float64:
    """Return ln of the evidence about each pair of a cohort and a model, by side: float64[pairs, 2].

    The sides are "promotes" and "demotes" (SIDES). The e-value of a pair is the sum over both sides. The null
    hypothesis is that all voters of the cohort are honest about the model.

    Args:
        parts: the evaluated cells of all folds.
        pair_of: numbers the pairs that are tested.
    """
    pairs = len(pair_of.code)
    places = [pair_of(part.large.voter, part.large.model) for part in parts]
    cells = [pair_of.of_cells(part.small.cell) for part in parts]
    logs = [part.large.log_e.reshape(-1, *WEIGHTS.shape) for part in parts]
    every = [np.arange(len(place)) for place in places]
    total = np.full((pairs, len(SIDES)), -np.inf)
    # One alternative after another: there may be 100,000 pairs.
    for verb, kind, delta in np.ndindex(*WEIGHTS.shape):
        large = _products(places, [log[:, verb, kind, delta] for log in logs], every, pairs)
        tables = [part.small.log_ratios(verb, kind, delta) for part in parts]
        few = _products(cells, [one[0] for one in tables], [one[1] for one in tables], pairs)
        one = np.logaddexp.reduce(large + few, axis=0) - np.log(len(SHARES)) + np.log(WEIGHTS[verb, kind, delta])
        total[:, verb] = np.logaddexp(total[:, verb], one)
    return total


def _products(
    places: Sequence[Int32 | Int64], logs: Sequence[Float64], rows: Sequence[Int32 | Int64], pairs: int
) -> Float64:
    """Return ln Π (1 + ε (E − 1)) over the cells of each pair, for each ε in SHARES: float64[5, pairs].

    E is the likelihood ratio of a cell. A pair is a cohort and a model.

    Args:
        places: for each fold, the index of each cell's pair; `pairs` for a cell whose pair is not tested.
        logs: for each fold, values of ln E. Several cells may share a value.
        rows: for each fold, the position in `logs` of each cell's value.
        pairs: number of pairs.
    """
    found = np.zeros((len(SHARES), pairs))
    for place, log, row in zip(places, logs, rows, strict=True):
        gain = np.expm1(log)
        for number, share in enumerate(SHARES):
            steps, sums = np.log1p(share * gain), np.zeros(pairs + 1)
            for piece in pieces(len(place)):  # one after another, so that the pieces change no digit
                np.add.at(sums, place[piece], steps[row[piece]])
            found[number] += sums[:pairs]
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
        """Choose the pairs of a cohort and a model to test, and number them.

        Args:
            cohorts: the votes in cohorts.
            parts: bool[p], true for the parts (voters within a cohort) that count.
            least: how many voters of the cohort must have votes on the model.
        """
        cells, counted = cohorts.cells, []
        for piece in pieces(len(cells.voter)):
            part, model = cells.voter[piece], cells.model[piece]
            mine = parts[part]
            whole = cohorts.group[part[mine]] * cohorts.votes.models + model[mine]
            counted.append(np.unique(whole, return_counts=True))
        codes, counts = (np.concatenate(column) for column in zip(*counted, strict=True))
        code, place = np.unique(codes, return_inverse=True)
        voters = np.bincount(place.ravel(), counts, len(code)).astype(np.int64)
        tested = voters >= least
        return cls(cohorts, code[tested], voters[tested])

    def __call__(self, part: Int64, model: Int64) -> Int64:
        """Return the number of each pair of a part's cohort and a model; `len(code)` for a pair that is not tested."""
        whole = self.cohorts.group[part] * self.cohorts.votes.models + model
        place = np.searchsorted(self.code, whole)
        known = np.append(self.code, -1)[place] == whole
        return np.where(known, place, len(self.code))

    def of_cells(self, cell: Int32) -> Int32:
        """Return int32[c], the number of the pair (cohort and model) to which each cell belongs.

        The number is `len(code)` for a pair that is not tested.

        Args:
            cell: int32[c], positions of the cells in `cohorts.cells`.
        """
        cells, found = self.cohorts.cells, new_large((len(cell),), np.int32)
        for piece in pieces(len(cell)):
            some = cell[piece]
            found[piece] = self(cells.voter[some].astype(np.int64), cells.model[some].astype(np.int64))
        return found
