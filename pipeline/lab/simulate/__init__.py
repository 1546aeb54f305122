"""Simulates honest votes and attacks on a real board, for the demo, the red team, benchmarks and tests.

The frequencies of pairs and outcomes are estimated from the shipped pair counts of the real board.

    keyed_hashing      computes random numbers from a key, so that voters' tastes need no table
    pair_rates         estimates how often each real pair meets, and how often each side wins
    honest_spec        holds the parameters of an honest stream (HonestSpec)
    vote_simulator     draws battles and honest outcomes
    vote_times         draws the times of votes: hour, weekday, hourly shocks
    voter_population   draws activity, account ages, languages, networks and prompts
    simulated_stream   holds votes as columns (SimulatedStream)
    json_lines         writes votes as canonical JSON lines
    attacks            defines attacks without a target: Omnidirectional, AlwaysLeft, RandomClicks
    targeted_attacks   defines attacks on one model: TargetOnly, Burst
    stream_simulation  simulates an honest stream with attacks (simulate_stream), and lists the attackers
    demo_scenario      simulates the demo (simulate_demo): a part with honest votes, and a part with attacks
    demo_registry      lists the providers of the real models, and a fictitious laboratory
    simulated_board    simulates windows of votes, for window detectors
    simulated_voters   simulates votes sorted by voter, for voter detectors

The same parameters and seeds give the same bytes with the same version of numpy. (NEP 19 allows releases of numpy to
change the numbers of `Generator`.) Attacks do not change honest votes. Every line is a canonical, valid vote.

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
