"""Decides which kinds of voters see a change of a model, for the text of an alert of `model_shift`.

If a model itself changed, voters of all kinds see it. Votes of an attack come from some accounts or networks. Let δ be
the change by all votes, at most 0.6 logits, and z be δ in standard errors of one kind's votes. A kind with z ≥ 3 sees
the change if its own change is at least 0.4 δ, else it does not. A kind with fewer votes sees the change if its own is
2.5 standard errors above 0, and does not see it if its own is three below δ. Otherwise ages with fewer votes are one
kind together, and if their votes still are too few, it cannot be told. The kinds are accounts by age, and networks: the
votes on networks without those two of the four groups of networks that show the change best.

The end of an attack that had deceived the snapshots looks like a change too. So the evaluated votes before the change
must be many enough to see a change of that size (z ≥ 3), and not show 0.4 of it in the opposite direction.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.detectors.window.model_shift_sums import AGES, NETWORK_GROUPS
from pipeline.vocabulary.arrays import Float64

KINDS = ("accounts of unknown age", "established accounts", "new accounts", "most networks")
"""The kinds of voters: accounts by age in the order of COHORTS, and networks."""

_CLEAR, _ABOVE, _SEEN = 3.0, 2.5, 0.4
# A larger change was found by luck, soon after it began, or is seen all the more clearly.
_MOST = 0.6
# A smaller share of the votes is not needed in order to tell.
_LEAST_SHARE, _LEAST_NETWORKED = 0.15, 0.2
_LEFT_OUT = 2


@dataclass(frozen=True)
class ShiftReading:
    """What the kinds of voters see.

    Attributes:
        seen: the kinds that see the change.
        unseen: the kinds that do not see it.
        unknown: the kinds with too few votes to tell.
        before: what the votes shortly before the change show: its results were "as expected" by the snapshots, off in
            the "opposite" direction, or "unknown".
        shifts: kind → its change in logits, of kinds with votes.
    """

    seen: Sequence[str]
    unseen: Sequence[str]
    unknown: Sequence[str]
    before: Literal["as expected", "opposite", "unknown"]
    shifts: dict[str, float]

    @property
    def by_all(self) -> bool:
        """Whether all kinds of voters see the change, at least two of them."""
        return len(self.seen) > 1 and not self.unseen and not self.unknown and self.before == "as expected"

    @property
    def is_open(self) -> bool:
        """Whether more votes may show that all kinds see the change."""
        return bool(self.unknown) and not self.unseen and self.before == "as expected"

    @property
    def text(self) -> str:
        """What the alert says about it."""
        if self.by_all:
            return "all kinds of voters see it: the model itself changed"
        if self.unseen:
            why = f"not seen by votes of {_and(self.unseen)}"
        elif self.before == "opposite":
            why = "shortly before, its results were off in the opposite direction"
        elif self.before == "unknown":
            why = "too few earlier votes to compare with"
        elif self.unknown:
            why = f"too few votes of {_and(self.unknown)}"
        else:
            why = "the votes are of one kind of voters"
        return f"attack or change: cannot be told ({why})"


def read_strata(excess: Float64, information: Float64, before: tuple[float, float], spread: float) -> ShiftReading:
    """Decide which kinds of voters see a change.

    Args:
        excess: float64[STRATA], sums since the change; negated if the results became worse.
        information: float64[STRATA], sums since the change.
        before: excess and information of the slots before the change, of all voters, with the same sign.
        spread: φ, by which variances are multiplied.
    """
    total = float(information[:AGES].sum())
    shift = min(float(excess[:AGES].sum()) / total, _MOST)
    sums = [(float(excess[i]), float(information[i])) for i in range(AGES)]
    sums.append(_weakest_networks(excess[AGES:], information[AGES:]))
    seen, unseen, unclear, shifts = list[str](), list[str](), list[str](), dict[str, float]()
    for kind, (more, votes) in zip(KINDS, sums, strict=True):
        if votes <= 0:
            continue
        shifts[kind] = own = more / votes
        error = math.sqrt(spread / votes)
        if shift >= _CLEAR * error:
            (seen if own >= _SEEN * shift else unseen).append(kind)
        elif own >= _ABOVE * error:
            seen.append(kind)
        elif shift - own >= _CLEAR * error:
            unseen.append(kind)
        else:
            unclear.append(kind)
    unknown = list[str]()
    ages = [i for i in range(AGES) if KINDS[i] in unclear]
    more, votes = float(excess[ages].sum()), float(information[ages].sum())
    if shift * math.sqrt(votes / spread) >= _CLEAR:
        (seen if more >= _SEEN * shift * votes else unseen).append(_and([KINDS[i] for i in ages]))
    elif votes >= _LEAST_SHARE * total:
        unknown += [KINDS[i] for i in ages]
    if KINDS[AGES] in unclear and information[AGES:].sum() >= _LEAST_NETWORKED * total:
        unknown.append(KINDS[AGES])
    x, v = before
    if shift * math.sqrt(v / spread) < _CLEAR:
        return ShiftReading(seen, unseen, unknown, "unknown", shifts)
    return ShiftReading(seen, unseen, unknown, "opposite" if -x / v >= _SEEN * shift else "as expected", shifts)


def _weakest_networks(excess: Float64, information: Float64) -> tuple[float, float]:
    """Return the sums of the groups of networks without the two that show the change best."""
    rest = np.argsort(-excess, kind="stable")[_LEFT_OUT:NETWORK_GROUPS]
    return float(excess[rest].sum()), float(information[rest].sum())


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
