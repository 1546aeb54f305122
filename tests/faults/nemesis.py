"""A seeded nemesis: workers 1 → 4 → 2 over twelve partitions, and something breaks every three to eight seconds.

`python -m tests.faults.nemesis --seed N` starts a broker and a database server of its own, publishes while things
break, lets everything come to rest, and judges by all seven promises and by an undisturbed worker on the same log.
Exit 1 names what is broken. The seed decides what breaks, in which order and for how long; when exactly it meets a
worker is the machine's doing, so a seed that failed may have to be run again.

Not shown: power loss, more than one broker, a network that delays.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.errors import BrokerUnavailable
from tests.faults.proxy import Proxy
from tests.faults.scene import GROUPS, SETTINGS, Scene, Watch, make_stream, progress, rows

WORKERS = (1, 4, 2)
"""In force for a third of the time each."""

CHUNKS = 40
# A supervisor's pause before it starts a worker again.
RESTART = (0.5, 2.0)
# Longer than any single fault and its recovery here: a broker that is killed is back after about 6 s, a database
# after 2, and a frozen owner's session ends after 2.
WITHIN = 60.0


@dataclass
class Nemesis:
    """One run.

    Attributes:
        scene: the topic and its databases.
        url: of the store, as the checks reach it.
        proxy: what the workers reach it through.
        chance: decides.
        seconds: for which things break.
        faults: how often each befell.
        crashes: the output of workers that ended as no worker should.
    """

    scene: Scene
    url: str
    proxy: Proxy
    chance: random.Random
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    unwritten: int = 0

    def __post_init__(self) -> None:
        self._workers: dict[subprocess.Popen[str], float] = {}  # and when each may go on, if it is frozen
        self._again: list[float] = []  # when a worker is to be started again
        self._deferred: list[tuple[float, Callable[[], None]]] = []

    def run(self) -> None:
        """Break things for so long, then let the rest of the work be done."""
        publisher = threading.Thread(target=self._publish, daemon=True)
        publisher.start()
        begun = time.monotonic()
        following = begun + self.chance.uniform(3, 8)
        while (elapsed := time.monotonic() - begun) < self.seconds:
            self._keep(WORKERS[min(int(3 * elapsed / self.seconds), 2)])
            if time.monotonic() >= following:
                self._break()
                following = time.monotonic() + self.chance.uniform(3, 8)
            time.sleep(0.05)
        self._calm()
        deadline = time.monotonic() + 240
        while publisher.is_alive() or progress(self.url) < self._goal():
            assert time.monotonic() < deadline, "expected everything to be published and read at last"
            self._keep(WORKERS[-1])
            time.sleep(0.1)
        self._end()

    def _goal(self) -> int:
        return self.scene.acknowledged.total()

    def _publish(self) -> None:
        """What was acknowledged counts; what was not is sent again, and may come twice."""
        lines = self.scene.stream.after
        size = -(-len(lines) // CHUNKS)
        begun = time.monotonic()
        for number, first in enumerate(range(0, len(lines), size)):
            while time.monotonic() < begun + number * 0.95 * self.seconds / CHUNKS:
                time.sleep(0.05)
            while True:
                try:
                    self.scene.publish(lines[first : first + size])
                    break
                except BrokerUnavailable:
                    self.faults["published again"] += 1

    def _keep(self, count: int) -> None:
        """As many workers as there should be; those that ended are started again after a moment."""
        now = time.monotonic()
        for due, action in [one for one in self._deferred if one[0] <= now]:
            self._deferred.remove((due, action))
            action()
        for worker, _ in list(self._workers.items()):
            if worker.poll() is not None:
                self._gone(worker)
                self._again.append(now + self.chance.uniform(*RESTART))
        running = len(self._workers) + len(self._again)
        self._again = (
            [due for due in self._again if due > now] if running <= count else self._again[: -(running - count)]
        )
        while len(self._workers) + len(self._again) < count:
            self._workers[self._start()] = 0.0
        for worker in list(self._workers)[count:]:
            worker.send_signal(signal.SIGCONT)
            worker.send_signal(signal.SIGTERM)

    def _start(self) -> subprocess.Popen[str]:
        through = self.url.replace(f":{self.scene.postgres.port}/", f":{self.proxy.port}/")
        return self.scene.start(through, INTEGRITY_BATCH_VOTES="400")

    def _gone(self, worker: subprocess.Popen[str]) -> None:
        """Exit 0 was asked for, −15 too (it was still starting), 3 says that a service is away, −9 was us.

        All else is a crash.
        """
        printed, output = worker.communicate()
        del self._workers[worker]
        if worker.returncode == 3:
            self.faults[f"gave up: {json.loads(printed)['error']}"] += 1
        elif worker.returncode not in (0, -signal.SIGTERM, -signal.SIGKILL):
            self.crashes.append(f"exit {worker.returncode}: {output[-3000:]}")

    def _break(self) -> None:
        kinds: dict[str, Callable[[], None]] = {
            "kill -9": self._kill,
            "freeze": self._freeze,
            "sigterm": self._terminate,
            "broker killed": self._kill_broker,
            "broker paused": self._pause_broker,
            "database crashed": lambda: self.scene.postgres.restart("immediate"),
            "connections cut": self.proxy.cut,
            "commits cut": lambda: self.proxy.arm(3),
        }
        weights = (6, 4, 1, 1, 2, 2, 2, 3)
        [kind] = self.chance.choices(list(kinds), weights)
        self.faults[kind] += 1
        say(f"{kind} at {self._goal()} published")
        kinds[kind]()

    def _victim(self) -> subprocess.Popen[str] | None:
        alive = [worker for worker in self._workers if worker.poll() is None]
        return self.chance.choice(alive) if alive else None

    def _kill(self) -> None:
        if (victim := self._victim()) is not None:
            victim.send_signal(signal.SIGKILL)
            with suppress(psycopg.Error):
                self.unwritten += bool(rows(self.url, "SELECT 1 FROM partition WHERE state_offset < next_offset"))

    def _freeze(self) -> None:
        if (victim := self._victim()) is not None:
            victim.send_signal(signal.SIGSTOP)
            due = time.monotonic() + self.chance.uniform(1, 8)
            self._deferred.append((due, lambda: victim.send_signal(signal.SIGCONT)))

    def _terminate(self) -> None:
        if (victim := self._victim()) is not None:
            victim.send_signal(signal.SIGTERM)

    def _kill_broker(self) -> None:
        self.scene.kafka.kill()
        time.sleep(self.chance.uniform(0, 2))
        self.scene.kafka.start()

    def _pause_broker(self) -> None:
        self.scene.kafka.pause()
        time.sleep(self.chance.uniform(1, 6))
        self.scene.kafka.resume()

    def _calm(self) -> None:
        for _, action in self._deferred:
            action()
        self._deferred.clear()

    def _end(self) -> None:
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        for worker in list(self._workers):
            worker.wait(60)
            self._gone(worker)

    def kill_all(self) -> None:
        """Whatever happens, no worker outlives the run."""
        for worker in self._workers:
            worker.kill()


def run(folder: Path, seed: int, votes: int, seconds: float, partitions: int = 12) -> dict[str, object]:
    """One run on servers of its own.

    Returns:
        What befell, and figures.

    Raises:
        AssertionError: a promise is broken, or a worker crashed.
    """
    begun = time.monotonic()
    (folder / "scene").mkdir(parents=True)
    with (
        KafkaServer(folder / "kafka", heap="512m", overrides=GROUPS) as kafka,
        PostgresServer(folder / "postgres") as postgres,
        Proxy(postgres.port) as proxy,
    ):
        stream = make_stream(votes, votes // 10, seed, late=votes // 400)
        scene = Scene(kafka, postgres, folder / "scene", stream, partitions)
        url = scene.database()
        nemesis = Nemesis(scene, url, proxy, random.Random(seed), seconds)  # noqa: S311
        say(f"seed {seed}: {len(stream)} records for {seconds:.0f} s")
        try:
            with Watch(url, scene.acknowledged.total) as watch:
                nemesis.run()
        finally:
            nemesis.kill_all()
        assert not nemesis.crashes, f"{len(nemesis.crashes)} workers crashed; the first: {nemesis.crashes[0]}"
        scene.run(url)
        say("at rest; an undisturbed worker reads the same log")
        scene.expect_kept(url, watch, within=WITHIN, announced=scene.announced())
        return {
            "seed": seed,
            "records": scene.acknowledged.total(),
            "log": len(scene.log().records),
            "faults": dict(nemesis.faults),
            "kills with unwritten voter states": nemesis.unwritten,
            "commits cut": proxy.cuts,
            "alerts": len(scene.undisturbed().tables["alerts"]),
            "longest pause": round(max(pause for pause, _ in watch.pauses()), 1),
            "seconds": round(time.monotonic() - begun),
        }


def say(text: str) -> None:
    """Tell whoever watches."""
    print(f"{time.strftime('%T')} {text}", file=sys.stderr, flush=True)  # noqa: T201


def main() -> None:
    """Run and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--votes", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=200.0)
    given = parser.parse_args()
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="nemesis") as folder:
        try:
            result = run(Path(folder) / "run", given.seed, given.votes, given.seconds)
        except AssertionError as broken:
            say(str(broken))
            sys.exit(1)
    print(json.dumps(result, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
