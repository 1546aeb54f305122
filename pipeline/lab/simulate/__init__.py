"""Streams of votes from real pair counts, with planted attacks: for the demo, the red team and benchmarks.

    hashing   numbers that depend on a key alone, so that a voter's taste needs no memory
    truth     the shipped real counts: how often a pair meets, how often each side wins
    honest    Honest, the frozen description of an honest stream
    world     what honest and bought votes share: who meets whom, and how an honest voter votes
    clock     when votes come: hour, weekday, hourly shocks
    people    how busy voters are, how old their accounts, what they speak, where they sit
    stream    Stream: votes as columns
    lines     votes as canonical JSON lines
    attacks   attacks without a target: Omnidirectional, AlwaysLeft, RandomClicks
    targeted  attacks on one model: TargetOnly, Burst
    planting  plant: an honest stream with attacks in it, and who the attackers are
    story     simulate_demo: an honest first part, an attacked second part
    makers    demo_registry: who made the models, and a laboratory that is fiction

Laws: the same specs and seeds give the same bytes (under one numpy: NEP 19 lets `Generator` methods change
between its releases); planting changes no honest vote; every line is canonical and is accepted.

Not handled: sessions (a voter's votes do not cluster), answers and their style, private variants, and a drift
of strengths in time.
"""

from pipeline.lab.simulate.attacks import AlwaysLeft, Attack, Omnidirectional, RandomClicks
from pipeline.lab.simulate.demo_registry import demo_registry
from pipeline.lab.simulate.demo_scenario import DemoScenario, simulate_demo
from pipeline.lab.simulate.honest_spec import HonestSpec
from pipeline.lab.simulate.pair_rates import PairRates, real_counts, real_pair_rates
from pipeline.lab.simulate.simulated_stream import SimulatedStream
from pipeline.lab.simulate.stream_simulation import SimulatedAttacker, list_attackers, simulate_stream
from pipeline.lab.simulate.targeted_attacks import Burst, TargetOnly

__all__ = [
    "AlwaysLeft",
    "Attack",
    "Burst",
    "DemoScenario",
    "HonestSpec",
    "Omnidirectional",
    "PairRates",
    "RandomClicks",
    "SimulatedAttacker",
    "SimulatedStream",
    "TargetOnly",
    "demo_registry",
    "list_attackers",
    "real_counts",
    "real_pair_rates",
    "simulate_demo",
    "simulate_stream",
]
