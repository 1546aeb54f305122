"""Window detectors on honest boards that were not made by the simulator: at most one alert in a month."""

from dataclasses import replace

import pytest

from pipeline.detectors import Traffic, TrafficGap, VoteBurst
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
def test_400_accounts_on_one_network_are_found_the_same_day() -> None:
    board = make_board(SITTINGS)
    attack = make_attack(board, Attack("promote", 400, 1, first_day=6.2, days=0.3, networks=1, first_network=60))
    alerts = window_alerts(SITTINGS, board.votes.merge(attack), detectors=RATES)
    named = [one for one in alerts if one.subject == "AS1060"]
    assert named
    assert named[0].at < SITTINGS.start + 7 * 86_400_000_000
