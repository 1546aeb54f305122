"""What is planted: attacks with the parameters of the literature, over streams from the real pair counts.

The numbers S1 … S18 and their parameters are those of a list of published attacks (Min et al. 2025, Huang et al. 2025,
Zhao et al. 2025, Singh et al. 2025). Every attack begins on the 18th day of a month; the days before it are honest and
give the snapshot that judges. A clean month is thirty days of judged votes after eighteen such days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

DAYS, HONEST_DAYS = 30.0, 18.0
MODELS = 70

Plan = Callable[[str, str], Sequence[Attack]]
Must = Literal["be told", "be silent", "be shown"]


@dataclass(frozen=True)
class AttackScenario:
    """One planted attack.

    Attributes:
        name: S1 …, with a letter where there are several.
        what: in words.
        plan: (target, rival) → attacks.
        must: "be told": somebody must be told of it; "be silent": nothing may be said; "be shown": too weak for one
            voter and too few for a cohort: what is found is shown, and falling short is no failure.
        about: the model whose places are counted: the target, or the rival that is framed.
        days: length of the stream.
        people: another number, other people.
        twins: the target is shown under two names, half of its battles each: two identical checkpoints.
    """

    name: str
    what: str
    plan: Plan
    must: Must = "be told"
    about: Literal["target", "rival"] = "target"
    days: float = DAYS
    people: int = 0
    twins: bool = False


def honest_spec(scenario: AttackScenario, votes: int, seed: int) -> HonestSpec:
    """The honest stream of a scenario: so many votes a month."""
    count = round(votes * scenario.days / DAYS)
    return HonestSpec(votes=count, seed=seed + scenario.people, days=scenario.days, models=MODELS)


def target_and_rival_names() -> tuple[str, str]:
    """The target, a rarely shown model around the 20th place, and the rival right above it."""
    return target_and_rival(real_pair_rates(MODELS))


def _target(otherwise: str, sampling: float, voters: int, each: int, accuracy: float = 1.0) -> Plan:
    def plan(target: str, _: str) -> Sequence[Attack]:
        attack = TargetOnly(
            target=target, otherwise=otherwise, voters=voters, votes_each=each, accuracy=accuracy,  # type: ignore[arg-type]
            sampling=None if otherwise == "abstain" else sampling, from_day=HONEST_DAYS,
        )  # fmt: skip
        return (attack,)

    return plan


def _one(attack: Callable[..., Attack], **given: object) -> Plan:
    return lambda _, __: (attack(from_day=HONEST_DAYS, **given),)


def _demotion(_: str, rival: str) -> Sequence[Attack]:
    begin, day = HONEST_DAYS + 2, 24 * 60.0
    return (
        Burst(target=rival, direction="demote", voters=293, votes=586, from_day=begin, minutes=day),
        Burst(target=rival, voters=29, votes=58, from_day=begin, minutes=day),
    )


def _repeats(share: float) -> Plan:
    """So many repeated prompts that, of 60,000 votes a month, they are this share from then on."""

    def plan(target: str, _: str) -> Sequence[Attack]:
        each, voters = 40, round((share - 0.073) / (1 - share) * 60_000 * (DAYS - HONEST_DAYS) / DAYS / 40)
        return (
            TargetOnly(
                target=target, otherwise="normal", sampling=0.2, voters=voters, votes_each=each, prompts=5,
                from_day=HONEST_DAYS,
            ),
        )  # fmt: skip

    return plan


def _nothing(_: str, __: str) -> Sequence[Attack]:
    return ()


def _clean_months() -> tuple[AttackScenario, ...]:
    whole = HONEST_DAYS + DAYS
    return tuple(
        AttackScenario(
            f"S0{letter}", "nothing: a clean month of other people", _nothing, "be silent", days=whole, people=i
        )
        for i, letter in enumerate("abc")
    )


SCENARIOS: tuple[AttackScenario, ...] = (
    *_clean_months(),
    AttackScenario("S1a", "target only, abstains, 20 voters × 100", _target("abstain", 1.0, 20, 100)),
    AttackScenario("S1b", "target only, abstains, 100 × 20", _target("abstain", 1.0, 100, 20)),
    AttackScenario("S1c", "target only, abstains, 500 × 5", _target("abstain", 1.0, 500, 5)),
    AttackScenario("S1d", "target only, normal, 20%, 20 × 100", _target("normal", 0.2, 20, 100)),
    AttackScenario("S1e", "target only, normal, 5%, 20 × 100", _target("normal", 0.05, 20, 100), must="be shown"),
    AttackScenario("S1f", "target only, normal, 1%, 20 × 100", _target("normal", 0.01, 20, 100), must="be shown"),
    AttackScenario("S1g", "target only, random, 20%, 20 × 100", _target("random", 0.2, 20, 100)),
    AttackScenario("S1h", "target only, random, 1%, 20 × 100", _target("random", 0.01, 20, 100), must="be shown"),
    AttackScenario("S1i", "target only, normal, 20%, knows it 9 times of 10", _target("normal", 0.2, 20, 100, 0.9)),
    AttackScenario("S1j", "target only, abstains, one voter × 100", _target("abstain", 1.0, 1, 100)),
    AttackScenario("S2", "against every rating, 20,000 votes", _one(Omnidirectional, voters=200, votes_each=100)),
    AttackScenario("S3", "votes by the ranking but for the target", _target("ranking", 0.2, 20, 100)),
    AttackScenario("S4", "demotion within a day, 586 down, 58 up", _demotion, about="rival"),
    AttackScenario("S5", "10% of the votes clicked at random", _one(RandomClicks, voters=27, votes_each=100)),
    AttackScenario("S6", "a slow drip at half strength, 40 × 60", _target("normal", 0.2, 40, 60, 0.5), must="be shown"),
    AttackScenario("S5b", "always the left side, 10 × 40", _one(AlwaysLeft, voters=10, votes_each=40)),
    AttackScenario("S8", "two identical checkpoints under two names", _nothing, "be silent", twins=True),
    AttackScenario("S16a", "prompts repeat in 20% of the votes", _repeats(0.20)),
    AttackScenario("S16b", "prompts repeat in 26.5% of the votes", _repeats(0.265)),
    AttackScenario(
        "S18", "framing a rival: bought votes for it, in the open",
        lambda _, rival: (Burst(target=rival, voters=100, votes=500, minutes=180, from_day=HONEST_DAYS + 3),),
        about="rival",
    ),
)  # fmt: skip
"""In the order of the table."""
