"""Defines the base class of attacks, and attacks without a target model. `stream_simulation` simulates attacks.

Source of careless votes: "Challenges in trustworthy human evaluation of chatbots" (Zhao, Rush & Goyal, NAACL 2025).

Not handled: attackers who react to an alert, and the omnipresent rigging of Min et al. (ICML 2025), which computes the
effect of each vote on the target's rank. `Omnidirectional` disturbs the whole order instead.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.errors import Usage
from pipeline.lab.simulate.vote_simulator import ShownBattles, VoteSimulator
from pipeline.vocabulary.arrays import Int8, Int64


@dataclass(frozen=True, kw_only=True)
class Attack(ABC):
    """The base class of attacks: the parameters of an attack, and methods that draw its battles and outcomes.

    Attributes:
        voters: number of attackers.
        votes_each: number of votes of each attacker, or (low, high) to draw a number from low to high for each
            attacker.
        from_day: time at which the attack begins, in days since the start of the stream.
        to_day: time at which the attack ends, in the same unit; None for the end of the stream.
        new_accounts: whether the attackers' accounts are at most two days old at their first vote.
        prompts: number of prompts that the attackers share; None if each vote has a prompt of its own.

    Raises:
        Usage: a value is out of range.
    """

    kind: ClassVar[str]

    voters: int
    votes_each: int | tuple[int, int]
    from_day: float = 0.0
    to_day: float | None = None
    new_accounts: bool = False
    prompts: int | None = None

    def __post_init__(self) -> None:
        require(self.prompts is None or self.prompts >= 1, "at least one prompt", self.prompts)
        low, high = self.vote_bounds()
        require(self.voters >= 1, "at least one voter", self.voters)
        require(1 <= low <= high, "votes_each of at least one, the lower bound first", self.votes_each)
        until = np.inf if self.to_day is None else self.to_day
        require(0 <= self.from_day < until, "0 <= from_day < to_day", (self.from_day, self.to_day))

    @property
    def target_model(self) -> str | None:
        """The name of the model that the attack is for or against; None for an attack without a target."""
        return None

    def vote_bounds(self) -> tuple[int, int]:
        """Return the least and the largest number of votes of an attacker."""
        return self.votes_each if isinstance(self.votes_each, tuple) else (self.votes_each, self.votes_each)

    def draw_vote_counts(self, rng: np.random.Generator) -> Int64:
        """Draw the number of votes of each attacker: int64[voters]."""
        low, high = self.vote_bounds()
        return rng.integers(low, high, self.voters, endpoint=True)

    def end_day(self, days: float) -> float:
        """Return the time at which the attack ends, in days since the start of a stream of `days` days."""
        return days if self.to_day is None else self.to_day

    def draw_battles(self, simulator: VoteSimulator, rng: np.random.Generator, voter: Int64) -> ShownBattles:
        """Draw the battles that the attackers vote on. The base class draws them as for honest voters.

        Args:
            simulator: draws battles and honest outcomes.
            rng: random number generator.
            voter: int64[N], code of the attacker of each vote.

        Returns:
            The N battles.
        """
        return simulator.draw_battles(rng, voter)

    @abstractmethod
    def choose_outcomes(self, simulator: VoteSimulator, rng: np.random.Generator, shown: ShownBattles) -> Int8:
        """Choose the outcome that the attacker reports for each battle. Returns int8[N], outcome codes.

        Args:
            simulator: draws battles and honest outcomes.
            rng: random number generator.
            shown: the N battles.
        """


@dataclass(frozen=True, kw_only=True)
class Omnidirectional(Attack):
    """An attack whose voters vote for the weaker model of every battle.

    Attributes:
        accuracy: probability that an attacker recognises the weaker model of a battle. Otherwise the vote is for the
            stronger model.
    """

    kind: ClassVar[str] = "omnidirectional"

    accuracy: float = 1.0

    def __post_init__(self) -> None:
        Attack.__post_init__(self)
        require(0 <= self.accuracy <= 1, "accuracy within 0 and 1", self.accuracy)

    def choose_outcomes(self, simulator: VoteSimulator, rng: np.random.Generator, shown: ShownBattles) -> Int8:
        """Return an outcome code for each battle, int8[N]. The weaker model wins with probability `accuracy`."""
        theta = simulator.pair_rates.theta
        right_weaker = theta[shown.right] < theta[shown.left]
        knows = rng.random(len(right_weaker)) < self.accuracy
        return np.where(knows, right_weaker, ~right_weaker).astype(np.int8)


@dataclass(frozen=True, kw_only=True)
class AlwaysLeft(Attack):
    """An attack whose voters vote for the left model of every battle."""

    kind: ClassVar[str] = "always_left"

    def choose_outcomes(self, simulator: VoteSimulator, rng: np.random.Generator, shown: ShownBattles) -> Int8:  # noqa: ARG002
        """Return an outcome code for each battle, int8[N]. The left model always wins."""
        return np.zeros(len(shown.voter), dtype=np.int8)


@dataclass(frozen=True, kw_only=True)
class RandomClicks(Attack):
    """An attack whose voters choose one of the four outcomes at random."""

    kind: ClassVar[str] = "random_clicks"

    def choose_outcomes(self, simulator: VoteSimulator, rng: np.random.Generator, shown: ShownBattles) -> Int8:  # noqa: ARG002
        """Return an outcome code for each battle, int8[N]. The four outcomes have equal probability."""
        return random_outcomes(rng, shown)


def random_outcomes(rng: np.random.Generator, shown: ShownBattles) -> Int8:
    """Draw an outcome code for each of N battles, int8[N]. The four outcomes have equal probability."""
    return rng.integers(0, 4, len(shown.voter), dtype=np.int8)


def require(holds: bool, what: str, got: object) -> None:
    """Raise `Usage` unless a parameter is valid.

    Args:
        holds: whether the parameter is valid.
        what: what was expected, for the message.
        got: the value of the parameter, for the message.
    """
    if not holds:
        raise Usage(f"expected {what}, got {got}")
