"""Decides which kinds of voters show a change of a model in their votes, for the text of an alert of `model_shift`.

If a model itself changed, the votes of all kinds of voters show the change. The votes of an attack come from some
accounts or networks only. There are four kinds of voters. Three are accounts of unknown age, established accounts and
new accounts. The fourth, "most networks", has the votes from ten of the sixteen groups of networks, without the six
groups that show the largest change. So an attack from up to six groups does not look like a change of the model.

Let δ be the change that all votes together show, at most 0.6 logits. Each kind of voters has an estimate of the change
from its own votes, with a standard error SE.

- δ ≥ 3 SE: the kind shows the change if its estimate is at least 0.4 δ. Otherwise the kind does not show the change.
- δ < 3 SE: the kind shows the change if its estimate is at least 2.5 SE. The kind does not show the change if its
  estimate is at most δ − 3 SE. Otherwise the kind is undecided.

The undecided kinds of accounts are then merged to one kind. If this kind has δ ≥ 3 SE, it is decided as above.
Otherwise it is ignored if it has less than 15% of the information, and "unknown" if it has more. Undecided "most
networks" is ignored if all networks together have less than 20% of the information, and otherwise "unknown".

The end of an attack that had influenced the snapshots looks like a change too. So the alert says that the model itself
changed only if the votes from before the change allow it: their δ is at least 3 SE, and they do not show a change of
0.4 δ or more in the opposite direction.
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
_LEFT_OUT = 6


@dataclass(frozen=True)
class ShiftReading:
    """The kinds of voters whose votes show a change of a model, and the kinds whose votes do not.

    Attributes:
        seen: the kinds that show the change.
        unseen: the kinds that do not show the change.
        unknown: the kinds with too few votes to decide.
        before: what the votes before the change show: results "as expected" by the snapshots, a change in the
            "opposite" direction, or "unknown" if they are too few.
        shifts: kind → the change of the model's logit that the votes of this kind show. Kinds without votes are absent.
    """

    seen: Sequence[str]
    unseen: Sequence[str]
    unknown: Sequence[str]
    before: Literal["as expected", "opposite", "unknown"]
    shifts: dict[str, float]

    @property
    def by_all(self) -> bool:
        """Whether all kinds of voters show the change, and the results before the change were as expected.

        Kinds without votes or with too few to matter are ignored. At least two kinds must be left.
        """
        return len(self.seen) > 1 and not self.unseen and not self.unknown and self.before == "as expected"

    @property
    def is_open(self) -> bool:
        """Whether further votes may lead to the result that all kinds of voters show the change."""
        return bool(self.unknown) and not self.unseen and self.before == "as expected"

    @property
    def text(self) -> str:
        """The part of the alert's text that states whether the model changed or may have been attacked, and why."""
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
    """Decide which kinds of voters show a change of a model.

    Args:
        excess: float64[STRATA], the excess of wins of each kind of voters since the change (`model_shift_sums`). It is
            negated if the results became worse. A stratum is a kind of voters.
        information: float64[STRATA], the information of each kind of voters since the change.
        before: two numbers: excess and information of all voters in the slots before the change. The excess has the
            same sign as `excess`.
        spread: φ, the factor by which variances are multiplied (`model_shift_ratios`).
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
    """Return the sums of excess and information over the groups of networks, without the six with most excess.

    Args:
        excess, information: float64, the numbers of each stratum, beginning with the NETWORK_GROUPS groups.
    """
    rest = np.argsort(-excess, kind="stable")[_LEFT_OUT:NETWORK_GROUPS]
    return float(excess[rest].sum()), float(information[rest].sum())


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
