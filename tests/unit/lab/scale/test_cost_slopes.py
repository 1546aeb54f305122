"""Slopes of costs: computed by hand, and measured with two small boards through the commands that users run."""

from pathlib import Path

import pytest

from pipeline.lab.scale.cost_slopes import Prices, slopes
from pipeline.lab.scale.stage_costs import STAGES, STORED, BoardCosts, StageCost, measure
from tests.command import called


def _board(votes: int, seconds: float, megabytes: float) -> BoardCosts:
    return BoardCosts(votes, (StageCost("work", votes, seconds, 100.0),), {"database": int(megabytes * 1e6)})


def test_a_cost_is_extrapolated_by_the_slope_between_the_largest_boards() -> None:
    boards = [_board(1_000_000, 10, 200), _board(2_000_000, 30, 400), _board(4_000_000, 70, 800)]
    (work,), (memory,), (database,) = slopes(boards)
    assert work.slopes == (20, 20)
    assert not work.rising
    assert work.at(10_000_000) == pytest.approx(70 + 6 * 20)
    assert memory.at(10**9) == 100
    assert database.at(5_000_000) == pytest.approx(1_000)
    assert Prices(core_hour=0.5, gigabyte_month=2.0).of(work, 7_200) == pytest.approx(1)
    assert Prices(core_hour=0.5, gigabyte_month=2.0).of(database, 3_000) == pytest.approx(6)


def test_a_cost_that_grows_faster_than_the_votes_is_called_rising() -> None:
    boards = [_board(1_000_000, 10, 1), _board(2_000_000, 20, 1), _board(3_000_000, 40, 1)]
    (work,), _, (database,) = slopes(boards)
    assert work.rising
    assert not database.rising


@pytest.mark.long
def test_each_stage_is_a_command_that_is_measured(tmp_path: Path) -> None:
    (board,) = measure(tmp_path, [2_000], lambda _: None)
    assert [one.stage for one in board.stages] == list(STAGES)
    assert all(one.seconds > 0 and one.peak_mb > 10 for one in board.stages)
    assert set(board.sizes) == set(STORED)
    assert all(size > 10_000 for size in board.sizes.values())


@pytest.mark.parametrize("votes", ["100000", "x,y", "5,100000", "20000,20000"])
def test_sizes_that_give_no_slope_are_refused(votes: str) -> None:
    done = called("bench", "scale", "--votes", votes, settings={})
    assert done.returncode == 2
    assert "--votes: expected two or more different numbers from 10000 on" in done.stderr
