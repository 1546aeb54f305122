"""Checks what the order of a board depends on. A probe has one figure with an interval, a threshold and a sentence.

probe          defines a probe: its name, its unit and its function
connectivity   measures how well models are connected by battles

The probes are pure functions of the votes, the board and the options.
"""

from __future__ import annotations

from pipeline.errors import RatingError
from pipeline.report.probe_result import ProbeOptions, ProbeResult, unavailable_result
from pipeline.report.probes.connectivity import CONNECTIVITY
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes

PROBES: tuple[Probe, ...] = (CONNECTIVITY,)
"""The probes, in the order in which a report shows them."""


def run_probes(votes: ReportVotes, board: ReportBoard, options: ProbeOptions | None = None) -> list[ProbeResult]:
    """Run all probes.

    Args:
        votes: all votes that count.
        board: the board of these votes, from `rate_report_votes`.
        options: what the probes may be asked; None for the defaults.

    Returns:
        One result for each probe, in the order of `PROBES`. A probe whose figure cannot be computed says why.
    """
    return [_run(probe, votes, board, options or ProbeOptions()) for probe in PROBES]


def _run(probe: Probe, votes: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    try:
        return probe.run(votes, board, options)
    except RatingError as error:
        return unavailable_result(probe.id, probe.title, probe.unit, str(error))
