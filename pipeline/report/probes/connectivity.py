"""Measures how many votes cross the weakest cut of the board, and which models cannot be compared with the others.

The figure is the conductance of the weakest cut: the votes across the cut, divided by the votes on the models of its
smaller side (`pipeline.audits.graph_health`). The probe fires if the figure is below 1/8, or if at least 5% of the
votes are not between rated models. The rated models are the largest strongly connected component of the win digraph.
Models outside it cannot be compared with them (Ford 1957, "Solution of a ranking problem from binary comparisons",
Amer. Math. Monthly 64(8)). There is no interval: the board's sampling decides which pairs of models get votes, and the
probe takes these pairs as given.
"""

from __future__ import annotations

from pipeline.audits.graph_health import graph_health
from pipeline.report.probe_result import ProbeOptions, ProbeResult
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes

_WEAK = 0.125
_OUTSIDE = 0.05
_NAMED = 6


def _run(votes: ReportVotes, board: ReportBoard, _: ProbeOptions) -> ProbeResult:
    rated = board.counts.total / len(votes)
    health = graph_health(board.counts)
    split = 1 - rated >= _OUTSIDE
    listed = ", ".join(health.side[:_NAMED]) + (", …" if len(health.side) > _NAMED else "")
    details = {
        "rated_share": rated, "unrated_models": len(board.unrated), "conductance": health.conductance,
        "side": list(health.side), "crossing_votes": health.crossing, "lambda2": health.lambda2,
        "worst_pair": list(health.worst), "worst_se": health.worst_se, "median_se": health.median_se,
    }  # fmt: skip
    if split:
        sentence = (
            f"{1 - rated:.1%} of the votes are on models that no votes connect with the rated models: "
            f"{len(board.unrated):,} models cannot be compared with the others."
        )
    elif health.weak:
        sentence = (
            f"Only {health.crossing:,} votes compare {listed} with the other models, {health.conductance:.1%} of "
            f"their votes: the order between the two groups depends on these few votes."
        )
    else:
        sentence = (
            f"The rated models are well connected: even the two groups with the fewest votes between them, for their "
            f"size, share {health.crossing:,} votes."
        )
        if board.unrated:
            count = len(board.unrated)
            sentence += (
                f" {count:,} model{'s' * (count > 1)} with {1 - rated:.1%} of the votes cannot be compared with them."
            )
    return ProbeResult(
        id="connectivity",
        title="Connectivity",
        figure=health.conductance,
        unit="share of votes across the weakest cut",
        interval=None,
        threshold=_WEAK,
        fired=split or health.weak,
        sentence=sentence,
        details=details,
    )


CONNECTIVITY = Probe("connectivity", "Connectivity", "share of votes across the weakest cut", _run)
"""The probe that measures whether the votes connect all models."""
