"""Voter states are written with a delay: the next worker replays what was only in memory when one died."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.detectors import VOTER
from pipeline.events.chunk import Chunk
from pipeline.lab.simulate import DemoScenario, simulate_demo
from pipeline.open_store import open_store
from pipeline.settings import Settings, override
from pipeline.store.db import schema
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from pipeline.vocabulary.packing import unpack_parts

OPTIONS = Settings(voter_key="11" * 32, batch_votes=700, max_consecutive_rejects=10**6)


class Died(Exception):
    """The worker's process is gone."""


class Dying(FileSource):
    """A file whose reader dies after so many polls."""

    polls = 0

    def poll(self, limit: int, seconds: float) -> list[Chunk]:
        self.polls -= 1
        if self.polls < 0:
            raise Died
        return super().poll(limit, seconds)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoScenario, Path]:
    folder = tmp_path_factory.mktemp("story")
    reported = simulate_demo(50_000, 5)
    cut = len(reported.after) // 2
    reported.before.write_jsonl(folder / "before.jsonl")
    reported.after.take(slice(0, cut)).write_jsonl(folder / "first.jsonl")
    reported.after.take(slice(cut, None)).write_jsonl(folder / "second.jsonl")
    return reported, folder


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Two fresh stores of a kind."""
    if request.param == "sqlite":
        return str(tmp_path / "a.db"), str(tmp_path / "b.db")
    server = request.getfixturevalue("postgres_server")
    first = request.getfixturevalue("postgres_store")
    return first, server.create_database(f"states_{tmp_path.name.replace('-', '_')}".lower()[:60])


def worked(url: str, files: list[Path], dying: int | None) -> tuple[list[tuple], list[tuple]]:
    """Read the files with a refresh after each; the worker dies every `dying` polls. States and alerts at the end."""
    store = open_store(url, voter_key=OPTIONS.key, worker=True)
    for file in files:
        alive = False
        while not alive:
            source = Dying(file)
            source.polls = dying if dying is not None else 10**9
            try:
                Worker(source, store, OPTIONS, VOTER, "test").run(until_end=True)
                alive = True
            except Died:
                continue
        with override(OPTIONS):
            jobs.refresh_board(url)
    with store.read() as connection:
        states = connection.execute(
            sa.select(schema.voter_state.c["voter", "state"]).order_by(*schema.voter_state.c["partition_no", "voter"])
        ).all()
        alerts = connection.execute(
            sa.select(schema.alert.c["alert_id", "severity", "level", "e_value", "evidence"]).order_by("alert_id")
        ).all()
    store.close()
    return [tuple(map(_plain, row)) for row in states], [tuple(row) for row in alerts]


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


@pytest.mark.long
def test_a_worker_that_dies_with_unwritten_states_changes_no_state_and_no_alert(
    story: tuple[DemoScenario, Path], urls: tuple[str, str]
) -> None:
    _, folder = story
    files = [folder / name for name in ("before.jsonl", "first.jsonl", "second.jsonl")]
    states, alerts = worked(urls[0], files, None)
    again, same_alerts = worked(urls[1], files, 7)
    assert len(alerts) >= 10
    assert same_alerts == alerts
    assert again == states
    tags = bytes(detector.tag for detector in VOTER)
    bias = [unpack_parts(state, tags)[0] for _, state in states]
    assert {b"H", b"D"} <= {part[:1] for part in bias if part}  # both kinds of state were at stake
