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
    story     demo_story: an honest first part, an attacked second part
    makers    demo_registry: who made the models, and a laboratory that is fiction

Laws: the same specs and seeds give the same bytes (under one numpy: NEP 19 lets `Generator` methods change
between its releases); planting changes no honest vote; every line is canonical and is accepted.

Not handled: sessions (a voter's votes do not cluster), answers and their style, private variants, and a drift
of strengths in time.
"""

from pipeline.lab.simulate.attacks import AlwaysLeft, Attack, Omnidirectional, RandomClicks
from pipeline.lab.simulate.demo_registry import demo_registry
from pipeline.lab.simulate.honest import Honest
from pipeline.lab.simulate.planting import Attacker, attackers, plant
from pipeline.lab.simulate.story import Story, demo_story
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.targeted import Burst, TargetOnly
from pipeline.lab.simulate.truth import Truth, real_counts, truth

__all__ = [
    "AlwaysLeft",
    "Attack",
    "Attacker",
    "Burst",
    "Honest",
    "Omnidirectional",
    "RandomClicks",
    "Story",
    "Stream",
    "TargetOnly",
    "Truth",
    "attackers",
    "demo_registry",
    "demo_story",
    "plant",
    "real_counts",
    "truth",
]
