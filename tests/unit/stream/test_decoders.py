"""Tests that both decoders of a worker give the same votes, and that a decoder process loses and outlives nothing."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.detectors import VOTER
from pipeline.errors import Unavailable, Usage
from pipeline.events.chunk import Chunk
from pipeline.events.pseudonym import format_pseudonym, pseudonym
from pipeline.events.record_origins import ORIGIN_HEADER, HeaderOrigins
from pipeline.events.record_signature import NO_MARKS, RecordMarks
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.stream.batch_decoder import BatchDecoder, DecoderSetup, InlineDecoder
from pipeline.stream.decoder_process import DecoderProcess, _portable
from pipeline.stream.decoding import DecodedBatch
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from tests.unit.events.sample_events import KEY, event

SETUP = DecoderSetup("kafka:c/votes", "", KEY, ())
PARTITION_NO = {0: 7, 1: 3}
OTHER_KEY: RecordMarks = (b"0123456789abcdef", None, None)


def chunk(partition: int, values: list[bytes | None], marks: list[RecordMarks] | None = None) -> Chunk:
    n = len(values)
    origins = HeaderOrigins([[(ORIGIN_HEADER, f"p{partition}.jsonl#{row}".encode())] for row in range(n)])
    at = np.full(n, 1_700_000_000_000_000, dtype=np.int64)
    return Chunk(partition, np.arange(n, dtype=np.int64), at, values, origins, n, marks=marks)


def votes(first: int, n: int, **more: Any) -> list[bytes | None]:
    return [event(vote_id=f"v{k}", voter_id=f"u{k % 3}", **more) for k in range(first, first + n)]


def batches() -> Iterator[list[Chunk]]:
    yield [chunk(0, votes(0, 5)), chunk(1, votes(5, 4, language="de", categories=["math", "code"], turn=2))]
    yield [chunk(1, [None, b"{", *votes(9, 2), b"\xff", event(vote_id="x", winner="nobody")])]
    hashed = [event(vote_id=f"h{k}", voter_id=format_pseudonym(pseudonym(KEY, "u1"))) for k in range(2)]
    yield [chunk(0, [*hashed, *votes(11, 1)], [OTHER_KEY, OTHER_KEY, NO_MARKS]), chunk(1, votes(12, 1))]
    yield [chunk(0, [b""])]


def comparable(batch: DecodedBatch) -> dict[str, Any]:
    columns = {f"votes.{one.name}": getattr(batch.votes, one.name) for one in fields(batch.votes)}
    found = columns | {one.name: getattr(batch, one.name) for one in fields(batch) if one.name != "votes"}
    found["origins"] = list(batch.origins)
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in found.items()}


def decode(decoder: BatchDecoder, batch: list[Chunk], partition_no: dict[int, int]) -> DecodedBatch:
    decoder.start(batch, partition_no)
    return decoder.result()


@pytest.fixture
def process() -> Iterator[DecoderProcess]:
    decoder = DecoderProcess(SETUP)
    yield decoder
    decoder.close()


def only_child() -> psutil.Process:
    (child,) = [one for one in psutil.Process().children() if "pipeline.stream.decoder_process" in one.cmdline()]
    return child


def test_both_decoders_give_equal_batches_in_any_sequence(process: DecoderProcess) -> None:
    inline = InlineDecoder(SETUP)
    for batch in [*batches(), *batches()]:  # again: both remember which keys they have reported
        here, there = (comparable(decode(one, batch, PARTITION_NO)) for one in (inline, process))
        assert there == here
    assert (
        sum(len(decode(one, batch, PARTITION_NO).votes) for one in (inline, process) for batch in batches()) == 2 * 15
    )


def test_a_killed_decoder_is_replaced_and_its_batch_decoded(process: DecoderProcess) -> None:
    batch = next(batches())
    before = comparable(decode(process, batch, PARTITION_NO))
    first = only_child()
    first.send_signal(signal.SIGKILL)
    assert comparable(decode(process, batch, PARTITION_NO)) == before
    assert only_child().pid != first.pid


def test_a_batch_is_decoded_while_the_one_before_is_being_fetched(process: DecoderProcess) -> None:
    first, second = list(batches())[:2]
    inline = InlineDecoder(SETUP)
    expected = [comparable(decode(inline, batch, PARTITION_NO)) for batch in (first, second)]
    process.start(first, PARTITION_NO)
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(process.start, second, PARTITION_NO)
        found = [comparable(process.result())]  # only then does the second batch take the decoder
        waiting.result(timeout=60)
        found.append(comparable(process.result()))
    assert found == expected


def test_a_decoder_that_is_killed_between_start_and_result_is_replaced(process: DecoderProcess) -> None:
    batch = next(batches())
    before = comparable(decode(process, batch, PARTITION_NO))
    first = only_child()
    first.send_signal(signal.SIGSTOP)
    process.start(batch, PARTITION_NO)
    first.send_signal(signal.SIGKILL)
    assert comparable(process.result()) == before
    assert only_child().pid != first.pid


def test_a_decoder_with_an_answer_that_nobody_takes_can_be_closed() -> None:
    decoder = DecoderProcess(SETUP)
    child = only_child()
    decoder.start([chunk(0, votes(0, 60_000))], PARTITION_NO)  # an answer larger than a pipe
    decoder.close()
    assert not child.is_running()


def test_a_batch_that_ends_every_decoder_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    decoder = DecoderProcess(SETUP)
    with pytest.raises(Unavailable, match=r"ended 3 times at one batch, last with exit code 1"):
        decode(decoder, next(batches()), PARTITION_NO)
    decoder.close()


def test_a_folder_named_like_the_package_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    decoder = DecoderProcess(SETUP)
    try:
        assert len(decode(decoder, next(batches()), PARTITION_NO).votes) == 9
    finally:
        decoder.close()


@pytest.mark.parametrize("make", [InlineDecoder, DecoderProcess])
def test_wrong_publishers_are_named_before_a_record_is_read(make: type[BatchDecoder]) -> None:
    with pytest.raises(Usage, match=r"INTEGRITY_PUBLISHERS: expected .*, got another text"):
        make(replace(SETUP, publishers="nobody"))  # type: ignore[call-arg]  # both implementations take a setup


class TwoWordsError(Exception):
    """An error that pickle writes, but cannot read again."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


