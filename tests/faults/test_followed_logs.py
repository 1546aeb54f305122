"""A raw log is written, rotated and followed at once, and its follower is killed: the store has every vote once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.devstack import KafkaServer
from pipeline.devstack.process import free_port

INTEGRITY = Path(sys.executable).with_name("integrity")
SETTINGS = {
    "INTEGRITY_VOTER_KEY": "5a" * 32,
    "INTEGRITY_SESSION_SECONDS": "6",
    "INTEGRITY_ANCHOR": "",
    "INTEGRITY_LOG_IDS": "conversation",  # ids that say which line a vote was
}
LOG = "2026-08-14-conv.json"
VOTES, KILLS = 2_000, 5
TYPES = ("leftvote", "rightvote", "tievote", "bothbad_vote")


def line(n: int) -> str:
    """One action of a user; every tenth is no vote. The prompts are near copies of each other."""
    messages = [
        ["USER", f"Write a story about a lighthouse, a storm and the number {n % 90}."],
        ["ASSISTANT", "an answer of some length " * 20],
    ]
    states = [
        {
            "model_name": f"model {(n + side) % 5}",
            "conv_id": f"conversation {n} {side}",
            "offset": 0,
            "messages": messages,
        }
        for side in (0, 1)
    ]
    kind = "upvote" if n % 10 == 9 else TYPES[n % 4]
    action = {"tstamp": 1.7867e9 + n, "type": kind, "models": ["", ""], "states": states, "ip": f"198.51.100.{n % 250}"}
    return json.dumps(action) + "\n"


def votes(count: int) -> set[str]:
    return {f"conversation {n} 0#1" for n in range(count) if n % 10 != 9}


class Writer(Thread):
    """Writes a log as an arena does, some lines in two halves, and rotates it twice."""

    def __init__(self, folder: Path, pause: float) -> None:
        super().__init__(daemon=True)
        self.log, self.pause, self.written = folder / LOG, pause, 0

    def run(self) -> None:
        for n in range(VOTES):
            if n == VOTES // 3:
                self.log.rename(self.log.with_name(f"{LOG}.1"))
            if n == 2 * VOTES // 3:
                shutil.copyfile(self.log, self.log.with_name(f"{LOG}-copy"))
                os.truncate(self.log, 0)
            text = line(n)
            parts = (text[:100], text[100:]) if n % 50 == 0 else (text,)
            for part in parts:
                with self.log.open("a") as file:
                    file.write(part)
                time.sleep(self.pause * len(parts))
            self.written = n + 1


def until(reached: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition returns when it is met."""
    deadline = time.monotonic() + seconds
    while not (value := reached()):
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.02)
    return value


@contextmanager
def following(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`integrity publish --follow …` as a process."""
    command = [INTEGRITY, "publish", *words, "--poll", "0.05", "--json"]
    process = subprocess.Popen(
        command, env=os.environ | SETTINGS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The document of a follower that is asked to end."""
    until(lambda: catches(process.pid, signal.SIGTERM))  # a process that is still starting just ends
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return dict(json.loads(output))


def remembered(state: Path) -> int:
    """Bytes that a follower remembers as sent."""
    for path in state.glob("follow-*.json"):
        return sum(log["offset"] for log in json.loads(path.read_text())["logs"] if not log["gone"])
    return 0


def stored(kafka: KafkaServer, topic: str, store: Path) -> tuple[list[str], dict[str, Any]]:
    """The ids of the votes in a new store that has read the topic, and what the worker says."""
    words = ("work", "--source", f"{kafka.url}/{topic}", "--store", str(store), "--until-end", "--json")
    done = subprocess.run(
        [INTEGRITY, *words], env=os.environ | SETTINGS, capture_output=True, text=True, check=True, timeout=120
    )
    with sa.create_engine(f"sqlite:///{store}").connect() as connection:
        return list(connection.scalars(sa.text("SELECT vote_id FROM vote"))), json.loads(done.stdout)


@pytest.fixture
def topic() -> str:
    return f"followed.{uuid.uuid4().hex[:10]}"


@pytest.mark.long
@pytest.mark.faults
def test_every_vote_once_with_two_rotations_and_five_kills(
    kafka_server: KafkaServer, tmp_path: Path, topic: str
) -> None:
    logs, state = tmp_path / "logs", tmp_path / "state"
    logs.mkdir()
    words = ("--follow", str(logs), "--to", f"{kafka_server.url}/{topic}", "--state", str(state))
    writer = Writer(logs, pause=0.004)
    writer.start()
    for kill in range(1, KILLS + 1):
        with following(*words) as process:
            before = remembered(state)
            until(lambda before=before: remembered(state) > before)
            until(lambda kill=kill: writer.written >= kill * VOTES // (KILLS + 1))
            process.send_signal(signal.SIGKILL)
    writer.join()
    # The fifth follower may have sent everything before it was killed, so the sixth ends by itself when it has looked.
    with following(*words, "--until-end") as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    told = json.loads(output)
    assert told["files"] == 3
    assert told["bytes_behind"] == 0
    ids, worked = stored(kafka_server, topic, tmp_path / "board.db")
    assert set(ids) == votes(VOTES)
    assert len(ids) == len(votes(VOTES))
    assert (worked["rejected"], worked["conflicting"]) == (0, 0)


@pytest.mark.slow
@pytest.mark.faults
def test_a_broker_that_goes_away_is_waited_for(
    make_kafka: Callable[..., KafkaServer], tmp_path: Path, topic: str
) -> None:
    own, log, state = make_kafka(), tmp_path / LOG, tmp_path / "state"
    log.write_text("".join(line(n) for n in range(50)))
    with following("--follow", str(log), "--to", f"{own.url}/{topic}", "--state", str(state)) as process:
        until(lambda: remembered(state) == log.stat().st_size)
        own.kill()
        with log.open("a") as file:
            file.writelines(line(n) for n in range(50, 100))
        assert process.stderr is not None
        # The follower has tried to send, and says so. The stream ends without this line if the process ends.
        assert any("nothing is lost" in said for said in process.stderr)
        assert process.poll() is None
        own.start()
        until(lambda: remembered(state) == log.stat().st_size, seconds=150)
        ended(process)
    ids, worked = stored(own, topic, tmp_path / "board.db")
    assert sorted(ids) == sorted(votes(100))
    assert worked["conflicting"] == 0


@pytest.mark.long
def test_a_log_is_sent_once_and_only_one_process_follows_it(
    kafka_server: KafkaServer, tmp_path: Path, topic: str
) -> None:
    port = free_port()
    log, state = tmp_path / LOG, tmp_path / "state"
    words = ("--follow", str(log), "--to", f"{kafka_server.url}/{topic}", "--state", str(state))
    with following(*words, "--metrics-port", str(port)) as process:
        until(lambda: list(state.glob("*.lock")))
        log.write_text("".join(line(n) for n in range(20)))  # the log is made after its follower was started
        until(lambda: remembered(state))
        with following(*words, "--until-end") as second:
            said = json.loads(second.communicate()[0])
        assert second.returncode == 3
        assert "another process follows" in said["message"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            assert b"integrity_publish_votes_total 18.0" in response.read()
        assert ended(process)["published"] == 18
    with following(*words, "--until-end") as process:
        assert json.loads(process.communicate()[0])["published"] == 0
    ids, worked = stored(kafka_server, topic, tmp_path / "board.db")
    assert sorted(ids) == sorted(votes(20))
    assert worked["read"] == 18
