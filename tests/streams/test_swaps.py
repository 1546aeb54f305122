"""`model_shift` on boards that the simulator did not make: swaps of models, honest months, and attacks."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.detectors import ModelShift
from tests.streams.attacks import Attack, make_attack
from tests.streams.changes import change_model
from tests.streams.independent import DAY, BoardSpec, make_board
from tests.streams.window_run import window_alerts

# A hundred thousand votes before the change, of 40 models with a twentieth of the votes each.
BOARD = BoardSpec(days=10, votes_a_day=14_000)
CHANGED = 7.2
CHANGE = "all kinds of voters see it: the model itself changed"


@pytest.mark.long
@pytest.mark.parametrize(("seed", "shift"), [(0, 0.6), (1, -0.6)])
def test_a_swapped_model_is_named_within_30_000_votes_as_a_change(seed: int, shift: float) -> None:
    spec = replace(BOARD, seed=seed)
    votes = change_model(make_board(spec), 7, CHANGED, shift)
    alerts = window_alerts(spec, votes, detectors=[ModelShift()], snapshot_day=3.5, every=1)
    assert [(one.subject, one.direction) for one in alerts] == [
        ("m007", f"performs {'better' if shift > 0 else 'worse'} than in its snapshots")
    ]
    after = np.searchsorted(votes.at, alerts[0].at) - np.searchsorted(votes.at, spec.start + CHANGED * DAY)
    assert 0 < after <= 30_000
    assert alerts[0].evidence["reading"] == "change"
    assert alerts[0].evidence["what"].endswith(CHANGE)


@pytest.mark.long
def test_200_unchanged_models_raise_no_alert() -> None:
    spec = BoardSpec(days=15, votes_a_day=8_000, models=200, taste=0.5, seed=5)
    assert window_alerts(spec, make_board(spec).votes, detectors=[ModelShift()], snapshot_day=3, every=2) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "attack",
    [
        Attack("promote", 500, 3, target=7, first_day=7.0, days=2, abstain=True, networks=100, first_network=0),
        Attack("promote", 60, 20, target=7, first_day=7.0, days=2, abstain=True, first_network=40, age_days=300),
    ],
    ids=["new accounts on all networks", "old accounts on one network"],
)
def test_an_attack_is_not_told_as_a_change_of_the_model(attack: Attack) -> None:
    spec = replace(BOARD, seed=2)
    board = make_board(spec)
    votes = board.votes.merge(make_attack(board, attack))
    alerts = [one for one in window_alerts(spec, votes, detectors=[ModelShift()]) if one.subject == "m007"]
    assert [one.direction for one in alerts] == ["performs better than in its snapshots"]
    assert alerts[0].evidence["reading"] == "attack or change"
    assert "attack or change: cannot be told (" in alerts[0].evidence["what"]
