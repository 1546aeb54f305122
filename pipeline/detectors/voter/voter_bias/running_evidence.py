"""Computes the running sums of `voter_bias` and an upper bound on its e-value, for every vote of a call.

The sums start from the heads of the voters' states (`state_codec`). The head is the first part of a state, with numbers
of votes and bounds. The exact e-value is computed by `exact_evidence`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.mixture_evidence import looks_of
from pipeline.detectors.voter.voter_bias.state_codec import MAX_MODEL_NUMBER, StateHeads
from pipeline.evidence import E_UNIT, LOG_UNIT, Reference, group_starts, running_sums
from pipeline.evidence.tie_ratios import MAX_TIE_RATIO
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import LEVELS
from pipeline.vocabulary.arrays import Bool, Int8, Int64

LEVEL_UNITS = np.array([level / E_UNIT for level in LEVELS])
NO_NEXT_LEVEL = 2**30
NEXT_LEVEL_BOUNDS = np.array([int(np.floor(np.log(LEVELS[0]) / LOG_UNIT)), *[NO_NEXT_LEVEL] * len(LEVELS)])
"""For each emitted level, the upper bound of ln e (2⁻²⁰ nats) at which the exact evidence against the band is computed.

A voter with an alert is evaluated at fixed numbers of votes (`mixture_evidence.is_look`). So the entries of the levels
with an alert are NO_NEXT_LEVEL, which no bound reaches."""


@dataclass(frozen=True)
class RunningEvidence:
    """Those n votes of a detector call whose models are both in the snapshot, with running sums: arrays of length n.

    Attributes:
        voter: position of the voter among the v voters of the call.
        rows: position of the vote among all votes of the call.
        model_a, model_b: model numbers (model_no).
        outcome: int8[n]: 0 (a wins), 1 (b wins), or 2 for both kinds of tie.
        large: bool[n], whether the number of one of the models is too large for a pending entry (`state_codec`).
        factor: the largest log-likelihood ratio of the vote over the alternatives, in units of 2⁻²⁰ nats.
        votes_so_far: number of the voter's votes, this vote included.
        ties_so_far: number of the voter's ties, this vote included.
        uniform, tie, bound: sums after this vote, in units of 2⁻²⁰ nats. `uniform` sums the log-likelihood ratio of
            "clicks at random" over decisive votes. `tie` sums the ratio of "each vote is a tie with probability ½" over
            all votes. `bound` is an upper bound of ln e.
        new: int64[v], number of votes of each voter among these n votes.
    """

    voter: Int64
    rows: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    large: Bool
    factor: Int64
    votes_so_far: Int64
    ties_so_far: Int64
    uniform: Int64
    tie: Int64
    bound: Int64
    new: Int64

    @classmethod
    def compute(cls, votes: VoterVotes, heads: StateHeads, reference: Reference) -> RunningEvidence:
        """Compute the running sums after each new vote, starting from the sums in `heads`.

        Args:
            votes: the new votes of a call.
            heads: the heads of the voters' states before these votes.
            reference: the reference that evaluates these votes.

        Returns:
            The sums and bounds, one for each vote whose two models are in the snapshot.
        """
        a, b = reference.index_of(votes.model_a), reference.index_of(votes.model_b)
        rows = np.flatnonzero((a >= 0) & (b >= 0))
        a, b, voter = a[rows], b[rows], votes.voter[rows]
        outcome = np.minimum(votes.outcome[rows], 2).astype(np.int8)
        tied = (outcome == 2).astype(np.int64)
        count = running_sums(np.ones_like(tied), voter, heads.votes)
        ties = running_sums(tied, voter, heads.ties)
        own = reference.expected_tie_share(ties - tied, count - 1)
        factor = reference.largest_ratios[a, b, outcome] + MAX_TIE_RATIO[reference.tie_level(a, b, own), tied]
        uniform = reference.generic_ratios[a, b, np.minimum(outcome, 1), 3] * (1 - tied)
        steps = [uniform, reference.random_tie_ratio(tied == 1, own), factor]
        prior = np.column_stack([heads.uniform, heads.tie, heads.bound])
        uniform, tie, bound = running_sums(np.column_stack(steps), voter, prior).T
        model_a, model_b = votes.model_a[rows], votes.model_b[rows]
        large = np.maximum(model_a, model_b) > MAX_MODEL_NUMBER
        new = np.bincount(voter, minlength=len(votes.names))
        return cls(
            voter, rows, model_a, model_b, outcome, large, factor, count, ties, uniform, tie, bound, new
        )  # fmt: skip

    def to_evaluate(self, heads: StateHeads) -> Bool:
        """Return bool[n], true for the votes after which the exact evidence of the voter may be needed."""
        emitted = heads.emitted[self.voter, 0]
        near: Bool = self.bound >= NEXT_LEVEL_BOUNDS[emitted]
        return near | self.large | looks_of(self.votes_so_far, emitted)

    def update(self, heads: StateHeads, pending: Int64, snapshot: int) -> None:
        """Set the head of each voter to its values after the voter's last vote. No vote is folded yet (`state_codec`).

        Args:
            heads: the heads to change, in place.
            pending: int64[v], number of pending entries of each voter.
            snapshot: sequence number of the snapshot that evaluated the new votes.
        """
        last = np.append(group_starts(self.voter)[1:], True)[: len(self.voter)]
        who = self.voter[last]
        heads.votes[who], heads.ties[who] = self.votes_so_far[last], self.ties_so_far[last]
        heads.uniform[who], heads.tie[who] = self.uniform[last], self.tie[last]
        heads.bound[who] = np.minimum(self.bound[last], NO_NEXT_LEVEL)
        heads.snapshot[who] = snapshot
        heads.pending = pending
