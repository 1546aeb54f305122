"""Simulates the votes of the demo: eighteen honest days, and then twelve days with a few attackers.

The models and the rates of honest votes are real. The attacks are fictitious, and no provider named here took part in
them. The attacks are small on purpose: they have less than 3% of the votes of the second part. They still change the
board, because models between rank 15 and 25 are only a few points apart. A few votes suffice to promote a rarely
sampled model there.
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
    """The votes of the demo in two parts, and the attacks.

    Attributes:
        before: the first part, with honest votes only. The demo refreshes the board after these votes.
        after: the second part, with honest votes and attacks.
        attacks: the parameters of the attacks.
        attackers: the voters who attack, each with the number of votes.
        target: name of the model that eight voters promote.
        rival: name of the model that four voters demote.
    """

    before: SimulatedStream
    after: SimulatedStream
    attacks: tuple[Attack, ...]
    attackers: tuple[SimulatedAttacker, ...]
    target: str
    rival: str


def simulate_demo(votes: int = 200_000, seed: int = 20240814) -> DemoScenario:
    """Simulate the votes of the demo.

    Args:
        votes: number of honest votes in both parts together. The attackers cast about 2,000 more votes.
        seed: seed of the simulation.

    Returns:
        Both parts of the votes, and the attackers.

    Raises:
        Usage: `votes` is below 50,000.
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
    """Return the names of the target and of its rival.

    The target is the model with the fewest battles around rank 20, and the rival is one rank above the target.
    """
    battles = dict(zip(real_counts().models, real_counts().battles_per_model().tolist(), strict=True))
    order = np.argsort(-board.theta).tolist()
    rank = min(range(len(order))[_RANKS], key=lambda at: battles[board.models[order[at]]])
    return board.models[order[rank]], board.models[order[rank - 1]]


def demo_attacks(target: str, rival: str) -> tuple[Attack, ...]:
    """Return the five attacks of the demo, which have seventeen voters together.

    `target` is the name of the model to promote, and `rival` that of the model to demote.
    """
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
