"""The votes that count as evidence for `voter_bias`, and what is known after each: every vote comes here.

A few vector operations a vote. The exact e-value is not among them (`voter_bias_exact`): only what it is bounded by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.state import LARGEST_NUMBER, Heads
from pipeline.evidence import E_UNIT, LOG_UNIT, Reference, group_starts, running_sums
from pipeline.evidence.honest_reference import MAX_TIE_RATIO
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import LEVELS
from pipeline.vocabulary.arrays import Bool, Int8, Int64

LEVEL_UNITS = np.array([level / E_UNIT for level in LEVELS])
# The bound at which each next level may be reached; after the last one nothing more is told.
NEVER = 2**30
BARS = np.array([*(int(np.floor(np.log(level) / LOG_UNIT)) for level in LEVELS), NEVER])


@dataclass(frozen=True)
class Counted:
    """The votes of a call on two models that the snapshot knows, arrays of length n.

    Attributes:
        voter: position of the voter in the call.
        rows: their rows among the votes of the call.
        model_a, model_b: the store's numbers.
        outcome: int8[n], 0, 1, or 2 for both kinds of tie.
        large: bool[n], a model's number does not fit a pending entry.
        factor: the largest log-ratio of the vote.
        seen, ties: votes and ties of the voter so far, this one included.
        uniform, tie, bound: as in `Heads`, after this vote.
        new: int64[v], counted votes of each voter of the call.
    """

    voter: Int64
    rows: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    large: Bool
    factor: Int64
    seen: Int64
    ties: Int64
    uniform: Int64
    tie: Int64
    bound: Int64
    new: Int64

    @classmethod
    def of(cls, votes: VoterVotes, heads: Heads, reference: Reference) -> Counted:
        """Count the votes of a call on from the heads of its voters."""
        a, b = reference.index_of(votes.model_a), reference.index_of(votes.model_b)
        rows = np.flatnonzero((a >= 0) & (b >= 0))
        a, b, voter = a[rows], b[rows], votes.voter[rows]
        outcome = np.minimum(votes.outcome[rows], 2).astype(np.int8)
        tied = (outcome == 2).astype(np.int64)
        seen = running_sums(np.ones_like(tied), voter, heads.votes)
        ties = running_sums(tied, voter, heads.ties)
        own = reference.expected_tie_share(ties - tied, seen - 1)
        decided = MAX_TIE_RATIO[reference.tie_level(a, b, own)] * (1 - tied)
        factor = reference.largest_ratios[a, b, outcome] + decided
        steps = [reference.generic_ratios[a, b, outcome, 3], reference.random_tie_ratio(tied == 1, own), factor]
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
        last = np.append(group_starts(self.voter)[1:], True)[: len(self.voter)]
        who = self.voter[last]
        heads.votes[who], heads.ties[who] = self.seen[last], self.ties[last]
        heads.uniform[who], heads.tie[who] = self.uniform[last], self.tie[last]
        heads.bound[who] = np.minimum(self.bound[last], NEVER)
        heads.snapshot[who] = snapshot
        heads.pending = pending
