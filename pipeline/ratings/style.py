"""Style control: ratings as if all answers had the same style.

Model: logit P(a beats b) = θ_a − θ_b + Σ_f γ_f z_f / sd_f, z_f = (s_a − s_b) / (s_a + s_b + 1) for the counts s of a
style feature (tokens, headers, lists, bold, emoji), sd_f the root mean square of z_f over the fitted votes: γ_f is
what one standard deviation of the feature is worth, in logits. z is not centred: seen from the other side a vote
must say the same, and the mean of z is 0 but for chance where the sides of a battle are drawn.

Laws: the unpenalised maximum over all votes (a published ridge shrinks γ to nearly nothing, .0143 against .1615 for
length, and moves ratings by up to 35 points); an unconverged fit is never returned; a feature that the votes cannot
tell from the models or from other features, or that separates them, is an error that names it. Intervals come from
the same sandwich as without style, over (θ, γ).

Not handled: votes without style counts; the caller leaves them out and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import ndtri

from pipeline.errors import BadCounts, Collinear, NotConverged, Separated
from pipeline.ratings import checks
from pipeline.ratings.blas import one_thread
from pipeline.ratings.bradley_terry import Fit, fit, pair_weights
from pipeline.ratings.checks import Floats
from pipeline.ratings.counts import PairCounts
from pipeline.ratings.encode import OUTCOMES
from pipeline.ratings.newton import laplacian
from pipeline.ratings.rows import Pass, Rows, Sums, asked

STYLE_FEATURES = ("tokens", "headers", "lists", "bold", "emoji")

# Of a feature's variance, the part that neither models nor other features explain; below it, none does.
_DISTINCT = 1e-10
# Newton on real votes takes 3 to 5 passes; a separated fit goes on for ever at one logit a pass.
_PASSES = 40
_BLOCK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class StyleFit:
    """A converged fit with style control.

    Attributes:
        ratings: θ of the models with its covariance, the style taken out; `hessian` is the information about θ
            that remains when γ is unknown too.
        features: F names.
        coefficients: float64[F], logits for one standard deviation of the feature.
        covariance: float64[F, F], sandwich, of the coefficients.
        scale: float64[F], that standard deviation.
    """

    ratings: Fit
    features: tuple[str, ...]
    coefficients: Floats
    covariance: Floats
    scale: Floats

    def coefficient_intervals(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Two float64[F]: the bounds of each coefficient.

        Raises:
            BadCounts: `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise BadCounts(f"expected a level between 0 and 1, got {level}")
        reach = float(ndtri((1 + level) / 2)) * np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return self.coefficients - reach, self.coefficients + reach


def style_contrast(
    style_a: Sequence[npt.ArrayLike], style_b: Sequence[npt.ArrayLike], features: Sequence[str] = STYLE_FEATURES
) -> Floats:
    """Turn counts of both answers into z: float64[N, F] in [−1, 1].

    Args:
        style_a, style_b: F columns of N counts, of the answer of model a and of model b.
        features: F names.

    Raises:
        BadCounts: a count that is negative, NaN or infinite, or a column of another length; names the feature, the
            side and the row.
    """
    left, right = list(style_a), list(style_b)
    if not len(left) == len(right) == len(features):
        raise BadCounts(f"expected {len(features)} features, got {len(left)} for a and {len(right)} for b")
    columns = [
        (_count_column(x, name, "a"), _count_column(y, name, "b"))
        for x, y, name in zip(left, right, features, strict=True)
    ]
    size = len(columns[0][0]) if columns else 0
    for name, (x, y) in zip(features, columns, strict=True):
        if not len(x) == len(y) == size:
            raise BadCounts(f"expected {size} votes for {name}, got {len(x)} for a and {len(y)} for b")
    z = np.empty((size, len(columns)))
    for start in range(0, size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        for place, (x, y) in enumerate(columns):
            first, second = x[rows].astype(np.float64), y[rows].astype(np.float64)
            z[rows, place] = (first - second) / (first + second + 1.0)
    return z


@one_thread
def fit_style(
    models: Sequence[str],
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    outcome: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    features: Sequence[str],
    reweight: int | None = None,
    tolerance: float = 1e-10,
) -> StyleFit:
    """Fit ratings and style coefficients together.

    Args:
        models: K names.
        a, b, outcome: N codes, as `PairCounts.from_codes`.
        z: float64[N, F], what of each feature speaks for a (`style_contrast`).
        features: F names.
        reweight: as `fit`.
        tolerance: on the last step in logits, and on the gradient per vote.

    Raises:
        BadCounts: as `PairCounts.from_codes`; or z of a wrong shape, NaN or infinite, with feature and row.
        Disconnected: the votes allow no comparison.
        Collinear: a feature that models or other features explain.
        Separated: a feature that no finite coefficient is the best for.
        NotConverged: as `fit`.
    """
    counts = PairCounts.from_codes(models, a, b, outcome)
    names = tuple(features)
    given = _feature_matrix(z, names, counts.total)
    start = fit(counts, reweight=reweight)
    size = len(counts.models)
    left, right = checks.codes(a, "a", size), checks.codes(b, "b", size)
    rows = Rows(left, right, checks.codes(outcome, "outcome", len(OUTCOMES)), given, size)
    scale = np.sqrt(rows.second_moments())
    for name, sd in zip(names, scale.tolist(), strict=True):
        if sd == 0:
            raise Collinear(f"expected a style feature that varies, got {name}, which is 0 in every vote", name)
    weight = np.ones(len(rows.votes))
    if reweight is not None:
        weight = pair_weights(counts, reweight)[rows.low, rows.high]
        weight *= rows.votes.sum() / (rows.votes * weight).sum()
    return _Newton(rows, names, scale, weight, size, tolerance).maximise(start)


class _Newton:
    """Newton over (θ, γ); after two passes the information is kept while it still serves."""

    def __init__(
        self, rows: Rows, names: tuple[str, ...], scale: Floats, weight: Floats, size: int, tolerance: float
    ) -> None:
        self._rows, self._names, self._scale, self._weight = rows, names, scale, weight
        self._size, self._tolerance = size, tolerance
        each = rows.votes * weight
        battles = np.bincount(rows.low, each, size) + np.bincount(rows.high, each, size)
        # The gradient of a model is measured per battle, that of a feature per vote.
        self._unit = np.concatenate([np.maximum(battles, 1.0), np.full(len(names), max(float(each.sum()), 1.0))])
        # Σ w z² of each feature at the start: what its information is measured against.
        self._plain: Floats | None = None

    def maximise(self, start: Fit) -> StyleFit:
        """Climb until step and gradient are within tolerance.

        A step is taken whole unless the likelihood has turned downhill along it, by more than a quarter of the slope
        at its beginning; then half of it is tried. The likelihood is concave, so that is enough.
        """
        at = np.concatenate([start.theta, np.zeros(len(self._names))])
        step, slope, length = np.zeros_like(at), 0.0, np.inf
        factor: tuple[Floats, bool] | None = None
        gradient = step
        for passes in range(_PASSES):
            found = self._run(at, information=factor is None)
            gradient = self._gradient(found)
            if gradient @ step < -0.25 * slope:
                step, slope = step / 2, slope / 2
                at = at - step
                continue
            if factor is None:
                factor = self._factor(asked(found.information), step)
            step, before = cho_solve(factor, gradient, check_finite=False), length
            slope, length = float(gradient @ step), float(np.abs(step).max())
            if length <= self._tolerance and (np.abs(gradient) / self._unit).max() <= self._tolerance:
                return self._result(at, start.iterations + passes, gradient, step)
            if passes < 2 or length > 0.1 * before:
                factor = None
            at = at + step
        raise self._unsettled(step, _PASSES, gradient)

    def _run(self, at: Floats, *, information: bool = False, scatter: bool = False) -> Pass:
        theta, gamma = at[: self._size], at[self._size :] / self._scale
        return self._rows.run(theta, gamma, self._weight, information=information, scatter=scatter)

    def _gradient(self, found: Pass) -> Floats:
        models = np.bincount(self._rows.low, found.pairs, self._size)
        models -= np.bincount(self._rows.high, found.pairs, self._size)
        return np.concatenate([models, found.features / self._scale])

    def _matrix(self, sums: Sums) -> Floats:
        """The blocks as one matrix, float64[K + F, K + F], features on the scale of their standard deviation."""
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

    def _factor(self, sums: Sums, step: Floats) -> tuple[Floats, bool]:
        """Cholesky factor of the information in the gauge H + c·11ᵀ; refuses what has none."""
        matrix = self._matrix(sums)
        self._require_distinct(matrix, step)
        models = slice(0, self._size)
        matrix[models, models] += np.trace(matrix[models, models]) / self._size**2
        try:
            factor: tuple[Floats, bool] = cho_factor(matrix, check_finite=False)
        except LinAlgError:
            raise self._unsettled(step, 0, np.zeros(len(matrix))) from None
        return factor

    def _require_distinct(self, matrix: Floats, step: Floats) -> None:
        """Each feature must tell something that neither the models nor the features before it tell."""
        size = self._size
        plain = np.diag(matrix)[size:].copy() if self._plain is None else self._plain
        left = _profiled(matrix, size)
        for place, name in enumerate(self._names):
            if left is not None and left[place, place] > _DISTINCT * plain[place]:
                left = left - np.outer(left[place], left[place]) / left[place, place]
                continue
            if self._plain is not None:
                raise self._unsettled(step, 0, np.zeros(len(matrix)))
            raise Collinear(
                f"expected a style feature with a meaning of its own, got {name}, which the models"
                f"{''.join(f', {other}' for other in self._names[:place])} already determine",
                name,
            )
        self._plain = plain

    def _result(self, at: Floats, iterations: int, gradient: Floats, step: Floats) -> StyleFit:
        found = self._run(at, information=True, scatter=True)
        information, scatter = asked(found.information), asked(found.scatter)
        size = self._size
        factor = self._factor(information, step)
        half = cho_solve(factor, self._matrix(scatter), check_finite=False)
        full = cho_solve(factor, half.T, check_finite=False)
        V = (full + full.T) / 2
        H = self._matrix(information)
        profiled = H[:size, :size] - H[:size, size:] @ np.linalg.solve(H[size:, size:], H[size:, :size])
        theta = at[:size] - at[:size].mean()
        norm = float(np.abs(gradient).max())
        ratings = Fit(theta, V[:size, :size], (profiled + profiled.T) / 2, iterations, norm, converged=True)
        return StyleFit(ratings, self._names, at[size:], V[size:, size:], self._scale)

    def _unsettled(self, step: Floats, passes: int, gradient: Floats) -> Separated | NotConverged:
        """What to say when no maximum is reached: who separates the votes, if that is the reason."""
        towards = step[self._size :]
        if towards.any() and self._rows.agrees(step[: self._size], towards / self._scale):
            name = self._names[int(np.abs(towards).argmax())]
            sign = "more" if towards[np.abs(towards).argmax()] > 0 else "less"
            return Separated(
                f"expected a finite coefficient for each style feature, got none for {name}: no vote speaks against "
                f"{sign} {name} winning, so the likelihood rises for ever",
                name,
            )
        return NotConverged(passes, float(np.abs(gradient).max()))


def _profiled(matrix: Floats, size: int) -> Floats | None:
    """The features' information that the models leave: D − Cᵀ L⁺ C."""
    L, C = matrix[:size, :size], matrix[:size, size:]
    try:
        factor = cho_factor(L + np.trace(L) / size**2, check_finite=False)
    except LinAlgError:
        return None
    result: Floats = matrix[size:, size:] - C.T @ cho_solve(factor, C, check_finite=False)
    return result


def _feature_matrix(z: npt.ArrayLike, names: tuple[str, ...], votes: int) -> Floats:
    try:
        array = np.asarray(z, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadCounts(f"expected z to be numbers, got {type(z).__name__}") from error
    if not names or len(set(names)) != len(names):
        raise BadCounts(f"expected style features, each once, got {names}")
    if array.shape != (votes, len(names)):
        raise BadCounts(f"expected z of shape ({votes}, {len(names)}), got {array.shape}")
    if not np.isfinite(array).all():
        row, place = (int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise BadCounts(f"expected a finite number for {names[place]}, got {array[row, place]} at row {row}")
    return array


def _count_column(values: npt.ArrayLike, name: str, side: str) -> npt.NDArray[np.number]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iufb":
        raise BadCounts(f"expected counts of {name} for {side}, got {array.dtype} of shape {array.shape}")
    bad = array < 0 if array.dtype.kind in "iub" else ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise BadCounts(f"expected {name} of {side} to be a count, got {array[row]} at row {row}")
    return array
