"""Compares the results of each model in each period of four weeks with its results in all other periods.

If a model wins more than in the other periods, an attack promoted the model, or the model itself was changed. This test
cannot distinguish the two. It is the only test that finds attacks by accounts with one vote each. The votes of a period
are evaluated by a reference that was fitted on the votes of all other periods. Only the first CAP votes of a voter on a
model in a period count, and the taste of the voters is integrated out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from pipeline.backlog.backlog_votes import TIED
from pipeline.backlog.cell_sums import model_positions
from pipeline.backlog.pool_rounds import ALPHA
from pipeline.backlog.pooled_voters import RAISED, SIDES
from pipeline.backlog.reference_fitter import CAP, ReferenceFitter
from pipeline.backlog.voter_rounds import Progress, no_progress
from pipeline.backlog.voter_values import VoterEvaluator
from pipeline.evidence import Reference
from pipeline.evidence.honest_reference import CHANCE_UNIT, DELTAS
from pipeline.evidence.taste_nulls import chances_by_taste, win_ratios
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64
from pipeline.vocabulary.large_arrays import PIECE, new_large, pieces
from pipeline.vocabulary.time import NO_TIME

PERIOD = 28 * 86_400_000_000
"""Length of a period in microseconds."""

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
_SIZE_WEIGHTS = np.array([0.6, 0.2, 0.2])
_LEVELS = 256
_MOST_FOUND = 10
# A last period that is shorter than this share of a whole one is part of the period before it.
_SHORTEST = 0.5


@dataclass(frozen=True)
class PeriodFinding:
    """A model whose results in one period differ from its results in all other periods.

    Attributes:
        model: integer that identifies the model.
        first, end: the period, in microseconds since 1970 UTC.
        direction: `promotes` if the model wins more than in other periods, `demotes` if less.
        log_e: ln of the e-value. The null hypothesis is that the model wins as in the other periods.
        voters: count of voters who have votes on the model in this period.
        tests: number of pairs of a model and a period that were tested.
    """

    model: int
    first: int
    end: int
    direction: str
    log_e: float
    voters: int
    tests: int


@dataclass(frozen=True)
class ModelPeriods:
    """Finds models whose results in one period of four weeks differ from their results in all other periods.

    Attributes:
        evaluator: has the votes and their cells.
        progress: called after each pass over the votes.
    """

    evaluator: VoterEvaluator
    progress: Progress = no_progress

    def find(self, excluded: Bool, alpha: float = ALPHA) -> list[PeriodFinding]:
        """Find models whose results in one period differ from their results in the other periods, one after another.

        Each round finds the model and the period with the largest e-value. The rounds end after ten findings, or when
        no e-value is above t/α. t is the number of pairs of a model and a period that have votes. Nothing is found if
        there are fewer than two periods with votes. The votes on a found model in its period do not count in later
        rounds. Votes without a time count in no round.

        Args:
            excluded: bool[v], voters whose votes do not count.
            alpha: the tolerated probability of a false finding.

        Returns:
            One finding for each model and period, in the order in which they were found.
        """
        votes = self.evaluator.votes
        dated = votes.at != NO_TIME
        period = new_large((len(votes.at),), np.int32)
        period[...] = 0
        period[dated], start, end = split_periods(votes.at[dated])
        count = len(start)
        if count < 2:
            return []
        found: list[PeriodFinding] = []
        left_out = excluded[votes.voter] | ~dated
        while len(found) < _MOST_FOUND:
            logs, voters = self._evaluate(period, count, left_out, excluded)
            self.progress()
            tests = int((voters > 0).sum())
            whole = np.logaddexp.reduce(logs, axis=2)
            model, when = divmod(int(whole.argmax()), count)
            if not tests or whole[model, when] <= math.log(tests / alpha):
                break
            side = int(logs[model, when].argmax())
            found.append(
                PeriodFinding(
                    model, int(start[when]), int(end[when]), SIDES[side], float(whole[model, when]),
                    int(voters[model, when]), tests,
                )
            )  # fmt: skip
            left_out = left_out | ((period == when) & ((votes.model_a == model) | (votes.model_b == model)))
        return found

    def _evaluate(self, period: Int32, count: int, left_out: Bool, excluded: Bool) -> tuple[Float64, Int64]:
        """Return ln of the evidence about each model, period and side (promotes, demotes), and the number of voters.

        Args:
            period: int32[n], the period of each vote.
            count: number of periods.
            left_out: bool[n], votes that count nowhere.
            excluded: bool[v], voters whose votes do not count in references.

        Returns:
            Two arrays: float64[M, count, 2], and int64[M, count].
        """
        votes, cells = self.evaluator.votes, self.evaluator.cells
        fitter = ReferenceFitter(votes, cells, period, count, left_out)
        logs, voters = np.full((votes.models, count, 2), -np.inf), np.zeros((votes.models, count), dtype=np.int64)
        for k, reference in enumerate(fitter.fit_without([[k] for k in range(count)], excluded)):
            if reference is not None:
                counted = (votes.outcome != TIED) & ~left_out & (period == k)
                rows = np.flatnonzero(counted[cells.vote])
                logs[:, k], voters[:, k] = self._one_period(rows, reference)
        return logs, voters

    def _one_period(self, rows: Int64, reference: Reference) -> tuple[Float64, Int64]:
        """Return ln of the evidence about each model in one period, by side, and the number of voters on each model.

        The votes are taken a piece at a time, since a period may have a quarter of all votes.

        Args:
            rows: int64[r], positions of the period's rows of cells, ascending.
            reference: a reference that was fitted on the votes of all other periods.

        Returns:
            Two arrays: float64[M, 2], and int64[M].
        """
        products = [_Products.of(reference.taste.sd, self.evaluator.votes.models) for _ in SIDES]
        voters = np.zeros(self.evaluator.votes.models, dtype=np.int64)
        for some in _whole_cells(self.evaluator.cells.cell, rows):
            self._add(some, reference, products, voters)
        if not voters.any():
            return np.full((len(voters), 2), -np.inf), voters
        logs = np.stack([one.logs() for one in products], axis=1)
        return logs + np.log([0.5, 0.5]), voters

    def _add(self, rows: Int64, reference: Reference, products: Sequence[_Products], voters: Int64) -> None:
        """Add the rows of some whole cells to the products of both sides, and their voters to `voters`."""
        votes, cells = self.evaluator.votes, self.evaluator.cells
        i, j = model_positions(votes, cells, rows, reference)
        rated = (i >= 0) & (j >= 0)
        i, j, rows = i[rated], j[rated], rows[rated]
        if not len(rows):
            return
        cell = cells.cell[rows]
        first = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
        lengths = np.diff(np.append(first, len(cell))).astype(np.int64)
        kept = np.arange(len(cell)) - np.repeat(first, lengths) < CAP
        i, j, rows = i[kept], j[kept], rows[kept]
        lengths = np.minimum(lengths, CAP).astype(np.int64)
        first = np.cumsum(lengths) - lengths
        won = (votes.outcome[cells.vote[rows]] == 0) == cells.is_a[rows]
        model = cells.model[cells.cell[rows[first]]].astype(np.int64)
        for one, hit, high in zip(
            products, (won, ~won), (reference.high_chances[i, j], reference.high_chances[j, i]), strict=True
        ):
            mean = np.add.reduceat(high * CHANCE_UNIT, first) / lengths
            one.add(np.add.reduceat(hit.astype(np.int64), first).astype(np.int64), lengths, mean, model)
        voters += np.bincount(model, minlength=votes.models)


@dataclass(frozen=True)
class _Products:
    """Ln of Π (1 − ε + ε E) over the cells of each model in one period, for each size δ of the bias and each share ε.

    E is the likelihood ratio of a cell for δ, and ε the share of biased voters.

    Attributes:
        ratios: float64[CAP + 1, CAP + 1, _LEVELS − 1, 3], the ratio E for each number of votes, number of wins, mean
            chance of a win, and δ.
        sums: float64[3, 5, M], the logarithms by δ, ε and model.
    """

    ratios: Float64
    sums: Float64

    @classmethod
    def of(cls, taste: float, models: int) -> _Products:
        """Begin without cells. `taste` is the standard deviation of honest tastes, in logits."""
        p = expit(logit(np.arange(1, _LEVELS) / _LEVELS) + RAISED)
        chances, table = chances_by_taste(p, taste), np.empty((CAP + 1, CAP + 1, _LEVELS - 1, len(DELTAS)))
        for n in range(CAP + 1):
            for k in range(CAP + 1):
                table[n, k] = win_ratios(np.full(len(p), float(k)), np.full(len(p), float(n)), chances)
        return cls(table, np.zeros((len(_SIZE_WEIGHTS), len(SHARES), models)))

    def add(self, hits: Int64, lengths: Int64, mean: Float64, model: Int64) -> None:
        """Multiply by the ratios of some cells. The sums do not depend on how cells are divided into calls.

        Args:
            hits: int64[c], the number of wins in each cell, which has the votes of one voter on one model.
            lengths: int64[c], the number of decisive votes in each cell.
            mean: float64[c], the mean chance of a win in each cell.
            model: int64[c], the model of each cell.
        """
        level = np.ceil(mean * _LEVELS).astype(np.int64).clip(1, _LEVELS - 1)
        gain = np.expm1(self.ratios[lengths, hits, level - 1])
        for by_share, column in zip(self.sums, gain.T, strict=True):
            for share, one in zip(SHARES, by_share, strict=True):
                np.add.at(one, model, np.log1p(share * column))

    def logs(self) -> Float64:
        """Return ln of the evidence about each model, float64[M]: of the mean of the products over ε and δ."""
        logs = np.full(self.sums.shape[2], -np.inf)
        for weight, by_share in zip(_SIZE_WEIGHTS, self.sums, strict=True):
            for one in by_share:
                logs = np.logaddexp(logs, one + math.log(weight / len(SHARES)))
        return logs


def _whole_cells(cell: Int32, rows: Int64) -> Iterator[Int64]:
    """Yield `rows` in pieces that end where a cell ends, so that each has all its rows of a cell.

    Args:
        cell: the cell of each row of all cells, ascending.
        rows: int64[r], positions of rows, ascending.
    """
    at = 0
    while at < len(rows):
        end = min(at + PIECE, len(rows))
        if end < len(rows):
            end = int(np.searchsorted(rows, np.searchsorted(cell, cell[rows[end - 1]], side="right")))
        yield rows[at:end]
        at = end


def split_periods(at: Int64) -> tuple[Int32, Int64, Int64]:
    """Split times into periods of the length PERIOD, from the first time on. Periods that contain no time are left out.

    A last period that is shorter than half of PERIOD is joined with the period before it.

    Args:
        at: int64[n], times in microseconds since 1970 UTC, in any order.

    Returns:
        Three arrays: int32[n], the period of each time, counted from 0; and int64[p] twice, the starts and the ends of
            the p periods.
    """
    if not len(at):
        none = np.zeros(0, dtype=np.int64)
        return none.astype(np.int32), none, none
    first, last = int(at.min()), int(at.max()) + 1
    count = max(int((last - first) / PERIOD + 1 - _SHORTEST), 1)
    period, present = new_large((len(at),), np.int32), np.zeros(count, dtype=np.bool_)
    for piece in pieces(len(at)):
        period[piece] = np.minimum((at[piece] - first) // PERIOD, count - 1)
        present[period[piece]] = True
    used, place = np.flatnonzero(present), (np.cumsum(present) - 1).astype(np.int32)
    for piece in pieces(len(at)):
        period[piece] = place[period[piece]]
    return period, first + used * PERIOD, np.where(used == count - 1, last, first + (used + 1) * PERIOD)
