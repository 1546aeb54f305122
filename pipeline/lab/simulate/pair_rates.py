"""How often real pairs meet and how real battles end, from the shipped counts.

Source: pipeline/data/NOTICE.md (1,670,250 votes, 129 models, 34.5% of them ties of either kind).
A pair with few battles has a noisy rate, so each rate is drawn towards a model of all pairs by `SMOOTHING`
pseudo-battles: win rates towards Bradley-Terry on decisive votes, tie rates towards the overall share.

Blind spot: a and b of the file are in alphabetical order, so no preference for a side is in it, nor in us.
"""

from __future__ import annotations

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

# At 100 a pair with 100 battles keeps noise of .1 logit, well inside an honest voter's taste, and a pair with
# thousands keeps what is real about it.
SMOOTHING = 100.0

_FILE = "chatbot_arena_20240814_pair_counts.csv"
_OUTCOME_COLUMNS = ("win_a", "win_b", "tie", "tie_bothbad")


@dataclass(frozen=True, slots=True, eq=False)
class PairRates:
    """What the real votes say of each pair that met.

    Attributes:
        models: the K names, sorted.
        theta: float64[K], Bradley-Terry strengths on decisive votes, logits, mean zero.
        a: int64[P], the first model of each pair.
        b: int64[P], the second.
        share: float64[P], how often the pair meets, sums to 1.
        wins: float64[P], P(a wins | somebody wins).
        ties: float64[P], P(nobody wins).
        bad: float64[P], P(both bad | nobody wins).
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
        """Return the pairs that hold a model."""
        return np.flatnonzero((self.a == model) | (self.b == model))


@lru_cache(maxsize=1)
def real_counts() -> PairCounts:
    """Read the shipped pair counts, over the sorted names of all models."""
    text = files("pipeline").joinpath("data", _FILE).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    models = sorted({row[side] for row in rows for side in ("model_a", "model_b")})
    code = {name: i for i, name in enumerate(models)}
    table = np.array([[int(row[name]) for name in _OUTCOME_COLUMNS] for row in rows], dtype=np.int64)
    first, second = ([code[row[side]] for row in rows] for side in ("model_a", "model_b"))
    return PairCounts.from_rows(models, first, second, table)


@lru_cache(maxsize=8)
def real_pair_rates(models: int | None = None) -> PairRates:
    """Estimate every pair's rates among the `models` with most battles (None: all).

    Raises:
        Usage: a number of models that the counts do not have.
    """
    counts = real_counts()
    known = len(counts.models)
    size = known if models is None else models
    if not 2 <= size <= known:
        raise Usage(f"expected models between 2 and {known}, got {models}")
    busiest = np.argsort(-counts.battles_per_model(), kind="stable")[:size]
    return _estimate(counts.subset(busiest))


def averaged_logit(probability: Float64, sd: float) -> Float64:
    """Find l with E σ(l + sd·z) = p for standard normal z.

    Tastes pull the average rate towards one half. Starting from l instead of logit p, the votes of all
    voters together have the real rate p.
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
        wins=_towards(counts.wins_a, decided, expit(theta[counts.a] - theta[counts.b])),
        ties=_towards(none, battles, none.sum() / battles.sum()),
        bad=_towards(counts.both_bad, none, counts.both_bad.sum() / none.sum()),
    )


def _towards(part: Int64, whole: Int64, prior: npt.ArrayLike) -> Float64:
    return (part + SMOOTHING * np.asarray(prior)) / (whole + SMOOTHING)
