"""The walk through the real thing: `make up`, an attack on the topic, the page, the refresh, `make down`.

Everything is what an operator would start, and nothing is reached but through its own door: the topic, the
Prometheus API, Airflow's API, the command `integrity`. Run by `make test-stack`; 4 to 5 minutes on two cores,
most of it spent on a rule's own minute and on waiting for the next full minute of Airflow's schedule.

The tests are one walk: each goes on where the one before has stopped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.devstack.process_registry import SessionLeader
from pipeline.devstack.service import http_get
from pipeline.devstack.services import PORTS, StackServices
from pipeline.devstack.stack_state import StackState, free_ports
from pipeline.errors import Unavailable
from pipeline.lab.simulate import DemoScenario, simulate_demo
from tests.services import give_up

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

INTEGRITY = Path(sys.executable).with_name("integrity")
# The page must come within three minutes of the attack.
PAGED_SECONDS = 180.0
# Airflow's own setting for the schedule of the refresh: a walk has no hour.
EVERY_MINUTE = {"AIRFLOW__INTEGRITY__REFRESH_CRON": "* * * * *"}
# Bounds, not expectations: most of it takes a quarter of this on two idle cores.
SOON, REFRESHED_SECONDS = 120.0, 240.0
VOTES = 50_000


class Stack:
    """A stack that is up, as an operator sees it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = free_ports(PORTS)  # it must not meet the stack of whoever runs the tests
        self.about: dict[str, Any] = {}

    def command(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`make up` and its like; a failure is not raised."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline.devstack", verb, "--directory", str(self.directory), *words],
            env=os.environ | EVERY_MINUTE,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> str:
        """All of it; what the command said."""
        ports = (word for name, port in self.ports.items() for word in ("--port", f"{name}={port}"))
        done = self.command("up", "--scrape", "5", *ports)
        assert done.returncode == 0, done.stdout + done.stderr
        self.about = json.loads((self.directory / "stack.json").read_text())
        return done.stdout

    def parts(self) -> dict[str, tuple[str, int | None]]:
        """State and process id of each part, as `status` prints them."""
        lines = [line.split() for line in self.command("status").stdout.splitlines()]
        rows = [words for words in lines if words and words[0] in self.about["parts"] and len(words) == 4]
        return {name: (state, None if pid == "-" else int(pid)) for name, state, pid, _ in rows}

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
        # Not through a proxy of the environment.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
            return str(response.read().decode())

    def metric(self, name: str) -> float | None:
        """The sum of a metric over its labels, as the exporter says it; None without any."""
        lines = [line for line in self.fetch("exporter", "").splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines) if lines else None

    def publish(self, stream: Any, name: str) -> int:
        file = self.directory / name
        stream.write_jsonl(file)
        return int(self.integrity("publish", str(file), "--to", self.about["urls"]["kafka"])["published"])

    def airflow(self, path: str) -> Any:
        """What Airflow's API answers to the user that `up` has named."""
        account = {"username": self.about["airflow"]["user"], "password": self.about["airflow"]["password"]}
        token = json.loads(self.fetch("airflow", "/auth/token", body=account))["access_token"]
        return json.loads(self.fetch("airflow", f"/api/v2{path}", {"Authorization": f"Bearer {token}"}))

    def runs(self) -> list[dict[str, Any]]:
        """Of the refresh, the newest first."""
        runs: list[dict[str, Any]] = self.airflow("/dags/refresh_ratings/dagRuns?order_by=-id&limit=20")["dag_runs"]
        return runs

    def firing(self, name: str) -> list[dict[str, Any]]:
        alerts = json.loads(self.fetch("prometheus", "/api/v1/alerts"))["data"]["alerts"]
        return [a for a in alerts if a["labels"]["alertname"] == name and a["state"] == "firing"]

    def paged(self, name: str) -> list[dict[str, Any]]:
        """Alerts that somebody is told of: neither inhibited nor silenced."""
        alerts = json.loads(self.fetch("alertmanager", "/api/v2/alerts?inhibited=false&silenced=false"))
        return [a for a in alerts if a["labels"]["alertname"] == name and a["receivers"] == [{"name": "page"}]]


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
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        StackServices(stack.directory, StackState.load(stack.directory / "kept.json", PORTS, stack.ports)).check()
    except Unavailable as error:
        give_up(str(error))
    begun = time.monotonic()
    try:
        say(stack.up())
        yield stack
    finally:
        ended = stack.command("down")
        if request.session.testsfailed:
            for log in sorted((stack.directory / "logs").iterdir()):
                say("\n".join([f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-40:]]))
        assert ended.returncode == 0, ended.stderr
        say(f"the whole walk took {time.monotonic() - begun:.0f} s")


