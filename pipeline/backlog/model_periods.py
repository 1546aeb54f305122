"""Compares the results of each model in each period of four weeks with its results in all other periods.

If a model wins more than in the other periods, an attack promoted the model, or the model itself was changed. This test
cannot distinguish the two. It is the only test that finds attacks by accounts with one vote each. The votes of a period
are evaluated by a reference that was fitted on the votes of all other periods. Only the first CAP votes of a voter on a
model in a period count, and the taste of the voters is integrated out.
"""

from __future__ import annotations

import math
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
from pipeline.vocabulary.large_arrays import new_large, pieces
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
        votes, cells = self.evaluator.votes, self.evaluator.cells
        i, j = model_positions(votes, cells, rows, reference)
        rated = (i >= 0) & (j >= 0)
        i, j, rows = i[rated], j[rated], rows[rated]
        if not len(rows):
            return np.full((votes.models, 2), -np.inf), np.zeros(votes.models, dtype=np.int64)
        cell = cells.cell[rows]
        first = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
        lengths = np.diff(np.append(first, len(cell))).astype(np.int64)
        kept = np.arange(len(cell)) - np.repeat(first, lengths) < CAP
        i, j, rows = i[kept], j[kept], rows[kept]
        lengths = np.minimum(lengths, CAP).astype(np.int64)
        first = np.cumsum(lengths) - lengths
        won = (votes.outcome[cells.vote[rows]] == 0) == cells.is_a[rows]
        model = cells.model[cells.cell[rows[first]]].astype(np.int64)
        logs = np.empty((votes.models, 2))
        for side, (hit, high) in enumerate(((won, reference.high_chances[i, j]), (~won, reference.high_chances[j, i]))):
            mean = np.add.reduceat(high * CHANCE_UNIT, first) / lengths
            hits = np.add.reduceat(hit.astype(np.int64), first).astype(np.int64)
            logs[:, side] = self._products(hits, lengths, mean, model, reference.taste.sd)
        return logs + np.log([0.5, 0.5]), np.bincount(model, minlength=votes.models)

    def _products(self, hits: Int64, lengths: Int64, mean: Float64, model: Int64, taste: float) -> Float64:
        """Return ln of the evidence about each model in one period, float64[M].

        The evidence is the mean over ε and δ of Π (1 − ε + ε E), a product over the period's cells. E is the likelihood
        ratio of a cell for the size δ of the bias, and ε is the share of biased voters.

        Args:
            hits: int64[c], the number of wins in each cell, which has the votes of one voter on one model.
            lengths: int64[c], the number of decisive votes in each cell.
            mean: float64[c], the mean chance of a win in each cell.
            model: int64[c], the model of each cell.
            taste: the standard deviation of honest tastes, in logits.
        """
        level = np.ceil(mean * _LEVELS).astype(np.int64).clip(1, _LEVELS - 1)
        p = expit(logit(np.arange(1, _LEVELS) / _LEVELS) + RAISED)
        chances, table = chances_by_taste(p, taste), np.empty((CAP + 1, CAP + 1, _LEVELS - 1, len(DELTAS)))
        for n in range(CAP + 1):
            for k in range(CAP + 1):
                table[n, k] = win_ratios(np.full(len(p), float(k)), np.full(len(p), float(n)), chances)
        gain = np.expm1(table[lengths, hits, level - 1])
        models = self.evaluator.votes.models
        logs = np.full(models, -np.inf)
        for column, weight in enumerate(_SIZE_WEIGHTS):
            for share in SHARES:
                one = np.bincount(model, np.log1p(share * gain[:, column]), models)
                logs = np.logaddexp(logs, one + math.log(weight / len(SHARES)))
        return logs


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
