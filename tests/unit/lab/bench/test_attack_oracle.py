"""The oracle: the chances of each attack are those of its planted answers, and what it finds and does not find."""

import numpy as np
import pytest

from pipeline.lab.bench.attack_oracle import oracle_votes
from pipeline.lab.bench.planted_attacks import ATTACKS, PlantedAttack, answer_chances, plant
from pipeline.lab.bench.real_streams import run_stream
from tests.unit.lab.bench.test_real_voters import honest_votes


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_the_chances_of_an_attack_are_those_of_its_planted_answers(attack: PlantedAttack) -> None:
    stream = plant(honest_votes(), attack, 150, 800, np.random.default_rng(2))
    mine = stream.votes.take(np.isin(stream.votes.voter, stream.attackers))
    on_a, on_b = np.isin(mine.model_a, stream.targets), np.isin(mine.model_b, stream.targets)
    about = on_a ^ on_b if attack.of_models else np.ones_like(on_a)
    turned = on_b & ~on_a if attack.of_models else np.zeros_like(on_a)
    outcome = np.where(turned & (mine.outcome < 2), 1 - mine.outcome, mine.outcome)[about]
    honest = honest_votes()
    a, b = np.isin(honest.model_a, stream.targets), np.isin(honest.model_b, stream.targets)
    rows = a ^ b if attack.of_models else np.ones_like(a)
    swap = b & ~a if attack.of_models else np.zeros_like(a)
    usual = np.where(swap & (honest.outcome < 2), 1 - honest.outcome, honest.outcome)[rows]
    expected = answer_chances(attack.name, np.bincount(usual, minlength=3)[None] / len(usual))[0]
    assert expected.sum() == pytest.approx(1)
    assert np.bincount(outcome, minlength=3) / len(outcome) == pytest.approx(expected, abs=0.04)


@pytest.mark.long
def test_the_oracle_finds_attackers_no_later_than_the_detector_and_finding_the_model_delays_it() -> None:
    votes, attack = honest_votes(), ATTACKS[0]
    stream = plant(votes, attack, 3, 800, np.random.default_rng(3))
    streamed = run_stream(stream)
    warned = streamed.warned[np.searchsorted(streamed.names, stream.attackers)]
    known, unknown = (oracle_votes(stream, attack, streamed, exact=exact) for exact in (True, False))
    assert np.isfinite(warned).all()
    assert (known <= warned).all()
    assert (known < unknown).all()
    assert (known > 3).all(), "no vote has a likelihood ratio above 100"


def test_the_oracle_does_not_find_honest_voters() -> None:
    votes = honest_votes(people=30, each=60)
    attack = PlantedAttack("losses to ties at 20%", 60, 0.2)
    stream = plant(votes, attack, 1, 360, np.random.default_rng(4))
    honest = type(stream)(votes, np.unique(votes.voter), stream.targets, stream.providers)
    assert np.isinf(oracle_votes(honest, attack, run_stream(honest))).all()
