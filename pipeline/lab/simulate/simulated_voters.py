"""Voters one by one: what voter detectors are tried on.

A board of models of which nothing is known but the votes on it; a snapshot *estimated* from earlier honest votes;
voters with a taste for every model, ties of their own, and among them attackers of every kind. Made as a detector sees
votes, hundreds of thousands in a second, where `plant` makes whole vote events.

Law: the same seed gives the same voters; honest ones are as `pipeline.lab.simulate.honest_spec` describes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from pipeline.evidence import Reference
from pipeline.ratings import PairCounts, fit
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.vocabulary.arrays import Float64, Int64

Kind = Literal["honest", "target", "omnidirectional", "left", "random"]
Otherwise = Literal["abstain", "normal", "random"]

TIES = 0.32
"""Share of ties among honest votes."""


@dataclass(frozen=True, kw_only=True)
class SimulatedVoters:
    """Describes a board and its voters.

    Attributes:
        seed: the same seed gives the same board.
        models: how many.
        spread: sd of the models' strengths, logits.
        taste, ease: sd of a voter's taste for a model, and of its readiness to tie, logits.
        closeness: ties are rarer between models that are further apart in the voter's eyes, as on the real board
            (Davidson 1970); else every pair has as many.
        lean: sd of what a model adds to the logarithm of the odds of a tie; the real board's is .1.
        earlier: honest votes that the snapshot was estimated from, for each model.
    """

    seed: int
    models: int = 100
    spread: float = 0.75
    taste: float = 0.5
    ease: float = 0.5
    closeness: bool = False
    lean: float = 0.0
    earlier: int = 2_000

    @cached_property
    def theta(self) -> Float64:
        """True strengths, float64[models]."""
        return np.random.default_rng([self.seed, 0]).normal(0, self.spread, self.models)

    @cached_property
    def reference(self) -> Reference:
        """The snapshot in force; the number of a model is its position."""
        each = 4  # the real board's voters cast 3.65
        votes = self.cast("honest", self.earlier * self.models // (2 * each), each, stream=1)
        names = tuple(f"{i:04d}" for i in range(self.models))
        a, b = votes.model_a.astype(np.int16), votes.model_b.astype(np.int16)
        counts = PairCounts.from_codes(names, a, b, votes.outcome)
        estimate = fit(counts.decisive())
        tied = np.bincount(votes.voter, weights=votes.outcome >= 2) / each
        share = float(tied.mean())
        # The spread of the voters' own shares, without what chance adds to it.
        own = max((float(tied.var()) - share * (1 - share) / each) * each / (each - 1), 1e-6)
        size = share * (1 - share) / own - 1
        theta, covariance = estimate.theta, estimate.covariance
        return Reference(1, np.arange(self.models), theta, covariance, share, (size * share, size * (1 - share)))

    def cast(
        self,
        kind: Kind,
        voters: int,
        each: int,
        *,
        otherwise: Otherwise = "normal",
        sampling: float | None = None,
        strength: float = 1.0,
        stream: int = 2,
        identical: bool = False,
    ) -> VoterVotes:
        """Votes of some voters, `each` of each.

        Args:
            kind: honest, or what kind of attacker.
            otherwise: of a target attack, what it does in battles without its target.
            sampling: share of its battles that hold the target; default: as often as everybody sees it.
            strength: share of the battles with its target in which it votes for it; in the others it is honest.
            stream: another number, other voters.
            identical: the first two models are one and the same.
        """
        rng = np.random.default_rng([self.seed, 3, stream])
        n, shape = voters * each, (voters, self.models)
        voter = np.repeat(np.arange(voters), each)
        theta = self.theta.copy()
        taste = rng.normal(0, self.taste, shape)
        if identical:
            theta[1], taste[:, 1] = theta[0], taste[:, 0]
        liking = theta + taste
        ease = logit(TIES) + rng.normal(0, self.ease, voters)
        target = rng.integers(0, self.models, voters)[voter]
        a, b = self._pairs(rng, n)
        if kind == "target":
            a, b = self._with_target(rng, a, b, target, 1.0 if otherwise == "abstain" else sampling)
        apart = liking[voter, a] - liking[voter, b]
        decided = rng.random(n) >= expit(apart)
        readiness = ease[voter] + self._leaning[a] + self._leaning[b]
        if self.closeness:
            readiness -= np.log(np.cosh(apart / 2))
        outcome = np.where(rng.random(n) < expit(readiness), 2, decided).astype(np.int8)
        any_button = rng.integers(0, 4, n).astype(np.int8)
        if kind == "target":
            has = (a == target) | (b == target)
            other = any_button if otherwise == "random" else outcome
            acts = has & (rng.random(n) < strength)
            outcome = np.where(acts, b == target, np.where(has, outcome, other)).astype(np.int8)
        elif kind == "omnidirectional":
            outcome = (self.theta[a] > self.theta[b]).astype(np.int8)
        elif kind == "left":
            outcome = np.zeros(n, dtype=np.int8)
        elif kind == "random":
            outcome = any_button
        at = np.tile(np.arange(1, each + 1) * 600_000_001, voters)
        prompt = rng.integers(1, 2**62, n)
        return VoterVotes(voter, np.arange(voters), 0, np.arange(n), at, a, b, outcome, prompt)

    @cached_property
    def _leaning(self) -> Float64:
        return np.random.default_rng([self.seed, 4]).normal(0, self.lean, self.models)

    def _pairs(self, rng: np.random.Generator, n: int) -> tuple[Int64, Int64]:
        a = rng.integers(0, self.models, n)
        return a, (a + rng.integers(1, self.models, n)) % self.models

    def _with_target(
        self, rng: np.random.Generator, a: Int64, b: Int64, target: Int64, sampling: float | None
    ) -> tuple[Int64, Int64]:
        """Battles of which a share holds the target, and the others do not."""
        if sampling is None:
            return a, b
        n = len(a)
        other = (target + rng.integers(1, self.models, n)) % self.models
        third = (target + rng.integers(1, self.models, n)) % self.models
        while (same := third == other).any():
            third[same] = ((target + rng.integers(1, self.models, n)) % self.models)[same]
        holds, left = rng.random(n) < sampling, rng.random(n) < 0.5
        first = np.where(holds, np.where(left, target, other), other)
        second = np.where(holds, np.where(left, other, target), third)
        return first, second
