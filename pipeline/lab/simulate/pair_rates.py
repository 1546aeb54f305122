"""Estimates how often pairs of models meet on the real board, and how their battles end, from the shipped pair counts.

Source: pipeline/data/NOTICE.md (1,670,250 votes on 129 models; 34.5% of the votes are ties of either kind). The rates
of a pair with few battles are uncertain, so `SMOOTHING` artificial battles are added to each pair. Their win rate is
that of the Bradley-Terry fit to decisive votes, and their tie rate is that of all votes.

Blind spot: the file lists the models of a pair in alphabetical order, so a preference for the left side is not known.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from pipeline.errors import Usage
from pipeline.ratings import PairCounts, fit_decisive
from pipeline.vocabulary.arrays import Float64, Int64

# With 100, a pair with 100 battles has noise of .1 logit, far below an honest voter's taste, and a pair with
# thousands of battles keeps its own rate.
SMOOTHING = 100.0

_FILE = "chatbot_arena_20240814_pair_counts.csv"
_OUTCOME_COLUMNS = ("win_a", "win_b", "tie", "tie_bothbad")


@dataclass(frozen=True, slots=True, eq=False)
class PairRates:
    """How often each of P pairs of models meets on the real board, and how often each side wins.

    Attributes:
        models: names of the K models, sorted.
        theta: float64[K], Bradley-Terry strengths from decisive votes in logits, with mean zero.
        a: int64[P], code of the first model of each pair.
        b: int64[P], code of the second model of each pair.
        share: float64[P], the pair's share of all battles; the sum is 1.
        wins: float64[P], P(a wins | there is a winner).
        ties: float64[P], P(there is no winner).
        bad: float64[P], P(both bad | there is no winner).
    """

    models: tuple[str, ...]
    theta: Float64
    a: Int64
    b: Int64
    share: Float64
    wins: Float64
    ties: Float64
    bad: Float64

    def pairs_of(self, model: int) -> Int64:
        """Return the positions of the pairs that include a model, int64[n], ascending. `model` is its code."""
        return np.flatnonzero((self.a == model) | (self.b == model))


@lru_cache(maxsize=1)
def real_counts() -> PairCounts:
    """Return the counts of votes by pair and outcome that the package contains. The models are sorted by name."""
    text = files("pipeline").joinpath("data", _FILE).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    models = sorted({row[side] for row in rows for side in ("model_a", "model_b")})
    code = {name: i for i, name in enumerate(models)}
    table = np.array([[int(row[name]) for name in _OUTCOME_COLUMNS] for row in rows], dtype=np.int64)
    first, second = ([code[row[side]] for row in rows] for side in ("model_a", "model_b"))
    return PairCounts.from_rows(models, first, second, table)


@lru_cache(maxsize=8)
def real_pair_rates(models: int | None = None) -> PairRates:
    """Estimate how often the models of each pair meet, and how their battles end.

    Args:
        models: number of models to take, those with the most battles first. None takes all models.

    Raises:
        Usage: `models` is below 2 or above the number of models in the counts.
    """
    counts = real_counts()
    known = len(counts.models)
    size = known if models is None else models
    if not 2 <= size <= known:
        raise Usage(f"expected models between 2 and {known}, got {models}")
    busiest = np.argsort(-counts.battles_per_model(), kind="stable")[:size]
    return _estimate(counts.subset(busiest))


def averaged_logit(probability: Float64, sd: float) -> Float64:
    """Return the logits for which voters with different tastes have the given average rates.

    The logit l for an average rate p solves E σ(l + sd·z) = p, where z is standard normal and σ the logistic function.
    With logit(p) instead of l, tastes would move the average rate towards one half.

    Args:
        probability: float64 of any shape, average rates p. The result has the same shape.
        sd: standard deviation of the voters' tastes for the pair, in logits.
    """
    if sd == 0:
        return np.asarray(logit(probability), dtype=np.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    # ±20 logits lie beyond any smoothed rate; .01 apart, linear interpolation errs by less than 1e-5.
    grid = np.linspace(-20, 20, 4001)
    average = expit(grid[:, None] + sd * nodes) @ (weights / weights.sum())
    return np.interp(probability, average, grid)


def _estimate(counts: PairCounts) -> PairRates:
    theta = fit_decisive(counts).theta
    battles = counts.table().sum(axis=1)
    decided, none = counts.wins_a + counts.wins_b, counts.ties + counts.both_bad
    return PairRates(
        models=counts.models,
        theta=theta,
        a=counts.a.astype(np.int64),
        b=counts.b.astype(np.int64),
        share=battles / battles.sum(),
        wins=_smoothed(counts.wins_a, decided, expit(theta[counts.a] - theta[counts.b])),
        ties=_smoothed(none, battles, none.sum() / battles.sum()),
        bad=_smoothed(counts.both_bad, none, counts.both_bad.sum() / none.sum()),
    )


def _smoothed(part: Int64, whole: Int64, prior: npt.ArrayLike) -> Float64:
    return (part + SMOOTHING * np.asarray(prior)) / (whole + SMOOTHING)
