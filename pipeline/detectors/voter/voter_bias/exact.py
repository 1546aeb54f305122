"""Voters whom `voter_bias` looks at exactly: when they are, what they reach, and what is folded then.

Everything after `follow` is a walk over one voter's votes, in Python: few voters come here, and each seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.counting import BARS, LEVEL_UNITS, NEVER, Counted
from pipeline.detectors.voter.voter_bias.path import Judged, Path, follow
from pipeline.detectors.voter.voter_bias.state import LONGEST_PENDING, Heads, Pending, pack, unpack
from pipeline.evidence import Reference, running_sums
from pipeline.vocabulary.arrays import Bool, Int64

Earlier = Callable[[int], Reference]
"""The reference of an earlier snapshot, by its sequence number."""


@dataclass(frozen=True)
class Exact:
    """Voters whose bound reached their next level, or whose pending votes are many: what folding them says.

    Attributes:
        voters: int64[m], their positions in the call.
        path: of n votes, the pending ones and those of the call.
        row: int64[n], the row of each among the counted votes of the call, −1 for a pending one.
        raised: (vote, level) where a level was first reached.
        told, bound: of each of the m voters, after the last vote.
        folded: position in the call → folded part, models met, votes since.
    """

    voters: Int64
    path: Path
    row: Int64
    raised: list[tuple[int, int]]
    told: list[int]
    bound: list[int]
    folded: dict[int, tuple[bytes, int, int]]

    @classmethod
    def of(
        cls,
        voters: Int64,
        prior: Sequence[bytes | None],
        heads: Heads,
        counted: Counted,
        marked: Bool,
        reference: Reference,
        earlier: Earlier | None,
    ) -> Exact:
        """Follow some voters' votes, pending and counted.

        Args:
            voters: int64[m], positions in the call.
            prior, heads, counted: of the whole call.
            marked: bool[v], a marker stands before the new votes.
            reference: judges the new votes.
            earlier: the references that judged pending ones.

        Raises:
            ValueError: a pending vote was judged by another snapshot, and `earlier` is not given.
        """

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
        self.bound = min(self.bound + factor, NEVER)
        full = self.pending > LONGEST_PENDING or large
        if self.bound < BARS[self.told] and not full:
            return
        level = int(np.searchsorted(LEVEL_UNITS, path.e[vote], side="right"))
        if level > self.told:
            self.told = level
            raised.append((vote, level))
        self.bound = path.bound(vote)
        if self.folds or full:
            self.folds, self.folded_at, self.pending = True, vote, 0


def _with_pending(
    voters: Int64, states: list[bytes | None], heads: Heads, counted: Counted, snapshot: int
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
