"""Measures whether battles between two models of one provider agree with the rest of the board.

In battles between models of one provider, logit P(a beats b) = c (θ_a − θ_b), with θ from the battles of different
providers. The figure is c − 1, by maximum likelihood. At 0, models of one provider beat each other as the other battles
predict. At −1, voters do not tell these models apart. Below −1, the models come in the opposite order.

The errors of θ make the estimate of c too small. So the estimate is divided by the reliability of the gaps, 1 − Σ w v /
Σ w g² (regression calibration; Carroll et al. 2006, Measurement Error in Nonlinear Models, section 4.2). Here g is the
gap of a vote's models, v the variance of the gap, and w = p (1 − p). The interval is a Wald interval. Its variance is
the sum of two: the sandwich variance over the votes of one provider, clustered by voter (`voter_covariance` if there
are few voters); and the variance that the errors of θ add (delta method). The probe fires if the whole 99.5% interval
is outside ±0.25.

The figure is not computed in three cases: no two models have a known provider in common, fewer than 100 votes are
between models of one provider, or the reliability is below ½.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtri

from pipeline.ratings import Fit, PairCounts, fit, select_rated_models
from pipeline.ratings.clustered_sandwich import voter_clusters
from pipeline.ratings.residuals import OUTCOME_SCORES
from pipeline.ratings.voter_covariance import combined_covariance
from pipeline.report.probe_result import ALARM_LEVEL, ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.order_changes import difference_errors, moved_models, name_pairs, reversed_pairs
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64

_ID, _TITLE, _UNIT = "same_provider", "Battles of one provider", "change of gaps, as a share"
_THRESHOLD = 0.25
_LEAST_VOTES = 100
_STEPS = 50
_LEAST_RELIABLE = 0.5


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    votes = board.votes
    if votes.provider is None:
        return unavailable_result(_ID, _TITLE, _UNIT, "no two models have a known provider in common")
    provider_a, provider_b = votes.provider[votes.model_a], votes.provider[votes.model_b]
    same = (provider_a == provider_b) & (provider_a >= 0)
    if int(same.sum()) < _LEAST_VOTES:
        reason = f"only {int(same.sum()):,} votes are between two models of one provider"
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    others = votes.select(~same)
    if not len(others):
        return unavailable_result(_ID, _TITLE, _UNIT, "all votes are between models of one provider")
    counts, left = select_rated_models(PairCounts.from_codes(votes.models, *others.codes), least_share=0.0)
    if left:
        reason = f"{left[0].model} has no rating from battles with models of other providers"
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    fitted = others.by_voter(fit(counts))
    theta, inside = fitted.theta, votes.select(same)
    scale, se, reliability = fit_scale(fitted, inside)
    if reliability < _LEAST_RELIABLE:
        reason = "the other battles do not tell the models of one provider apart well enough"
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    margin = float(ndtri((1 + options.level) / 2)) * se
    low, high = scale - 1 - margin, scale - 1 + margin
    flipped = reversed_pairs(board, theta)
    rest = (
        f"leaving them out reverses {len(flipped)} separated pair{'s' * (len(flipped) > 1)} ({name_pairs(flipped)})"
        if flipped
        else "leaving them out reverses no separated pair"
    )
    return ProbeResult(
        id=_ID, title=_TITLE, figure=scale - 1, unit=_UNIT, interval=(low, high), threshold=_THRESHOLD,
        fired=abs(scale - 1) - float(ndtri((1 + ALARM_LEVEL) / 2)) * se > _THRESHOLD,
        sentence=(
            f"In {len(inside):,} battles of two models of one provider, gaps are {scale:.2f} times those that the "
            f"other battles predict; {rest}."
        ),
        details={
            "same_provider_votes": len(inside), "scale": scale, "scale_se": se, "reliability": reliability,
            "reversed_pairs": [list(pair) for pair in flipped], "models_moved": moved_models(board, theta),
        },
    )  # fmt: skip


def fit_scale(fitted: Fit, votes: ReportVotes) -> tuple[float, float, float]:
    """Fit the factor c of logit P(a beats b) = c (θ_a − θ_b) by maximum likelihood.

    Args:
        fitted: the fit of other votes on the same models, with its covariance.
        votes: the N votes.

    Returns:
        Three values: c, corrected for the errors of θ; the standard error of c, by voter; and the reliability. If the
            reliability is above 0, c and the standard error are already divided by it.
    """
    a, b = votes.model_a, votes.model_b
    gap, score = fitted.theta[a] - fitted.theta[b], OUTCOME_SCORES[votes.outcome]
    c, weight = 1.0, np.zeros_like(gap)
    for _ in range(_STEPS):
        p = expit(c * gap)
        weight = p * (1 - p)
        step = float(gap @ (score - p)) / max(float(weight @ gap**2), 1e-12)
        c += max(-1.0, min(1.0, step))
        if abs(step) < 1e-10:
            break
    information = max(float(weight @ gap**2), 1e-12)
    residual = gap * (score - expit(c * gap))
    reliability = 1 - float(weight @ difference_errors(fitted.covariance)[a, b] ** 2) / information
    # An error of the gaps changes c by −c Σ w g (error of the gap) / Σ w g².
    size = len(fitted.theta)
    pull = np.bincount(a, weight * gap, size) - np.bincount(b, weight * gap, size)
    variance = _score_variance(votes, residual) + c**2 * float(pull @ fitted.covariance @ pull)
    divisor = reliability if reliability > 0 else 1.0
    return c / divisor, float(np.sqrt(variance)) / information / divisor, reliability


def _score_variance(votes: ReportVotes, score: Float64) -> float:
    """Return the variance of the sum of `score`, one score for each vote. Votes of one voter may be dependent."""
    independent, voters = float((score**2).sum()), votes.effective_voters()
    if voters is None or votes.voter is None:
        return independent
    by_voter = float((np.bincount(voter_clusters(votes.voter)[0], score) ** 2).sum())
    return float(combined_covariance(np.array([[independent]]), np.array([[by_voter]]), voters)[0, 0])


SAME_PROVIDER = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures whether battles between models of one provider agree with the rest of the board."""
