"""Simulates the demo's votes: eighteen honest days, then twelve days with a few attackers.

The models and the honest rates are real; the attacks are fictitious, and no provider named here took part in them. They
are small on purpose: under 3% of the second part. The board still changes, because models between rank 15 and 25 are a
few points apart and a rarely shown model is cheap to promote.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import Usage
from pipeline.lab.simulate.attacks import AlwaysLeft, Attack, Omnidirectional, RandomClicks
from pipeline.lab.simulate.honest_spec import HonestSpec
from pipeline.lab.simulate.pair_rates import PairRates, real_counts, real_pair_rates
from pipeline.lab.simulate.simulated_stream import SimulatedStream
from pipeline.lab.simulate.stream_simulation import SimulatedAttacker, list_attackers, simulate_stream
from pipeline.lab.simulate.targeted_attacks import TargetOnly
from pipeline.vocabulary.time import DAY, to_microseconds

DAYS, HONEST_DAYS = 30.0, 18.0
# The busiest 70 have 81% of the real votes, and in 200,000 votes the rarest of them still has over 1,000
# battles, with wins and losses, so the board is one connected component.
MODELS = 70
_RANKS = slice(14, 25)
# With fewer honest votes the attackers, whose number is fixed, would cast a tenth of the second part.
_LEAST_VOTES = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class DemoScenario:
    """A stream in two parts, and its attacks.

    Attributes:
        before: honest votes only; refresh the ratings after them.
        after: honest votes and attacks.
        attacks: the attacks' parameters.
        attackers: the attackers.
        target: the model that eight voters promote.
        rival: the model that four voters demote.
    """

    before: SimulatedStream
    after: SimulatedStream
    attacks: tuple[Attack, ...]
    attackers: tuple[SimulatedAttacker, ...]
    target: str
    rival: str


def simulate_demo(votes: int = 200_000, seed: int = 20240814) -> DemoScenario:
    """Simulate the demo's stream.

    Args:
        votes: honest votes in both parts; the attackers cast about two thousand more.
        seed: the same seed gives the same votes.

    Raises:
        Usage: too few votes.
    """
    if votes < _LEAST_VOTES:
        raise Usage(f"expected at least {_LEAST_VOTES} votes for the demo, got {votes}")
    spec = HonestSpec(votes=votes, seed=seed, days=DAYS, models=MODELS)
    target, rival = target_and_rival(real_pair_rates(MODELS))
    attacks = demo_attacks(target, rival)
    stream = simulate_stream(spec, attacks)
    parting = np.searchsorted(stream.cast_at, to_microseconds(spec.start) + int(HONEST_DAYS * DAY))
    rows = np.arange(len(stream))
    before, after = stream.take(rows[:parting]), stream.take(rows[parting:])
    return DemoScenario(before, after, attacks, list_attackers(after, attacks), target, rival)


def target_and_rival(board: PairRates) -> tuple[str, str]:
    """Return the model with fewest battles around rank 20, and the model one rank above it."""
    battles = dict(zip(real_counts().models, real_counts().battles_per_model().tolist(), strict=True))
    order = np.argsort(-board.theta).tolist()
    rank = min(range(len(order))[_RANKS], key=lambda at: battles[board.models[order[at]]])
    return board.models[order[rank]], board.models[order[rank - 1]]


def demo_attacks(target: str, rival: str) -> tuple[Attack, ...]:
    """Return the demo's attacks: seventeen voters of five kinds."""
    begin = HONEST_DAYS
    # Enough votes each that the e-value of `voter_bias` exceeds 10⁴ (critical) for nearly every attacker except the
    # random clicker, who gets a warning at most.
    return (
        TargetOnly(target=target, voters=8, votes_each=(120, 200), sampling=0.2, from_day=begin),
        TargetOnly(target=rival, direction="demote", voters=4, votes_each=(140, 170), sampling=0.2, from_day=begin),
        Omnidirectional(voters=2, votes_each=(110, 150), from_day=begin),
        AlwaysLeft(voters=2, votes_each=(30, 50), from_day=begin),
        RandomClicks(voters=1, votes_each=(150, 190), from_day=begin),
    )
