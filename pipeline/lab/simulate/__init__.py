"""Simulates votes with the real board's pair counts, and attacks, for the demo, the red team, benchmarks and tests.

    keyed_hashing      random numbers that are computed from a key, so that voters' tastes need no table
    pair_rates         how often each real pair meets, and how often each side wins
    honest_spec        HonestSpec: the parameters of an honest stream
    vote_simulator     draws battles and honest outcomes
    vote_times         draws the times of votes: hour, weekday, hourly shocks
    voter_population   draws activity, account ages, languages, networks and prompts
    simulated_stream   SimulatedStream: votes as columns
    json_lines         writes votes as canonical JSON lines
    attacks            attacks without a target: Omnidirectional, AlwaysLeft, RandomClicks
    targeted_attacks   attacks on one model: TargetOnly, Burst
    stream_simulation  simulate_stream: an honest stream with attacks, and the list of attackers
    demo_scenario      simulate_demo: a first part with honest votes, and a second part with attacks
    demo_registry      the providers of the real models, and a fictitious laboratory
    simulated_board    windows of votes, for window detectors
    simulated_voters   votes sorted by voter, for voter detectors

The same parameters and seeds give the same bytes with the same version of numpy. (NEP 19 allows releases of
numpy to change the numbers of `Generator`.) Attacks do not change honest votes. Every line is a canonical, valid vote.

Not handled: sessions (the votes of a voter do not cluster in time), answers and their style, private variants, and
strengths that change over time.
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
