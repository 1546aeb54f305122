"""Simulates many workers that read many partitions, as a sequence of events. The times of a worker were measured.

A worker takes the waiting votes of its partitions in batches. If fewer votes than a full batch are waiting, the worker
first waits for half a second. It then computes for a time that grows with the votes of the batch, and commits. Each
core of the database serves one commit at a time, and a commit waits until a core is free. The votes arrive evenly; in a
burst, the rate is multiplied. When a worker leaves or comes back, all workers stop for the time of a rebalance. A
worker that gets a partition from another worker then loads the states of the partition's voters.

There is no chance in the simulation: the same fleet gives the same figures.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from pipeline.vocabulary.arrays import Float64

_STEP = 1.0
_WAIT = 0.5


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """The times of one worker and of its database.

    Attributes:
        worker: processor time of a worker for one vote, in seconds.
        database: processor time of the database for one vote, in seconds.
        batch: time that a batch takes in addition to the time of its votes, in seconds.
        rebalance: time in which all workers stop when the group changes, in seconds.
        move: time to load the states of a partition that moved, in seconds.
    """

    worker: float = 46e-6
    database: float = 14e-6
    batch: float = 0.02
    rebalance: float = 3.0
    move: float = 0.5


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers, partitions, and what happens to them.

    Attributes:
        workers: number of workers.
        partitions: number of partitions; worker i has the partitions i, i + workers, …
        cores: number of cores of the database.
        rate: votes per second of the whole board without a burst.
        burst: factor of the rate during the burst.
        begin, end: start and end of the burst, in seconds from the start of the simulation.
        leaves: times at which a worker leaves. The worker comes back `away` seconds later. Both times, all workers
            stop for a rebalance.
        away: seconds for which a worker that left is away.
        most: largest number of votes in a batch.
        seconds: length of the simulation.
        times: the times that a worker and the database need.
    """

    workers: int = 64
    partitions: int = 256
    cores: int = 16
    rate: float = 200_000.0
    burst: float = 1.0
    begin: float = 0.0
    end: float = 0.0
    leaves: tuple[float, ...] = ()
    away: float = 60.0
    most: int = 5_000
    seconds: float = 1_800.0
    times: ServiceTimes = field(default_factory=ServiceTimes)

    def arrived(self, at: float) -> float:
        """Return the number of votes of the whole board that arrived before a time."""
        inside = min(max(at, self.begin), self.end) - self.begin
        return self.rate * (at + (self.burst - 1) * max(inside, 0.0))


@dataclass(frozen=True, slots=True)
class FleetRun:
    """The figures of one simulation.

    Attributes:
        lag: float64[s], number of votes that have arrived and are not committed, at each second.
        delay: the largest age of the oldest vote that has arrived and is not committed, in seconds.
        drained: second from which on the lag stays below what arrives in five seconds; None if it never does.
        database_busy: share of the time of the database's cores in which they work.
        workers_busy: share of the time of the workers in which they compute or commit.
        committed: votes per second, over the whole run.
    """

    lag: Float64
    delay: float
    drained: float | None
    database_busy: float
    workers_busy: float
    committed: float


def simulate_fleet(fleet: Fleet) -> FleetRun:
    """Simulate a fleet, and return its figures.

    Raises:
        ValueError: there are more workers than partitions, or no worker remains.
    """
    if len(fleet.leaves) >= fleet.workers:
        raise ValueError(f"expected fewer than {fleet.workers} workers to leave, got {len(fleet.leaves)}")
    if fleet.workers > fleet.partitions:
        raise ValueError(f"expected at most {fleet.partitions} workers for so many partitions, got {fleet.workers}")
    return _Simulation(fleet).run()


class _Simulation:
    """The state of a run: how many votes of each partition are read, and when each core of the database is free."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.done = [0.0] * fleet.partitions
        self.waited = [False] * fleet.workers
        self.cores = [0.0] * fleet.cores
        self.paused = sorted((time, change) for at in fleet.leaves for time, change in ((at, -1), (at + fleet.away, 1)))
        self._share(fleet.workers)
        self.database = self.workers = 0.0
        self.log: list[tuple[float, float]] = []

    def run(self) -> FleetRun:
        fleet = self.fleet
        queue = [(0.0, worker) for worker in range(fleet.workers)]
        heapq.heapify(queue)
        while queue and queue[0][0] < fleet.seconds:
            now, worker = heapq.heappop(queue)
            if self.paused and now >= self.paused[0][0]:
                self._rebalance(queue, now, worker)
                continue
            heapq.heappush(queue, (self._batch(now, worker), worker))
        return self._figures()

    def _share(self, workers: int) -> None:
        """Deal the partitions out to this many workers."""
        self.owner = np.arange(self.fleet.partitions) % workers
        self.own = [list(range(worker, self.fleet.partitions, workers)) for worker in range(workers)]

    def _rebalance(self, queue: list[tuple[float, int]], now: float, worker: int) -> None:
        """Stop all workers for the time of a rebalance, and give the partitions to the workers that remain."""
        fleet, (_, change) = self.fleet, self.paused.pop(0)
        before, there = self.owner, len(self.own) + change
        self._share(there)
        moved = np.bincount(self.owner[self.owner != before], minlength=fleet.workers)
        resumed = now + fleet.times.rebalance
        busy = {one: at for at, one in queue} | {worker: now}
        queue[:] = [
            (max(busy.get(one, now), resumed) + float(moved[one]) * fleet.times.move, one) for one in range(there)
        ]
        heapq.heapify(queue)

    def _batch(self, now: float, worker: int) -> float:
        """Let a worker take a batch of its waiting votes, and return the time at which the batch is committed.

        Returns the end of the worker's pause if the worker waits for more votes, and `now` if no vote waits.
        """
        fleet, times = self.fleet, self.fleet.times
        own = self.own[worker]
        arrived = fleet.arrived(now) / fleet.partitions
        waiting = [arrived - self.done[one] for one in own]
        votes = min(sum(waiting), float(fleet.most))
        if votes < fleet.most and not self.waited[worker]:
            self.waited[worker] = True
            return now + _WAIT
        self.waited[worker] = False
        if votes < 1:
            return now
        share = votes / sum(waiting)
        for one, some in zip(own, waiting, strict=True):
            self.done[one] += some * share
        computed = now + times.batch + votes * times.worker
        begun = max(computed, heapq.heappop(self.cores))
        committed = begun + votes * times.database
        heapq.heappush(self.cores, committed)
        self.database += committed - begun
        self.workers += committed - now
        self.log.append((committed, votes))
        return committed

    def _figures(self) -> FleetRun:
        fleet = self.fleet
        at = np.arange(_STEP, fleet.seconds + _STEP / 2, _STEP)
        times, votes = (np.array(column) for column in zip(*sorted(self.log), strict=True))
        committed = np.append(0.0, np.cumsum(votes))[np.searchsorted(times, at, side="right")]
        arrived = np.array([fleet.arrived(float(second)) for second in at])
        lag = arrived - committed
        # The time at which as many votes had arrived as are committed now.
        oldest = np.interp(committed, np.append(0.0, arrived), np.append(0.0, at))
        high = np.flatnonzero(lag > 5 * fleet.rate)
        drained = 0.0 if not len(high) else float(at[high[-1]])
        return FleetRun(
            lag=lag,
            delay=float((at - oldest).max()),
            drained=drained if not len(high) or high[-1] < len(at) - 1 else None,
            database_busy=self.database / (fleet.cores * fleet.seconds),
            workers_busy=self.workers / (fleet.workers * fleet.seconds),
            committed=float(committed[-1] / fleet.seconds),
        )
