"""Incidents are matched to attacks by the accounts that they name; what is missing or mixed lowers the figures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.incidents.carriers import CarriedAlert
from pipeline.incidents.claims import HABIT, LIFTED, MODEL, Claim
from pipeline.incidents.grouping import Incident, group_alerts
from pipeline.lab.bench.incident_accuracy import MixMatch, match_attacks, summarize_mixes
from pipeline.lab.bench.incident_oracle import oracle_recall
from pipeline.lab.redteam.attack_mixes import draw_mix
from pipeline.lab.redteam.attack_scenarios import MODELS
from pipeline.lab.redteam.detector_run import DetectorRun, estimate_reference
from pipeline.lab.simulate import AlwaysLeft, HonestSpec, TargetOnly, real_pair_rates, simulate_stream
from pipeline.scoring.detector_contracts import VoterVotes
from tests.command import called

TARGET = real_pair_rates(MODELS).models[3]
ATTACKS = (AlwaysLeft(voters=4, votes_each=30, from_day=2.0), TargetOnly(target=TARGET, voters=5, votes_each=30))
LEFT, LIFTS = Claim(HABIT, "always votes for the left side"), Claim(MODEL, TARGET, LIFTED)
NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def run() -> DetectorRun:
    """A stream with four and five attackers. No detector ran over it: the tests say which alerts there are."""
    stream = simulate_stream(HonestSpec(votes=2_000, seed=1, days=6.0, models=MODELS), ATTACKS)
    none = VoterVotes(NONE, NONE, 1, NONE, NONE, NONE, NONE, NONE.astype(np.int8), NONE)
    return DetectorRun(stream, 0, estimate_reference(stream), [], none)


def accounts(run: DetectorRun, attack: int) -> list[int]:
    """The accounts of an attack; −1 for those of honest voters."""
    return [int(voter) for voter in np.unique(run.stream.voter[run.stream.attack == attack])]


def incidents(*named: tuple[Claim, list[int]]) -> list[Incident]:
    alerts: list[CarriedAlert] = []
    for claim, voters in named:
        for voter in voters or [0]:
            first = 1000 * len(alerts)
            votes = np.arange(first, first + 40, dtype=np.int64)
            mine = np.array([voter] if voter else [], dtype=np.int64)
            name = f"{claim.name} {voter}"
            alerts.append(CarriedAlert(name, claim, voter, 12.0, True, 0, 0, 1, votes, votes, mine))
    return group_alerts(alerts)


def matched(run: DetectorRun, *named: tuple[Claim, list[int]]) -> MixMatch:
    return match_attacks(7, ATTACKS, run, incidents(*named), {})


def test_attacks_that_are_one_incident_each_with_all_their_accounts_have_the_best_figures(run: DetectorRun) -> None:
    mix = matched(run, (LEFT, accounts(run, 0)), (LIFTS, accounts(run, 1)))
    assert [(one.planted, one.named, one.incidents) for one in mix.attacks] == [(4, 4, 1), (5, 5, 1)]
    assert [(one.purity, one.recall, one.planted_recall) for one in mix.attacks] == [(1.0, 1.0, 1.0)] * 2
    assert (mix.others, mix.is_met) == (0, True)
    assert all(one.holds is not False for one in summarize_mixes([mix]))


def test_suspected_accounts_are_counted_beside_those_that_are_named(run: DetectorRun) -> None:
    lifting, honest = accounts(run, 1), accounts(run, -1)
    found = incidents((LIFTS, lifting[:2]))
    mix = match_attacks(7, ATTACKS, run, found, {found[0].incident_id: [*lifting[2:], honest[0]]})
    lifts = mix.attacks[1]
    assert (lifts.named, lifts.suspected, lifts.purity, lifts.planted_recall) == (2, 4, 1.0, 0.4)
    assert (lifts.purity_suspected, lifts.recall_suspected) == (5 / 6, 1.0)
    assert not mix.is_met


def test_the_oracle_finds_the_accounts_of_an_attack_with_a_target_and_states_nothing_without(run: DetectorRun) -> None:
    left, lifts = matched(run, (LEFT, accounts(run, 0))).attacks
    assert left.oracle_recall is None
    # An honest voter's share of votes on the target: the accounts' thirty votes have one or two on it.
    assert lifts.oracle_recall == 0.0
    many = (TargetOnly(target=TARGET, voters=5, votes_each=30, otherwise="abstain"),)
    stream = simulate_stream(HonestSpec(votes=2_000, seed=1, days=6.0, models=MODELS), many)
    whole = replace(run, stream=stream)
    assert oracle_recall(whole, many[0], 0) == 1.0
    turned = replace(many[0], direction="demote")
    assert oracle_recall(whole, turned, 0) == 0.0


def test_an_account_in_the_incident_of_another_attack_lowers_purity_and_recall(run: DetectorRun) -> None:
    left, lifting = accounts(run, 0), accounts(run, 1)
    mix = matched(run, (LEFT, [*left, lifting[0]]), (LIFTS, lifting[1:4]))
    assert [one.purity for one in mix.attacks] == [0.8, 1.0]
    assert [one.recall for one in mix.attacks] == [1.0, 0.75]
    assert [one.planted_recall for one in mix.attacks] == [1.0, 0.6]
    assert not mix.is_met
    figures = {one.what: one for one in summarize_mixes([mix])}
    assert figures["incident's accounts that are of its attack, least"].value == 0.8
    assert figures["attack's named accounts in its incident, least"].holds is False


def test_an_incident_without_accounts_is_of_the_attack_on_its_model_and_others_are_of_none(run: DetectorRun) -> None:
    mix = matched(run, (LIFTS, []), (Claim(MODEL, "another", LIFTED), []), (LEFT, accounts(run, -1)[:3]))
    assert [(one.named, one.incidents, one.purity, one.recall) for one in mix.attacks] == [
        (0, 0, None, None), (0, 1, None, None),
    ]  # fmt: skip
    assert mix.others == 2


def test_a_seed_always_gives_the_same_mix_of_two_or_three_attacks() -> None:
    assert [draw_mix(seed) for seed in range(20)] == [draw_mix(seed) for seed in range(20)]
    assert {len(draw_mix(seed)) for seed in range(20)} == {2, 3}


@pytest.mark.long
def test_the_command_prints_each_attack_and_the_figures_of_all() -> None:
    done = called("bench", "incidents", "--mixes", "1", "--seed", "3", "--votes", "8000", "--json", settings={})
    found = json.loads(done.stdout)
    assert [one["planted"] for one in found["mixes"][0]["attacks"]] == [32, 34]
    assert {one["what"] for one in found["figures"]} >= {"incidents of one attack, most", "incidents of no attack"}
