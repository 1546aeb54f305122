"""The walk through the real thing: `make up`, an attack on the topic, the page, the refresh, `make down`.

Everything is what an operator would start, and nothing is reached but through its own door: the topic, the
Prometheus API, Airflow's API, the command `integrity`. Run by `make test-stack`; 3 to 5 minutes on two cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.errors import Unavailable
from pipeline.local.kept import Kept
from pipeline.local.leftovers import Leader
from pipeline.local.parts import PORTS, Parts
from pipeline.simulate import Story, demo_story

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

INTEGRITY = Path(sys.executable).with_name("integrity")
# The page must come within three minutes of the attack.
PAGED_SECONDS = 180.0
# Airflow's own setting for the schedule of the refresh.
EVERY_MINUTE = {"AIRFLOW__INTEGRITY__REFRESH_CRON": "* * * * *"}


class Stack:
    """A stack that is up, as an operator sees it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.about: dict[str, Any] = {}

    def command(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`make up` and its like; a failure is not raised."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline.local.stack", verb, "--directory", str(self.directory), *words],
            env=os.environ | EVERY_MINUTE,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> str:
        done = self.command("up", "--scrape", "5")
        assert done.returncode == 0, done.stderr
        self.about = json.loads((self.directory / "stack.json").read_text())
        return done.stdout

    def integrity(self, *words: str) -> Any:
        """One document of the command."""
        environment = os.environ | self.about["environment"]
        command = [str(INTEGRITY), *words, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return json.loads(done.stdout)

    def fetch(self, server: str, path: str, headers: dict[str, str] | None = None, body: Any = None) -> str:
        request = urllib.request.Request(  # noqa: S310 - the loopback
            self.about["urls"][server] + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return str(response.read().decode())

    def metric(self, name: str) -> float | None:
        """The sum of a metric over its labels, as the exporter says it; None without any."""
        lines = [line for line in self.fetch("exporter", "").splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines) if lines else None

    def publish(self, stream: Any, name: str) -> int:
        file = self.directory / name
        stream.write_jsonl(file)
        return int(self.integrity("publish", str(file), "--to", self.about["urls"]["kafka"])["published"])

    def airflow(self, path: str, body: Any = None) -> Any:
        account = {"username": self.about["airflow"]["user"], "password": self.about["airflow"]["password"]}
        token = json.loads(self.fetch("airflow", "/auth/token", body=account))["access_token"]
        return json.loads(self.fetch("airflow", f"/api/v2{path}", {"Authorization": f"Bearer {token}"}, body))

    def refreshed(self) -> dict[str, Any]:
        """A run of the refresh that starts from now on and succeeds: the scheduler's own."""
        begun = {run["dag_run_id"] for run in self._runs()}
        schedule = self.airflow("/dags/refresh_ratings")["timetable_summary"]
        if schedule not in EVERY_MINUTE.values():
            self.airflow("/dags/refresh_ratings/dagRuns", body={"logical_date": None})
        return eventually(150, "a refresh", lambda: self._success(begun))

    def _runs(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.airflow("/dags/refresh_ratings/dagRuns?order_by=-id&limit=20")["dag_runs"]
        return runs

    def _success(self, but: set[str]) -> dict[str, Any] | None:
        return next((run for run in self._runs() if run["dag_run_id"] not in but and run["state"] == "success"), None)

    def firing(self, name: str) -> list[dict[str, Any]]:
        alerts = json.loads(self.fetch("prometheus", "/api/v1/alerts"))["data"]["alerts"]
        return [a for a in alerts if a["labels"]["alertname"] == name and a["state"] == "firing"]

    def paged(self, name: str) -> list[dict[str, Any]]:
        alerts = json.loads(self.fetch("alertmanager", "/api/v2/alerts"))
        return [a for a in alerts if a["labels"]["alertname"] == name]


def say(line: str) -> None:
    """For `pytest -rP`: figures of a run that went well."""
    sys.stdout.write(f"{line}\n")


def eventually(seconds: float, what: str, ask: Callable[[], Any]) -> Any:
    """The first answer that is not empty."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"expected {what} within {seconds:.0f} s"
        time.sleep(1)
    return answer


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    try:
        Parts(directory, Kept.load(directory / "kept.json", PORTS, {})).check()
    except Unavailable as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"for want of a service: {error}")
    stack = Stack(directory)
    try:
        say(stack.up())
        yield stack
    finally:
        ended = stack.command("down")
        assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def story() -> Story:
    return demo_story(50_000)


def test_everything_runs_and_a_second_up_says_so(stack):
    again = stack.up()
    assert again.startswith("already up")
    assert stack.command("status").stdout.count("RUNNING") == len(stack.about["parts"])
    targets = json.loads(stack.fetch("prometheus", "/api/v1/targets"))["data"]["activeTargets"]
    # The exporter, two workers, Prometheus itself.
    assert [target["health"] for target in targets] == ["up"] * 4


def test_a_worker_that_is_killed_is_started_again(stack):
    def worker() -> dict[str, Any]:
        line = next(line for line in stack.command("status").stdout.splitlines() if "worker-2" in line)
        return dict(zip(("name", "state", "pid", "log"), line.split(), strict=True))

    before = int(worker()["pid"])
    psutil.Process(before).kill()
    eventually(30, "another worker", lambda: worker()["state"] == "RUNNING" and int(worker()["pid"]) != before)


def test_an_attack_is_paged_and_the_next_refresh_leaves_its_votes_out(stack, story):
    honest = stack.publish(story.before, "before.jsonl")
    eventually(60, "every honest vote", lambda: stack.metric("integrity_votes_total") == honest)
    stack.refreshed()
    assert stack.metric("integrity_snapshot_excluded_votes") == 0

    attacked = time.monotonic()
    everything = honest + stack.publish(story.after, "after.jsonl")
    eventually(PAGED_SECONDS, "the page", lambda: stack.firing("IntegrityCriticalAlertOpen"))
    say(f"paged {time.monotonic() - attacked:.0f} s after the attack began to be published")
    assert time.monotonic() - attacked < PAGED_SECONDS
    eventually(30, "the alert in Alertmanager", lambda: stack.paged("IntegrityCriticalAlertOpen"))
    assert stack.metric("integrity_votes_total") == everything

    run = stack.refreshed()
    say(f"refreshed by {run['dag_run_id']}")
    excluded = stack.metric("integrity_snapshot_excluded_votes")
    assert excluded > 0
    boards = {view: stack.integrity("leaderboard", "--view", view) for view in ("raw", "defended")}
    assert boards["raw"]["snapshot"] == boards["defended"]["snapshot"]
    raw, defended = ({row["model"]: row for row in board["rows"]} for board in boards.values())
    # A battle counts for both its models.
    assert sum(raw[m]["votes"] - defended[m]["votes"] for m in raw) == 2 * excluded
    assert defended[story.target]["rating"] < raw[story.target]["rating"]
    assert defended[story.rival]["rating"] > raw[story.rival]["rating"]
    assert stack.integrity("verify")["votes"] == everything


def test_down_leaves_nothing_running(stack):
    leader = Leader.read(stack.directory)
    assert leader is not None
    mine = leader.members()
    assert len(mine) > len(stack.about["parts"])
    ended = stack.command("down")
    assert ended.returncode == 0, ended.stderr
    say(ended.stdout)
    assert [process for process in mine if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert leader.members() == set()
    # Again, with the same ports: all of them must be free.
    Kept.load(stack.directory / "kept.json", PORTS, {})
    assert stack.command("status").returncode == 3
    assert stack.command("down").returncode == 0
