"""The simulation of many workers: against figures that can be computed by hand, and laws that every fleet obeys."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.lab.scale.worker_fleet import Fleet, FleetRun, ServiceTimes, simulate_fleet

ONE = Fleet(workers=1, partitions=1, cores=1, rate=1_000, seconds=400, times=ServiceTimes(50e-6, 10e-6, 0.0, 2.0, 1.0))


def _committed(fleet: Fleet, run: FleetRun) -> float:
    return fleet.arrived(fleet.seconds) - float(run.lag[-1])


def test_a_worker_that_keeps_up_is_behind_by_one_batch() -> None:
    run = simulate_fleet(ONE)
    assert run.delay < 1.5
    assert run.drained == 0
    assert run.workers_busy == pytest.approx(1_000 * 60e-6, rel=0.02)
    assert run.database_busy == pytest.approx(1_000 * 10e-6, rel=0.02)


def test_a_burst_above_the_rate_of_a_worker_is_worked_off_at_the_rate_of_the_worker() -> None:
    # 50,000 votes a second arrive for 20 s; a worker commits 1 / 60 µs = 16,667 a second.
    run = simulate_fleet(replace(ONE, burst=50.0, begin=100, end=120))
    most = 20 * (50_000 - 1 / 60e-6)
    assert float(run.lag.max()) == pytest.approx(most, rel=0.02)
    assert run.drained == pytest.approx(120 + most / (1 / 60e-6 - 1_000), rel=0.03)
    # The last vote of the burst is committed when all votes before it are.
    assert run.delay == pytest.approx((120_000 + 1_000_000 - 20_000) / (1 / 60e-6) - 20 - 120_000 / 16_667, rel=0.1)


def test_a_board_beyond_the_rate_never_catches_up() -> None:
    run = simulate_fleet(replace(ONE, rate=20_000, seconds=100))
    assert run.drained is None
    assert run.committed == pytest.approx(1 / 60e-6, rel=0.02)


def test_the_database_is_the_limit_where_its_cores_are_slower_than_the_workers() -> None:
    fleet = replace(ONE, workers=4, partitions=4, rate=300_000, seconds=60)
    slow = replace(fleet, times=replace(ONE.times, database=40e-6))
    run = simulate_fleet(slow)
    assert run.committed == pytest.approx(1 / 40e-6, rel=0.05)
    assert run.database_busy == pytest.approx(1, abs=0.05)
    assert simulate_fleet(replace(slow, cores=2)).committed == pytest.approx(4 / 90e-6, rel=0.1)


def test_no_vote_is_lost_or_counted_twice_whoever_leaves() -> None:
    fleet = replace(ONE, workers=4, partitions=16, leaves=(50.0, 60.0, 200.0), away=30.0)
    run = simulate_fleet(fleet)
    assert float(run.lag.min()) >= 0
    assert _committed(fleet, run) <= fleet.arrived(fleet.seconds)
    assert float(run.lag[-1]) < 2 * fleet.rate
    assert run.delay > fleet.times.rebalance
    calm = simulate_fleet(replace(fleet, leaves=()))
    assert calm.delay < run.delay


def test_the_same_fleet_gives_the_same_figures() -> None:
    fleet = replace(Fleet(), seconds=30, burst=10.0, begin=5, end=10)
    one, other = simulate_fleet(fleet), simulate_fleet(fleet)
    assert np.array_equal(one.lag, other.lag)


def test_more_workers_than_partitions_or_no_worker_left_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 1 workers"):
        simulate_fleet(replace(ONE, workers=2))
    with pytest.raises(ValueError, match="fewer than 1 workers to leave, got 1"):
        simulate_fleet(replace(ONE, leaves=(5.0,)))
