"""Defines the class of the probes, which check what the order of a board depends on."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.report.probe_result import ProbeOptions, ProbeResult
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes


@dataclass(frozen=True, slots=True)
class Probe:
    """A check of one thing on which the order of a board depends.

    Attributes:
        id: name of the probe, such as `position_bias`.
        title: name of the probe for people.
        unit: unit of its figure.
        run: computes the result from all votes, the board and the options. It may raise `RatingError`.
    """

    id: str
    title: str
    unit: str
    run: Callable[[ReportVotes, ReportBoard, ProbeOptions], ProbeResult]
