"""Defines attack scenarios with parameters from the literature, on vote streams with the real pair counts.

The numbers S1 … S18 and the parameters come from a list of published attacks (Min et al. 2025, Huang et al. 2025, Zhao
et al. 2025, Singh et al. 2025). Every attack begins on day 18 of a month. All earlier votes are honest, and the
snapshot that is estimated from them evaluates the later votes. A clean month (S0) has thirty more honest days instead
of an attack.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pipeline.lab.simulate import (
    AlwaysLeft,
    Attack,
    Burst,
    HonestSpec,
    Omnidirectional,
    RandomClicks,
    TargetOnly,
    real_pair_rates,
)
from pipeline.lab.simulate.demo_scenario import target_and_rival
from pipeline.lab.simulate.targeted_attacks import Otherwise

DAYS, HONEST_DAYS = 30.0, 18.0
MODELS = 70

Plan = Callable[[str, str], Sequence[Attack]]
Requirement = Literal["alert", "no alert", "report"]


@dataclass(frozen=True)
class AttackScenario:
    """One attack scenario: the attack, the stream of votes around it, and what must be found.

    Attributes:
        name: S1, S2, …, with a letter if a number has several scenarios.
        what: description of the attack in words.
        plan: takes the names of a target and a rival model, and returns the attacks.
        must: the requirement. "alert": at least one alert about the attack. "no alert": no alert at all. "report": the
            attack is too weak for a voter detector and too small for a cohort, so it need not be found.
        about: the model whose rank is measured: the target, or the rival that the attack frames.
        days: length of the stream in days.
        population: integer that is added to the seed, so that scenarios with different integers have different voters.
        twins: whether the target appears under two names with half of its battles each, like two identical checkpoints.
    """

    name: str
    what: str
    plan: Plan
    must: Requirement = "alert"
    about: Literal["target", "rival"] = "target"
    days: float = DAYS
    population: int = 0
    twins: bool = False


def honest_spec(scenario: AttackScenario, votes: int, seed: int) -> HonestSpec:
    """Return the parameters of the honest votes of a scenario. `votes` is their number per month."""
    count = round(votes * scenario.days / DAYS)
    return HonestSpec(votes=count, seed=seed + scenario.population, days=scenario.days, models=MODELS)


def target_and_rival_names() -> tuple[str, str]:
    """Return the names of the target and of its rival.

    The target is a rarely sampled model around rank 20, and the rival is one rank above the target.
    """
    return target_and_rival(real_pair_rates(MODELS))


def _target(otherwise: Otherwise, sampling: float | None, voters: int, each: int, accuracy: float = 1.0) -> Plan:
    return lambda target, _: (
        TargetOnly(
            target=target, otherwise=otherwise, voters=voters, votes_each=each, accuracy=accuracy, sampling=sampling,
            from_day=HONEST_DAYS,
        ),
    )  # fmt: skip


def _untargeted(attack: Callable[..., Attack], voters: int, votes_each: int) -> Plan:
    return lambda *_: (attack(voters=voters, votes_each=votes_each, from_day=HONEST_DAYS),)


def _demotion(_: str, rival: str) -> Sequence[Attack]:
    begin, day = HONEST_DAYS + 2, 24 * 60.0
    return (
        Burst(target=rival, direction="demote", voters=293, votes=586, from_day=begin, minutes=day),
        Burst(target=rival, voters=29, votes=58, from_day=begin, minutes=day),
    )


def _repeats(share: float) -> Plan:
    """Return the plan of an attack that raises the share of repeated prompts to `share`, in 60,000 votes a month."""
    each = 40
    voters = round((share - 0.073) / (1 - share) * 60_000 * (DAYS - HONEST_DAYS) / DAYS / each)
    attack = partial(TargetOnly, sampling=0.2, voters=voters, votes_each=each, prompts=5, from_day=HONEST_DAYS)
    return lambda target, _: (attack(target=target),)


SCENARIOS: tuple[AttackScenario, ...] = (
    *(
        AttackScenario(
            f"S0{letter}", "no attack: a clean month of other voters", lambda *_: (), "no alert",
            days=HONEST_DAYS + DAYS, population=i,
        )
        for i, letter in enumerate("abc")
    ),
    AttackScenario("S1a", "target only, abstains, 20 voters × 100", _target("abstain", None, 20, 100)),
    AttackScenario("S1b", "target only, abstains, 100 × 20", _target("abstain", None, 100, 20)),
    AttackScenario("S1c", "target only, abstains, 500 × 5", _target("abstain", None, 500, 5)),
    AttackScenario("S1d", "target only, normal, 20%, 20 × 100", _target("normal", 0.2, 20, 100)),
    AttackScenario("S1e", "target only, normal, 5%, 20 × 100", _target("normal", 0.05, 20, 100), must="report"),
    AttackScenario("S1f", "target only, normal, 1%, 20 × 100", _target("normal", 0.01, 20, 100), must="report"),
    AttackScenario("S1g", "target only, random, 20%, 20 × 100", _target("random", 0.2, 20, 100)),
    AttackScenario("S1h", "target only, random, 1%, 20 × 100", _target("random", 0.01, 20, 100), must="report"),
    AttackScenario("S1i", "target only, normal, 20%, recognises 9 of 10", _target("normal", 0.2, 20, 100, 0.9)),
    AttackScenario("S1j", "target only, abstains, one voter × 100", _target("abstain", None, 1, 100)),
    AttackScenario("S2", "against every rating, 20,000 votes", _untargeted(Omnidirectional, 200, 100)),
    AttackScenario("S3", "votes by the ranking except for the target", _target("ranking", 0.2, 20, 100)),
    AttackScenario("S4", "demotion within a day, 586 down, 58 up", _demotion, about="rival"),
    AttackScenario("S5", "10% of the votes clicked at random", _untargeted(RandomClicks, 27, 100)),
    AttackScenario("S6", "a slow attack at half strength, 40 × 60", _target("normal", 0.2, 40, 60, 0.5), must="report"),
    AttackScenario("S5b", "always the left model, 10 × 40", _untargeted(AlwaysLeft, 10, 40)),
    AttackScenario("S8", "two identical checkpoints under two names", lambda *_: (), "no alert", twins=True),
    AttackScenario("S16a", "prompts repeat in 20% of the votes", _repeats(0.20)),
    AttackScenario("S16b", "prompts repeat in 26.5% of the votes", _repeats(0.265)),
    AttackScenario(
        "S18", "framing a rival: obvious bought votes for it",
        lambda _, rival: (Burst(target=rival, voters=100, votes=500, minutes=180, from_day=HONEST_DAYS + 3),),
        about="rival",
    ),
)  # fmt: skip
"""All scenarios, in the order of the table."""
