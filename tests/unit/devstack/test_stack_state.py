"""What a stack keeps: its ports, its keys, and to itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.devstack.stack_state import StackState, free_ports, write_private
from pipeline.errors import Unavailable, Usage

NAMES = ("kafka", "exporter", "supervisor")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept.json"


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of somebody else."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


def test_the_second_time_everything_is_as_at_first(file):
    first = StackState.load(file, NAMES, {})
    assert StackState.load(file, NAMES, {}) == first == StackState.read(file)
    assert len(set(first.ports.values())) == len(NAMES)
    assert len(bytes.fromhex(first.voter_key)) == 32


def test_nobody_else_may_read_it(file):
    StackState.load(file, NAMES, {})
    assert file.stat().st_mode & 0o777 == 0o600
    write_private(file, "again")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == "again\n"
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_port_that_was_asked_for_is_kept(file):
    (port,) = free_ports(["kafka"]).values()
    assert StackState.load(file, NAMES, {"kafka": port}).ports["kafka"] == port
    assert StackState.load(file, NAMES, {}).ports["kafka"] == port


def test_a_kept_port_that_is_taken_is_named_with_what_to_do_and_nothing_is_changed(file, listener):
    before = StackState.load(file, NAMES, {})
    with pytest.raises(Unavailable, match=rf'port {listener} \(exporter\).*make up ARGS="--port exporter=\d+"'):
        StackState.load(file, NAMES, {"exporter": listener})
    assert StackState.read(file) == before


def test_a_usual_port_that_is_taken_at_first_gives_way(file, listener, monkeypatch):
    monkeypatch.setattr("pipeline.devstack.stack_state._DEFAULT_PORTS", {"kafka": listener})
    assert StackState.load(file, NAMES, {}).ports["kafka"] != listener


def test_a_port_for_nobody_is_refused(file):
    with pytest.raises(Usage, match="got rabbit"):
        StackState.load(file, NAMES, {"rabbit": 5672})
    assert not file.exists()
