"""Computes exact e-values for the few voters whose approximate e-value reached the level of an alert.

The approximate value is an upper bound of the e-value. This module also finds the alert levels that the exact e-value
reached. Votes with an exact e-value are then folded, which means added to the sums of the voter's state
(`state_codec`). The head of a state is its first part, with numbers of votes and bounds. Cost: a vectorised
`compute_path`, then a Python loop over the votes of these voters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.cell_counts import ProviderCells
from pipeline.detectors.voter.voter_bias.component_codec import pack_components, unpack_components
from pipeline.detectors.voter.voter_bias.evidence_path import EvidencePath, compute_path
from pipeline.detectors.voter.voter_bias.mixture_evidence import MixtureEvidence, is_look, looks_of
from pipeline.detectors.voter.voter_bias.running_evidence import (
    LEVEL_UNITS,
    NEXT_LEVEL_BOUNDS,
    NO_NEXT_LEVEL,
    RunningEvidence,
)
from pipeline.detectors.voter.voter_bias.state_codec import (
    MAX_PENDING,
    PendingVotes,
    StateHeads,
)
from pipeline.detectors.voter.voter_bias.target_models import EvaluatedVotes, FoldedSums, TargetModels
from pipeline.evidence import Reference, running_sums
from pipeline.vocabulary.arrays import Bool, Int64

EarlierReference = Callable[[int], Reference]
"""A function that returns the reference of the earlier snapshot with this sequence number."""


@dataclass(frozen=True)
class ExactEvidence:
    """Exact evidence of the m voters whose bound reached their next level or who have many pending votes.

    Attributes:
        voters: int64[m], positions of these voters among all voters of the call.
        path: the evidence after each of n votes, which are the voters' pending votes and their new votes.
        row: int64[n], the position of each vote in `RunningEvidence`, −1 for a pending vote.
        mixture: the evidence of these voters against a mixture of tastes.
        levels: one tuple for each level that is newly reached: the position in `path` of the vote that reached the
            level, the level, and the e-value that an alert states.
        emitted: the highest emitted level of each voter after the last vote.
        bound: the upper bound of ln e of each voter after the last vote, in units of 2⁻²⁰ nats.
        folded: position of a voter in the call → (components, models, pending). Only voters whose older votes were
            added to sums (folded) in this call are included. `components` has these sums as bytes, `models` is the
            number of models that the voter has met, and `pending` the number of pending entries that remain.
    """

    voters: Int64
    path: EvidencePath
    row: Int64
    mixture: MixtureEvidence
    levels: list[tuple[int, int, float]]
    emitted: list[int]
    bound: list[int]
    folded: dict[int, tuple[bytes, int, int]]

    @classmethod
    def compute(
        cls,
        voters: Int64,
        prior: Sequence[bytes | None],
        heads: StateHeads,
        running: RunningEvidence,
        marked: Bool,
        reference: Reference,
        earlier: EarlierReference | None,
    ) -> ExactEvidence:
        """Compute the exact evidence of some voters of a call, over their pending and new votes.

        Args:
            voters: int64[m], positions of these voters among the v voters of the call.
            prior: the packed state of all v voters, None for a new voter.
            heads: the heads of these states: numbers of votes, bounds and emitted levels.
            running: the running sums of all votes of the call.
            marked: bool[v], whether a marker stands between the voter's pending and new votes. A marker names the
                snapshot that evaluates the votes before it (`state_codec`).
            reference: the reference that evaluates the new votes.
            earlier: returns the reference of an earlier snapshot, given its sequence number, for pending votes.

        Raises:
            ValueError: a pending vote needs the reference of an earlier snapshot, and `earlier` is None.
        """

        def reference_of(sequence: int) -> Reference:
            if sequence == reference.sequence:
                return reference
            if earlier is None:
                raise ValueError(
                    f"expected the reference of snapshot {sequence}, which a voter's pending votes refer to"
                )
            return earlier(sequence)

        states = [prior[i] for i in voters.tolist()]
        votes, row = _with_pending(voters, states, heads, running, reference.sequence)
        before, targets, providers = unpack_components(states)
        path = compute_path(votes, before, targets, reference_of)
        looks = np.flatnonzero((row >= 0) & looks_of(votes.votes + 1, heads.emitted[voters, 0][votes.voter]))
        mixture = MixtureEvidence(path, providers, reference_of, reference, looks)
        levels: list[tuple[int, int, float]] = []
        emitted, bound, last = [], [], {}
        ends = np.cumsum(np.bincount(votes.voter, minlength=len(voters))).tolist()
        for v, (i, end) in enumerate(zip(voters.tolist(), ends, strict=True)):
            walk = _VoteWalk(int(heads.emitted[i, 0]), int(heads.bound[i]), int(heads.pending[i] + marked[i]))
            walk.folds = bool(heads.folded[i])
            for vote in range(end - int(running.new[i]), end):
                walk.step(mixture, vote, int(running.factor[row[vote]]), bool(running.large[row[vote]]), levels)
            emitted.append(walk.emitted)
            bound.append(walk.bound)
            if walk.folded_at >= 0:
                last[v] = (walk.folded_at, walk.pending)
        kept = np.zeros(len(votes.voter), dtype=np.bool_)
        for v, (vote, _) in last.items():
            kept[(ends[v - 1] if v else 0) : vote + 1] = True
        parts, met = _fold(votes.take(kept), (before, targets, providers), reference_of) if last else ([], [])
        where = voters.tolist()
        folded = {where[v]: (parts[v], met[v], pending) for v, (_, pending) in last.items()}
        return cls(voters, path, row, mixture, levels, emitted, bound, folded)

    def update(self, heads: StateHeads) -> None:
        """Write the highest emitted level, the bound and the number of pending entries of each voter into `heads`."""
        heads.emitted[self.voters, 0] = self.emitted
        heads.bound[self.voters] = self.bound
        for i, (_, _, pending) in self.folded.items():
            heads.pending[i] = pending


def _fold(
    votes: EvaluatedVotes,
    components: tuple[FoldedSums, TargetModels, ProviderCells],
    reference_of: Callable[[int], Reference],
) -> tuple[list[bytes], list[int]]:
    """Add votes to components; return the packed components, and the number of models that each voter has met."""
    before, targets, providers = components
    path = compute_path(votes, before, targets, reference_of)
    after = path.fold(before, providers, reference_of)
    return pack_components(*after), after[0].met.tolist()


@dataclass
class _VoteWalk:
    """Walks over one voter's votes, and decides after which votes to use the exact e-value and to fold votes.

    To fold votes means to add them to the sums of the voter's state. Votes that are not folded yet are pending.

    Attributes:
        emitted: the highest level that was emitted.
        bound: upper bound of ln e after the last vote, in units of 2⁻²⁰ nats.
        pending: number of entries for pending votes after the last vote (`state_codec`).
        folds: whether the state has sums of folded votes.
        folded_at: position of the last vote that was folded; −1 if none was.
    """

    emitted: int
    bound: int
    pending: int
    folds: bool = False  # the state has components, so everything computed is kept
    folded_at: int = -1

    def step(
        self, mixture: MixtureEvidence, vote: int, factor: int, large: bool, levels: list[tuple[int, int, float]]
    ) -> None:
        path = mixture.path
        self.pending += 1
        self.bound = min(self.bound + factor, NO_NEXT_LEVEL)
        full = self.pending > MAX_PENDING or large
        look = is_look(int(path.votes.votes[vote]) + 1, self.emitted)
        near = self.bound >= NEXT_LEVEL_BOUNDS[self.emitted]
        if not (near or full or look):
            return
        if look or (not self.emitted and path.e[vote] >= LEVEL_UNITS[0]):
            level, e_value = mixture.level(vote, self.emitted)
            if level > self.emitted:
                self.emitted = level
                levels.append((vote, level, e_value))
        self.bound = path.bound(vote)
        if self.folds or full:
            self.folds, self.folded_at, self.pending = True, vote, 0


def _with_pending(
    voters: Int64, states: list[bytes | None], heads: StateHeads, running: RunningEvidence, snapshot: int
) -> tuple[EvaluatedVotes, Int64]:
    """Join the pending votes of some voters with their new votes.

    Args:
        voters: int64[m], positions of these voters in `heads`.
        states: the packed states of the m voters; None for a new voter.
        heads: the heads of the states of all voters of the call.
        running: the new votes of all voters of the call.
        snapshot: sequence number of the snapshot that evaluates the new votes.

    Returns:
        Two values: the votes, sorted by voter, the pending votes of a voter before the new votes; and int64, the
            position of each vote in `running`, −1 for a pending vote.
    """
    past = PendingVotes.unpack(states, heads.pending[voters], heads.snapshot[voters])
    place = np.full(len(running.new), -1, dtype=np.int64)
    place[voters] = np.arange(len(voters))
    rows = np.flatnonzero(place[running.voter] >= 0)
    voter = np.concatenate([past.voter, place[running.voter[rows]]])
    order = np.argsort(voter, kind="stable")
    outcome = np.concatenate([past.outcome, running.outcome[rows]])[order]
    # The votes and ties of the heads include the pending ones.
    waiting = np.bincount(past.voter, minlength=len(voters))
    waiting_ties = np.bincount(past.voter[past.outcome == 2], minlength=len(voters))
    tied = (outcome == 2).astype(np.int64)
    votes = EvaluatedVotes(
        voter[order],
        np.concatenate([past.model_a, running.model_a[rows]])[order],
        np.concatenate([past.model_b, running.model_b[rows]])[order],
        outcome,
        np.concatenate([past.snapshot, np.full(len(rows), snapshot, dtype=np.int64)])[order],
        running_sums(np.ones_like(tied), voter[order], heads.votes[voters] - waiting) - 1,
        running_sums(tied, voter[order], heads.ties[voters] - waiting_ties) - tied,
    )
    return votes, np.concatenate([np.full(len(past.voter), -1, dtype=np.int64), rows])[order]
