"""`make up`, `make status` and `make down` when something is not as it should be. The walk is in tests/stack."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.devstack import __main__ as command
from pipeline.devstack.process_registry import SessionLeader
from pipeline.devstack.services import PORTS
from pipeline.devstack.stack_state import StackState, free_ports

Run = Callable[..., int]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "stack"


@pytest.fixture
def run(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command's exit status."""

    def run(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["stack", *words, "--directory", str(directory)])
        return command.main()

    return run


def ports(**given: int) -> list[str]:
    """Options for a stack beside others."""
    return [word for name, port in (free_ports(PORTS) | given).items() for word in ("--port", f"{name}={port}")]


def test_where_nothing_is_up_status_says_what_to_do_and_down_is_content(run, directory, capsys):
    assert run("status") == 3
    assert "run `make up`" in capsys.readouterr().err
    for _ in range(2):
        assert run("down") == 0
        assert capsys.readouterr().out == f"ended 0 processes; no process of the stack in {directory} is left\n"


@pytest.mark.parametrize(
    "given", ["kafka", "kafka=x", "kafka=0", "kafka=65536", "kafka=1=2", "rabbit=5672"], ids=lambda given: given
)
def test_a_port_that_means_nothing_is_refused(run, directory, capsys, given):
    assert run("up", "--port", given) == 2
    error = capsys.readouterr().err
    assert "kafka, postgres, worker-1, worker-2, exporter, airflow-api" in error
    assert given.split("=")[0] in error
    assert not (directory / "kept.json").exists()


def test_one_port_for_two_is_refused(run, capsys):
    assert run("up", "--port", "kafka=19092", "--port", "postgres=19092") == 2
    assert "kafka=19092 postgres=19092" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named_and_nothing_is_started(run, directory, capsys):
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        assert run("up", *ports(prometheus=taken)) == 3
    assert f"expected port {taken} (prometheus) to be free" in capsys.readouterr().err
    assert SessionLeader.read(directory) is None


def test_everything_that_is_missing_is_named_at_once_and_nothing_is_started(
    run, directory, capsys, monkeypatch, tmp_path
):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr("sys.prefix", str(empty))  # `make` puts programs and jars beside the interpreter
    monkeypatch.delenv("INTEGRITY_KAFKA_LIBS", raising=False)
    assert run("up", *ports()) == 3
    error = capsys.readouterr().err
    for cure in ("run `make kafka`", "Debian's package prometheus\n", "Debian's package prometheus-alertmanager"):
        assert cure in error
    assert SessionLeader.read(directory) is None
    assert not (directory / "supervisord.conf").exists()


@pytest.mark.long
@pytest.mark.usefixtures("kafka_server", "postgres_server", "promtool", "amtool")
def test_a_part_that_does_not_come_up_takes_the_others_with_it(run, directory, capsys, monkeypatch):
    """Kafka's data is not what it was: as after a disk that lied."""
    monkeypatch.setattr("pipeline.devstack.supervisor._TRIES", 1)
    data = directory / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=another\nnode.id=7\n")
    seen: list[SessionLeader] = []
    write = SessionLeader.write
    monkeypatch.setattr(SessionLeader, "write", lambda leader, where: (seen.append(leader), write(leader, where)))
    assert run("up", *ports()) == 3
    error = capsys.readouterr().err
    assert "starting kafka, postgres" in error
    assert "expected kafka to be ready" in error
    assert "meta.properties" in error  # the end of its log
    assert "ending what was started" in error
    assert [leader.members() for leader in seen] == [set()]
    # Every port is free again, and the next `up` would take the same.
    assert StackState.load(directory / "kept.json", PORTS, {}) == StackState.read(directory / "kept.json")
    assert run("status") == 3
