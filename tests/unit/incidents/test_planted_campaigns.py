"""Attacks among simulated honest votes come out as one incident each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.lab.redteam.attack_scenarios import HONEST_DAYS, SCENARIOS
from pipeline.lab.redteam.scenario_result import run_scenario
from pipeline.lab.simulate import Omnidirectional
from tests.streams.attack_mixes import draw_mix, run_attacks, run_mix
from tests.streams.run_incidents import carried_alerts, find_incidents, match_attacks

SCENARIO = {one.name: one for one in SCENARIOS}


@pytest.mark.long
@pytest.mark.parametrize("name", ["S1a", "S2", "S4", "S18"])
def test_a_campaign_is_one_incident(name: str) -> None:
    # Six days of attack on a board of half the size, as in the tests of the red team.
    run = run_scenario(replace(SCENARIO[name], days=24.0), 20_000, seed=3)
    incidents = [one for one in find_incidents(run) if not one.is_note]
    assert len(run.alerts) > 5
    assert 1 <= len(incidents) <= 2
    # Nothing is hidden: every alert is in an incident or a note.
    assert sum(len(one.alerts) for one in find_incidents(run)) == len(carried_alerts(run))


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 3, 5, 28, 30, 35])
def test_campaigns_at_the_same_time_keep_their_accounts_apart(seed: int) -> None:
    run = run_mix(seed, 40_000)
    incidents = [one for one in find_incidents(run) if not one.is_note]
    matches = match_attacks(run, incidents)
    assert matches
    assert all(min(one.purity, one.recall) >= 0.95 for one in matches), matches
    assert len(incidents) <= len(draw_mix(seed)) + 1


@pytest.mark.long
def test_twelve_voters_against_every_rating_are_one_incident_or_two_and_every_alert_is_reachable() -> None:
    twelve = Omnidirectional(voters=12, votes_each=100, from_day=HONEST_DAYS + 1)
    run = run_attacks([twelve], 1, 40_000)
    alerts, incidents = carried_alerts(run), find_incidents(run)
    assert len(alerts) >= 24
    assert sum(not one.is_note for one in incidents) <= 2
    assert sorted(one.alert_id for group in incidents for one in group.alerts) == sorted(one.alert_id for one in alerts)
