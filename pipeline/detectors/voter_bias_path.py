"""The exact e-value of `voter_bias` after every vote of some voters: what the bound saves most votes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.detectors.voter_bias_state import RANKED, Joined, Tally, Targets, join_targets
from pipeline.evidence import DELTAS, E_UNIT, LOG_UNIT, Reference, e_units, running_sums, starts
from pipeline.evidence.fixed import Int64

GENERIC = ("always votes for the left side", "always votes for the right side", "swaps win and loss")
_GENERIC_WEIGHT = 0.5 / len(GENERIC)
# Where exp() is still a number; more than any level.
_LARGEST = 600.0


@dataclass(frozen=True)
class Judged:
    """Votes with the snapshots that judge them, arrays of length n sorted by voter.

    Attributes:
        voter: position of the voter.
        model_a, model_b: the store's numbers; both are in the vote's snapshot.
        outcome: int8[n], 0, 1, or 2 for both kinds of tie.
        snapshot: sequence number.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: npt.NDArray[np.int8]
    snapshot: Int64

    def take(self, rows: npt.NDArray[Any]) -> Judged:
        """Some of the votes."""
        return Judged(self.voter[rows], self.model_a[rows], self.model_b[rows], self.outcome[rows], self.snapshot[rows])


@dataclass(frozen=True)
class Path:
    """The evidence after every vote (n votes, 2n rows: model a and model b of each)."""

    voter: Int64
    joined: Joined
    sums: Int64  # [2n, 6] log-ratio sums of the row's model after the vote
    generic: Int64  # [n, 3]
    half: Int64  # [n] the target half of the e-value, units of 2⁻²⁴
    e: Int64  # [n] the e-value
    waiting: Int64  # [n] no less than any log-ratio sum of a model without a rank, met or not

    def bound(self, i: int) -> int:
        """No less than the logarithm of the e-value after vote i, models without a rank included; units of 2⁻²⁰.

        The components of those are at most e^waiting, and their weights sum to ½ · 1/(ranked + 1). Each component
        was rounded down by less than one unit.
        """
        ranked = int(self.joined.ranked[i])
        rest = 0.5 / (ranked + 1) * np.exp(min(int(self.waiting[i]) * LOG_UNIT, _LARGEST))
        whole = (int(self.e[i]) + 6 * ranked + 4) * E_UNIT + rest
        return int(np.ceil(np.log(whole) / LOG_UNIT)) + 2

    def close(self, tally: Tally) -> tuple[Tally, Targets]:
        """What is folded after the last vote of each voter."""
        last = np.append(starts(self.voter)[1:], True)[: len(self.voter)]
        who = self.voter[last]
        folded = Tally(tally.met.copy(), tally.generic.copy(), tally.total.copy())
        folded.met[who], folded.generic[who] = self.joined.met[last], self.generic[last]
        folded.total[who] = self.half[last]
        targets = self.joined.targets
        sums = targets.sums.copy()
        sums[self.joined.rows] = self.sums  # of equal positions the last assignment stays
        return folded, Targets(targets.voter, targets.model, targets.rank, targets.votes, sums)

    def likeliest(self, i: int) -> list[dict[str, Any]]:
        """The three alternatives that hold most of the evidence after vote i."""
        targets, rows = self.joined.targets, self.joined.rows
        here = np.flatnonzero(np.repeat(self.voter == self.voter[i], 2)[: 2 * i + 2])
        sums = targets.sums.copy()
        sums[rows[here]] = self.sums[here]
        votes = targets.votes - np.bincount(rows, minlength=len(targets.votes))
        votes += np.bincount(rows[here], minlength=len(votes))
        met = np.flatnonzero((targets.voter == self.voter[i]) & (votes >= RANKED))
        held = e_units(_weight(targets.rank[met]), sums[met])
        found: list[dict[str, Any]] = [
            {"what": verb, "model": int(targets.model[m]), "delta": delta, "share": float(held[r, c])}
            for r, m in enumerate(met.tolist())
            for c, (verb, delta) in enumerate((v, d) for v in ("promotes", "demotes") for d in DELTAS)
        ]
        generic = e_units(_GENERIC_WEIGHT, self.generic[i])
        found += [{"what": what, "share": float(generic[c])} for c, what in enumerate(GENERIC)]
        whole = sum(f["share"] for f in found)
        best = sorted(found, key=lambda f: -f["share"])[:3]
        return [{**f, "share": round(f["share"] / whole, 3)} for f in best]


