"""Measures whether confidence sequences of ratings contain the true ratings at every evaluation of growing boards.

The boards are simulated (`taste_boards`). Each is evaluated for the first time after 400 votes, when the standard error
of a rating is about 35 points, and then after each 20 further votes. The code calls an evaluation a look.

The covariances of the ratings are those of `ratings.voter_intervals`. They need the residual of each vote and the
effective number of voters. For speed, neither is computed anew at each evaluation. A residual is computed with the
ratings of the first evaluation that includes the vote. All residuals and the effective number of voters are computed
anew at five evaluations only: the first, and those after 1/16, 1/8, 1/4 and 1/2 of all evaluations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import stdtrit

from pipeline.lab.bench.taste_boards import TasteVotes, draw_votes, true_strengths
from pipeline.ratings.confidence_sequences import critical_values, pair_level
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.vocabulary.arrays import Bool, Float64, Int64
from pipeline.vocabulary.z_values import Z_95

LEAST_COVERAGE, ALPHA = 0.95, 0.05
_MODELS, _STEP, _FIRST = 8, 20, 20
# Standard errors of the table of critical values, in points.
_TABLE = np.geomspace(0.01, 1_000.0, 4_000)
# Score of model a by outcome.
_SCORES = np.array([1.0, 0.0, 0.5])


@dataclass(frozen=True, slots=True)
class SequenceCoverage:
    """How often confidence sequences contained the true values at every evaluation of growing boards.

    All shares are from 0 to 1, over all simulated boards.

    Attributes:
        boards: number of boards.
        looks: number of evaluations of each board.
        taste: standard deviation of a voter's taste for a model, in logits.
        ratings: share of ratings whose confidence sequence contained the true rating at every evaluation.
        pairs: share of pairs of models with neighbouring true ratings whose confidence sequence contained the true
            difference at every evaluation.
        board: share of boards on which the confidence sequences of all ratings contained the true ratings at every
            evaluation.
        sure: share of boards on which the confidence sequences of differences never placed a weaker model above a
            stronger one.
        intervals: share of ratings whose clustered 95% interval contained the true rating at every evaluation.
        widths: mean width of a rating's confidence sequence divided by the width of its 95% interval, at the first,
            middle and last evaluation.
        errors: mean standard error of a rating, in points, at the first, middle and last evaluation.
    """

    boards: int
    looks: int
    taste: float
    ratings: float
    pairs: float
    board: float
    sure: float
    intervals: float
    widths: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether `ratings`, `pairs` and `sure` reach LEAST_COVERAGE."""
        return min(self.ratings, self.pairs, self.sure) >= LEAST_COVERAGE