@pytest.fixture(scope="module")
def story() -> DemoScenario:
    return simulate_demo(VOTES)


@pytest.fixture(scope="module")
def honest(stack: Stack, story: DemoScenario) -> int:
    """How many honest votes were published, all of them stored and in the first snapshot."""
    published = stack.publish(story.before, "before.jsonl")
    eventually(SOON, "every honest vote", lambda: stack.metric("integrity_votes_total") == published)
    eventually(REFRESHED_SECONDS, "a snapshot", lambda: stack.metric("integrity_snapshot_excluded_votes") is not None)
    return published


def test_every_part_runs_and_a_second_up_says_so(stack: Stack) -> None:
    assert stack.up().startswith("already up")
    parts = stack.parts()
    assert set(parts) == set(stack.about["parts"])
    assert {state for state, _ in parts.values()} == {"RUNNING"}


def test_prometheus_scrapes_every_process_and_has_every_rule(stack: Stack) -> None:
    def targets() -> list[str]:
        listed = json.loads(stack.fetch("prometheus", "/api/v1/targets"))["data"]["activeTargets"]
        return sorted(f"{each['labels']['job']} {each['health']}" for each in listed)

    expected = [
        "integrity-exporter up", "integrity-page up", "integrity-worker up", "integrity-worker up", "prometheus up",
    ]  # fmt: skip
    eventually(SOON, "every target to be up", lambda: targets() == expected)
    groups = json.loads(stack.fetch("prometheus", "/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 13
    assert {rule["health"] for rule in rules} == {"ok"}
    managers = json.loads(stack.fetch("prometheus", "/api/v1/alertmanagers"))["data"]["activeAlertmanagers"]
    assert [each["url"] for each in managers] == [f"{stack.about['urls']['alertmanager']}/api/v2/alerts"]


def test_airflow_is_healthy_and_the_refresh_is_on_its_schedule(stack: Stack) -> None:
    health = json.loads(stack.fetch("airflow", "/api/v2/monitor/health"))
    assert {health[part]["status"] for part in ("metadatabase", "scheduler", "dag_processor")} == {"healthy"}
    assert stack.airflow("/importErrors")["import_errors"] == []
    refresh = stack.airflow("/dags/refresh_ratings")
    assert (refresh["is_paused"], refresh["timetable_summary"]) == (False, "* * * * *")


def test_a_board_without_votes_pages_nobody(stack: Stack) -> None:
    run = eventually(REFRESHED_SECONDS, "a run", lambda: [r for r in stack.runs() if r["state"] == "success"])[0]
    tasks = stack.airflow(f"/dags/refresh_ratings/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]
    assert {task["state"] for task in tasks} == {"skipped"}
    assert stack.metric("integrity_halts_open") == 0

    def firing() -> list[str]:
        alerts = json.loads(stack.fetch("alertmanager", "/api/v2/alerts"))
        return [each["labels"]["alertname"] for each in alerts]

    # The Watchdog fires with the first evaluation of the rules, which may be after the first run.
    eventually(SOON, "the Watchdog, and no other alert", lambda: firing() == ["Watchdog"])


def worker(stack: Stack) -> int | None:
    """The process id of the second worker once it answers."""
    state, pid = stack.parts()["worker-2"]
    return pid if state == "RUNNING" and http_get(stack.ports["worker-2"], "/metrics") else None


def test_a_worker_that_is_killed_is_started_again(stack: Stack) -> None:
    before = eventually(SOON, "a worker", lambda: worker(stack))
    psutil.Process(before).kill()
    eventually(SOON, "another one", lambda: worker(stack) not in (None, before))


def test_a_worker_that_was_ended_on_purpose_stays_so_until_the_next_up(stack: Stack) -> None:
    psutil.Process(eventually(SOON, "a worker", lambda: worker(stack))).terminate()
    eventually(SOON, "it to end", lambda: stack.parts()["worker-2"][0] == "EXITED")
    assert stack.command("status").returncode == 3
    assert stack.up().startswith("already up")
    assert worker(stack)


def test_an_attack_is_paged_and_the_next_refresh_leaves_its_votes_out(
    stack: Stack, story: DemoScenario, honest: int
) -> None:
    assert stack.metric("integrity_snapshot_excluded_votes") == 0
    assert not stack.firing("IntegrityIncidentOpen")

    attacked = time.monotonic()
    everything = honest + stack.publish(story.after, "after.jsonl")
    alert = eventually(PAGED_SECONDS, "the page", lambda: stack.firing("IntegrityIncidentOpen"))[0]
    seconds = time.monotonic() - attacked
    say(f"{alert['annotations']['summary']}: firing {seconds:.0f} s after the attack began to be published")
    assert seconds < PAGED_SECONDS
    assert alert["labels"] | {"severity": "critical", "stage": "detector", "board": "text"} == alert["labels"]
    eventually(SOON, "the alert in Alertmanager", lambda: stack.paged("IntegrityIncidentOpen"))
    assert "IntegrityIncidentOpen" in stack.command("status").stdout

    eventually(SOON, "every vote", lambda: stack.metric("integrity_votes_total") == everything)
    eventually(
        REFRESHED_SECONDS,
        "a snapshot of every vote that leaves some out",
        lambda: stack.metric("integrity_snapshot_excluded_votes") and stack.metric("integrity_unsealed_offsets") == 0,
    )
    published = eventually(SOON, "the run to end", lambda: [r for r in stack.runs() if r["state"] == "success"])[0]
    say(f"refreshed by {published['dag_run_id']}")
    assert published["run_type"] == "scheduled"
    excluded = stack.metric("integrity_snapshot_excluded_votes")
    boards = {view: stack.integrity("leaderboard", "--view", view) for view in ("raw", "defended")}
    assert boards["raw"]["snapshot"] == boards["defended"]["snapshot"]
    raw, defended = ({row["model"]: row for row in board["rows"]} for board in boards.values())
    # A battle counts for both its models.
    assert sum(raw[m]["votes"] - defended[m]["votes"] for m in raw) == 2 * excluded
    assert defended[story.target]["rating"] < raw[story.target]["rating"]
    assert defended[story.rival]["rating"] > raw[story.rival]["rating"]
    assert stack.integrity("verify")["votes"] == everything


def test_a_second_campaign_pages_within_three_minutes_while_the_first_incident_is_open(stack: Stack) -> None:
    first = {alert["labels"]["incident"] for alert in stack.firing("IntegrityIncidentOpen")}
    assert first
    words = ("--to", stack.about["urls"]["kafka"], "--prometheus", stack.about["urls"]["prometheus"], "--yes")
    drill = stack.integrity("drill", *words)
    say("; ".join(f"{link['name']} {link['seconds']} s ({link['note']})" for link in drill["links"]))
    seconds = {link["name"]: link["seconds"] for link in drill["links"]}
    assert list(seconds) == ["votes sent", "alert", "incident", "page", "exclusion", "defended board"]
    assert seconds["page"] < PAGED_SECONDS
    assert drill["passed"]
    assert drill["incident"] not in first
    told = {alert["labels"]["incident"]: alert for alert in stack.paged("IntegrityIncidentOpen")}
    assert first & set(told)
    page = told[drill["incident"]]["annotations"]
    assert drill["target"] in page["summary"]
    # Every link of the page leads somewhere.
    site = stack.about["urls"]["page"]
    for name in ("incident_url", "runbook_url"):
        assert page[name].startswith(f"{site}/")
        assert stack.fetch("page", page[name].removeprefix(site))
    # One campaign is one page, whatever number of alerts it raised.
    mine = [one for one in stack.integrity("incidents") if drill["target"] in one["headline"]]
    assert len(mine) == 1
    assert mine[0]["alerts"] > 1


def test_after_a_kill_of_everything_up_goes_on_with_what_was_stored(stack: Stack) -> None:
    before = stack.integrity("verify")
    leader = SessionLeader.read(stack.directory)
    assert leader is not None
    victims = leader.members()
    assert len(victims) > len(stack.about["parts"])
    for process in sorted(victims, key=lambda process: process.pid != leader.pid):  # the supervisor first
        with suppress(psutil.NoSuchProcess):  # a connection's process, a task's: some end by themselves
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(victims, timeout=SOON)
    assert stack.command("status").returncode == 3
    say(stack.up())
    after = stack.integrity("verify")
    # Another scheduled refresh may have come in between.
    assert after["votes"] == before["votes"]
    assert {state for state, _ in stack.parts().values()} == {"RUNNING"}


def test_down_leaves_nothing_running(stack: Stack) -> None:
    leader = SessionLeader.read(stack.directory)
    assert leader is not None
    mine = leader.members()
    assert len(mine) > len(stack.about["parts"])
    ended = stack.command("down")
    assert ended.returncode == 0, ended.stderr
    say(ended.stdout)
    assert [process for process in mine if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert leader.members() == set()
    everybody = [word for each in psutil.process_iter(["cmdline"]) for word in each.info["cmdline"] or []]
    assert [word for word in everybody if str(stack.directory) in word] == []
    # Again, with the same ports: all of them must be free.
    StackState.load(stack.directory / "kept.json", PORTS, {})
    assert stack.command("status").returncode == 3
    again = stack.command("down")
    assert (again.returncode, again.stdout.split()[:2]) == (0, ["ended", "0"])
