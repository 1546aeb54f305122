"""Simulates voters and their votes, for tests and measurements of voter detectors.

The snapshot with which detectors evaluate the votes is *estimated* from earlier honest votes. Honest voters have tastes
and a tendency to tie, with the distributions of `pipeline.lab.simulate.honest_spec`. Votes are created in the form that
voter detectors read, hundreds of thousands per second. `simulate_stream` creates complete vote events instead.

The same seed gives the same voters.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from pipeline.evidence import Reference
from pipeline.lab.simulate.voter_population import TIE_SHARE
from pipeline.ratings import PairCounts, fit
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.vocabulary.arrays import Float64, Int64

VoterKind = Literal["honest", "target", "omnidirectional", "left", "random"]
# Honest votes of each model that the snapshot is estimated from; each voter casts four (3.65 on the real board).
_SNAPSHOT_VOTES, _SNAPSHOT_EACH = 2_000, 4


@dataclass(frozen=True, kw_only=True)
class SimulatedVoters:
    """A simulated board, on which `cast_votes` simulates honest voters and attackers.

    Attributes:
        seed: seed of the simulation; the same seed gives the same board.
        models: number of models.
        spread: standard deviation of the models' strengths, in logits.
        taste_sd: standard deviation of a voter's taste for a model, in logits.
        tie_sd: standard deviation of a voter's tendency to tie, in logits.
        davidson_ties: whether ties are rarer the more the strengths of two models differ, as on the real board
            (Davidson 1970). Otherwise all pairs have the same tie rate.
        model_tie_sd: standard deviation of a model's effect on the log-odds of a tie; 0.1 on the real board.
    """

    seed: int
    models: int = 100
    spread: float = 0.75
    taste_sd: float = 0.5
    tie_sd: float = 0.5
    davidson_ties: bool = False
    model_tie_sd: float = 0.0

    @cached_property
    def theta(self) -> Float64:
        """The true strengths of the models in logits, float64[models]."""
        return np.random.default_rng([self.seed, 0]).normal(0, self.spread, self.models)

    @cached_property
    def reference(self) -> Reference:
        """The reference with which detectors evaluate votes, estimated from honest votes.

        It has ratings, their covariance and tie rates. The number of a model is its position in `theta`.
        """
        each = _SNAPSHOT_EACH
        votes = self.cast_votes("honest", _SNAPSHOT_VOTES * self.models // (2 * each), each, stream=1)
        names = tuple(f"{i:04d}" for i in range(self.models))
        a, b = votes.model_a.astype(np.int16), votes.model_b.astype(np.int16)
        counts = PairCounts.from_codes(names, a, b, votes.outcome)
        estimate = fit(counts.decisive())
        tied = np.bincount(votes.voter, weights=votes.outcome >= 2) / each
        share = float(tied.mean())
        # The variance of the voters' true shares: the observed variance less the binomial one.
        own = max((float(tied.var()) - share * (1 - share) / each) * each / (each - 1), 1e-6)
        size = share * (1 - share) / own - 1
        theta, covariance = estimate.theta, estimate.covariance
        return Reference(1, np.arange(self.models), theta, covariance, share, (size * share, size * (1 - share)))

    def cast_votes(
        self,
        kind: VoterKind,
        voters: int,
        each: int,
        *,
        otherwise: Literal["abstain", "normal", "random"] = "normal",
        sampling: float | None = None,
        strength: float = 1.0,
        stream: int = 2,
        identical: bool = False,
    ) -> VoterVotes:
        """Simulate the votes of some voters of one kind, sorted by voter.

        Args:
            kind: "honest" or the name of a kind of attacker.
            voters: number of voters.
            each: number of votes of each voter.
            otherwise: what attackers with a target do in battles without it: not vote, vote honestly, or vote at
                random.
            sampling: share of the attackers' battles that include the target; None for the share of honest voters.
            strength: share of the battles with the target in which attackers vote for it; in others they vote honestly.
            stream: number of the random stream; another number gives other voters.
            identical: whether the first two models have the same strength and tastes, like identical checkpoints.
        """
        rng = np.random.default_rng([self.seed, 3, stream])
        n, shape = voters * each, (voters, self.models)
        voter = np.repeat(np.arange(voters), each)
        theta = self.theta.copy()
        taste = rng.normal(0, self.taste_sd, shape)
        if identical:
            theta[1], taste[:, 1] = theta[0], taste[:, 0]
        liking = theta + taste
        tie_logit = logit(TIE_SHARE) + rng.normal(0, self.tie_sd, voters)
        target = rng.integers(0, self.models, voters)[voter]
        a, b = self._pairs(rng, n)
        if kind == "target":
            a, b = self._with_target(rng, a, b, target, 1.0 if otherwise == "abstain" else sampling)
        apart = liking[voter, a] - liking[voter, b]
        decided = rng.random(n) >= expit(apart)
        tie = tie_logit[voter] + self._model_ties[a] + self._model_ties[b]
        if self.davidson_ties:
            tie -= np.log(np.cosh(apart / 2))
        outcome = np.where(rng.random(n) < expit(tie), 2, decided).astype(np.int8)
        random = rng.integers(0, 4, n).astype(np.int8)
        if kind == "target":
            has = (a == target) | (b == target)
            other = random if otherwise == "random" else outcome
            acts = has & (rng.random(n) < strength)
            outcome = np.where(acts, b == target, np.where(has, outcome, other)).astype(np.int8)
        elif kind == "omnidirectional":
            outcome = (self.theta[a] > self.theta[b]).astype(np.int8)
        elif kind == "left":
            outcome = np.zeros(n, dtype=np.int8)
        elif kind == "random":
            outcome = random
        at = np.tile(np.arange(1, each + 1) * 600_000_001, voters)
        prompt = rng.integers(1, 2**62, n)
        return VoterVotes(voter, np.arange(voters), 0, np.arange(n), at, a, b, outcome, prompt)

    @cached_property
    def _model_ties(self) -> Float64:
        return np.random.default_rng([self.seed, 4]).normal(0, self.model_tie_sd, self.models)

    def _pairs(self, rng: np.random.Generator, n: int) -> tuple[Int64, Int64]:
        a = rng.integers(0, self.models, n)
        return a, (a + rng.integers(1, self.models, n)) % self.models

    def _with_target(
        self, rng: np.random.Generator, a: Int64, b: Int64, target: Int64, sampling: float | None
    ) -> tuple[Int64, Int64]:
        """Draw battles, the share `sampling` of them with the target. If `sampling` is None, return `a` and `b`."""
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
