"""The exact e-value of `voter_bias` after every vote of some voters: what the bound saves most votes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.detectors.voter_bias_state import Tally, Targets, join_targets
from pipeline.evidence import DELTAS, E_UNIT, LOG_UNIT, Reference, e_units, running_sums, starts
from pipeline.evidence.fixed import Int64

GENERIC = ("always votes for the left side", "always votes for the right side", "swaps win and loss")
_GENERIC_WEIGHT = 0.5 / len(GENERIC)


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
    targets: Targets
    rows: Int64  # [2n] position in targets
    sums: Int64  # [2n, 6] log-ratio sums of the row's model after the vote
    generic: Int64  # [n, 3]
    half: Int64  # [n] the target half of the e-value, units of 2⁻²⁴
    e: Int64  # [n] the e-value
    met: Int64  # [n] models met

    def bound(self, i: int) -> int:
        """No less than the logarithm of the e-value after vote i, models not met yet included; units of 2⁻²⁰.

        The components of models not met yet are 1, and their weights sum to ½ · 1/(met + 1). Each component was
        rounded down by less than one unit.
        """
        met = int(self.met[i])
        whole = (int(self.e[i]) + 6 * met + 4) * E_UNIT + 0.5 / (met + 1)
        return int(np.ceil(np.log(whole) / LOG_UNIT)) + 2

    def close(self, tally: Tally) -> tuple[Tally, Targets]:
        """What is folded after the last vote of each voter."""
        last = np.append(starts(self.voter)[1:], True)[: len(self.voter)]
        who = self.voter[last]
        folded = Tally(tally.met.copy(), tally.generic.copy(), tally.total.copy())
        folded.met[who], folded.generic[who], folded.total[who] = self.met[last], self.generic[last], self.half[last]
        sums = self.targets.sums.copy()
        sums[self.rows] = self.sums  # of equal positions the last assignment stays
        return folded, Targets(self.targets.voter, self.targets.model, self.targets.rank, sums, self.targets.old)

    def likeliest(self, i: int) -> list[dict[str, Any]]:
        """The three alternatives that hold most of the evidence after vote i."""
        here = np.flatnonzero(np.repeat(self.voter == self.voter[i], 2)[: 2 * i + 2])
        sums = self.targets.sums.copy()
        sums[self.rows[here]] = self.sums[here]
        mine = np.flatnonzero(self.targets.voter == self.voter[i])
        met = mine[np.isin(mine, self.rows[here]) | (self.targets.sums[mine] != 0).any(axis=1)]
        held = e_units(_weight(self.targets.rank[met]), sums[met])
        found: list[dict[str, Any]] = [
            {"what": verb, "model": int(self.targets.model[m]), "delta": delta, "share": float(held[r, c])}
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
    for_a, for_b, generic_steps = _steps(votes, reference_of)
    generic = running_sums(generic_steps, votes.voter, tally.generic)
    joined, rows, newly = join_targets(votes.voter, votes.model_a, votes.model_b, targets, tally.met)
    sums, change = _target_sums(joined, rows, for_a, for_b)
    half = running_sums(change, votes.voter, tally.total)
    met = running_sums(newly, votes.voter, tally.met)
    e = half + e_units(_GENERIC_WEIGHT, generic).sum(axis=1)
    return Path(votes.voter, joined, rows, sums, generic, half, e, met)


def _steps(votes: Judged, reference_of: Callable[[int], Reference]) -> tuple[Int64, Int64, Int64]:
    """Log-ratios of each vote: about a int64[n, 3], about b int64[n, 3], generic int64[n, 3].

    "a is promoted" and "b is demoted by a's winning more" are the same ratio, and the other way round.
    """
    shape = (len(votes.voter), 3)
    for_a, for_b, generic = (np.empty(shape, dtype=np.int64) for _ in range(3))
    for sequence in np.unique(votes.snapshot).tolist():
        rows = np.flatnonzero(votes.snapshot == sequence)
        reference, outcome = reference_of(sequence), votes.outcome[rows].astype(np.int64)
        a, b = reference.index_of(votes.model_a[rows]), reference.index_of(votes.model_b[rows])
        for_a[rows] = reference.targets[a, b, (outcome == 0).astype(np.int64)]
        for_b[rows] = reference.targets[b, a, (outcome == 1).astype(np.int64)]
        generic[rows] = reference.generic[a, b, outcome, :3]
    return for_a, for_b, generic


def _target_sums(targets: Targets, rows: Int64, for_a: Int64, for_b: Int64) -> tuple[Int64, Int64]:
    """Log-ratio sums after each row, int64[2n, 6], and the change of the e-value at each vote, int64[n]."""
    steps = np.concatenate([for_a, for_b, for_b, for_a], axis=1).reshape(-1, 6)
    order = np.argsort(rows, kind="stable")
    group = rows[order]
    sums = running_sums(steps[order], group, targets.sums)
    after = e_units(_weight(targets.rank[group]), sums).sum(axis=1)
    first = starts(group)
    before = np.empty_like(after)
    before[1:] = after[:-1]
    at_start = group[first]
    held = e_units(_weight(targets.rank[at_start]), targets.sums[at_start]).sum(axis=1)
    # A model met in these votes has no part in the e-value so far.
    before[first] = np.where(targets.old[at_start], held, 0)
    change = np.empty_like(after)
    change[order] = after - before
    unsorted = np.empty_like(sums)
    unsorted[order] = sums
    return unsorted, change.reshape(-1, 2).sum(axis=1)


def _weight(rank: Int64) -> npt.NDArray[np.float64]:
    """The weight of each of the six alternatives about the r-th model met: ½ · 1/(r(r+1)) · ⅙."""
    return (1 / (12.0 * rank * (rank + 1)))[:, None]
