"""Measures whether the order depends on the turn of the conversation after which people voted.

The votes are split into two parts, after the first turn and after later turns, and each part is rated. The figure is
the number of pairs of models that the two parts order in opposite ways, beyond sampling error. Two conditions hold for
such a pair. One part rates the first model higher, the other part rates the second model higher. The gaps of the two
models in the two parts differ by more than the joint critical value (at 99.5%) times the standard error of this
difference. The two parts count as independent; votes of one voter in both parts make the standard errors too large, not
too small. The probe fires if there is at least one such pair. There is no interval, since only pairs beyond sampling
error are counted.
"""

from __future__ import annotations

import numpy as np

from pipeline.ratings import Fit, PairCounts, fit, select_rated_models
from pipeline.report.probe_result import ALARM_LEVEL, ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.order_changes import difference_errors, kendall_tau, name_pairs
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard, joint_rank_sets
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Bool

_ID, _TITLE, _UNIT = "first_turn", "First turn and later turns", "pairs in opposite order"
_THRESHOLD = 1.0
_LEAST_VOTES = 100


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    turn = board.votes.turn
    if turn is None or not (turn > 0).any():
        return unavailable_result(_ID, _TITLE, _UNIT, "the file does not say how many turns a conversation had")
    first, later = int((turn == 1).sum()), int((turn > 1).sum())
    if min(first, later) < _LEAST_VOTES:
        reason = f"{first:,} votes after the first turn and {later:,} after later turns are too few to compare"
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    names = _rated_in_both(board.votes, turn == 1, turn > 1)
    if len(names) < 2:
        return unavailable_result(_ID, _TITLE, _UNIT, "the two parts of the votes have no two models in common")
    parts = [_rated(board.votes.select(rows).between(names)) for rows in (turn == 1, turn > 1)]
    # The critical value of the differences of two parts is that of the sum of their covariances.
    both = Fit(
        parts[0].theta - parts[1].theta, parts[0].covariance + parts[1].covariance, parts[0].hessian, 0, 0.0, True
    )
    critical = joint_rank_sets(both, ALARM_LEVEL, options.seed).critical
    gap = [part.theta[:, None] - part.theta[None, :] for part in parts]
    beyond = np.abs(gap[0] - gap[1]) > critical * difference_errors(both.covariance)
    pairs = [(names[i], names[j]) for i, j in np.argwhere(beyond & (gap[0] > 0) & (gap[1] < 0)).tolist()]
    tau = kendall_tau(parts[0].theta, parts[1].theta)
    after = (
        f"{len(pairs)} pair{'s have' if len(pairs) > 1 else ' has'} the opposite order beyond sampling error: after "
        f"the first turn {name_pairs(pairs)}"
        if pairs
        else "no pair of models has the opposite order beyond sampling error"
    )
    return ProbeResult(
        id=_ID, title=_TITLE, figure=float(len(pairs)), unit=_UNIT, interval=None, threshold=_THRESHOLD,
        fired=bool(pairs),
        sentence=f"{first:,} votes are after the first turn and {later:,} after later turns; {after}.",
        details={
            "first_turn_votes": first, "later_turn_votes": later, "models": len(names), "kendall_tau": tau,
            "opposite_pairs": [list(pair) for pair in pairs], "critical": critical,
        },
    )  # fmt: skip


def _rated_in_both(votes: ReportVotes, first: Bool, later: Bool) -> tuple[str, ...]:
    """Return the models that can be rated from either part of the votes alone, in the order of `votes.models`."""
    names = votes.models
    # Without a model, another may no longer be comparable; each round drops at least one.
    while len(names) > 1:
        kept = set(names)
        for rows in (first, later):
            part = votes.select(rows).between(names)
            if not len(part):
                return ()
            rated, _ = select_rated_models(PairCounts.from_codes(names, *part.codes), least_share=0.0)
            kept &= set(rated.models)
        if len(kept) == len(names):
            break
        names = tuple(name for name in names if name in kept)
    return names


def _rated(votes: ReportVotes) -> Fit:
    return votes.by_voter(fit(PairCounts.from_codes(votes.models, *votes.codes)))


FIRST_TURN = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures whether the order of the models depends on the turn after which people voted."""
