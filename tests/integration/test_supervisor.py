"""supervisord with small parts: what comes up, what becomes of what ends, and what is left when all is over."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.devstack.process_registry import SessionLeader
from pipeline.devstack.service import Service
from pipeline.devstack.stack_state import free_ports
from pipeline.devstack.supervisor import Supervisor
from pipeline.errors import Unavailable, Usage

# Ends with 3 when told so by a file, as a worker that stopped on purpose.
SITTER = """
import pathlib, sys, time
print("here", flush=True)
while not pathlib.Path("stop").exists():
    time.sleep(0.05)
sys.exit(3)
"""
# A child in a session of its own, as PostgreSQL's are; it does not care about SIGTERM.
PARENT = """
import signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
time.sleep(600)
"""


def eventually(what: str, ask: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"expected {what} within {seconds:.0f} s"
        time.sleep(0.05)
    return answer


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    (port,) = free_ports(["supervisor"]).values()
    yield Supervisor(tmp_path, port, "secret")
    leader = SessionLeader.read(tmp_path)
    if leader is not None:
        leader.end()


@pytest.fixture
def sitter(tmp_path: Path) -> Service:
    script = tmp_path / "sitter.py"
    script.write_text(SITTER)
    return Service(
        name="sitter",
        tier="pipeline",
        command=[sys.executable, str(script)],
        directory=tmp_path,
        environment={"WORD": "50% of it, and more"},
        is_ready=None,
        restart="unless_stopped",
    )


def state(supervisor: Supervisor, name: str) -> str:
    return str(supervisor.states()[name]["statename"])


def pid(supervisor: Supervisor, name: str) -> int:
    return int(supervisor.states()[name]["pid"])


def test_a_part_runs_with_its_own_environment_and_its_own_log(supervisor, sitter):
    supervisor.launch([sitter], os.environ)
    assert state(supervisor, "sitter") == "STOPPED"
    supervisor.start([sitter], 30)
    assert state(supervisor, "sitter") == "RUNNING"
    eventually("its log", lambda: supervisor.log("sitter").read_text() == "here\n")
    assert psutil.Process(pid(supervisor, "sitter")).environ()["WORD"] == "50% of it, and more"
    # The configuration holds keys.
    assert (supervisor.directory / "supervisord.conf").stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_what_crashes_is_started_again_and_what_stopped_on_purpose_is_not(supervisor, sitter):
    supervisor.launch([sitter], os.environ)
    supervisor.start([sitter], 30)
    before = pid(supervisor, "sitter")
    os.kill(before, signal.SIGKILL)
    eventually("another one", lambda: pid(supervisor, "sitter") not in (0, before))
    # Also at once: a worker that finds a gap where it begins to read must not be tried ten times.
    (supervisor.directory / "stop").touch()
    eventually("its end", lambda: state(supervisor, "sitter") == "EXITED")
    time.sleep(2)  # supervisord would have started it within one
    assert state(supervisor, "sitter") == "EXITED"
    (supervisor.directory / "stop").unlink()
    supervisor.start([sitter], 30)
    assert state(supervisor, "sitter") == "RUNNING"


@pytest.mark.long
def test_a_part_that_does_not_live_is_told_with_the_end_of_its_log(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.devstack.supervisor._TRIES", 2)  # not five: supervisord waits longer each time
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('expected a disk')")
    broken = Service(
        name="broken",
        tier="backing",
        command=[sys.executable, str(script)],
        directory=tmp_path,
        is_ready=None,
    )
    supervisor.launch([broken], os.environ)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=r"expected broken to be ready.*got (BACKOFF|STARTING)[\s\S]*expected a disk"):
        supervisor.start([broken], 120)
    assert time.monotonic() - begun < 60  # not the 120 s that a slow one may take


def test_a_part_that_runs_and_does_not_answer_is_not_waited_for_for_ever(supervisor, sitter):
    supervisor.launch([sitter], os.environ)
    mute = Service(
        name=sitter.name, tier="pipeline", command=sitter.command, directory=sitter.directory, is_ready=lambda: False
    )
    with pytest.raises(Unavailable, match="within 1 s"):
        supervisor.start([mute], 1)


def test_what_a_configuration_cannot_hold_is_refused(supervisor, tmp_path):
    odd = Service(name="odd", tier="backing", command=["echo", "a;b"], directory=tmp_path, is_ready=None)
    with pytest.raises(Usage, match=";"):
        supervisor.launch([odd], os.environ)
    # supervisord takes it off the end of a value.
    quoted = {"WORD": "so-called 'value'"}
    odd = Service(name="odd", tier="backing", command=["echo"], directory=tmp_path, is_ready=None, environment=quoted)
    with pytest.raises(Usage, match="'"):
        supervisor.launch([odd], os.environ)


def test_nobody_gives_orders_without_the_password(supervisor, sitter):
    supervisor.launch([sitter], os.environ)
    assert Supervisor(supervisor.directory, supervisor.port, "guess").states() == {}


@pytest.mark.long
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
def test_everything_ends_with_the_leader_also_children_in_sessions_of_their_own(
    supervisor, tmp_path, first, monkeypatch
):
    monkeypatch.setattr("pipeline.devstack.process_registry._TERMINATED_SECONDS", 1.0)
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = Service(
        name="parent",
        tier="pipeline",
        command=[sys.executable, str(script)],
        directory=tmp_path,
        is_ready=None,
        stop_seconds=2,
    )
    leader = supervisor.launch([parent], os.environ)
    supervisor.start([parent], 30)
    mine = eventually("the child", lambda: members if len(members := leader.members()) == 3 else None)
    assert {os.getsid(process.pid) for process in mine} != {leader.pid}
    if first == signal.SIGKILL:
        os.kill(leader.pid, first)
        eventually("its end", lambda: not leader.alive)
        # A parent alone is enough to find its child.
        assert len(leader.members()) == 2
    assert SessionLeader.read(tmp_path) == leader
    assert leader.end() == (3 if first == signal.SIGTERM else 2)
    assert [p for p in mine if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert leader.end() == 0


def test_a_stranger_with_the_leaders_id_is_left_alone():
    me = SessionLeader.from_pid(os.getpid())
    assert me.alive
    for stranger in (SessionLeader(me.pid, me.boot, me.started - 1), SessionLeader(me.pid, "another boot", me.started)):
        assert not stranger.alive
        assert stranger.members() == set()
        assert stranger.end() == 0
