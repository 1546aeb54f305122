"""`voter_bias`: does one voter's choice of winners differ from what an honest voter would choose?

Formula: E = Σ_k w_k Π_t LR_k,t, the average over alternatives of their likelihood ratio against the
worst honest voter in the band (`pipeline.evidence.outcomes`). Six tenths of the weight are on targets: the
r-th model that gets four of the voter's votes has 1/(r(r+1)) of it, over "promotes" (⅔) and "demotes" and
three sizes δ. An attacker's target gets there first, and pays least for being one of many. The rest is on
always-left, always-right and against the rating. The weights follow from which battles the voter voted on,
never from how, and sum to at most 1; so E is an e-process, P(ever ≥ 1/α) ≤ α (Ville 1939), for every
voter in the band who does not choose the next battle by the last outcomes. Of a target two things are asked
on each of its battles: was it a tie, beside how often this voter ties elsewhere; and if not, did it win. A voter
is in the band when the logit of "m wins, if somebody does" is within η, and two standard errors of the pair, of
the board's, and its ties on m are no rarer than its ties elsewhere, which are drawn from the voters' own (a beta
distribution, estimated). η is 0.25 for the first 30 votes on the model that the voter got to first, 0.3 up to the
90th, and wider beyond and for every other model (0.5 for one side, 0.71 against the rating): tastes of sd 0.5 lie
outside now and then, and only many votes tell so.

False alarms outside the band, measured (taste sd 0.5 for each model, α = 1%, `integrity bench evidence`): none
among 1,000 voters of 400 votes on 100 models; with ties that are rarer between unequal models, and rarer on some
models than on others, 0.7% of 300 voters of 1,500 votes on 30 models, 0.3% of 1,000 of 600 on ten, 0.2% and 0.8%
of 1,000 of 400 on four and on two; 0.4% of 1,000 who saw one new model in every fifth battle and whose readiness
to tie has sd 1.

*Uniform random clicking* is an alert of its own (direction `random`), on decisive votes and, beside
them, on the share of ties. It has next to no band; its error rate is measured and not proved (1.0% of 3,000
honest voters of 400 votes, 0.6% of 1,500 on another board), and so it is never more than a warning.

Source: mixture likelihood ratio e-processes (Ramdas et al. 2023); the alternatives are the attackers
of Huang et al. 2025, "Exploring and mitigating adversarial manipulation of voting-based leaderboards".

Blind spot: a voter who stays within the band and ties as often as elsewhere; one at half strength, whose target
wins 1.4 logits more than it should, is 2.7 standard deviations of honest taste away, and is found by its missing
ties: seven of ten within 80 votes on the target; many voters with a few votes each (that is a cohort's business);
votes before the first snapshot, and models that it lacks (LR = 1).
Rounding is downward throughout. A late vote counts as evidence; a quarantined one does not.

Cost: the exact e-value is computed only when it may have reached the next level. No vote multiplies it by more
than the largest likelihood ratio among the alternatives, so a running product of those is a bound on it (a few
vector operations a vote); when the bound reaches the level, the pending votes are folded and the bound starts
again from the exact value. The alerts are the same as if every vote had been folded.

>>> import numpy as np
>>> from pipeline.alerts import VoterVotes
>>> from pipeline.evidence import Reference
>>> board = Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))
>>> always = VoterVotes(np.zeros(40, int), np.array([7]), 0, np.arange(40), np.zeros(40, int),
...                     np.tile([0, 1], 20), np.tile([1, 0], 20), np.tile([0, 1], 20).astype(np.int8),
...                     np.zeros(40, int))
>>> _, raised = VoterBias().observe(always, [None], board)
>>> first = raised[0]
>>> first.offset, first.direction, first.severity, first.evidence["likeliest"][0]["what"]
(13, 'biased', 'warning', 'demotes')
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.alerts import CRITICAL, LEVELS, Raised, VoterVotes, voter_label
from pipeline.detectors.voter_bias_path import Judged, Path, follow
from pipeline.detectors.voter_bias_state import (
    COMPONENTS_HEAD,
    HISTORY_HEAD,
    LARGEST_NUMBER,
    LONGEST_PENDING,
    PENDING_SIZE,
    Heads,
    Pending,
    marker,
    pack,
    pending_bytes,
    unpack,
)
from pipeline.evidence import E_UNIT, LOG_UNIT, Reference, e_units, running_sums, starts, to_e_value
from pipeline.evidence.fixed import Int64
from pipeline.evidence.outcomes import MOST_BY_TIES

_LEVEL_UNITS = np.array([level / E_UNIT for level in LEVELS])
# The bound at which each next level may be reached; after the last one nothing more is told.
_NEVER = 2**30
_BARS = np.array([*(int(np.floor(np.log(level) / LOG_UNIT)) for level in LEVELS), _NEVER])

Earlier = Callable[[int], Reference]


@dataclass(frozen=True)
class VoterBias:
    """The detector; see the module for formula, source, blind spot, false-alarm rate and cost."""

    name = "voter_bias"
    tag = 1

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Reference,
        earlier: Earlier | None = None,
    ) -> tuple[list[bytes], list[Raised]]:
        """See `VoterDetector`."""
        heads = Heads.parse(prior)
        counted = _Counted.of(votes, heads, reference)
        raised = self._raise_random(votes, heads, counted, reference.sequence)
        marked = (heads.pending > 0) & (heads.snapshot != reference.sequence) & (counted.new > 0)
        pending = heads.pending + marked + counted.new
        near = pending > LONGEST_PENDING
        near[counted.voter[(counted.bound >= _BARS[heads.told[counted.voter, 0]]) | counted.large]] = True
        exact = _Exact.of(np.flatnonzero(near), prior, heads, counted, marked, reference, earlier)
        raised += [self._describe_biased(votes, counted, exact, *said, reference.sequence) for said in exact.raised]
        before = heads.snapshot.copy()
        counted.close(heads, pending, reference.sequence)
        exact.close(heads)
        return _states(prior, heads, counted, marked, before, exact), sorted(
            raised, key=lambda r: (r.offset, r.direction)
        )

    def _raise_random(self, votes: VoterVotes, heads: Heads, counted: _Counted, snapshot: int) -> list[Raised]:
        """The votes at which "clicks at random" first reached each level that was not told before."""
        e = e_units(0.5, counted.uniform) + e_units(0.5, counted.uniform + counted.tie)
        level = np.searchsorted(_LEVEL_UNITS, e, side="right")
        told = heads.told[:, 1]
        raised = []
        for i in np.flatnonzero(level > told[counted.voter]).tolist():
            if level[i] > told[counted.voter[i]]:
                told[counted.voter[i]] = level[i]
                likeliest = [{"what": "clicks at random", "share": 1.0}]
                raised.append(self._describe(votes, counted, i, int(level[i]), int(e[i]), likeliest, snapshot))
        return raised

    def _describe_biased(
        self, votes: VoterVotes, counted: _Counted, exact: _Exact, i: int, level: int, snapshot: int
    ) -> Raised:
        return self._describe(
            votes,
            counted,
            int(exact.row[i]),
            level,
            int(exact.path.e[i]),
            exact.path.likeliest(i),
            snapshot,
            proved=True,
        )

    def _describe(
        self,
        votes: VoterVotes,
        counted: _Counted,
        i: int,
        level: int,
        e: int,
        likeliest: list[dict[str, Any]],
        snapshot: int,
        proved: bool = False,
    ) -> Raised:
        place, e_value = int(counted.rows[i]), to_e_value(e)
        return Raised(
            detector=self.name,
            subject_kind="voter",
            subject=voter_label(int(votes.names[counted.voter[i]])),
            direction="biased" if proved else "random",
            severity="critical" if proved and e_value >= CRITICAL else "warning",
            e_value=e_value,
            level=level,
            partition=votes.partition,
            offset=int(votes.offset[place]),
            at=int(votes.at[place]),
            evidence={
                "votes": int(counted.seen[i]),
                "ties": int(counted.ties[i]),
                "snapshot": snapshot,
                "proved": proved,
                "likeliest": likeliest,
            },
        )


@dataclass(frozen=True)
class _Counted:
    """The votes of a call that count as evidence (both models are in the snapshot), arrays of length n."""

    voter: Int64
    rows: Int64  # their rows among the votes of the call
    model_a: Int64
    model_b: Int64
    outcome: npt.NDArray[np.int8]  # 0, 1, or 2 for both kinds of tie
    large: npt.NDArray[np.bool_]  # a model's number does not fit a pending entry
    factor: Int64  # the largest log-ratio of the vote
    seen: Int64  # votes of the voter so far
    ties: Int64
    uniform: Int64
    tie: Int64
    bound: Int64
    new: Int64  # [v] counted votes of each voter of the call

    @classmethod
    def of(cls, votes: VoterVotes, heads: Heads, reference: Reference) -> _Counted:
        a, b = reference.index_of(votes.model_a), reference.index_of(votes.model_b)
        rows = np.flatnonzero((a >= 0) & (b >= 0))
        a, b, voter = a[rows], b[rows], votes.voter[rows]
        outcome = np.minimum(votes.outcome[rows], 2).astype(np.int8)
        tied = (outcome == 2).astype(np.int64)
        seen = running_sums(np.ones_like(tied), voter, heads.votes)
        ties = running_sums(tied, voter, heads.ties)
        own = reference.own_ties(ties - tied, seen - 1)
        decided = MOST_BY_TIES[reference.tie_level(a, b, own)] * (1 - tied)
        factor = reference.largest[a, b, outcome] + decided
        steps = [reference.generic[a, b, outcome, 3], reference.tie_ratio(tied == 1, own), factor]
        prior = np.column_stack([heads.uniform, heads.tie, heads.bound])
        uniform, tie, bound = running_sums(np.column_stack(steps), voter, prior).T
        model_a, model_b = votes.model_a[rows], votes.model_b[rows]
        large = np.maximum(model_a, model_b) > LARGEST_NUMBER
        new = np.bincount(voter, minlength=len(votes.names))
        return cls(
            voter, rows, model_a, model_b, outcome, large, factor, seen, ties, uniform, tie, bound, new
        )  # fmt: skip

    def close(self, heads: Heads, pending: Int64, snapshot: int) -> None:
        """Bring the heads up to the last vote, as if nothing had been folded."""
        last = np.append(starts(self.voter)[1:], True)[: len(self.voter)]
        who = self.voter[last]
        heads.votes[who], heads.ties[who] = self.seen[last], self.ties[last]
        heads.uniform[who], heads.tie[who] = self.uniform[last], self.tie[last]
        heads.bound[who] = np.minimum(self.bound[last], _NEVER)
        heads.snapshot[who] = snapshot
        heads.pending = pending


@dataclass(frozen=True)
class _Exact:
    """Voters whose bound reached their next level, or whose pending votes are many: what folding them says.

    m voters, n votes: the pending ones and those of the call.
    """

    voters: Int64  # [m] positions in the call
    path: Path
    row: Int64  # [n] row among the counted votes of the call, −1 for a pending one
    raised: list[tuple[int, int]]  # (vote, level)
    told: list[int]  # [m]
    bound: list[int]  # [m]
    folded: dict[int, tuple[bytes, int, int]]  # position in the call → folded part, models met, votes since

    @classmethod
    def of(
        cls,
        voters: Int64,
        prior: Sequence[bytes | None],
        heads: Heads,
        counted: _Counted,
        marked: npt.NDArray[np.bool_],
        reference: Reference,
        earlier: Earlier | None,
    ) -> _Exact:
        def judging(sequence: int) -> Reference:
            if sequence == reference.sequence:
                return reference
            if earlier is None:
                raise ValueError(f"expected the reference of snapshot {sequence}: a voter was judged by it")
            return earlier(sequence)

        states = [prior[i] for i in voters.tolist()]
        votes, row = _with_pending(voters, states, heads, counted, reference.sequence)
        tally, targets = unpack(states)
        path = follow(votes, tally, targets, judging)
        raised: list[tuple[int, int]] = []
        told, bound, last = [], [], {}
        ends = np.cumsum(np.bincount(votes.voter, minlength=len(voters))).tolist()
        for v, (i, end) in enumerate(zip(voters.tolist(), ends, strict=True)):
            walk = _Walk(int(heads.told[i, 0]), int(heads.bound[i]), int(heads.pending[i] + marked[i]))
            walk.folds = bool(heads.folded[i])
            for vote in range(end - int(counted.new[i]), end):
                walk.step(path, vote, int(counted.factor[row[vote]]), bool(counted.large[row[vote]]), raised)
            told.append(walk.told)
            bound.append(walk.bound)
            if walk.folded_at >= 0:
                last[v] = (walk.folded_at, walk.pending)
        kept = np.zeros(len(votes.voter), dtype=np.bool_)
        for v, (vote, _) in last.items():
            kept[(ends[v - 1] if v else 0) : vote + 1] = True
        parts, met = [], []
        if last:
            closed = follow(votes.take(kept), tally, targets, judging).close(tally)
            parts, met = pack(*closed), closed[0].met.tolist()
        where = voters.tolist()
        folded = {where[v]: (parts[v], met[v], pending) for v, (_, pending) in last.items()}
        return cls(voters, path, row, raised, told, bound, folded)

    def close(self, heads: Heads) -> None:
        """Bring the heads of these voters up to the last vote."""
        heads.told[self.voters, 0] = self.told
        heads.bound[self.voters] = self.bound
        for i, (_, _, pending) in self.folded.items():
            heads.pending[i] = pending


@dataclass
class _Walk:
    """One voter, vote by vote: when is the exact e-value looked at, and when is everything folded?"""

    told: int
    bound: int
    pending: int
    folds: bool = False  # holds components: whatever is computed is kept
    folded_at: int = -1

    def step(self, path: Path, vote: int, factor: int, large: bool, raised: list[tuple[int, int]]) -> None:
        self.pending += 1
        self.bound = min(self.bound + factor, _NEVER)
        full = self.pending > LONGEST_PENDING or large
        if self.bound < _BARS[self.told] and not full:
            return
        level = int(np.searchsorted(_LEVEL_UNITS, path.e[vote], side="right"))
        if level > self.told:
            self.told = level
            raised.append((vote, level))
        self.bound = path.bound(vote)
        if self.folds or full:
            self.folds, self.folded_at, self.pending = True, vote, 0


def _with_pending(
    voters: Int64, states: list[bytes | None], heads: Heads, counted: _Counted, snapshot: int
) -> tuple[Judged, Int64]:
    """The pending votes of some voters and the counted ones of the call after them; and whence each comes."""
    past = Pending.parse(states, heads.pending[voters], heads.snapshot[voters])
    place = np.full(len(counted.new), -1, dtype=np.int64)
    place[voters] = np.arange(len(voters))
    rows = np.flatnonzero(place[counted.voter] >= 0)
    whose = np.concatenate([past.voter, place[counted.voter[rows]]])
    order = np.argsort(whose, kind="stable")
    outcome = np.concatenate([past.outcome, counted.outcome[rows]])[order]
    # The votes and ties that heads speak of hold the pending ones.
    waiting = np.bincount(past.voter, minlength=len(voters))
    waiting_ties = np.bincount(past.voter[past.outcome == 2], minlength=len(voters))
    tied = (outcome == 2).astype(np.int64)
    judged = Judged(
        whose[order],
        np.concatenate([past.model_a, counted.model_a[rows]])[order],
        np.concatenate([past.model_b, counted.model_b[rows]])[order],
        outcome,
        np.concatenate([past.snapshot, np.full(len(rows), snapshot, dtype=np.int64)])[order],
        running_sums(np.ones_like(tied), whose[order], heads.votes[voters] - waiting) - 1,
        running_sums(tied, whose[order], heads.ties[voters] - waiting_ties) - tied,
    )
    return judged, np.concatenate([np.full(len(past.voter), -1, dtype=np.int64), rows])[order]


def _states(
    prior: Sequence[bytes | None],
    heads: Heads,
    counted: _Counted,
    marked: npt.NDArray[np.bool_],
    before: Int64,
    exact: _Exact,
) -> list[bytes]:
    """The state of each voter of the call: head, what is folded, pending votes."""
    entries = pending_bytes(counted.model_a, counted.model_b, counted.outcome)
    ends = (np.cumsum(counted.new) * PENDING_SIZE).tolist()
    begins = [0, *ends][: len(ends)]
    short = heads.histories()
    states = [
        short[HISTORY_HEAD * i : HISTORY_HEAD * (i + 1)] + (b"" if state is None else state[HISTORY_HEAD:])
        + entries[begin:end]
        for i, (state, begin, end) in enumerate(zip(prior, begins, ends, strict=True))
    ]  # fmt: skip
    if not (exact.folded or marked.any() or heads.folded.any()):
        return states
    met = np.zeros(len(states), dtype=np.int64)
    known = np.flatnonzero(heads.folded).tolist()
    met[known] = unpack([prior[i] for i in known])[0].met
    for i, (_, count, _) in exact.folded.items():
        met[i] = count
    long = heads.components(met)
    for i in sorted({*known, *exact.folded, *np.flatnonzero(marked).tolist()}):
        state = prior[i] or b""
        head = long[COMPONENTS_HEAD * i : COMPONENTS_HEAD * (i + 1)]
        between = marker(int(before[i])) if marked[i] else b""
        new = entries[begins[i] : ends[i]]
        if i in exact.folded:
            part, _, pending = exact.folded[i]
            states[i] = head + part + new[len(new) - PENDING_SIZE * pending :]
        elif heads.folded[i]:
            states[i] = head + state[COMPONENTS_HEAD:] + between + new
        else:
            states[i] = short[HISTORY_HEAD * i : HISTORY_HEAD * (i + 1)] + state[HISTORY_HEAD:] + between + new
    return states
