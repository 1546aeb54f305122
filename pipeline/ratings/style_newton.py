"""Maximises the likelihood of ratings and style coefficients by a Newton method.

A step that overshoots the maximum along its direction is halved. A fit is returned when both the step and the
gradient are within tolerance; otherwise an error is raised. A feature without a finite coefficient raises an error that
names the feature. Callers must pass checked votes with a strongly connected win digraph.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..errors import Collinear, NotConverged, Separated
from ..vocabulary.arrays import Float64
from .bradley_terry import Fit
from .intervals import standard_errors, wald_quantile
from .newton import laplacian
from .vote_rows import GramBlocks, LikelihoodSums, SummedVotes, required

# The least share of a feature's variance that models and other features must leave unexplained.
_LEAST_UNEXPLAINED = 1e-10
# Newton on real votes takes 3 to 5 passes; separated votes never converge, at one logit a pass.
_MAX_PASSES = 40
# Of the gradient at the end, per battle or vote.
_TOLERANCE = 1e-10
# Of the last step, in logits. With a reused factor a step leaves up to a tenth of its length as an error, so here at
# most 1e-9 points.
_SHORTEST_STEP = 3e-11


@dataclass(frozen=True, slots=True, eq=False)
class StyleFit:
    """A converged fit of ratings and of coefficients of style features.

    Attributes:
        ratings: the strengths θ, adjusted for style, and their covariance. `ratings.hessian` is the information about
            θ after the coefficients are maximised out (profile information).
        features: names of the F style features.
        coefficients: float64[F], logits per standard deviation of the feature.
        covariance: float64[F, F], sandwich covariance of the coefficients.
        scale: float64[F], the root mean square of each feature over the votes.
    """

    ratings: Fit
    features: tuple[str, ...]
    coefficients: Float64
    covariance: Float64
    scale: Float64

    def coefficient_intervals(self, level: float = 0.95) -> tuple[Float64, Float64]:
        """Return the lower and the upper bounds of the coefficients' Wald intervals, float64[F] each.

        Raises:
            BadCounts: `level` is not between 0 and 1.
        """
        margin = wald_quantile(level) * standard_errors(self.covariance)
        return self.coefficients - margin, self.coefficients + margin


ClusterScatter = Callable[[Float64, Float64], Float64]


class StyleNewton:
    """Maximises the likelihood over the strengths θ and the style coefficients γ, by Newton's method.

    The factorised information matrix is reused from the third step on, as long as each step is shorter than a tenth of
    the step before.

    Args:
        rows: the votes with their features, or sums over them.
        names: names of the F features, for messages.
        scale: float64[F], the root mean square of each feature over the votes.
        weight: float64[P], for each of the P pairs of models the weight of each of its votes.
        size: number of models.
    """

    def __init__(self, rows: SummedVotes, names: tuple[str, ...], scale: Float64, weight: Float64, size: int) -> None:
        self._rows, self._names, self._scale, self._weight = rows, names, scale, weight
        self._size = size
        each = rows.votes * weight
        battles = np.bincount(rows.low, each, size) + np.bincount(rows.high, each, size)
        # The tolerance on the gradient is per battle of a model and per vote for a feature.
        self._unit = np.concatenate([np.maximum(battles, 1.0), np.full(len(names), max(float(each.sum()), 1.0))])
        # The information of each feature alone, at the start.
        self._alone: Float64 | None = None

    def maximise(
        self, start: Fit, clusters: ClusterScatter | None = None, coefficients: Float64 | None = None
    ) -> StyleFit:
        """Maximise the likelihood, starting from a fit without style or from an earlier fit.

        The iteration ends with the first step that is within the tolerance. This step is also taken, so the result
        hardly depends on the start.

        Let m be the slope of the log-likelihood along a step, at the point where the step begins. The step is halved if
        the slope at the point where it ends is below −m/4. The log-likelihood is concave, so this rule is enough for
        convergence.

        Args:
            start: the fit without style, or strengths of an earlier fit.
            clusters: function of θ and γ that returns Σ s sᵀ over the clusters of votes, float64[K + F, K + F]. s is
                the sum of the score vectors of the votes of one cluster. The features are in their own units here, not
                divided by their scale. None if every vote is a cluster.
            coefficients: float64[F], coefficients to start from, in logits per standard deviation; None for 0.

        Raises:
            Collinear: the models or other features determine a feature.
            Separated: a feature has no finite coefficient.
            NotConverged: the fit does not converge.
        """
        at = np.concatenate([start.theta, np.zeros(len(self._names)) if coefficients is None else coefficients])
        step, slope, length = np.zeros_like(at), 0.0, np.inf
        factor: tuple[Float64, bool] | None = None
        gradient = step
        for passes in range(_MAX_PASSES):
            sums = self._sums_at(at, information=factor is None)
            gradient = self._gradient(sums)
            if gradient @ step < -0.25 * slope:
                step, slope = step / 2, slope / 2
                at = at - step
                continue
            if factor is None:
                factor = self._factor(required(sums.information), step)
            step, before = cho_solve(factor, gradient, check_finite=False), length
            slope, length = float(gradient @ step), float(np.abs(step).max())
            if length <= _SHORTEST_STEP and (np.abs(gradient) / self._unit).max() <= _TOLERANCE:
                return self._result(at + step, start.iterations + passes, gradient, step, clusters)
            if passes < 2 or length > 0.1 * before:
                factor = None
            at = at + step
        raise self._no_maximum(step, _MAX_PASSES, gradient)

    def _sums_at(self, at: Float64, *, information: bool = False, scatter: bool = False) -> LikelihoodSums:
        theta, gamma = at[: self._size], at[self._size :] / self._scale
        return self._rows.sums_at(theta, gamma, self._weight, information=information, scatter=scatter)

    def _gradient(self, sums: LikelihoodSums) -> Float64:
        models = np.bincount(self._rows.low, sums.pairs, self._size)
        models -= np.bincount(self._rows.high, sums.pairs, self._size)
        return np.concatenate([models, sums.features / self._scale])

    def _matrix(self, sums: GramBlocks) -> Float64:
        """Return float64[K + F, K + F], one matrix assembled from the blocks of a sum over votes.

        The first K rows and columns are the models, the last F the features. The entries of a feature are divided by
        the feature's scale.
        """
        size, low, high = self._size, self._rows.low, self._rows.high
        edges = np.zeros((size, size))
        edges[low, high] = edges[high, low] = sums.pairs
        result = np.empty((size + len(self._names),) * 2)
        result[:size, :size] = laplacian(edges)
        for place, of_pairs in enumerate(sums.cross):
            column = np.bincount(low, of_pairs, size) - np.bincount(high, of_pairs, size)
            result[:size, size + place] = result[size + place, :size] = column / self._scale[place]
        result[size:, size:] = sums.features / np.outer(self._scale, self._scale)
        return result

    def _factor(self, sums: GramBlocks, step: Float64) -> tuple[Float64, bool]:
        """Return the Cholesky factor of the information matrix, in the form of scipy's `cho_factor`.

        The likelihood does not change if all strengths are shifted by one number, so the information matrix is
        singular. Therefore a constant is added to each entry of the block of θ before the matrix is factored.

        Args:
            sums: the blocks of the information matrix.
            step: the last Newton step. An error names the feature with which this step separates the votes.

        Raises:
            Collinear: the models or other features determine a feature.
            Separated, NotConverged: the matrix is not positive definite even with the constant (`_no_maximum`).
        """
        matrix = self._matrix(sums)
        self._require_distinct(matrix, step)
        models = slice(0, self._size)
        matrix[models, models] += np.trace(matrix[models, models]) / self._size**2
        try:
            factor: tuple[Float64, bool] = cho_factor(matrix, check_finite=False)
        except LinAlgError:
            raise self._no_maximum(step, 0, np.zeros(len(matrix))) from None
        return factor

    def _require_distinct(self, matrix: Float64, step: Float64) -> None:
        """Raise `Collinear` for a feature that is a linear combination of the models and the earlier features."""
        size = self._size
        alone = np.diag(matrix)[size:].copy() if self._alone is None else self._alone
        left = _profile_information(matrix, size)
        for place, name in enumerate(self._names):
            if left is not None and left[place, place] > _LEAST_UNEXPLAINED * alone[place]:
                left = left - np.outer(left[place], left[place]) / left[place, place]
                continue
            if self._alone is not None:
                raise self._no_maximum(step, 0, np.zeros(len(matrix)))
            raise Collinear(
                f"expected a style feature with variation of its own, got {name}, which the models"
                f"{''.join(f', {other}' for other in self._names[:place])} already determine",
                name,
            )
        self._alone = alone

    def _result(
        self, at: Float64, iterations: int, gradient: Float64, step: Float64, clusters: ClusterScatter | None
    ) -> StyleFit:
        sums = self._sums_at(at, information=True, scatter=clusters is None)
        information = required(sums.information)
        size = self._size
        factor = self._factor(information, step)
        scatter = self._matrix(required(sums.scatter)) if clusters is None else self._clustered(clusters, at)
        half = cho_solve(factor, scatter, check_finite=False)
        full = cho_solve(factor, half.T, check_finite=False)
        V = (full + full.T) / 2
        H = self._matrix(information)
        profiled = H[:size, :size] - H[:size, size:] @ np.linalg.solve(H[size:, size:], H[size:, :size])
        theta = at[:size] - at[:size].mean()
        norm = float(np.abs(gradient).max())
        ratings = Fit(theta, V[:size, :size], (profiled + profiled.T) / 2, iterations, norm, converged=True)
        return StyleFit(ratings, self._names, at[size:], V[size:, size:], self._scale)

    def _clustered(self, clusters: ClusterScatter, at: Float64) -> Float64:
        scale = np.concatenate([np.ones(self._size), self._scale])
        result: Float64 = clusters(at[: self._size], at[self._size :] / self._scale) / np.outer(scale, scale)
        return result

    def _no_maximum(self, step: Float64, passes: int, gradient: Float64) -> Separated | NotConverged:
        """Return the error for a missing maximum: `Separated` with the separating feature, else `NotConverged`."""
        direction = step[self._size :]
        if direction.any() and self._rows.separated_along(step[: self._size], direction / self._scale):
            name = self._names[int(np.abs(direction).argmax())]
            sign = "more" if direction[np.abs(direction).argmax()] > 0 else "less"
            return Separated(
                f"expected a finite coefficient for each style feature, got none for {name}: the answer with {sign} "
                f"{name} never loses against it, so the likelihood has no maximum",
                name,
            )
        return NotConverged(passes, float(np.abs(gradient).max()))


def _profile_information(matrix: Float64, size: int) -> Float64 | None:
    """Return the information about the features after maximising over θ, float64[F, F].

    The result is None if the block of θ in `matrix` is singular.
    """
    L, C = matrix[:size, :size], matrix[:size, size:]
    try:
        factor = cho_factor(L + np.trace(L) / size**2, check_finite=False)
    except LinAlgError:
        return None
    result: Float64 = matrix[size:, size:] - C.T @ cho_solve(factor, C, check_finite=False)
    return result