def simulate_sequences(
    boards: int = 500, looks: int = 1_000, taste: float = 0.5, seed: int = 0, step: Callable[[], None] | None = None
) -> SequenceCoverage:
    """Simulate growing boards, and return how often confidence sequences contained the true values.

    Args:
        boards: number of boards.
        looks: number of evaluations of each board.
        taste: standard deviation of a voter's taste for a model, in logits.
        seed: seed of the simulation.
        step: called without arguments after each evaluation, to show progress.
    """
    rng = np.random.default_rng(seed)
    drawn = [draw_votes(rng, _MODELS, (looks + _FIRST - 1) * _STEP, taste) for _ in range(boards)]
    truth = true_strengths(_MODELS, taste) * POINTS_PER_LOGIT
    growing = _GrowingBoards(drawn)
    held = {name: np.ones((boards, _MODELS), dtype=np.bool_) for name in ("rating", "interval")}
    pairs, sure = np.ones((boards, _MODELS - 1), dtype=np.bool_), np.ones(boards, dtype=np.bool_)
    widths, errors = np.zeros(looks), np.zeros(looks)
    for look in range(looks):
        growing.extend(_STEP * _FIRST if look == 0 else _STEP)
        if look in (0, looks // 16, looks // 8, looks // 4, looks // 2):
            growing.sum_again()
        theta, se, pair_se = growing.estimates()
        off = np.abs(theta - truth)
        margin = _margin(se, ALPHA)
        held["rating"] &= off <= margin
        held["interval"] &= off <= Z_95 * se
        gap, next_se = theta[:, 1:] - theta[:, :-1], np.diagonal(pair_se, 1, 1, 2)
        pairs &= np.abs(gap - np.diff(truth)) <= _margin(next_se, ALPHA)
        sure &= _never_wrong(theta, pair_se)
        widths[look], errors[look] = (margin / (Z_95 * se)).mean(), se.mean()
        if step is not None:
            step()
    shown = [0, looks // 2, looks - 1]
    return SequenceCoverage(
        boards, looks, taste, float(held["rating"].mean()), float(pairs.mean()),
        float(held["rating"].all(axis=1).mean()), float(sure.mean()), float(held["interval"].mean()),
        tuple(widths[shown].tolist()), tuple(errors[shown].tolist()),
    )  # fmt: skip


def _never_wrong(theta: Float64, pair_se: Float64) -> Bool:
    """Return bool[boards], whether the confidence sequences rank no weaker model above a stronger one.

    Models are numbered by true strength, the weakest first.

    Args:
        theta: float64[boards, models], estimated strengths.
        pair_se: float64[boards, models, models], standard error of each difference.
    """
    ahead = theta[:, :, None] - theta[:, None, :]
    limit = _margin(pair_se, pair_level(_MODELS, ALPHA))
    wrong = np.triu(np.ones((_MODELS, _MODELS), dtype=np.bool_), 1) & (ahead > limit)
    return ~np.asarray(wrong.any(axis=(1, 2)))


def _margin(se: Float64, alpha: float) -> Float64:
    """Return half the width of the confidence sequence for each standard error in `se`, at the error rate `alpha`.

    The result has the shape of `se`. It is interpolated in a table of critical values.
    """
    return np.asarray(np.interp(np.log(np.maximum(se, _TABLE[0])), np.log(_TABLE), _critical(alpha)) * se)


@cache
def _critical(alpha: float) -> Float64:
    return critical_values(_TABLE, alpha)


class _GrowingBoards:
    """Simulated boards, to which votes are added step by step. The arrays have one row for each board."""

    def __init__(self, drawn: list[TasteVotes]) -> None:
        self._voter, self._a, self._b, self._outcome = (
            np.stack([getattr(one, name) for one in drawn]) for name in ("voter", "a", "b", "outcome")
        )
        size, k = len(drawn), _MODELS
        self._row = np.arange(size)
        self._scores = np.zeros((size, int(self._voter.max()) + 1, k), dtype=np.float32)
        self._scatter = np.zeros((size, k, k))
        self._wins, self._squares, self._votes = (np.zeros((size, k, k)) for _ in range(3))
        self._theta, self._widening = np.zeros((size, k)), np.ones((size, k))
        self._end = 0

    def extend(self, votes: int) -> None:
        """Add this number of votes to each board, and fit the boards again."""
        for at in range(self._end, self._end + votes):
            self._count(at)
        begun, self._end = self._end, self._end + votes
        self._fit()
        for at in range(begun, self._end):
            self._add_score(at)

    def _count(self, at: int) -> None:
        a, b, y = self._a[:, at], self._b[:, at], _SCORES[self._outcome[:, at]]
        for i, j, score in ((a, b, y), (b, a, 1 - y)):
            self._wins[self._row, i, j] += score
            self._squares[self._row, i, j] += score**2
            self._votes[self._row, i, j] += 1

    def _fit(self) -> None:
        for _ in range(4):
            p = 1 / (1 + np.exp(self._theta[:, None, :] - self._theta[:, :, None]))
            gradient = (self._wins - self._votes * p).sum(axis=2)
            move = np.linalg.solve(_laplacian(self._votes * p * (1 - p)) + 1.0, gradient[..., None])[..., 0]
            self._theta = self._theta + np.clip(move, -1, 1)
            if np.abs(move).max() < 1e-6:
                break
        self._theta -= self._theta.mean(axis=1, keepdims=True)

    def _add_score(self, at: int) -> None:
        row, voter, a, b = self._row, self._voter[:, at], self._a[:, at], self._b[:, at]
        residual = _SCORES[self._outcome[:, at]] - 1 / (1 + np.exp(self._theta[row, b] - self._theta[row, a]))
        before = self._scores[row, voter].astype(np.float64)
        after = before.copy()
        after[row, a] += residual
        after[row, b] -= residual
        self._scores[row, voter] = after
        self._scatter += after[:, :, None] * after[:, None, :] - before[:, :, None] * before[:, None, :]

    def sum_again(self) -> None:
        """Compute the scores of all voters with the present fit, and the effective number of voters."""
        self._scores[:] = 0
        for row in self._row.tolist():
            voter, a, b = (column[row, : self._end] for column in (self._voter, self._a, self._b))
            theta = self._theta[row]
            residual = _SCORES[self._outcome[row, : self._end]] - 1 / (1 + np.exp(theta[b] - theta[a]))
            np.add.at(self._scores[row], (voter, a), residual.astype(np.float32))
            np.add.at(self._scores[row], (voter, b), -residual.astype(np.float32))
            scores = self._scores[row].astype(np.float64)
            self._scatter[row] = scores.T @ scores
            nu = np.maximum(3 * (scores**2).sum(axis=0) ** 2 / np.maximum((scores**4).sum(axis=0), 1e-12), 1.0)
            self._widening[row] = np.sqrt(1 + 1 / nu) * stdtrit(nu, 1 - ALPHA / 2) / Z_95

    def estimates(self) -> tuple[Float64, Float64, Float64]:
        """Return the ratings and standard errors of all boards: three arrays, all in points.

        Returns:
            Ratings, float64[boards, K]; their standard errors, float64[boards, K]; standard errors of the differences
            of two ratings, float64[boards, K, K].
        """
        p = 1 / (1 + np.exp(self._theta[:, None, :] - self._theta[:, :, None]))
        inverse = np.linalg.inv(_laplacian(self._votes * p * (1 - p)) + 1.0)
        squares = np.where(self._votes > 0, self._squares - 2 * self._wins * p + self._votes * p**2, 0.0)
        plain = inverse @ _laplacian(squares) @ inverse
        clustered = inverse @ self._scatter @ inverse
        clustered *= self._widening[:, :, None] * self._widening[:, None, :]
        own = np.maximum(_diagonal(plain), _diagonal(clustered))
        between = np.maximum(*(_differences(V) for V in (plain, clustered)))
        se, pair_se = (POINTS_PER_LOGIT * np.sqrt(np.maximum(one, 0.0)) for one in (own, between))
        return self._theta * POINTS_PER_LOGIT, se, pair_se


def _laplacian(weights: Float64) -> Float64:
    """Return float64[boards, K, K], the Laplacian of each board, from its symmetric weights between models."""
    result = -weights
    at: Int64 = np.arange(_MODELS)
    result[:, at, at] = 0.0
    result[:, at, at] = -result.sum(axis=2)
    return np.asarray(result)


def _diagonal(V: Float64) -> Float64:
    return np.asarray(np.diagonal(V, axis1=1, axis2=2))


def _differences(V: Float64) -> Float64:
    own = _diagonal(V)
    return np.asarray(own[:, :, None] + own[:, None, :] - 2 * V)
