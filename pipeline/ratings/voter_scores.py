"""Computes the scores of voters and sums of their powers. A score is what a voter's votes add to the gradient of a fit.

The score of a voter v is s_v = Σ (y − p)(e_a − e_b) over the voter's votes. Here y − p is the residual of a vote, and
e_a is the unit vector of model a. B = Σ s_v s_vᵀ is the middle of the covariance clustered by voter
(`clustered_sandwich`). `effective` is the number of voters on which a model's variance depends: ν = 3 (Σ s²)² / Σ s⁴,
the degrees of freedom of Σ s² for normal scores of different sizes (Satterthwaite 1946, Biometrics Bulletin 2). A few
voters with many votes make ν small. The interval of a rating is ± t_ν √(1 + 1/ν) · SE. On simulated boards with
power-law voters 94 to 96% of these intervals contain the true rating, and 92.5 to 95% of the intervals without ν.

B can be updated without reading voters if a few votes are added (`carry_on`). Let V be the same sum with every vote as
a cluster. The update assumes that B − V grows in proportion to the number of votes. After 5% more votes, the standard
errors from the updated B are within a few per cent of those from a new B.

Each vote without a voter (0) is a cluster of its own. If no vote has a voter, B is the sum over single votes.

Blind spot: one person with many pseudonyms counts as many voters.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import BadCounts
from ..vocabulary.arrays import Float64
from .bradley_terry import Fit, score_variance
from .newton import laplacian
from .pair_counts import PairCounts


@dataclass(frozen=True, slots=True, eq=False)
class VoterScores:
    """Sums over the scores of voters. The score s of a voter is what the voter's votes add to the gradient of a fit.

    Attributes:
        models: names of the K models.
        scatter: float64[K, K], B = Σ s sᵀ, symmetric, rows sum to zero, in votes².
        fourth: float64[K], Σ s⁴ of each model, in votes⁴.
    """

    models: tuple[str, ...]
    scatter: Float64
    fourth: Float64

    def in_order(self, models: tuple[str, ...]) -> "VoterScores":
        """Return the sums with the models in another order.

        Raises:
            BadCounts: `models` are not the models of the sums.
        """
        place = {name: at for at, name in enumerate(self.models)}
        if place.keys() != set(models) or len(models) != len(place):
            raise BadCounts(f"expected the sums of the {len(models)} rated models, got {len(self.models)} models")
        rows = np.array([place[name] for name in models], dtype=np.int64)
        return VoterScores(models, self.scatter[np.ix_(rows, rows)], self.fourth[rows])

    @property
    def effective(self) -> Float64:
        """The degrees of freedom ν of each model's variance, float64[K]; at least 1."""
        square = np.maximum(np.diag(self.scatter), 0.0) ** 2
        ratio = np.divide(3 * square, self.fourth, out=np.ones(len(square)), where=self.fourth > 0)
        return np.asarray(np.maximum(ratio, 1.0))


def carry_on(scores: VoterScores, before: Float64, fitted: Fit, counts: PairCounts, growth: float) -> VoterScores:
    """Approximate the sums of scores for a log that has grown a little, without reading the voters of the new votes.

    The new `scatter` is V' + growth · (B − V). B is the old `scatter`. V is the scatter of the smaller log if every
    vote is a cluster of its own, and V' that of the larger log. The new `fourth` is growth · the old `fourth`.

    Args:
        scores: the sums over the voters of the smaller log (`voter_score_sums`).
        before: float64[K, K], V: the result of `vote_scatter` for the smaller log.
        fitted: the fit of the larger log. It has the K models of `scores`, in the same order.
        counts: the votes of the larger log, counted by pair of models.
        growth: number of votes of the larger log, divided by the number of votes of the smaller log.

    Raises:
        BadCounts: `fitted` and `counts` have different numbers of models.
    """
    scatter = vote_scatter(fitted, counts) + growth * (scores.scatter - before)
    return VoterScores(scores.models, scatter, growth * scores.fourth)


def vote_scatter(fitted: Fit, counts: PairCounts) -> Float64:
    """Return float64[K, K], the sum of s sᵀ over single votes.

    s = (y − p)(e_a − e_b) is the score of one vote, with its residual y − p and the unit vector e_a of model a.

    Args:
        fitted: the fit of these votes.
        counts: the votes.

    Raises:
        BadCounts: the fit and the counts have different numbers of models.
    """
    if len(fitted.theta) != len(counts.models):
        raise BadCounts(f"expected a fit of {len(counts.models)} models, got {len(fitted.theta)}")
    return laplacian(score_variance(counts.decisive_matrix(), counts.tie_matrix(), fitted.theta))
