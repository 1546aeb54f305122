"""Computes ratings that are adjusted for the style of the answers (style control).

Model: logit P(a beats b) = θ_a − θ_b + Σ_f γ_f z_f / sd_f. Let s_a and s_b be the counts of a style feature f in the
two answers. Then z_f = (s_a − s_b) / (s_a + s_b + 1), and sd_f is the root mean square of z_f over the fitted votes. So
γ_f is the effect of one standard deviation of the feature, in logits. z is not centred, so that swapping the sides of a
vote does not change the fit. Where the sides are assigned at random, the mean of z is near 0.

The model follows Li, Angelopoulos & Chiang 2024 ("Does style matter?", LMSYS). The fit maximises the likelihood of all
votes without a penalty. The ridge penalty of a published fit shrinks γ for answer length from 0.1615 to 0.0143 and
moves ratings by up to 35 points.

A fit that did not converge raises an error. An error names a feature in two cases: the models or other features
determine the feature (collinear), or the feature predicts every vote rightly and so has no finite coefficient
(separated).

Not handled: votes without style counts (the caller leaves them out).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ..errors import BadCounts, Collinear, RatingError
from ..vocabulary.arrays import Float64, Int64
from ..vocabulary.outcomes import OUTCOMES
from . import validation
from .blas_threads import single_blas_thread
from .bradley_terry import fit, pair_weights
from .clustered_sandwich import clustered_scatter, voter_clusters
from .pair_counts import PairCounts
from .residuals import OUTCOME_SCORES
from .style_features import STYLE_FEATURES
from .style_newton import StyleFit, StyleNewton
from .vote_rows import SummedVotes, VoteRows

_BLOCK = 65_536


def style_contrast(
    style_a: Sequence[npt.ArrayLike], style_b: Sequence[npt.ArrayLike], features: Sequence[str] = STYLE_FEATURES
) -> Float64:
    """Return the style contrasts z = (s_a − s_b) / (s_a + s_b + 1), float64[N, F], each between −1 and 1.

    Args:
        style_a: the counts s_a in the answers of model a: F columns of N numbers.
        style_b: the counts s_b in the answers of model b: F columns of N numbers.
        features: F names of the style features, for error messages.

    Raises:
        BadCounts: a count is negative, NaN or infinite, or columns differ in length. The message names feature, side
            and row.
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


@dataclass(frozen=True, slots=True, eq=False)
class StyleStart:
    """The figures from which a fit starts. They come from an earlier fit of about the same votes.

    Attributes:
        theta: float64[K], strengths of the models, up to a common shift; NaN for a model that the earlier fit lacks.
        coefficients: float64[F], logits per standard deviation of the feature.
    """

    theta: Float64
    coefficients: Float64


@single_blas_thread
def fit_style_sums(
    votes: SummedVotes, counts: PairCounts, *, features: Sequence[str], start: StyleStart | None = None
) -> StyleFit:
    """Fit ratings and style coefficients to votes, reading only sums over votes. Covariances take votes as independent.

    Args:
        votes: the votes, whose model codes are positions in `counts.models`.
        counts: the same votes, counted by pair.
        features: names of the F style features.
        start: where the fit starts; None for a fit without style. The start changes the result only within the
            tolerance of the fit. If a fit does not converge from `start`, it is repeated from the fit without style.

    Raises:
        Disconnected, Collinear, Separated, NotConverged: as `fit_style` raises them.
    """
    plain, newton = fit(counts), _newton(votes, tuple(features), np.ones(len(votes.votes)), len(counts.models))
    if start is not None:
        try:
            return newton.maximise(replace(plain, theta=_started(start.theta, plain.theta)), None, start.coefficients)
        except RatingError:
            newton = _newton(votes, tuple(features), np.ones(len(votes.votes)), len(counts.models))
    return newton.maximise(plain)


def _started(theta: Float64, plain: Float64) -> Float64:
    """Return float64[K], the strengths from which a fit starts, with mean 0.

    Args:
        theta: float64[K], strengths of an earlier fit; NaN for a model that the earlier fit lacks.
        plain: float64[K], strengths of the fit without style. They replace each NaN, after a shift to the level of
            `theta`.
    """
    known = ~np.isnan(theta)
    moved = np.where(known, theta, plain + (theta[known] - plain[known]).mean())
    started: Float64 = moved - moved.mean()
    return started


def _newton(votes: SummedVotes, names: tuple[str, ...], weight: Float64, size: int) -> StyleNewton:
    scale = np.sqrt(votes.second_moments())
    for name, sd in zip(names, scale.tolist(), strict=True):
        if sd == 0:
            raise Collinear(f"expected a style feature that varies, got {name}, which is 0 in every vote", name)
    return StyleNewton(votes, names, scale, weight, size)


@single_blas_thread
def fit_style(
    models: Sequence[str],
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    outcome: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    features: Sequence[str],
    voter: npt.ArrayLike | None = None,
    reweight: int | None = None,
) -> StyleFit:
    """Fit ratings and style coefficients, with their covariances, together by maximum likelihood.

    Args:
        models: K names.
        a, b, outcome: N codes each, for the two models and the outcome of each vote.
        z: float64[N, F], from `style_contrast`.
        features: names of the F style features.
        voter: N whole numbers, the voter of each vote, −1 if unknown. The covariance is clustered by voter
            (`clustered_sandwich`); without `voter` each vote is a cluster.
        reweight: None for equal weights of all votes; n for the weight 1 / max(votes of the pair, n) of each vote.

    Raises:
        BadCounts: a code is out of range, a model meets itself, z has a wrong shape, or z has a number that is NaN or
            infinite. The message names the row and the feature.
        Disconnected: the win digraph is not strongly connected.
        Collinear: a feature is determined by the models or other features.
        Separated: a feature has no finite coefficient.
        NotConverged: the fit does not converge.
    """
    counts = PairCounts.from_codes(models, a, b, outcome)
    names = tuple(features)
    given = _feature_matrix(z, names, counts.total)
    start = fit(counts, reweight=reweight)
    size = len(counts.models)
    left, right = validation.codes(a, "a", size), validation.codes(b, "b", size)
    result = validation.codes(outcome, "outcome", len(OUTCOMES))
    rows = VoteRows(left, right, result, given, size)
    weight = np.ones(len(rows.votes))
    if reweight is not None:
        weight = pair_weights(counts, reweight)[rows.low, rows.high]
        weight *= rows.votes.sum() / (rows.votes * weight).sum()
    newton = _newton(rows, names, weight, size)
    if voter is None:
        return newton.maximise(start)
    cluster = _clusters(voter, counts.total)
    table = np.ones((size, size))
    table[rows.low, rows.high] = table[rows.high, rows.low] = weight

    def scatter(theta: Float64, gamma: Float64) -> Float64:
        eta = theta[left] - theta[right] + given @ gamma
        scored = (OUTCOME_SCORES[result] - expit(eta)) * table[left, right]
        return clustered_scatter(left, right, scored, cluster, size, given)

    return newton.maximise(start, scatter)


def _clusters(voter: npt.ArrayLike, votes: int) -> Int64:
    who = validation.whole_numbers(voter, "voter")
    if len(who) != votes:
        raise BadCounts(f"expected {votes} voters, one a vote, got {len(who)}")
    return voter_clusters(who)[0]


def _feature_matrix(z: npt.ArrayLike, names: tuple[str, ...], votes: int) -> Float64:
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
