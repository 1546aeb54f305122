"""Simulates a stream of honest votes and attacks, and lists the attackers.

Honest votes do not depend on the attacks. No attacker is also an honest voter.
"""

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
    """One attacker of a simulated stream.

    Attributes:
        voter: id of the attacker in the stream.
        kind: kind of the attack.
        target_model: name of the model that the attack is for or against; None for an attack without a target.
        attack: position of the attack in the list of attacks, from 0.
        votes: number of votes that the attacker casts.
    """

    voter: str
    kind: str
    target_model: str | None
    attack: int
    votes: int


def simulate_stream(spec: HonestSpec, attacks: Sequence[Attack] = (), seed: int | None = None) -> SimulatedStream:
    """Simulate a stream of honest votes and attacks.

    Args:
        spec: the parameters of the honest stream.
        attacks: the attacks. The codes of attackers follow the codes of all honest voters, in the order of the attacks.
        seed: seed of the attacks; None for the seed of the honest votes.

    Returns:
        All votes in order of time.

    Raises:
        Usage: a target is not on the board, or an attack ends after the stream.
    """
    simulator = VoteSimulator(spec)
    for attack in attacks:
        _check(attack, simulator)
    parts = [_honest_part(simulator)]
    first = _First(voter=spec.voter_count, serial=spec.votes)
    for number, attack in enumerate(attacks):
        rng = np.random.default_rng([spec.seed if seed is None else seed, 2, number])
        parts.append(_attack_part(simulator, rng, attack, first, number))
        first = _First(first.voter + attack.voters, first.serial + len(parts[-1]))
    return SimulatedStream.merge(parts)


def list_attackers(stream: SimulatedStream, attacks: Sequence[Attack]) -> tuple[SimulatedAttacker, ...]:
    """List the attackers of a stream, or of a part of it, in the order of their codes.

    Args:
        stream: the votes. Attackers without a vote among these are left out.
        attacks: the attacks with which the stream was simulated.
    """
    planted = stream.is_attack
    codes, first, votes = np.unique(stream.voter[planted], return_index=True, return_counts=True)
    numbers = stream.attack[planted][first].tolist()
    return tuple(
        SimulatedAttacker(stream.voter_id(code), attacks[number].kind, attacks[number].target_model, number, cast)
        for code, number, cast in zip(codes.tolist(), numbers, votes.tolist(), strict=True)
    )


def _check(attack: Attack, simulator: VoteSimulator) -> None:
    models, days = simulator.pair_rates.models, simulator.spec.days
    if attack.target_model is not None and attack.target_model not in models:
        close = difflib.get_close_matches(attack.target_model, models)
        hint = f"; close: {', '.join(close)}" if close else ""
        raise Usage(f"expected a target among the {len(models)} models, got {attack.target_model!r}{hint}")
    if not attack.from_day < attack.end_day(days) <= days:
        raise Usage(
            f"expected an attack within the {days:g} days of the stream, "
            f"got day {attack.from_day:g} to {attack.end_day(days):g}"
        )


@dataclass(frozen=True, slots=True)
class _First:
    """The first voter code and the first serial number of a part of the stream."""

    voter: int
    serial: int


@dataclass(frozen=True, slots=True, eq=False)
class _Cast:
    """Battles, outcomes, times and prompt numbers of votes, without accounts."""

    shown: ShownBattles
    outcome: Int8
    cast_at: Int64
    prompt: Int64


def _honest_part(simulator: VoteSimulator) -> SimulatedStream:
    spec = simulator.spec
    rng = np.random.default_rng([spec.seed, 1])
    cast_at = np.sort(draw_times(rng, spec.votes, rates=simulator.rates, start=simulator.start, begin=0, end=spec.days))
    busy = voter_population.draw_votes_per_voter(rng, spec.votes, spec.voter_count)
    shown = simulator.draw_battles(rng, rng.permutation(np.repeat(np.arange(spec.voter_count), busy)))
    cast = _Cast(shown, simulator.draw_outcomes(rng, shown), cast_at, voter_population.draw_prompts(rng, spec.votes))
    return _part(simulator, rng, cast, _First(0, 0), spec.voter_count)


def _attack_part(
    simulator: VoteSimulator, rng: np.random.Generator, attack: Attack, first: _First, number: int
) -> SimulatedStream:
    voter = first.voter + np.repeat(np.arange(attack.voters), attack.draw_vote_counts(rng))
    begin, end = attack.from_day, attack.end_day(simulator.spec.days)
    cast_at = draw_times(rng, len(voter), rates=simulator.rates, start=simulator.start, begin=begin, end=end)
    shown = attack.draw_battles(simulator, rng, voter)
    # Attackers have prompt numbers that no honest vote has.
    prompt = np.arange(len(voter)) if attack.prompts is None else rng.integers(0, attack.prompts, len(voter))
    cast = _Cast(shown, attack.choose_outcomes(simulator, rng, shown), cast_at, first.serial + prompt)
    return _part(simulator, rng, cast, first, attack.voters, number=number, new=attack.new_accounts)


def _part(
    simulator: VoteSimulator,
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
        models=simulator.pair_rates.models,
        seed=simulator.spec.seed,
        serial=first.serial + np.arange(n),
        cast_at=cast.cast_at,
        voter=cast.shown.voter.astype(np.int32),
        model_a=cast.shown.left.astype(np.int16),
        model_b=cast.shown.right.astype(np.int16),
        outcome=cast.outcome,
        voter_since=who.since[place],
        language=who.language[place],
        category=voter_population.draw_categories(rng, n),
        prompt_hash=hash_keys(simulator.spec.seed, PROMPT, cast.prompt),
        network=who.network[place],
        attack=np.full(n, number, dtype=np.int16),
    )
