"""Window detectors on honest boards that were not made by the simulator: at most one alert in a month."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.detectors import CohortBias, SamplingSkew, SilentDeprecation, Traffic, TrafficGap, VoteBurst
from pipeline.registry import RegistryState
from pipeline.scoring.detector_contracts import WindowContext
from pipeline.scoring.window import MEASURES, GroupedModelCounts, Window
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import BoardSpec, make_board
from tests.streams.window_run import by_detector, window_alerts

RATES = (VoteBurst(), Traffic(), TrafficGap())
SITTINGS = BoardSpec(days=8, votes_a_day=4_000, networks=100)


def test_a_quiet_board_of_fifty_votes_a_day_raises_no_alert_about_rates() -> None:
    spec = BoardSpec(days=30, votes_a_day=50, models=20)
    alerts = window_alerts(spec, make_board(spec).votes, detectors=RATES, snapshot_day=20)
    assert len(alerts) <= 1, by_detector(alerts)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_votes_that_come_in_sittings_are_no_burst(seed: int) -> None:
    spec = replace(SITTINGS, seed=seed)
    alerts = window_alerts(spec, make_board(spec).votes, detectors=RATES)
    assert len(alerts) <= 1, by_detector(alerts)


@pytest.mark.long
def test_newcomers_who_tie_less_are_no_cohort_that_favours_models() -> None:
    spec = BoardSpec(days=8, votes_a_day=4_000, models=48, newcomer_ties=0.15)
    alerts = window_alerts(spec, make_board(spec).votes, detectors=[CohortBias()], snapshot_day=4)
    assert len(alerts) <= 1, [(one.subject, one.direction) for one in alerts]


@pytest.mark.long
@pytest.mark.parametrize(
    "attack",
    [
        Attack("losses to ties", 300, 1, target=7, first_day=6, abstain=True, first_network=40),
        Attack("promote", 150, 1, target=7, first_day=6, abstain=True, first_network=40, age_days=300),
    ],
    ids=["losses told as ties by new accounts", "wins by old accounts of one network"],
)
def test_a_cohort_is_named_within_a_day(attack: Attack) -> None:
    spec = BoardSpec(days=7, votes_a_day=4_000, seed=3)
    board = make_board(spec)
    votes = board.votes.merge(make_attack(board, attack))
    alerts = window_alerts(spec, votes, detectors=[CohortBias()], snapshot_day=4)
    wanted = "promoted by network AS1040" if attack.age_days > 7 else "promoted by new accounts"
    assert (alerts[0].subject, alerts[0].direction) == ("m007", wanted)


def test_votes_of_a_network_that_lie_apart_open_a_key() -> None:
    """One vote on the model in each window: the first opens nothing, the second one and all later are evidence."""
    row = np.zeros((1, len(MEASURES)), dtype=np.int64)
    row[0, 4:] = 1, 1, 0, 512, 512
    board = row.copy()
    board[0, 4:] = 40, 20, 20, 20_480, 20_480
    nothing = GroupedModelCounts((), (), row[:0])
    votes, state, found = GroupedModelCounts(("AS1",), ("m",), row), {}, []
    for k in range(0, 600, 4):
        window = Window(k * 300_000_000, (k + 1) * 300_000_000, 1, 0, ("m",), board, nothing, votes, nothing, {})
        state, signals = CohortBias().observe(window, state, WindowContext(RegistryState()))
        found += [one.direction for one in signals]
        assert k > 0 or "network.key" not in state or not len(state["network.key"])
    assert found[:1] == ["promoted by network AS1"]


@pytest.mark.long
def test_400_accounts_on_one_network_are_found_the_same_day() -> None:
    board = make_board(SITTINGS)
    attack = make_attack(board, Attack("promote", 400, 1, first_day=6.2, days=0.3, networks=1, first_network=60))
    alerts = window_alerts(SITTINGS, board.votes.merge(attack), detectors=RATES)
    named = [one for one in alerts if one.subject == "AS1060"]
    assert named
    assert named[0].at < SITTINGS.start + 7 * 86_400_000_000


@pytest.mark.long
@pytest.mark.parametrize("weights", [0.0, 0.5], ids=["completion", "completion and weights by category"])
def test_completion_that_differs_by_model_and_category_is_no_skew(weights: float) -> None:
    spec = BoardSpec(days=4, votes_a_day=12_000, models=60, completion_sd=0.05, category_weights=weights)
    alerts = window_alerts(spec, make_board(spec).votes, detectors=[SamplingSkew(), VoteBurst()], snapshot_day=3)
    assert len(alerts) <= 1, by_detector(alerts)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
def test_models_whose_battles_are_completed_less_often_are_not_silent(seed: int) -> None:
    spec = BoardSpec(days=30, votes_a_day=4_000, models=100, completion_sd=0.05, category_weights=0.5, seed=seed)
    alerts = window_alerts(spec, make_board(spec).votes, detectors=[SilentDeprecation()])
    assert len(alerts) <= 1, by_detector(alerts)


@pytest.mark.long
def test_pairs_of_one_provider_may_be_avoided() -> None:
    spec = BoardSpec(days=4, votes_a_day=12_000, models=20, one_category=0.0)
    votes = make_board(spec).votes
    votes = votes.take(votes.model_a % 5 != votes.model_b % 5)  # five providers
    assert window_alerts(spec, votes, detectors=[SamplingSkew()], snapshot_day=3) == []
