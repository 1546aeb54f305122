"""Fits ratings together with the effect of one covariate of a vote, such as which model was shown first.

Model: logit P(a beats b) = θ_a − θ_b + φ x, where x is the covariate of the vote. If a and b are swapped, x changes its
sign. A tie is half a win for each side. The fit needs only counts: the number of votes for each pair of models, outcome
and value of x. If x is 1 when a is shown first, and −1 when b is, φ is the home advantage of Agresti 2013 (Categorical
Data Analysis, 3rd edition, section 11.6.2).

The covariance is the sandwich H⁺ B H⁺ over votes, or over clusters of votes (`clustered_sandwich`).

Not handled: covariates with many values (`style_control`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from ..errors import Collinear, NotConverged, Separated
from ..vocabulary.arrays import Float64, Int32, Int64
from ..vocabulary.large_arrays import new_large, pieces
from .clustered_sandwich import clustered_scatter, voter_clusters
from .pair_parameter import ParameterFit, RowTerms, maximise_with_parameter
from .residuals import OUTCOME_SCORES

# A coefficient beyond this many logits per unit says that the covariate predicts every vote.
_LARGEST = 15.0
# Votes counted at a time.
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class CovariateFit:
    """Ratings of K models, and the effect of a covariate.

    Attributes:
        theta: float64[K], strengths in logits without the effect of the covariate; their mean is zero.
        effect: φ, in logits for each unit of the covariate.
        covariance: float64[K + 1, K + 1], covariance of (θ, φ).
    """

    theta: Float64
    effect: float
    covariance: Float64

    @property
    def effect_se(self) -> float:
        """The standard error of the effect, in logits for each unit of the covariate."""
        return float(np.sqrt(max(self.covariance[-1, -1], 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class CovariateCells:
    """The votes that a fit with a covariate needs, counted by cell.

    There are C cells. The votes of a cell have the same models, outcome and covariate.

    Attributes:
        a, b: int32[C], codes of the models.
        score: float64[C], 1 if a won, 0 if b won, ½ otherwise.
        value: float64[C], the covariate.
        votes: float64[C], number of votes.
    """

    a: Int32
    b: Int32
    score: Float64
    value: Float64
    votes: Float64


def covariate_cells(size: int, a: Int32, b: Int32, outcome: Int32, level: Int64, values: Float64) -> CovariateCells:
    """Count N votes by models, outcome and covariate.

    Args:
        size: K, the number of models.
        a, b: int32[N], codes of the models.
        outcome: int32[N], codes of the outcomes.
        level: int64[N], position of the covariate of each vote in `values`.
        values: float64[V], the values that the covariate takes.
    """
    counted = []
    for start in range(0, max(len(a), 1), _PIECE):
        piece = slice(start, start + _PIECE)
        pair = a[piece].astype(np.int64) * size + b[piece]
        scored = pair * 3 + np.minimum(outcome[piece], 2)
        counted.append(np.unique(scored * len(values) + level[piece], return_counts=True))
    keys, count = (np.concatenate(column) for column in zip(*counted, strict=True))
    cells, place = np.unique(keys, return_inverse=True)
    votes = np.bincount(place.ravel(), count, len(cells))
    rest, at = np.divmod(cells, len(values))
    pair, result = np.divmod(rest, 3)
    first, second = np.divmod(pair, size)
    return CovariateCells(
        first.astype(np.int32), second.astype(np.int32), OUTCOME_SCORES[result], values[at], votes.astype(np.float64)
    )


def fit_covariate(cells: CovariateCells, start: Float64, name: str) -> ParameterFit:
    """Fit ratings and the effect of a covariate by maximum likelihood.

    Args:
        cells: the votes. Their win digraph must be strongly connected.
        start: float64[K], strengths to start from.
        name: name of the covariate, for error messages.

    Raises:
        Collinear: the covariate does not vary within pairs of models, or the models determine it.
        Separated: the covariate predicts every vote.
        NotConverged: the fit does not converge.
    """
    x, votes = cells.value, cells.votes

    def terms(d: Float64, phi: float) -> RowTerms:
        eta = d + phi * x
        p = expit(eta)
        residual, curve = votes * (cells.score - p), votes * p * (1 - p)
        value = votes @ (cells.score * log_expit(eta) + (1 - cells.score) * log_expit(-eta))
        return RowTerms(float(value), residual, residual * x, curve, curve * x, curve * x * x)

    try:
        fitted = maximise_with_parameter(cells.a, cells.b, len(start), terms, (start, 0.0))
    except NotConverged as error:
        raise Collinear(f"expected a covariate that varies within pairs of models, got {name}", name) from error
    if abs(fitted.phi) > _LARGEST:
        raise Separated(f"expected a covariate that does not predict every vote, got {name}", name)
    information = fitted.hessian[-1, -1]
    if information <= 0 or 1 / fitted.covariance()[-1, -1] < 1e-9 * information:
        raise Collinear(f"expected a covariate that the models do not determine, got {name}", name)
    return fitted


# Many parameters: the columns of the votes, for the clusters.
def rate_with_covariate(
    size: int,
    columns: tuple[Int32, Int32, Int32],
    level: Int64,
    values: Float64,
    start: Float64,
    *,
    name: str,
    voter: Int64 | None = None,
) -> CovariateFit:
    """Fit ratings and the effect of a covariate, with a covariance clustered by voter.

    Args:
        size: K, the number of models.
        columns: a, b, outcome: int32[N] each, codes of the models and of the outcome.
        level: int64[N], position of the covariate of each vote in `values`.
        values: float64[V], the values that the covariate takes.
        start: float64[K], strengths to start from.
        name: name of the covariate, for error messages.
        voter: int64[N], equal for votes of one voter; −1 for an unknown voter. None: each vote is a cluster.

    Raises:
        Collinear, Separated, NotConverged: there is no finite estimate (`fit_covariate`).
    """
    cells = covariate_cells(size, *columns, level, values)
    fitted = fit_covariate(cells, start, name)
    if voter is None:
        scored = cells.score - expit(fitted.theta[cells.a] - fitted.theta[cells.b] + fitted.phi * cells.value)
        scatter = _cell_scatter(cells, scored, size)
    else:
        a, b, outcome = columns
        x, scored = new_large((len(a),), np.float64), new_large((len(a),), np.float64)
        for piece in pieces(len(a)):
            x[piece] = values[level[piece]]
            eta = fitted.theta[a[piece]] - fitted.theta[b[piece]] + fitted.phi * x[piece]
            scored[piece] = OUTCOME_SCORES[outcome[piece]] - expit(eta)
        scatter = clustered_scatter(a, b, scored, voter_clusters(voter)[0], size, x[:, None])
    return CovariateFit(fitted.theta, fitted.phi, fitted.covariance(scatter))


def _cell_scatter(cells: CovariateCells, residual: Float64, size: int) -> Float64:
    """Return Σ s sᵀ over single votes, float64[K + 1, K + 1], where s is the score vector of a vote."""
    square = cells.votes * residual**2
    edges = np.bincount(cells.a.astype(np.int64) * size + cells.b, square, size * size).reshape(size, size)
    edges = edges + edges.T
    crossed = square * cells.value
    cross = np.bincount(cells.a, crossed, size) - np.bincount(cells.b, crossed, size)
    models = np.diag(edges.sum(axis=1)) - edges
    corner = np.array([[float((crossed * cells.value).sum())]])
    return np.block([[models, cross[:, None]], [cross[None, :], corner]])
