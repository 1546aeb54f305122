"""Measures whether battles between two models of one provider agree with the rest of the board.

In battles of one provider, logit P(a beats b) = c (θ_a − θ_b), with θ from the battles of different providers. The
figure is c − 1, by maximum likelihood: 0 says that models of one provider beat each other as the other battles predict,
−1 that voters do not tell them apart, below −1 that they come in the opposite order. The interval is the Wald interval
with the sandwich covariance, clustered by voter where voters are known; θ counts as known. The probe fires if the whole
interval is outside ±0.25.

Not computed if the file does not name providers, or fewer than 100 votes are between models of one provider.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pipeline.ratings import PairCounts, fit, select_rated_models
from pipeline.ratings.clustered_sandwich import voter_clusters
from pipeline.ratings.residuals import OUTCOME_SCORES
from pipeline.report.probe_result import ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.order_changes import moved_models, name_pairs, reversed_pairs
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64

_ID, _TITLE, _UNIT = "same_provider", "Battles of one provider", "change of gaps, as a share"
_THRESHOLD = 0.25
_LEAST_VOTES = 100
_STEPS = 50


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    votes = board.votes
    if votes.provider is None:
        return unavailable_result(_ID, _TITLE, _UNIT, "the file does not name the providers of models")
    provider_a, provider_b = votes.provider[votes.model_a], votes.provider[votes.model_b]
    same = (provider_a == provider_b) & (provider_a >= 0)
    if int(same.sum()) < _LEAST_VOTES:
        reason = f"only {int(same.sum()):,} votes are between two models of one provider"
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    others = votes.select(~same)
    counts, left = select_rated_models(PairCounts.from_codes(votes.models, *others.codes), least_share=0.0)
    if left:
        reason = f"{left[0].model} has no rating from battles with models of other providers"
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    theta = fit(counts).theta
    inside = votes.select(same)
    scale, se = fit_scale(theta[inside.model_a] - theta[inside.model_b], inside)
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
        fired=low > _THRESHOLD or high < -_THRESHOLD,
        sentence=(
            f"In {len(inside):,} battles of two models of one provider, gaps are {scale:.2f} times those that the "
            f"other battles predict; {rest}."
        ),
        details={
            "same_provider_votes": len(inside), "scale": scale, "scale_se": se,
            "reversed_pairs": [list(pair) for pair in flipped], "models_moved": moved_models(board, theta),
        },
    )  # fmt: skip


def fit_scale(gap: Float64, votes: ReportVotes) -> tuple[float, float]:
    """Fit the factor c of logit P(a beats b) = c · gap by maximum likelihood, and its clustered standard error.

    Args:
        gap: float64[N], predicted difference of the two models of each vote, in logits.
        votes: the N votes.
    """
    score = OUTCOME_SCORES[votes.outcome]
    c, information = 1.0, 0.0
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(c * gap, -700, 700)))
        information = float((gap**2 * p * (1 - p)).sum())
        step = float((gap * (score - p)).sum()) / max(information, 1e-12)
        c += max(-1.0, min(1.0, step))
        if abs(step) < 1e-10:
            break
    residual = gap * (score - 1 / (1 + np.exp(-np.clip(c * gap, -700, 700))))
    voter = votes.known("voter")
    if voter is not None:
        residual = np.asarray(np.bincount(voter_clusters(voter)[0], residual), dtype=np.float64)
    return c, float(np.sqrt((residual**2).sum())) / max(information, 1e-12)


SAME_PROVIDER = Probe(_ID, _TITLE, _UNIT, _run)
"""Whether battles between two models of one provider agree with the rest of the board."""
