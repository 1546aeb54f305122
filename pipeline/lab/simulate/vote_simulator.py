"""Draws battles, and the outcomes that honest voters choose.

Pairs of models meet as often as on the real board, and voters differ in taste.

For voter v, the logit of a tie of models a and b is t_ab + tendency(v). In decided battles the logit of a win of the
left model a over the right model b is l_ab + taste(v, a) − taste(v, b). Tastes are normal with standard deviation
`taste_sd`, and tendencies are normal with standard deviation `tie_sd`. l_ab and t_ab are chosen so that all voters
together have the real rates (`pair_rates.averaged_logit`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.lab.simulate.honest_spec import HonestSpec
from pipeline.lab.simulate.keyed_hashing import TASTE, TIES, hash_normal
from pipeline.lab.simulate.pair_rates import PairRates, averaged_logit, real_pair_rates
from pipeline.lab.simulate.vote_times import hourly_rates
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int64
from pipeline.vocabulary.time import to_microseconds


@dataclass(frozen=True, slots=True, eq=False)
class ShownBattles:
    """N battles that are shown to voters.

    Attributes:
        voter: int64[N], code of the voter.
        pair: int64[N], position of the pair in `PairRates`.
        flipped: bool[N], whether the second model of the pair is on the left.
        left: int64[N], code of the left model.
        right: int64[N], code of the right model.
    """

    voter: Int64
    pair: Int64
    flipped: Bool
    left: Int64
    right: Int64

    def where(self, mine: Bool, other: ShownBattles) -> ShownBattles:
        """Merge two arrays of N battles. Battle i is taken from this object if `mine[i]` is true, else from `other`.

        Args:
            mine: bool[N].
            other: N other battles of the same voters.
        """
        return ShownBattles(
            voter=self.voter,
            pair=np.where(mine, self.pair, other.pair),
            flipped=np.where(mine, self.flipped, other.flipped),
            left=np.where(mine, self.left, other.left),
            right=np.where(mine, self.right, other.right),
        )


class VoteSimulator:
    """Draws battles and honest outcomes with the rates of the real board.

    Honest votes and attacks use the same object, and so the same tastes and hourly rates.
    """

    def __init__(self, spec: HonestSpec) -> None:
        self.spec = spec
        self.pair_rates: PairRates = real_pair_rates(spec.models)
        self.start = to_microseconds(spec.start)
        self.rates = hourly_rates(np.random.default_rng([spec.seed, 0]), spec.start, spec.days, spec.burstiness)
        # The difference of two tastes has √2 times their spread.
        self._wins = averaged_logit(self.pair_rates.wins, spec.taste_sd * 2**0.5)
        self._ties = averaged_logit(self.pair_rates.ties, spec.tie_sd)

    def draw_battles(self, rng: np.random.Generator, voter: Int64, among: Int64 | None = None) -> ShownBattles:
        """Draw a battle for each entry of `voter`. Pairs have their real frequencies, and sides are random.

        Args:
            rng: random number generator.
            voter: int64[N], codes of the voters.
            among: int64[n], positions of the pairs to draw from; None for all pairs.
        """
        share = self.pair_rates.share if among is None else self.pair_rates.share[among]
        edges = np.cumsum(share)
        drawn = np.searchsorted(edges, rng.uniform(0, edges[-1], len(voter)), side="right")
        pair = drawn if among is None else among[drawn]
        flipped = rng.random(len(voter)) < 0.5
        a, b = self.pair_rates.a[pair], self.pair_rates.b[pair]
        return ShownBattles(voter, pair, flipped, np.where(flipped, b, a), np.where(flipped, a, b))

    def draw_outcomes(self, rng: np.random.Generator, shown: ShownBattles) -> Int8:
        """Draw the outcomes that honest voters choose in N battles. Returns int8[N], outcome codes."""
        n, pair = len(shown.voter), shown.pair
        liking = self._wins[pair] * np.where(shown.flipped, -1, 1)
        liking += self.taste(shown.voter, shown.left) - self.taste(shown.voter, shown.right)
        ease = self.spec.tie_sd * hash_normal(self.spec.seed, TIES, shown.voter)
        tied = rng.random(n) < expit(self._ties[pair] + ease)
        decided = rng.random(n) >= expit(liking)
        undecided = 2 + (rng.random(n) < self.pair_rates.bad[pair])
        return np.where(tied, undecided, decided).astype(np.int8)

    def taste(self, voter: Int64, model: Int64) -> Float64:
        """Return tastes in logits, float64[N]. Element i is the taste of voter[i] for model[i].

        The taste of a voter for a model is the same at every vote.
        """
        return self.spec.taste_sd * hash_normal(self.spec.seed, TASTE, voter, model)
