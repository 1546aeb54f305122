"""An honest stream with attacks in it, and the truth about who attacked.

Laws: the honest votes are the same whatever is planted; attackers are voters of their own, so a voter is
either honest or not; with no attack the honest stream comes out.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import Usage
from pipeline.lab.simulate import voter_population
from pipeline.lab.simulate.attacks import Attack
from pipeline.lab.simulate.honest_spec import HonestSpec
from pipeline.lab.simulate.keyed_hashing import PROMPT, hash_keys
from pipeline.lab.simulate.simulated_stream import SimulatedStream
from pipeline.lab.simulate.vote_simulator import ShownBattles, VoteSimulator
from pipeline.lab.simulate.vote_times import draw_times
from pipeline.vocabulary.arrays import Int8, Int64


@dataclass(frozen=True, slots=True)
class SimulatedAttacker:
    """The truth about one attacker.

    Attributes:
        voter: its name in the stream.
        kind: of its attack.
        aim: the model it is about, if any.
        attack: number of the attack in the list that was planted.
        votes: how many it cast.
    """

    voter: str
    kind: str
    aim: str | None
    attack: int
    votes: int


def simulate_stream(spec: HonestSpec, attacks: Sequence[Attack] = (), seed: int | None = None) -> SimulatedStream:
    """Generate an honest stream and plant attacks in it.

    Args:
        spec: the honest stream; `plant(spec)` is that stream alone.
        attacks: what to plant. Each one's voters follow those of the one before.
        seed: of the attackers' choices; by default the stream's.

    Raises:
        Usage: a target that is not on the board, or an attack that outlasts the stream.
    """
    world = VoteSimulator(spec)
    for attack in attacks:
        _check(attack, world)
    parts = [_honest_part(world)]
    first = _First(voter=spec.voter_count, serial=spec.votes)
    for number, attack in enumerate(attacks):
        rng = np.random.default_rng([spec.seed if seed is None else seed, 2, number])
        parts.append(_attack_part(world, rng, attack, first, number))
        first = _First(first.voter + attack.voters, first.serial + len(parts[-1]))
    return SimulatedStream.merge(parts)


def list_attackers(stream: SimulatedStream, attacks: Sequence[Attack]) -> tuple[SimulatedAttacker, ...]:
    """List the attackers of a stream in the order of their codes.

    Args:
        stream: what `plant` made, or a part of it.
        attacks: what was planted.
    """
    planted = stream.is_attack
    codes, first, votes = np.unique(stream.voter[planted], return_index=True, return_counts=True)
    numbers = stream.attack[planted][first].tolist()
    return tuple(
        SimulatedAttacker(stream.voter_name(code), attacks[number].kind, attacks[number].aim, number, cast)
        for code, number, cast in zip(codes.tolist(), numbers, votes.tolist(), strict=True)
    )


def _check(attack: Attack, world: VoteSimulator) -> None:
    models, days = world.truth.models, world.spec.days
    if attack.aim is not None and attack.aim not in models:
        close = difflib.get_close_matches(attack.aim, models)
        hint = f"; close: {', '.join(close)}" if close else ""
        raise Usage(f"expected a target among the {len(models)} models, got {attack.aim!r}{hint}")
    if not attack.from_day < attack.until(days) <= days:
        raise Usage(
            f"expected an attack within the {days:g} days of the stream, "
            f"got day {attack.from_day:g} to {attack.until(days):g}"
        )


@dataclass(frozen=True, slots=True)
class _First:
    """The first voter code and the first serial number of a part."""

    voter: int
    serial: int


@dataclass(frozen=True, slots=True, eq=False)
class _Cast:
    """Votes before they have accounts: battles, outcomes, times and prompt numbers."""

    shown: ShownBattles
    outcome: Int8
    cast_at: Int64
    prompt: Int64


def _honest_part(world: VoteSimulator) -> SimulatedStream:
    spec = world.spec
    rng = np.random.default_rng([spec.seed, 1])
    cast_at = np.sort(draw_times(rng, spec.votes, rates=world.rates, start=world.start, begin=0, end=spec.days))
    busy = voter_population.draw_votes_per_voter(rng, spec.votes, spec.voter_count)
    shown = world.show(rng, rng.permutation(np.repeat(np.arange(spec.voter_count), busy)))
    cast = _Cast(shown, world.vote(rng, shown), cast_at, voter_population.draw_prompts(rng, spec.votes))
    return _part(world, rng, cast, _First(0, 0), spec.voter_count)


def _attack_part(
    world: VoteSimulator, rng: np.random.Generator, attack: Attack, first: _First, number: int
) -> SimulatedStream:
    voter = first.voter + np.repeat(np.arange(attack.voters), attack.workload(rng))
    begin, end = attack.from_day, attack.until(world.spec.days)
    cast_at = draw_times(rng, len(voter), rates=world.rates, start=world.start, begin=begin, end=end)
    shown = attack.show(world, rng, voter)
    # Attackers write prompts of their own: numbers that no honest vote has.
    prompt = np.arange(len(voter)) if attack.prompts is None else rng.integers(0, attack.prompts, len(voter))
    cast = _Cast(shown, attack.vote(world, rng, shown), cast_at, first.serial + prompt)
    return _part(world, rng, cast, first, attack.voters, number=number, new=attack.new_accounts)


def _part(
    world: VoteSimulator,
    rng: np.random.Generator,
    cast: _Cast,
    first: _First,
    voters: int,
    *,
    number: int = -1,
    new: bool = False,
) -> SimulatedStream:
    place, n = cast.shown.voter - first.voter, len(cast.cast_at)
    first_vote = np.full(voters, np.iinfo(np.int64).max)
    np.minimum.at(first_vote, place, cast.cast_at)
    who = voter_population.draw_accounts(rng, first_vote, new=new)
    return SimulatedStream(
        models=world.truth.models,
        seed=world.spec.seed,
        serial=first.serial + np.arange(n),
        cast_at=cast.cast_at,
        voter=cast.shown.voter.astype(np.int32),
        model_a=cast.shown.left.astype(np.int16),
        model_b=cast.shown.right.astype(np.int16),
        outcome=cast.outcome,
        voter_since=who.since[place],
        language=who.language[place],
        category=voter_population.draw_categories(rng, n),
        prompt_hash=hash_keys(world.spec.seed, PROMPT, cast.prompt),
        network=who.network[place],
        attack=np.full(n, number, dtype=np.int16),
    )
