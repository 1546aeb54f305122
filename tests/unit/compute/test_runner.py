"""Laws that each engine keeps: order, equal digits, errors that name their item, lost workers, bounded memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import distributed
import numpy as np
import pytest

from pipeline.compute import clusters, joblib_runner
from pipeline.compute.engine import Engine
from pipeline.compute.open_runner import open_runner
from pipeline.compute.runner import Runner
from pipeline.compute.thread_runner import ThreadRunner
from pipeline.errors import BadRecord, Refuted, Unavailable
from pipeline.vocabulary.arrays import Float64


@dataclass(frozen=True)
class Part:
    """An item of a pass in these tests."""

    number: int
    sent_bytes: int = 0

    @property
    def name(self) -> str:
        """The name of the part."""
        return f"part {self.number}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as started:
        yield started


@pytest.fixture(
    scope="module",
    params=["local", *(pytest.param(value, marks=pytest.mark.long) for value in ("processes://2", "dask"))],
)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    value = request.param
    if value == "dask":
        value = "dask://" + request.getfixturevalue("cluster").scheduler_address.removeprefix("tcp://")
    with open_runner(Engine.parse(value)) as opened:
        yield opened


def sums(part: Part) -> Float64:
    """Sums of floats whose last digits depend on the order of addition, and on the threads of BLAS."""
    given = np.random.default_rng(part.number).normal(size=(300, 1_000)) * 10.0 ** (part.number % 7)
    total: Float64 = (given @ given.T).sum(axis=0)
    return total


def added(results: Iterator[Float64]) -> bytes:
    total = np.zeros(300)
    for one in results:
        total += one
    return total.tobytes()


def test_sums_are_the_same_to_the_last_digit(runner: Runner) -> None:
    parts = [Part(at) for at in range(40)]
    assert added(runner.map(sums, iter(parts))) == added(ThreadRunner(1).map(sums, iter(parts)))


def test_a_pass_over_nothing_has_no_results(runner: Runner) -> None:
    assert list(runner.map(sums, [])) == []


def refuse(part: Part, at: int, error: Callable[[], Exception]) -> int:
    if part.number == at:
        raise error()
    return part.number


@pytest.mark.parametrize(
    "error",
    [
        partial(ValueError, "a number"),
        partial(FileNotFoundError, 2, "No such file or directory", "/ledger/7"),
        partial(UnicodeDecodeError, "utf-8", b"\xff", 0, 1, "invalid start byte"),
        partial(Refuted, "leaf", "leaf 7", "expected the hash of its row"),
        partial(BadRecord, "votes.jsonl", 3, "outcome", "expected an outcome"),
    ],
)
def test_the_error_of_an_item_comes_in_its_place_and_names_it(runner: Runner, error: Callable[[], Exception]) -> None:
    results = runner.map(partial(refuse, at=5, error=error), (Part(at) for at in range(50)))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    expected = error()
    with pytest.raises(type(expected)) as caught:
        next(results)
    assert (str(caught.value), vars(caught.value).items() >= vars(expected).items()) == (str(expected), True)
    assert "The error is of the part 5." in caught.value.__notes__


def test_few_items_are_taken_before_their_results_are_used(runner: Runner) -> None:
    taken = 0

    def parts() -> Iterator[Part]:
        nonlocal taken
        for at in range(1_000):
            taken += 1
            yield Part(at)

    results = runner.map(partial(refuse, at=-1, error=ValueError), parts())
    assert next(results) == 0
    assert taken <= 2 * (os.cpu_count() or 1) + 4


@pytest.mark.long
def test_large_items_are_sent_one_by_one() -> None:
    taken: list[int] = []

    def parts() -> Iterator[Part]:
        for at in range(4):
            taken.append(at)
            yield Part(at, sent_bytes=2**30)

    with open_runner(Engine("processes", workers=2)) as opened:
        results = opened.map(partial(refuse, at=-1, error=ValueError), parts())
        assert next(results) == 0
        assert taken == [0]
        assert list(results) == [1, 2, 3]


def end_once(part: Part, folder: Path) -> int:
    """End the worker that gets part 3, the first time, as `kill -9` does."""
    mark = folder / "ended"
    if part.number == 3 and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return part.number


@pytest.mark.long
def test_a_killed_process_changes_nothing(tmp_path: Path) -> None:
    with open_runner(Engine("processes", workers=2)) as opened:
        assert list(opened.map(partial(end_once, folder=tmp_path), [Part(at) for at in range(12)])) == list(range(12))
    assert int((tmp_path / "ended").read_text()) != os.getpid()


def wait_for_kill(part: Part, folder: Path) -> Float64:
    """Say which worker has part 4, and wait until the test has killed it."""
    (folder / f"{part.number}.{os.getpid()}").touch()
    while part.number == 4 and not (folder / "killed").exists():
        time.sleep(0.01)
    return sums(part)


@pytest.mark.long
def test_a_dask_worker_that_is_killed_from_outside_changes_nothing(
    cluster: distributed.LocalCluster, tmp_path: Path
) -> None:
    def kill() -> None:
        while not (found := list(tmp_path.glob("4.*"))):
            time.sleep(0.01)
        os.kill(int(found[0].suffix[1:]), signal.SIGKILL)
        (tmp_path / "killed").touch()

    parts = [Part(at) for at in range(12)]
    engine = Engine("dask", cluster.scheduler_address.removeprefix("tcp://"))
    with open_runner(engine) as opened, ThreadPoolExecutor() as thread:
        killed = thread.submit(kill)
        found = added(opened.map(partial(wait_for_kill, folder=tmp_path), parts))
        killed.result()
    assert found == added(ThreadRunner(1).map(sums, parts))
    assert len(list(tmp_path.glob("4.*"))) == 2, "the part of the killed worker ran on another one"


def always_end(_part: Part) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.long
def test_items_that_always_end_their_worker_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib_runner, "_ATTEMPTS", 1)
    with open_runner(Engine("processes", workers=2)) as opened:
        with pytest.raises(Unavailable, match=r"INTEGRITY_COMPUTE=processes://2: expected results for part 0, part 1"):
            list(opened.map(always_end, [Part(at) for at in range(5)]))
        assert list(opened.map(partial(refuse, at=-1, error=ValueError), [Part(7)])) == [7]


@pytest.mark.long
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_TIMEOUT", 0.5)
    expected = "INTEGRITY_COMPUTE=dask://127.0.0.1:9: expected an answer of 127.0.0.1:9"
    with pytest.raises(Unavailable, match=expected), open_runner(Engine("dask", "127.0.0.1:9")):
        pass


@pytest.mark.parametrize("kind", ["spark", "ray"])
def test_an_address_without_a_cluster_is_named_before_the_client_tries_for_minutes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_package", lambda *_: None)  # connecting needs no package
    expected = f"INTEGRITY_COMPUTE={kind}://127.0.0.1:9: expected an answer of 127.0.0.1:9, got ConnectionRefusedError"
    with pytest.raises(Unavailable, match=expected), open_runner(Engine(kind, "127.0.0.1:9")):
        pass


class SparkMaster:
    """The part of a Spark session that counts slots: an answer for each question, the last one for all later."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.sparkContext = self._jsc = self

    def sc(self) -> SparkMaster:
        return self

    def resourceProfileManager(self) -> SparkMaster:  # noqa: N802 - Spark's name
        return self

    def resourceProfileFromId(self, number: int) -> int:  # noqa: N802 - Spark's name
        return number

    def maxNumConcurrentTasks(self, _profile: int) -> int:  # noqa: N802 - Spark's name
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_all_workers_of_spark_are_counted_though_they_join_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters.time, "sleep", lambda _: None)
    assert clusters._count_spark_slots(Engine("spark", "host:7077"), SparkMaster(0, 0, 4, 12, 12, 12)) == 12


def test_a_spark_master_without_workers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_TIMEOUT", 0.05)
    monkeypatch.setattr(clusters.time, "sleep", lambda _: None)
    with pytest.raises(Unavailable, match="INTEGRITY_COMPUTE=spark://host:7077: expected a worker with a free core"):
        clusters._count_spark_slots(Engine("spark", "host:7077"), SparkMaster(0))