def follow(votes: Judged, tally: Tally, targets: Targets, reference_of: Callable[[int], Reference]) -> Path:
    """The path of some voters' votes from what is folded of them.

    Args:
        votes: n votes of m voters.
        tally, targets: of the m voters; not changed.
        reference_of: sequence number → probabilities.
    """
    joined = join_targets(votes.voter, votes.model_a, votes.model_b, targets, tally.met)
    steps, generic_steps = _steps(votes, Reference.band_of(joined.before), reference_of)
    generic = running_sums(generic_steps, votes.voter, tally.generic)
    sums, change, waiting = _target_sums(joined, steps)
    half = running_sums(change, votes.voter, tally.total)
    e = half + e_units(_GENERIC_WEIGHT, generic).sum(axis=1)
    return Path(votes.voter, joined, sums, generic, half, e, _highest(waiting, votes.voter, joined, targets))


def _steps(votes: Judged, band: Int64, reference_of: Callable[[int], Reference]) -> tuple[Int64, Int64]:
    """Log-ratios of each vote: int64[2n, 6] about a and about b (promotes, demotes), and generic int64[n, 3].

    "a is promoted" and "b is demoted by a's winning more" are the same ratio, and the other way round; but each in
    the band of the model that it is about.
    """
    n = len(votes.voter)
    about, generic = np.empty((n, 2, 2, 3), dtype=np.int64), np.empty((n, 3), dtype=np.int64)
    bands = band.reshape(n, 2)
    for sequence in np.unique(votes.snapshot).tolist():
        rows = np.flatnonzero(votes.snapshot == sequence)
        reference, outcome = reference_of(sequence), votes.outcome[rows].astype(np.int64)
        a, b = reference.index_of(votes.model_a[rows]), reference.index_of(votes.model_b[rows])
        won_a, won_b = (outcome == 0).astype(np.int64), (outcome == 1).astype(np.int64)
        for place, band_ in enumerate(bands[rows].T):
            about[rows, place, place] = reference.targets[band_, a, b, won_a]
            about[rows, place, 1 - place] = reference.targets[band_, b, a, won_b]
        generic[rows] = reference.generic[a, b, outcome, :3]
    return about.reshape(2 * n, 6), generic


def _target_sums(joined: Joined, steps: Int64) -> tuple[Int64, Int64, Int64]:
    """What each row makes of the sums.

    Returns:
        The log-ratio sums after each row, int64[2n, 6]; the change of the e-value at each vote, int64[n]; and the
        largest sum of the row's model while it has no rank (else 0), int64[2n].
    """
    targets, rows = joined.targets, joined.rows
    order = np.argsort(rows, kind="stable")
    group, before = rows[order], joined.before[order]
    sums = running_sums(steps[order], group, targets.sums)
    weight = _weight(targets.rank[group])
    has_rank = before >= RANKED - 1
    after = np.where(has_rank, e_units(weight, sums).sum(axis=1), 0)
    first = starts(group)
    earlier = np.empty_like(after)
    earlier[1:] = after[:-1]
    at_start = group[first]
    held = e_units(weight[first], targets.sums[at_start]).sum(axis=1)
    earlier[first] = np.where(before[first] >= RANKED, held, 0)
    change, unsorted, waiting = np.empty_like(after), np.empty_like(sums), np.empty_like(after)
    change[order], unsorted[order] = after - earlier, sums
    waiting[order] = np.where(has_rank, 0, sums.max(axis=1))
    return unsorted, change.reshape(-1, 2).sum(axis=1), waiting


def _highest(waiting: Int64, voter: Int64, joined: Joined, before: Targets) -> Int64:
    """After each vote no less than any sum of a model of the voter's without a rank: the highest one so far."""
    highest = np.zeros(len(joined.targets.voter) and int(joined.targets.voter[-1]) + 1, dtype=np.int64)
    mine = before.rank == 0
    np.maximum.at(highest, before.voter[mine], before.sums[mine].max(axis=1, initial=0))
    own = np.maximum(waiting.reshape(-1, 2).max(axis=1, initial=0), highest[voter])
    # Each voter's stretch lies above the one before it: one running maximum serves all of them.
    lift = voter * (1 << 44)
    return np.asarray(np.maximum.accumulate(own + lift) - lift)


def _weight(rank: Int64) -> npt.NDArray[np.float64]:
    """The weight of each of the six alternatives about the model of rank r: ½ · 1/(r(r+1)) · ⅙; of none 0."""
    return (np.where(rank > 0, 1.0, 0.0) / (12.0 * np.maximum(rank, 1) * (rank + 1)))[:, None]
