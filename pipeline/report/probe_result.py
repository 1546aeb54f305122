"""Represents the result of a probe, and the options of the probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

ALARM_LEVEL = 0.995
"""Coverage of the interval that decides whether a probe fires, for probes that compare an estimate with a limit.

It is larger than the coverage of the intervals that are shown, for two reasons. Several such probes check each board.
In small files some standard errors are too small, since they are estimated from the votes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """Options of the probes.

    Attributes:
        level: coverage of the intervals, between 0 and 1.
        top: k, a number of first ranks. Some probes check which models have these ranks (top-k).
        rounds: number of random draws in each probe that estimates by simulation.
        seed: seed of the draws. The same seed gives the same results.
    """

    level: float = 0.95
    top: int = 5
    rounds: int = 200
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of a probe: its figure, whether it fired, and a sentence for people.

    Attributes:
        id: name of the probe, such as `position_bias`.
        title: name of the probe for people.
        figure: the figure that the threshold is for; None if it was not computed.
        unit: unit of the figure, such as "votes" or "share".
        interval: lower and upper bound of the figure; None if the figure is a count without uncertainty or was not
            computed.
        threshold: the limit that `figure` is compared with. Some probes fire above their limit, others below it. None
            without a figure.
        fired: whether the probe found a reason to doubt the order of the board.
        sentence: the result in plain English; states the figure and what it means.
        unavailable: why the figure could not be computed; None if there is a figure.
        details: further figures, as plain values for JSON.
    """

    id: str
    title: str
    figure: float | None
    unit: str
    interval: tuple[float, float] | None
    threshold: float | None
    fired: bool
    sentence: str
    unavailable: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the result as a dictionary of plain values, for JSON."""
        return asdict(self)


def unavailable_result(name: str, title: str, unit: str, reason: str) -> ProbeResult:
    """Return the result of a probe that could not compute its figure.

    Args:
        name: the `id` of the result.
        title: name of the probe for people.
        unit: unit of the figure.
        reason: why the figure could not be computed, as the end of a sentence.
    """
    return ProbeResult(
        id=name, title=title, figure=None, unit=unit, interval=None, threshold=None, fired=False,
        sentence=f"{title}: not computed, because {reason}.", unavailable=reason,
    )  # fmt: skip
