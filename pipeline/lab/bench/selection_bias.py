"""Measures how well `ratings.winners_curse` corrects the winner's curse: bias and RMSE of its estimates.

A provider tests N variants that are all equally good (τ = 0) and releases the one that scores best.

    simulate_scores   draws scores as normals with standard error s, which is exact and fast enough for many rounds
    simulate_votes    draws every vote of N variants against the models of a board. The board is fitted in each round,
                      and s comes from the fit, so the estimators get the same input as on a real board

The error of an estimate is the estimate minus the true quality, in points. For N = 27 (disclosed), s = 6.3 and τ = 0,
the targets are a bias of at most 0.5 and an RMSE of at most 3.5. For comparison, a score without selection has bias 0
and RMSE 6.3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.ratings import PairCounts, fit
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.ratings.winners_curse import debias_known_n, debiased_se, shrink_to_family_mean, without_votes_before
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.z_values import Z_95

N, SE, TAU = 27, 6.3, 0.0
MOST_BIAS, MOST_RMSE = 0.5, 3.5
# The other models, their spread in logits, and the votes of each pair of them.
_MODELS, _SPREAD, _BASE = 20, 0.4, 400
_TIES = 0.345
# Votes of a variant that give s = 6.3 on that board.
_VOTES = 2_060


@dataclass(frozen=True, slots=True)
class EstimatorError:
    """The errors of one estimator of the selected variant's quality.

    Attributes:
        name: name of the estimator.
        bias: mean error, in points.
        rmse: root mean square error, in points.
        coverage: share of its 95% intervals that contain the true quality; None if it has no intervals.
    """

    name: str
    bias: float
    rmse: float
    coverage: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether bias and RMSE meet their targets; None for an estimator without targets."""
        return abs(self.bias) <= MOST_BIAS and self.rmse <= MOST_RMSE if self.name == DISCLOSED else None


NAIVE, DISCLOSED, SHRUNK, FRESH = "as scored", "N disclosed", "all N scores known", "fresh votes alone"


@dataclass(frozen=True, slots=True)
class SelectionSimulation:
    """The results of one simulation.

    Attributes:
        what: a text that says whether scores were drawn as normals or computed from simulated votes.
        rounds: number of rounds.
        se: mean standard error of the scores, in points.
        estimators: the errors of each estimator.
    """

    what: str
    rounds: int
    se: float
    estimators: tuple[EstimatorError, ...]


def simulate_scores(
    rounds: int = 100_000, n: int = N, se: float = SE, tau: float = TAU, seed: int = 0
) -> SelectionSimulation:
    """Simulate families of variants whose scores are normal. The best score of each family is selected.

    Args:
        rounds: number of families.
        n: number of variants in a family.
        se: standard error of a score, in points.
        tau: standard deviation of the true qualities, in points.
        seed: seed of the simulation.

    Returns:
        The errors of each estimator of the selected variant's quality.
    """
    rng = np.random.default_rng(seed)
    true = tau * rng.standard_normal((rounds, n))
    seen = true + se * rng.standard_normal((rounds, n))
    rows, best = np.arange(rounds), seen.argmax(axis=1)
    chosen, score = true[rows, best], seen[rows, best]
    correction = debias_known_n(0.0, n, se, tau)
    drawn = [shrink_to_family_mean(row, np.full(n, se)) for row in seen[: min(rounds, 5_000)]]
    shrunk = np.array([one.scores[k] for one, k in zip(drawn, best, strict=False)])
    spread = np.array([one.se[k] for one, k in zip(drawn, best, strict=False)])
    fresh = chosen + se * rng.standard_normal(rounds)
    return SelectionSimulation(
        "scores drawn as normals", rounds, se,
        (
            _estimator(NAIVE, score - chosen, np.full(rounds, se)),
            _estimator(DISCLOSED, score + correction - chosen, np.full(rounds, debiased_se(n, se, tau))),
            _estimator(SHRUNK, shrunk - chosen[: len(shrunk)], spread),
            _estimator(FRESH, fresh - chosen, np.full(rounds, se)),
        ),
    )  # fmt: skip