class LocalError(Exception):
    """An error that pickle cannot write."""

    def __reduce__(self) -> str:
        raise TypeError


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("plain"), ValueError, "plain"),
        (TwoWordsError("two", "words"), RuntimeError, "TwoWordsError: two words"),
        (LocalError("unwritable"), RuntimeError, "LocalError: unwritable"),
    ],
)
def test_every_error_of_decoding_reaches_the_worker(error: Exception, kind: type[Exception], text: str) -> None:
    try:
        raise error
    except Exception as raised:
        found = pickle.loads(pickle.dumps(_portable(raised)))  # noqa: S301  # our own bytes
    assert type(found) is kind
    assert str(found) == text
    assert "test_decoders.py" in found.__notes__[0]


def test_an_error_of_decoding_ends_no_decoder(process: DecoderProcess) -> None:
    decode(process, next(batches()), PARTITION_NO)
    child = only_child()
    with pytest.raises(KeyError) as found:
        decode(process, [chunk(5, votes(0, 1))], {})
    assert "decode_chunks" in found.value.__notes__[0]
    assert len(decode(process, next(batches()), PARTITION_NO).votes) == 9
    assert only_child().pid == child.pid


def test_records_that_cannot_be_sent_leave_the_decoder_to_the_next_batch(process: DecoderProcess) -> None:
    batch = next(batches())
    with pytest.raises(TypeError, match="lock"):
        process.start([replace(batch[0], values=[Lock()])], PARTITION_NO)  # type: ignore[list-item]
    assert len(decode(process, batch, PARTITION_NO).votes) == 9


def test_signals_to_the_whole_group_leave_the_decoder_to_the_worker(process: DecoderProcess) -> None:
    batch = next(batches())
    decode(process, batch, PARTITION_NO)  # it has started
    child = only_child()
    for number in (signal.SIGINT, signal.SIGTERM):
        child.send_signal(number)
    assert len(decode(process, batch, PARTITION_NO).votes) == 9
    assert only_child().pid == child.pid


def test_a_decoder_ends_with_its_worker_even_if_that_is_killed() -> None:
    program = (
        "import time\n"
        "from pipeline.stream.batch_decoder import DecoderSetup\n"
        "from pipeline.stream.decoder_process import DecoderProcess\n"
        "decoder = DecoderProcess(DecoderSetup('kafka:c/t', '', bytes(32), ()))\n"
        "print(decoder._child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    child = psutil.Process(int(worker.stdout.readline()))
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    child.wait(timeout=60)
    assert not child.is_running()


def test_the_voter_key_is_in_no_argument_and_no_environment(process: DecoderProcess) -> None:
    decode(process, next(batches()), PARTITION_NO)
    child = only_child()
    seen = " ".join([*child.cmdline(), *child.environ().values()])
    assert KEY.hex() not in seen
    assert repr(KEY) not in seen


@pytest.mark.parametrize("make", [InlineDecoder, DecoderProcess])
def test_a_closed_decoder_may_be_closed_again(make: type[BatchDecoder]) -> None:
    decoder = make(SETUP)  # type: ignore[call-arg]  # both implementations take a setup
    decoder.close()
    decoder.close()


@pytest.mark.long
def test_a_worker_that_cannot_read_the_ends_of_its_log_leaves_no_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_bytes(event())
    source = FileSource(path)

    def refused() -> list[int]:
        raise Unavailable("no broker answers")

    monkeypatch.setattr(source, "all_partitions", refused)
    with closing(open_store(str(tmp_path / "store.db"), voter_key=KEY, worker=True)) as store:
        worker = Worker(source, store, Settings(voter_key=KEY.hex()), VOTER, "test")
        worker._decoder = DecoderProcess(SETUP)
        child = only_child()
        with pytest.raises(Unavailable, match="no broker answers"):
            worker.run(until_end=True)
        assert not child.is_running()
