"""`voter_bias`: does one voter's choice of winners differ from what an honest voter would choose?

Formula: E = Σ_k w_k Π_t LR_k,t, the average over alternatives of their likelihood ratio against the
worst honest voter in the band (`pipeline.evidence.outcomes`). Half of the weight is on targets: the
r-th model that the voter meets has 1/(r(r+1)) of it, over "promotes" and "demotes" and three sizes
δ. Half is on always-left, always-right and anti-rating. The weights are predictable and sum to at
most 1, so E is an e-process for every voter in the band: P(ever ≥ 1/α) ≤ α (Ville 1939). A voter is in
the band when the logit of "m wins" is within η = 0.5, and two standard errors of the pair, of the
board's, and the share of ties is the board's.

False alarms outside the band, measured (taste sd 0.5 for each model, tie propensity sd 0.5, 30 models):
none among 3,000 voters of 200 votes; 1.5 to 2% of voters of 1,000 to 2,000 votes; 6% of voters of 400
votes on a board of two models, where one taste is all there is.

*Uniform random clicking* is an alert of its own (direction `random`), on decisive votes and, beside
them, on the share of ties. It has no band, its error rate is measured and not proved, and so it is
never more than a warning.

Source: mixture likelihood ratio e-processes (Ramdas et al. 2023); the alternatives are the attackers
of Huang et al. 2025, "Exploring and mitigating adversarial manipulation of voting-based leaderboards".

Blind spot: a voter who stays within the band (δ below 0.5 logits); many voters with a few votes each
(that is a cohort's business); votes before the first snapshot, and models that it lacks (LR = 1).
Rounding is downward throughout. A late vote counts as evidence; a quarantined one does not.

>>> import numpy as np
>>> from pipeline.alerts import VoterVotes
>>> from pipeline.evidence import Reference
>>> board = Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))
>>> always = VoterVotes(np.zeros(40, int), np.array([7]), 0, np.arange(40), np.zeros(40, int),
...                     np.tile([0, 1], 20), np.tile([1, 0], 20), np.tile([0, 1], 20).astype(np.int8))
>>> _, raised = VoterBias().observe(always, [None], board)
>>> first = raised[0]
>>> first.offset, first.direction, first.severity, first.evidence["likeliest"][0]["what"]
(10, 'biased', 'warning', 'promotes')
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.alerts import CRITICAL, LEVELS, Raised, VoterVotes, voter_label
from pipeline.detectors.voter_bias_state import (
    LONGEST_HISTORY,
    History,
    Tally,
    Targets,
    join_targets,
    pack,
    pack_histories,
    unpack,
)
from pipeline.evidence import DELTAS, E_UNIT, Reference, e_units, running_sums, starts, to_e_value
from pipeline.evidence.fixed import Int64

_GENERIC = ("always votes for the left side", "always votes for the right side", "swaps win and loss")
_GENERIC_WEIGHT = 0.5 / len(_GENERIC)
_LEVEL_UNITS = np.array([level / E_UNIT for level in LEVELS])


@dataclass(frozen=True)
class VoterBias:
    """The detector; see the module for formula, source, blind spot and false-alarm rate."""

    name = "voter_bias"

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Reference,
        earlier: Callable[[int], Reference] | None = None,
    ) -> tuple[list[bytes], list[Raised]]:
        """See `VoterDetector`. Cost: a few vector operations on two rows a vote."""
        histories = [History.parse(state) for state in prior]
        prior = self._closed(prior, histories, reference, earlier)
        tally, targets = unpack([None if h else state for h, state in zip(histories, prior, strict=True)])
        everything, fresh = _with_past(votes, histories, tally)
        path = _follow(everything, tally, targets, reference)
        raised = [
            raise_
            for column, direction in enumerate(("biased", "random"))
            for raise_ in self._raise(path, tally, column, direction, fresh)
        ]
        after = pack(path.close(tally), path.targets_after())
        whole = [h is not None or state is None for h, state in zip(histories, prior, strict=True)]
        short = np.array(whole, dtype=np.bool_) & (tally.votes <= LONGEST_HISTORY)
        for i, state in pack_histories(tally.told, reference.sequence, path.votes, path.outcome, short).items():
            after[i] = state
        return after, sorted(raised, key=lambda r: (r.offset, r.direction))

    def _closed(
        self,
        prior: Sequence[bytes | None],
        histories: list[History | None],
        reference: Reference,
        earlier: Callable[[int], Reference] | None,
    ) -> list[bytes | None]:
        """Histories under another snapshot become components, by the probabilities that judged them."""
        closed = list(prior)
        by_snapshot: dict[int, list[int]] = {}
        for i, history in enumerate(histories):
            if history and history.snapshot != reference.sequence:
                histories[i] = closed[i] = None
                if len(history.votes):
                    by_snapshot.setdefault(history.snapshot, []).append(i)
        for snapshot, voters in by_snapshot.items():
            if earlier is None:
                raise ValueError(f"expected the reference of snapshot {snapshot}: a voter was judged by it")
            past: list[History | None] = [History.parse(prior[i]) for i in voters]
            tally, targets = unpack([None] * len(voters))
            votes, _ = _with_past(_none(len(voters)), past, tally)
            path = _follow(votes, tally, targets, earlier(snapshot))
            for i, state in zip(voters, pack(path.close(tally), path.targets_after()), strict=True):
                closed[i] = state
        return closed

    def _raise(
        self, path: _Path, tally: Tally, column: int, direction: str, fresh: npt.NDArray[np.bool_]
    ) -> list[Raised]:
        """The new votes at which the evidence first reached each level that was not told before."""
        level = np.searchsorted(_LEVEL_UNITS, path.e[:, column], side="right")
        level = np.where(fresh[path.rows_of_votes], level, 0)
        told = tally.told[:, column]
        raised = []
        for i in np.flatnonzero(level > told[path.votes.voter]).tolist():
            voter = int(path.votes.voter[i])
            if level[i] > told[voter]:
                told[voter] = level[i]
                raised.append(self._describe(path, i, int(level[i]), column, direction))
        return raised

    def _describe(self, path: _Path, i: int, level: int, column: int, direction: str) -> Raised:
        votes, voter = path.votes, int(path.votes.voter[i])
        e_value = to_e_value(int(path.e[i, column]))
        proved = direction == "biased"
        return Raised(
            detector=self.name,
            subject_kind="voter",
            subject=voter_label(int(votes.names[voter])),
            direction=direction,
            severity="critical" if proved and e_value >= CRITICAL else "warning",
            e_value=e_value,
            level=level,
            partition=votes.partition,
            offset=int(votes.offset[i]),
            at=int(votes.at[i]),
            evidence={
                "votes": int(path.seen[i]),
                "ties": int(path.ties[i]),
                "snapshot": path.sequence,
                "proved": proved,
                "likeliest": path.likeliest(i) if proved else [{"what": "clicks at random", "share": 1.0}],
            },
        )


@dataclass(frozen=True)
class _Path:
    """The evidence after every vote of a call (n votes, 2n rows: model a and model b of each)."""

    votes: VoterVotes  # the votes that count: both models are in the snapshot
    outcome: npt.NDArray[np.int8]  # [n] 0, 1, or 2 for both kinds of tie
    rows_of_votes: Int64  # [n] their rows among the votes of the call
    sequence: int
    targets: Targets
    rows: Int64  # [2n] position in targets
    sums: Int64  # [2n, 6] log-ratio sums of the row's model after the vote
    generic: Int64  # [n, 5]
    biased: Int64  # [n] the target half of the e-value
    e: Int64  # [n, 2] e-values of biased and random
    seen: Int64  # [n] votes of the voter so far
    ties: Int64  # [n] ties among them

    def close(self, tally: Tally) -> Tally:
        """The tally after the last vote of each voter."""
        last = np.append(starts(self.votes.voter)[1:], True)[: len(self.votes.voter)]
        who = self.votes.voter[last]
        tally.votes[who], tally.ties[who] = self.seen[last], self.ties[last]
        tally.generic[who], tally.total[who] = self.generic[last], self.biased[last]
        return tally

    def targets_after(self) -> Targets:
        """The targets after the last vote (of equal positions the last assignment stays)."""
        self.targets.sums[self.rows] = self.sums
        return self.targets

    def likeliest(self, i: int) -> list[dict[str, Any]]:
        """The three alternatives that hold most of the evidence after vote i."""
        voter = self.votes.voter[i]
        here = np.flatnonzero(np.repeat(self.votes.voter == voter, 2)[: 2 * i + 2])
        sums = self.targets.sums.copy()
        sums[self.rows[here]] = self.sums[here]
        mine = np.flatnonzero(self.targets.voter == voter)
        met = mine[np.isin(mine, self.rows[here]) | (self.targets.sums[mine] != 0).any(axis=1)]
        held = e_units(_weight(self.targets.rank[met]), sums[met])
        found: list[dict[str, Any]] = [
            {"what": verb, "model": int(self.targets.model[m]), "delta": delta, "share": float(held[r, c])}
            for r, m in enumerate(met.tolist())
            for c, (verb, delta) in enumerate((v, d) for v in ("promotes", "demotes") for d in DELTAS)
        ]
        generic = e_units(_GENERIC_WEIGHT, self.generic[i, :3])
        found += [{"what": what, "share": float(generic[c])} for c, what in enumerate(_GENERIC)]
        whole = sum(f["share"] for f in found)
        best = sorted(found, key=lambda f: -f["share"])[:3]
        return [{**f, "share": round(f["share"] / whole, 3)} for f in best]


def _none(voters: int) -> VoterVotes:
    """No votes of so many voters."""
    empty = np.zeros(0, dtype=np.int64)
    names = np.zeros(voters, dtype=np.int64)
    return VoterVotes(empty, names, 0, empty, empty, empty, empty, empty.astype(np.int8))


def _with_past(
    votes: VoterVotes, histories: Sequence[History | None], tally: Tally
) -> tuple[VoterVotes, npt.NDArray[np.bool_]]:
    """The votes with the histories before them, and which of them are new; `tally.told` is filled in."""
    past = [(i, h) for i, h in enumerate(histories) if h]
    for i, history in past:
        tally.told[i] = history.told
    if not past:
        return votes, np.ones(len(votes.voter), dtype=np.bool_)
    old = np.concatenate([h.votes for _, h in past])
    whose = np.repeat([i for i, _ in past], [len(h.votes) for _, h in past])
    order = np.argsort(np.concatenate([whose, votes.voter]), kind="stable")
    nowhere = np.full(len(old), -1, dtype=np.int64)  # a history keeps no offsets: nothing is raised from it

    def joined(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([before.astype(after.dtype), after])[order]

    everything = VoterVotes(
        joined(whose, votes.voter),
        votes.names,
        votes.partition,
        joined(nowhere, votes.offset),
        joined(nowhere, votes.at),
        joined(old["model_a"], votes.model_a),
        joined(old["model_b"], votes.model_b),
        joined(old["outcome"], votes.outcome),
    )
    return everything, joined(np.zeros(len(old), dtype=np.bool_), np.ones(len(votes.voter), dtype=np.bool_))


def _follow(votes: VoterVotes, tally: Tally, targets: Targets, reference: Reference) -> _Path:
    a, b = reference.index_of(votes.model_a), reference.index_of(votes.model_b)
    rows_of_votes = np.flatnonzero((a >= 0) & (b >= 0))
    if len(rows_of_votes) < len(votes.voter):
        votes, a, b = votes.only(rows_of_votes), a[rows_of_votes], b[rows_of_votes]
    outcome = np.minimum(votes.outcome, 2).astype(np.int8)
    tied = outcome == 2
    one = np.ones(len(a), dtype=np.int64)
    seen = running_sums(one, votes.voter, tally.votes)
    ties = running_sums(tied.astype(np.int64), votes.voter, tally.ties)
    tie_step = reference.tie_ratio(tied, ties - tied, seen - 1)
    step = np.column_stack([reference.generic[a, b, outcome], tie_step])
    generic = running_sums(step, votes.voter, tally.generic)
    joined, rows = join_targets(votes, targets, tally)
    sums, change = _target_sums(joined, rows, a, b, outcome, reference)
    biased = running_sums(change, votes.voter, tally.total)
    e = np.column_stack(
        [
            biased + e_units(_GENERIC_WEIGHT, generic[:, :3]).sum(axis=1),
            e_units(0.5, generic[:, 3]) + e_units(0.5, generic[:, 3] + generic[:, 4]),
        ]
    )
    return _Path(votes, outcome, rows_of_votes, reference.sequence, joined, rows, sums, generic, biased, e, seen, ties)


def _target_sums(
    targets: Targets, rows: Int64, a: Int64, b: Int64, outcome: npt.NDArray[np.int8], reference: Reference
) -> tuple[Int64, Int64]:
    """Log-ratio sums after each row, int64[2n, 6], and the change of the e-value at each vote, int64[n].

    "a is promoted" and "b is demoted by a's winning more" are the same ratio, and the other way round.
    """
    for_a = reference.targets[a, b, (outcome == 0).astype(np.int64)]
    for_b = reference.targets[b, a, (outcome == 1).astype(np.int64)]
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
    # A model met in this call has no part in the e-value so far.
    before[first] = np.where(targets.old[at_start], held, 0)
    change = np.empty_like(after)
    change[order] = after - before
    unsorted = np.empty_like(sums)
    unsorted[order] = sums
    return unsorted, change.reshape(-1, 2).sum(axis=1)


def _weight(rank: Int64) -> npt.NDArray[np.float64]:
    """The weight of each of the six alternatives about the r-th model met: ½ · 1/(r(r+1)) · ⅙."""
    return (1 / (12.0 * rank * (rank + 1)))[:, None]
