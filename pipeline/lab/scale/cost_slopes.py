"""Computes from measured boards what one more million votes costs, and extrapolates it to a large board.

The slope of a cost is its difference between two boards, divided by the difference of their votes. The slope between
the two largest boards is extrapolated: cost(n) = cost(largest) + slope · (n − largest). If the slope rises from board
to board, the cost grows faster than the number of votes, and the extrapolation is too low: `rising` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.lab.scale.stage_costs import BoardCosts

MILLION = 1_000_000
_RISING = 1.25


@dataclass(frozen=True, slots=True)
class CostSlope:
    """How one cost grows with the number of votes.

    Attributes:
        name: a stage, or what takes space on disk.
        unit: "s" for processor time, "MB" for peak memory or space on disk.
        slopes: cost of one more million votes between each two neighbouring boards, from small to large.
        largest: the cost with the largest board.
        votes: number of votes of the largest board.
    """

    name: str
    unit: str
    slopes: tuple[float, ...]
    largest: float
    votes: int

    @property
    def slope(self) -> float:
        """Cost of one more million votes between the two largest boards, in `unit`. A negative cost becomes 0."""
        return max(self.slopes[-1], 0.0)

    @property
    def rising(self) -> bool:
        """Whether the last of `slopes` is more than a quarter above the slope before it."""
        return len(self.slopes) > 1 and self.slopes[-1] > _RISING * max(self.slopes[-2], 0.0)

    def at(self, votes: int) -> float:
        """Return the extrapolated cost with this many votes."""
        return self.largest + self.slope * (votes - self.votes) / MILLION


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of rented machines. The defaults are assumed orders of magnitude, not offers.

    Attributes:
        core_hour: price of one processor core for an hour.
        gigabyte_month: price of a gigabyte on disk for a month.
    """

    core_hour: float = 0.05
    gigabyte_month: float = 0.1

    def of(self, cost: CostSlope, amount: float) -> float:
        """Return the price of an amount of processor seconds, or of MB stored for a month.

        `cost.unit` says which of the two the amount is.
        """
        return amount / 3600 * self.core_hour if cost.unit == "s" else amount / 1000 * self.gigabyte_month


def slopes(boards: Sequence[BoardCosts]) -> tuple[list[CostSlope], list[CostSlope], list[CostSlope]]:
    """Return how processor time, peak memory and space on disk grow.

    Args:
        boards: at least two boards, from the smallest to the largest.

    Returns:
        Three lists: one slope for each stage (seconds), one for each stage (MB of memory), and one for each thing that
            takes space on disk (MB).
    """
    votes = [board.votes for board in boards]
    stages = [one.stage for one in boards[0].stages]
    seconds = [[board.stages[i].seconds for board in boards] for i in range(len(stages))]
    memory = [[board.stages[i].peak_mb for board in boards] for i in range(len(stages))]
    space = {name: [board.sizes[name] / 1e6 for board in boards] for name in boards[0].sizes}
    return (
        [_slope(name, "s", votes, costs) for name, costs in zip(stages, seconds, strict=True)],
        [_slope(name, "MB", votes, costs) for name, costs in zip(stages, memory, strict=True)],
        [_slope(name, "MB", votes, costs) for name, costs in space.items()],
    )


def _slope(name: str, unit: str, votes: Sequence[int], costs: Sequence[float]) -> CostSlope:
    found = tuple(
        (costs[i + 1] - costs[i]) / (votes[i + 1] - votes[i]) * MILLION for i in range(len(votes) - 1)
    )  # fmt: skip
    return CostSlope(name, unit, found, costs[-1], votes[-1])
