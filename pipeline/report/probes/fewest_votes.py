"""Searches for the fewest votes to drop, to flip or to add that change the first place, the second place, or the top k.

The figure is the number of votes without which another model is first, as a share of all votes (Huang et al. 2025,
"Dropping just a handful of preferences can change top large language model rankings", after Broderick, Giordano &
Meager 2020). The number of votes is nearly proportional to the gap of the two models. So the figure is scaled to the
lower and to the upper end of the gap's Wald interval, which gives the interval of the figure. The probe fires if the
figure is below 0.1%.

`details` has the same figures for flipped and added votes (`pipeline.ratings.vote_changes`), for the last place of the
top k, and for the second place. `details` also has Kendall's τ between the orders before and after the change. τ is
near 1, since the change moves two models and leaves the others. All numbers are upper bounds that an exact refit
confirms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from pipeline.ratings import RankSwap, fewest_votes_to_replace_first, fewest_votes_to_swap, fit
from pipeline.ratings.vote_changes import VoteChange, fewest_additions, fewest_flips
from pipeline.report.probe_result import ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.order_changes import difference_errors, kendall_tau
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64, Int64

_ID, _TITLE, _UNIT = "fewest_votes", "Fewest votes that change the order", "share of votes to drop"
_THRESHOLD = 0.001
# Gap in logits up to which two models count as equal.
_EQUAL = 1e-9


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    order, theta = board.order, board.fitted.theta
    dropped = fewest_votes_to_replace_first(board.counts, fitted=board.fitted)
    if dropped is None:
        reason = "no set of votes was found that changes the first place and keeps all models comparable"
        return unavailable_result(_ID, _TITLE, _UNIT, reason)
    names = board.counts.models
    first, next_up = names.index(dropped.above), names.index(dropped.below)
    places: dict[str, tuple[int, ...] | None] = {
        "first_place": (first, next_up), "second_place": tuple(order[1:3].tolist())
    }  # fmt: skip
    top = min(options.top, len(order) - 1)
    places[f"top_{top}"] = _weakest_pair(board, order[:top], order[top:])
    changes = {
        place: _changes(board, pair[0], pair[1], dropped if place == "first_place" else None)
        for place, pair in places.items()
        if pair is not None and len(pair) == 2 and theta[pair[0]] - theta[pair[1]] > _EQUAL
    }
    z = float(ndtri((1 + options.level) / 2))
    gap = float(theta[first] - theta[next_up])
    se = float(difference_errors(board.clustered.covariance)[first, next_up])
    # Without a gap there is no number for each point of it.
    low, high = (
        dropped.share * max(0.0, 1 + sign * z * se / gap) if gap > _EQUAL else dropped.share for sign in (-1, 1)
    )
    flipped, added = (changes.get("first_place", {}).get(how) for how in ("flip", "add"))
    also = [
        f"{how} {one['votes']:,} vote{'s' * (one['votes'] != 1)}"
        for one, how in ((flipped, "flipping"), (added, "adding"))
        if one is not None
    ]
    return ProbeResult(
        id=_ID, title=_TITLE, figure=dropped.share, unit=_UNIT, interval=(low, high), threshold=_THRESHOLD,
        fired=dropped.share < _THRESHOLD,
        sentence=(
            f"Without {dropped.votes:,} of {board.counts.total:,} votes ({dropped.share:.3%}), {dropped.below} is first"
            f" instead of {dropped.above}" + (f"; {' or '.join(also)} does the same." if also else ".")
        ),
        details={"changes": changes, "top": top},
    )  # fmt: skip


def _weakest_pair(board: ReportBoard, inside: Int64, outside: Int64) -> tuple[int, int] | None:
    """Return the pair of a model of the top k and a model below it that the fewest votes are likely to swap.

    `inside` has the codes of the top k, best first, and `outside` the codes of the other models, best first.

    Pairs of one of the last three models of the top k and one of the next three models are compared. The pair with
    the smallest gap in units of the effective resistance is returned; None if all such pairs have equal ratings.
    """
    theta, resistance = board.fitted.theta, difference_errors(board.fitted.covariance)
    pairs = [(int(i), int(j)) for i in inside[-3:] for j in outside[:3] if theta[int(i)] > theta[int(j)]]
    return min(
        pairs, default=None, key=lambda pair: (theta[pair[0]] - theta[pair[1]]) / max(resistance[pair] ** 2, 1e-12)
    )


def _changes(board: ReportBoard, above: int, below: int, dropped: RankSwap | None) -> dict[str, Any]:
    counts, fitted = board.counts, board.fitted
    names = counts.models
    drop = dropped or fewest_votes_to_swap(counts, names[above], names[below], fitted=fitted)
    after = None if drop is None else fit(counts.minus(drop.dropped)).theta
    return {
        "above": names[above],
        "below": names[below],
        "drop": None if drop is None or after is None else _row(drop.votes, drop.share, fitted.theta, after),
        "flip": _change(fewest_flips(counts, fitted, above, below), fitted.theta),
        "add": _change(fewest_additions(counts, fitted, above, below), fitted.theta),
    }


def _change(found: VoteChange | None, before: Float64) -> dict[str, Any] | None:
    return None if found is None else _row(found.votes, found.share, before, found.theta)


def _row(votes: int, share: float, before: Float64, after: Float64) -> dict[str, Any]:
    return {"votes": votes, "share": share, "kendall_tau": kendall_tau(before, np.asarray(after))}


FEWEST_VOTES = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that searches for the fewest votes that change the first place, the second place, or the top k."""
