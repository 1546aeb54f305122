"""Holds a measured figure of a detector's accuracy with its target."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AccuracyFigure:
    """One measured figure and its target.

    Attributes:
        what: what was measured, in words.
        value: the measured value, in the unit `unit`.
        unit: unit of the value and of the target, such as "voters" or "logits".
        at_most: the target if it is an upper limit; otherwise None.
        at_least: the target if it is a lower limit; otherwise None. A figure without either limit has no target.
        oracle: the value for a test that is told what the detector must find out; None if there is no such test.
    """

    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    oracle: float | None = None

    @property
    def relation(self) -> Literal["at most", "at least", "reported"]:
        """The kind of target: "at most" or "at least"; "reported" for a figure without a target."""
        if self.at_most is not None:
            return "at most"
        return "reported" if self.at_least is None else "at least"

    @property
    def bar(self) -> float | None:
        """The value of the target; None for a figure without a target."""
        return self.at_least if self.at_most is None else self.at_most

    @property
    def holds(self) -> bool | None:
        """Whether the figure meets its target; None for a figure without a target."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.relation == "at most" else self.value >= self.bar
