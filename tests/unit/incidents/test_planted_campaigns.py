"""Attacks among simulated honest votes come out as one incident each."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pipeline.detectors import WINDOW
from pipeline.incidents.carriers import CarriedAlert
from pipeline.incidents.claims import claim_of
from pipeline.incidents.grouping import group_alerts
from pipeline.lab.bench.incident_accuracy import measure_mixes
from pipeline.lab.redteam import detector_run, sampling_scenarios
from pipeline.lab.redteam.attack_mixes import run_attacks
from pipeline.lab.redteam.attack_scenarios import HONEST_DAYS, SCENARIOS, AttackScenario, target_and_rival_names
from pipeline.lab.redteam.run_incidents import carried_alerts, find_incidents
from pipeline.lab.redteam.scenario_result import run_scenario
from pipeline.lab.simulate import Omnidirectional
from pipeline.lab.simulate.simulated_board import SimulatedBoard


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_a_scenario_of_the_red_team_is_at_most_two_incidents(
    scenario: AttackScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three days of attack on a small board, and a day from which windows learn.
    monkeypatch.setattr(detector_run, "_LEARNING_WINDOWS", 288)
    last = max([one.from_day for one in scenario.plan(*target_and_rival_names())], default=0.0)
    run = run_scenario(replace(scenario, days=max(21.0, last + 1)), 8_000, seed=3)
    incidents, alerts = find_incidents(run), carried_alerts(run)
    named = [one for one in incidents if not one.is_note]
    assert len(named) <= {"no alert": 0}.get(scenario.must, 2)
    # Nothing is hidden: every alert is in an incident or a note.
    assert sorted(one.alert_id for group in incidents for one in group.alerts) == sorted(one.alert_id for one in alerts)


@pytest.mark.long
@pytest.mark.parametrize("name", ["S10", "S11"])
def test_a_board_that_is_not_sampled_as_declared_is_at_most_two_incidents(name: str) -> None:
    alerts = sampling_alerts(name)
    assert len(alerts) > 5
    assert len(group_alerts(alerts)) <= 2


def sampling_alerts(name: str) -> list[CarriedAlert]:
    """The alerts of a sampling scenario of three days. They are about no particular votes."""
    case, day = sampling_scenarios.sampling_cases()[name], 288
    board = SimulatedBoard(
        days=3, votes=360_000 / (30 * day), seed=2, models=40, providers=8, weights=tuple(case.weights.tolist()),
        effects=[case.effect(day, 3 * day)],
    )  # fmt: skip
    found: dict[str, CarriedAlert] = {}
    for _, _, signals in board.alerts(WINDOW):
        for one in signals:
            stated = {"detector": one.detector, "subject": {"kind": one.subject_kind, "id": one.subject}}
            claim = claim_of({**stated, "direction": one.direction, "evidence": one.evidence})
            key = f"{one.detector} {one.subject} {one.direction}"
            strength = math.log(one.e_value) if one.e_value else 0.0
            models = frozenset(f"m{i:03d}" for i in range(40) if f"p{i % 8}" == one.subject)
            critical = one.severity == "critical"
            found[key] = CarriedAlert(key, claim, 0, strength, critical, one.at, one.at, one.at, members=models)
    return list(found.values())


# Together they have every kind of attack; 35 has two campaigns of one kind; `integrity bench incidents` takes fifty.
@pytest.mark.long
@pytest.mark.parametrize("seed", [3, 5, 20, 28, 35])
def test_campaigns_at_the_same_time_keep_their_accounts_apart(seed: int) -> None:
    (mix,) = measure_mixes([seed], 40_000)
    assert any(one.named for one in mix.attacks)
    assert mix.is_met, mix
    assert sum(one.incidents for one in mix.attacks) + mix.others <= len(mix.attacks) + 1


@pytest.mark.long
def test_twelve_voters_against_every_rating_are_one_incident_or_two_and_every_alert_is_reachable() -> None:
    twelve = Omnidirectional(voters=12, votes_each=100, from_day=HONEST_DAYS + 1)
    run = run_attacks([twelve], 1, 40_000)
    alerts, incidents = carried_alerts(run), find_incidents(run)
    assert len(alerts) >= 24
    assert sum(not one.is_note for one in incidents) <= 2
    assert sorted(one.alert_id for group in incidents for one in group.alerts) == sorted(one.alert_id for one in alerts)
