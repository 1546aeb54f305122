"""Measures the advantage of the model that is shown first, and whether correcting it changes the order.

Model: logit P(a beats b) = θ_a − θ_b + φ x, with x = 1 if a was shown first and −1 if b was (Agresti 2013, Categorical
Data Analysis, section 11.6.2; `pipeline.ratings.pair_covariate`). The figure is φ in log-odds. Its interval is the Wald
interval with the sandwich covariance, clustered by voter (`voter_covariance` if there are few voters). The probe fires
if the whole 99.5% interval is outside ±0.05: a smaller advantage changes a win rate of 50% by less than 1.3 percentage
points. `details` names the pairs of models whose order the correction reverses. Only pairs whose order is beyond
sampling error are considered (jointly separated pairs, see `separation`).

The figure is not computed if the file does not say which model was shown first. Neither is it computed if the order of
the two models in a vote has another meaning: they are sorted by name, the winner comes first or last, or each pair
always has one order.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import expit, ndtri

from pipeline.ratings.pair_covariate import CovariateFit, rate_with_covariate
from pipeline.ratings.voter_covariance import combined_covariance
from pipeline.report.probe_result import ALARM_LEVEL, ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.order_changes import kendall_tau, moved_models, name_pairs, reversed_pairs
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.large_arrays import keep, pieces

_ID, _TITLE, _UNIT = "position_bias", "Advantage of being shown first", "log-odds"
_THRESHOLD = 0.05
_BOTH = np.array([-1.0, 1.0])
# Share of votes with the names in order, or with the winner first, from which the order is not a position.
_SORTED = 0.98
_BOTH_ORDERS = 0.2
# A pair with fewer votes may have one order by chance.
_LEAST_PER_PAIR = 4


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    votes = board.votes
    if votes.position is None or not votes.position.any():
        return unavailable_result(_ID, _TITLE, _UNIT, "the file does not say which model was shown first")
    votes = votes.select(votes.position != 0)
    reason = _no_position(votes)
    if reason:
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    first_is_a = keep((np.asarray(votes.position) > 0).astype(np.int64))
    found = _rated(votes, board.fitted.theta, first_is_a)
    z = float(ndtri((1 + options.level) / 2))
    low, high = found.effect - z * found.effect_se, found.effect + z * found.effect_se
    decisive = votes.outcome < 2
    wins = int((decisive & ((votes.outcome == 0) == (first_is_a == 1))).sum())
    flipped = reversed_pairs(board, found.theta)
    margin = float(ndtri((1 + ALARM_LEVEL) / 2)) * found.effect_se
    fired = abs(found.effect) - margin > _THRESHOLD
    rate = wins / max(int(decisive.sum()), 1)
    after = (
        f"correcting for it reverses {len(flipped)} separated pair{'s' * (len(flipped) != 1)} ({name_pairs(flipped)})"
        if flipped
        else "correcting for it reverses no separated pair"
    )
    return ProbeResult(
        id=_ID, title=_TITLE, figure=found.effect, unit=_UNIT, interval=(low, high), threshold=_THRESHOLD, fired=fired,
        sentence=(
            f"The model shown first wins {rate:.1%} of {int(decisive.sum()):,} decisive votes, a change of "
            f"{100 * (float(expit(found.effect)) - 0.5):+.1f} percentage points for equal models; {after}."
        ),
        details={
            "effect": found.effect, "effect_se": found.effect_se, "first_win_rate": rate,
            "decisive_votes": int(decisive.sum()), "votes_with_position": len(votes),
            "reversed_pairs": [list(pair) for pair in flipped], "models_moved": moved_models(board, found.theta),
            "kendall_tau": kendall_tau(board.fitted.theta, found.theta),
        },
    )  # fmt: skip


def _rated(votes: ReportVotes, start: Float64, first_is_a: Int64) -> CovariateFit:
    """Fit the ratings together with the advantage of the model that is shown first.

    The covariance is clustered by voter if voters are known.

    Args:
        votes: the N votes.
        start: float64[K], strengths to start from.
        first_is_a: int64[N], 1 if model a was shown first, 0 if model b was.
    """
    rate = partial(rate_with_covariate, len(votes.models), votes.codes, first_is_a, _BOTH, start, name="position")
    voters = votes.effective_voters()
    if voters is None:
        return rate()
    found = rate(voter=votes.voter)
    if not votes.has_few_voters():
        return found
    return replace(found, covariance=combined_covariance(rate().covariance, found.covariance, voters))


def _no_position(votes: ReportVotes) -> str | None:
    """Return why the stated position of the models does not tell which model was shown first; None if it does."""
    size, position = len(votes.models), np.asarray(votes.position)
    names = np.argsort(np.argsort(np.array(votes.models, dtype=object)))
    met, forward, won, decisive = np.zeros((size, size), dtype=np.int64), 0, 0, 0
    for piece in pieces(len(votes)):
        first_is_a, a, b = position[piece] > 0, votes.model_a[piece], votes.model_b[piece]
        first, second = np.where(first_is_a, a, b), np.where(first_is_a, b, a)
        met += np.bincount(first.astype(np.int64) * size + second, minlength=size * size).reshape(size, size)
        forward += int((names[first] < names[second]).sum())
        decided = votes.outcome[piece] < 2
        decisive += int(decided.sum())
        won += int((((votes.outcome[piece] == 0) == first_is_a) & decided).sum())
    told = met + met.T >= _LEAST_PER_PAIR
    both = told & (met > 0) & (met.T > 0)
    if told.any() and both.sum() < _BOTH_ORDERS * told.sum():
        return "nearly every pair of models is always shown in the same order"
    if not 1 - _SORTED <= forward / len(votes) <= _SORTED:
        return "the models of a vote are in the order of their names"
    if decisive and not 1 - _SORTED <= won / decisive <= _SORTED:
        return "the winner is always named first or always last, so that the order is not the position"
    return None


POSITION_BIAS = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures the advantage of the model that is shown first."""
