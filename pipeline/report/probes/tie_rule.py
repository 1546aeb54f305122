"""Measures whether another rule for ties changes the order.

The board counts a tie as half a win for each side. The other rules drop ties, or fit them as an outcome of their own:
Rao & Kupper 1967 (JASA 62) and Davidson 1970 (JASA 65), see `pipeline.ratings.tie_models`. The figure is the largest
number of jointly separated pairs that one of these rules reverses. The probe fires if at least one pair is reversed.
There is no interval: only pairs whose order is beyond sampling error count, and the same votes give the same count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.errors import RatingError
from pipeline.ratings import PairCounts, fit
from pipeline.ratings.tie_models import fit_davidson, fit_rao_kupper
from pipeline.report.probe_result import ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.order_changes import kendall_tau, moved_models, name_pairs, reversed_pairs
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Float64

_ID, _TITLE, _UNIT = "tie_rule", "Rule for ties", "separated pairs that another rule reverses"
_THRESHOLD = 1.0
_LEAST_SHARE = 0.01


def _dropped(counts: PairCounts, _: Float64) -> tuple[Float64, float | None]:
    return fit(counts.decisive()).theta, None


def _rao_kupper(counts: PairCounts, start: Float64) -> tuple[Float64, float | None]:
    found = fit_rao_kupper(counts, start)
    return found.theta, found.phi


def _davidson(counts: PairCounts, start: Float64) -> tuple[Float64, float | None]:
    found = fit_davidson(counts, start)
    return found.theta, found.phi


_RULES: dict[str, Callable[[PairCounts, Float64], tuple[Float64, float | None]]] = {
    "ties dropped": _dropped,
    "Rao-Kupper": _rao_kupper,
    "Davidson": _davidson,
}


def _run(_: ReportVotes, board: ReportBoard, __: ProbeOptions) -> ProbeResult:
    share = board.counts.tie_share()
    if share < _LEAST_SHARE:
        return unavailable_result(_ID, _TITLE, _UNIT, f"only {share:.1%} of the votes are ties, too few to matter")
    rules: dict[str, Any] = {}
    worst: list[tuple[str, str]] = []
    for name, rule in _RULES.items():
        try:
            theta, parameter = rule(board.counts, board.fitted.theta)
        except RatingError as error:
            rules[name] = {"unavailable": str(error)}
            continue
        flipped = reversed_pairs(board, theta)
        worst = max(worst, flipped, key=len)
        rules[name] = {
            "reversed_pairs": [list(pair) for pair in flipped], "models_moved": moved_models(board, theta),
            "kendall_tau": kendall_tau(board.fitted.theta, theta), "parameter": parameter,
        }  # fmt: skip
    computed = [name for name, found in rules.items() if "unavailable" not in found]
    if not computed:
        return unavailable_result(_ID, _TITLE, _UNIT, "no other rule for ties gives all models a rating")
    after = (
        f"another rule reverses {len(worst)} separated pair{'s' * (len(worst) > 1)} ({name_pairs(worst)})"
        if worst
        else f"no other rule ({', '.join(computed)}) reverses a separated pair"
    )
    return ProbeResult(
        id=_ID, title=_TITLE, figure=float(len(worst)), unit=_UNIT, interval=None, threshold=_THRESHOLD,
        fired=bool(worst), sentence=f"{share:.1%} of the votes are ties, counted as half a win; {after}.",
        details={"tie_share": share, "rules": rules},
    )  # fmt: skip


TIE_RULE = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures whether another rule for ties changes the order."""