def simulate_votes(
    rounds: int = 300, n: int = N, seed: int = 0, step: Callable[[], None] | None = None
) -> SelectionSimulation:
    """Simulate every vote on a family of equally good variants, on a board of twenty models.

    The best score is selected.

    Args:
        rounds: number of boards.
        n: number of variants in the family.
        seed: seed of the simulation.
        step: called without arguments after each board, to show progress.

    Returns:
        The errors of each estimator of the selected variant's quality.
    """
    rng = np.random.default_rng(seed)
    theta = np.concatenate([_SPREAD * np.linspace(-1, 1, _MODELS), np.zeros(n)])
    truth = (theta - theta.mean()) * POINTS_PER_LOGIT
    errors: list[list[float]] = []
    spreads: list[list[float]] = []
    for _ in range(rounds):
        before = _board(rng, theta, _base(n))
        fitted = fit(before)
        score = fitted.theta * POINTS_PER_LOGIT
        se = np.sqrt(np.diag(fitted.covariance)) * POINTS_PER_LOGIT
        k = _MODELS + int(score[_MODELS:].argmax())
        family = shrink_to_family_mean(score[_MODELS:], se[_MODELS:])
        alone, fresh_se = _fresh(rng, theta, before, k)
        found = (score[k], debias_known_n(score[k], n, se[k]), family.scores[k - _MODELS], alone)
        errors.append([float(value - truth[k]) for value in found])
        spreads.append([float(se[k]), debiased_se(n, float(se[k])), float(family.se[k - _MODELS]), fresh_se])
        if step is not None:
            step()
    off, sd = np.array(errors), np.array(spreads)
    named = zip((NAIVE, DISCLOSED, SHRUNK, FRESH), off.T, sd.T, strict=True)
    return SelectionSimulation(
        f"votes drawn, {n} variants on a board of {_MODELS} models", rounds, float(sd[:, 0].mean()),
        tuple(_estimator(name, error, spread) for name, error, spread in named),
    )  # fmt: skip


def _estimator(name: str, error: Float64, se: Float64) -> EstimatorError:
    held = np.abs(error) <= Z_95 * se
    return EstimatorError(name, float(error.mean()), float(np.sqrt((error**2).mean())), float(held.mean()))


def _base(n: int) -> Int64:
    """Return int64[K, K], the number of simulated votes of each pair. The last `n` of the K models are variants.

    Each pair is counted once, above the diagonal.
    """
    k = _MODELS + n
    votes = np.zeros((k, k), dtype=np.int64)
    votes[:_MODELS, :_MODELS] = _BASE
    votes[:_MODELS, _MODELS:] = _VOTES // _MODELS
    return np.triu(votes, 1)


def _board(rng: np.random.Generator, theta: Float64, votes: Int64) -> PairCounts:
    a, b = np.nonzero(votes)
    p = 1 / (1 + np.exp(theta[b] - theta[a]))
    tie = 2 * _TIES * np.minimum(p, 1 - p)
    drawn = rng.multinomial(votes[a, b], np.stack([p - tie / 2, 1 - p - tie / 2, tie], axis=1))
    names = tuple(f"m{i:03}" for i in range(len(theta)))
    return PairCounts.from_rows(names, a, b, np.c_[drawn, np.zeros(len(a), dtype=np.int64)])


def _fresh(rng: np.random.Generator, theta: Float64, before: PairCounts, k: int) -> tuple[float, float]:
    """Return the score and standard error, in points, of variant k from new votes alone.

    As many new votes are simulated as the variant had before its selection. Its earlier votes (`before`) do not count.
    """
    votes = np.zeros((len(theta), len(theta)), dtype=np.int64)
    votes[:_MODELS, k] = _VOTES // _MODELS
    after = _board(rng, theta, votes)
    whole = PairCounts.from_rows(
        before.models, np.concatenate([before.a, after.a]), np.concatenate([before.b, after.b]),
        np.concatenate([before.table(), after.table()]),
    )  # fmt: skip
    fitted = fit(without_votes_before(whole, before, before.models[k]))
    return float(fitted.theta[k]) * POINTS_PER_LOGIT, float(np.sqrt(fitted.covariance[k, k])) * POINTS_PER_LOGIT
