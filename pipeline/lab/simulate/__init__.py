"""Simulates votes from real pair counts, with attacks: for the demo, the red team, benchmarks and tests.

    keyed_hashing      random numbers that depend on a key alone, so that a voter's taste needs no table
    pair_rates         the shipped real counts: how often a pair meets, how often each side wins
    honest_spec        HonestSpec: the parameters of an honest stream
    vote_simulator     draws battles and honest outcomes
    vote_times         draws the times of votes: hour, weekday, hourly shocks
    voter_population   draws activity, account ages, languages, networks and prompts
    simulated_stream   SimulatedStream: votes as columns
    json_lines         writes votes as canonical JSON lines
    attacks            attacks without a target: Omnidirectional, AlwaysLeft, RandomClicks
    targeted_attacks   attacks on one model: TargetOnly, Burst
    stream_simulation  simulate_stream: an honest stream with attacks, and the list of attackers
    demo_scenario      simulate_demo: an honest first part, an attacked second part
    demo_registry      the providers of the real models, and a fictitious laboratory
    simulated_board    windows of votes, for window detectors
    simulated_voters   votes by voter, for voter detectors

Laws: the same specs and seeds give the same bytes (under one numpy: NEP 19 lets `Generator` methods change between its
releases); attacks change no honest vote; every line is canonical and is accepted.

Not handled: sessions (a voter's votes do not cluster), answers and their style, private variants, changing strengths.
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
