"""Attacks among simulated honest votes come out as one incident each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.lab.redteam.attack_scenarios import SCENARIOS
from pipeline.lab.redteam.scenario_result import run_scenario
from tests.streams.attack_mixes import draw_mix, run_mix
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
