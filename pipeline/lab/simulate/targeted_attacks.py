"""Attacks on one model: for it or against it.

Sources: target-only rigging, "Improving your model ranking on Chatbot Arena by vote rigging" (Min et al.,
ICML 2025); recognising models behind anonymous answers, "Exploring and mitigating adversarial manipulation of
voting-based leaderboards" (Huang et al. 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from pipeline.lab.simulate.attacks import Attack, random_outcomes, require
from pipeline.lab.simulate.vote_simulator import ShownBattles, VoteSimulator
from pipeline.vocabulary.arrays import Int8, Int64

Direction = Literal["promote", "demote"]
Otherwise = Literal["abstain", "normal", "random", "ranking"]


@dataclass(frozen=True, kw_only=True)
class TargetOnly(Attack):
    """Votes for (or against) one model whenever it recognises it.

    Attributes:
        target: a name on the board.
        direction: "promote" makes the target win, "demote" makes it lose.
        otherwise: what it does when it does not recognise the target. "abstain" casts no vote, so all of
            `votes_each` hold the target; "normal" votes like an honest voter with tastes of its own; "random"
            presses any of the four buttons; "ranking" votes for the stronger model, always.
        sampling: share of its battles that hold the target; by default the share that everybody is shown.
        accuracy: probability that it recognises a target that is there (it never sees one that is not).
    """

    kind: ClassVar[str] = "target_only"

    target: str
    direction: Direction = "promote"
    otherwise: Otherwise = "normal"
    sampling: float | None = None
    accuracy: float = 1.0

    def __post_init__(self) -> None:
        Attack.__post_init__(self)
        require(self.direction in ("promote", "demote"), "promote or demote", self.direction)
        ways = ("abstain", "normal", "random", "ranking")
        require(self.otherwise in ways, "abstain, normal, random or ranking", self.otherwise)
        require(self.sampling is None or 0 <= self.sampling <= 1, "sampling within 0 and 1", self.sampling)
        require(0 <= self.accuracy <= 1, "accuracy within 0 and 1", self.accuracy)

    @property
    def aim(self) -> str | None:
        """The target."""
        return self.target

    def show(self, world: VoteSimulator, rng: np.random.Generator, voter: Int64) -> ShownBattles:
        """Draw battles, so many of them with the target."""
        holding = world.truth.pairs_of(world.truth.models.index(self.target))
        if self.otherwise == "abstain":
            return world.show(rng, voter, holding)
        if self.sampling is None:
            return world.show(rng, voter)
        others = np.setdiff1d(np.arange(len(world.truth.share)), holding)
        if len(others) == 0:  # a board of two models has no other pair
            return world.show(rng, voter, holding)
        on_target = rng.random(len(voter)) < self.sampling
        with_target, without = world.show(rng, voter, holding), world.show(rng, voter, others)
        return with_target.where(on_target, without)

    def vote(self, world: VoteSimulator, rng: np.random.Generator, shown: ShownBattles) -> Int8:
        """Make the target win or lose where it is recognised."""
        target = world.truth.models.index(self.target)
        there = (shown.left == target) | (shown.right == target)
        # One that abstains votes only on what it has recognised.
        seen = there & (rng.random(len(there)) < (1.0 if self.otherwise == "abstain" else self.accuracy))
        right_wins = (shown.right == target) == (self.direction == "promote")
        other = random_outcomes(rng, shown) if self.otherwise == "random" else world.vote(rng, shown)
        if self.otherwise == "ranking":
            other = (world.truth.theta[shown.right] > world.truth.theta[shown.left]).astype(np.int8)
        return np.where(seen, right_wins, other).astype(np.int8)


@dataclass(frozen=True, kw_only=True)
class Burst(TargetOnly):
    """Votes bought at once: accounts that vote on one model only, within minutes.

    Attributes:
        votes: in all, spread over the voters as evenly as whole numbers allow (`votes_each` follows).
        minutes: how long it lasts from `from_day` on (`to_day` follows).
    """

    kind: ClassVar[str] = "burst"

    votes: int
    minutes: float
    votes_each: int | tuple[int, int] = field(init=False)
    to_day: float | None = field(init=False)
    otherwise: Otherwise = field(default="abstain", init=False)
    sampling: float | None = field(default=None, init=False)
    accuracy: float = field(default=1.0, init=False)
    new_accounts: bool = True

    def __post_init__(self) -> None:
        require(1 <= self.voters <= self.votes, f"between 1 and {self.votes} voters", self.voters)
        require(self.minutes > 0, "minutes above 0", self.minutes)
        least = self.votes // self.voters
        object.__setattr__(self, "votes_each", (least, -(-self.votes // self.voters)))
        object.__setattr__(self, "to_day", self.from_day + self.minutes / (24 * 60))
        TargetOnly.__post_init__(self)

    def workload(self, rng: np.random.Generator) -> Int64:  # noqa: ARG002
        """Share the votes out."""
        return self.votes // self.voters + (np.arange(self.voters) < self.votes % self.voters)
