"""Defines attacks that vote for or against one model.

Sources: Min et al., ICML 2025, "Improving your model ranking on Chatbot Arena by vote rigging", for votes on a target
only; Huang et al. 2025, "Exploring and mitigating adversarial manipulation of voting-based leaderboards", for the
recognition of models by their anonymous answers.
"""

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
    """An attack whose voters vote for or against one model in each battle in which they recognise the model.

    Attributes:
        target: name of a model of the board.
        direction: "promote" to let the target win, "demote" to let it lose.
        otherwise: what attackers do in a battle in which they do not recognise the target. "abstain": cast no vote, so
            that all of `votes_each` are on the target. "normal": vote like an honest voter. "random": choose any
            outcome. "ranking": vote for the stronger model.
        sampling: share of the attackers' battles that include the target; None for the share of honest voters.
        accuracy: probability that an attacker recognises the target in a battle that includes it. Other models are
            never taken for the target.
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
    def target_model(self) -> str | None:
        """The name of the model that the attack is for or against; never None here."""
        return self.target

    def draw_battles(self, simulator: VoteSimulator, rng: np.random.Generator, voter: Int64) -> ShownBattles:
        """Draw a battle for each vote of the attackers.

        With `otherwise` "abstain", all battles include the target. Otherwise the share `sampling` of the battles
        includes the target or, if `sampling` is None, the same share as for honest voters.

        Args:
            simulator: draws battles of the board.
            rng: random number generator.
            voter: int64[N], code of the voter of each vote.
        """
        holding = simulator.pair_rates.pairs_of(simulator.pair_rates.models.index(self.target))
        if self.otherwise == "abstain":
            return simulator.draw_battles(rng, voter, holding)
        if self.sampling is None:
            return simulator.draw_battles(rng, voter)
        others = np.setdiff1d(np.arange(len(simulator.pair_rates.share)), holding)
        if len(others) == 0:  # a board of two models has no other pair
            return simulator.draw_battles(rng, voter, holding)
        on_target = rng.random(len(voter)) < self.sampling
        with_target, without = simulator.draw_battles(rng, voter, holding), simulator.draw_battles(rng, voter, others)
        return with_target.where(on_target, without)

    def choose_outcomes(self, simulator: VoteSimulator, rng: np.random.Generator, shown: ShownBattles) -> Int8:
        """Return an outcome code for each battle, int8[N].

        In a battle in which the attacker recognises the target, the target wins or loses, as `direction` says. The
        outcome of any other battle is drawn as `otherwise` says.
        """
        target = simulator.pair_rates.models.index(self.target)
        there = (shown.left == target) | (shown.right == target)
        # An attacker who abstains votes only where the target was recognised.
        seen = there & (rng.random(len(there)) < (1.0 if self.otherwise == "abstain" else self.accuracy))
        right_wins = (shown.right == target) == (self.direction == "promote")
        other = random_outcomes(rng, shown) if self.otherwise == "random" else simulator.draw_outcomes(rng, shown)
        if self.otherwise == "ranking":
            other = (simulator.pair_rates.theta[shown.right] > simulator.pair_rates.theta[shown.left]).astype(np.int8)
        return np.where(seen, right_wins, other).astype(np.int8)


@dataclass(frozen=True, kw_only=True)
class Burst(TargetOnly):
    """An attack with bought votes: accounts that vote on one model only, within minutes.

    Attributes:
        votes: total number of votes, which are split over the voters as evenly as possible. `votes_each` follows from
            this number.
        minutes: duration of the attack from `from_day` on, in minutes. `to_day` follows from this number.
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

    def draw_vote_counts(self, rng: np.random.Generator) -> Int64:  # noqa: ARG002
        """Return the number of votes of each attacker, int64[voters]: the votes are split as evenly as possible."""
        return self.votes // self.voters + (np.arange(self.voters) < self.votes % self.voters)
