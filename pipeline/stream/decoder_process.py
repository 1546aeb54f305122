"""Decodes batches in a second process, `python -m pipeline.stream.decoder_process`.

The worker and the child process exchange pickled messages over the child's standard input and output. The length
of each message is sent before the message. The first message is the setup, so that the voter key is in no argument and
no environment variable. Every later message has chunks and partition numbers. The child answers each with the decoded
batch or the error of decoding.

The child ends when its input ends, so it does not outlive the worker. A child that ended too early is replaced, and its
request is repeated; nothing was written yet. The child imports modules from the same folders as the worker. It never
imports from the working directory, which may have other modules.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import IO, Any

from pipeline.errors import Unavailable
from pipeline.events.chunk import Chunk
from pipeline.events.record_signature import parse_publishers
from pipeline.stream.batch_decoder import DecoderSetup, InlineDecoder, with_shared_names
from pipeline.stream.decoding import DecodedBatch, in_order, join_origins

# A batch that ends this many decoders in a row is not tried again.
_TRIES = 3
_LENGTH_BYTES = 8
# Bytes that a pipe takes before its writer waits: the largest that Linux gives to everyone (64 KiB by default).
_PIPE_BYTES, _F_SETPIPE_SZ = 1 << 20, 1031
_NOTHING: tuple[Sequence[Chunk], Mapping[int, int]] = ((), {})


class DecoderProcess:
    """Decodes in a child process; implements `BatchDecoder`. One thread calls `start`, one `result`."""

    def __init__(self, setup: DecoderSetup) -> None:
        """Start the child process.

        Raises:
            Usage: INTEGRITY_PUBLISHERS has a wrong form.
        """
        parse_publishers(setup.publishers)  # the child has nobody to tell of a wrong one
        self._setup = setup
        self._turn = Lock()  # held from `start` to `result`
        self._batch = _NOTHING  # chunks and partition numbers
        self._child = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", "-m", "pipeline.stream.decoder_process"]
        modules = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={**os.environ, **modules}
        )
        for pipe in (child.stdin, child.stdout):
            _enlarge(pipe)
        with suppress(BrokenPipeError):  # it has ended already: the first request finds out
            _send(child.stdin, self._setup)
        return child

    def start(self, chunks: Sequence[Chunk], partition_no: Mapping[int, int]) -> None:
        """Send polled records to the child process. Waits until `result` has returned the batch before."""
        self._turn.acquire()
        self._batch = chunks, dict(partition_no)
        try:
            self._request()
        except BrokenPipeError:
            return  # the child has ended: `result` replaces it
        except BaseException:  # nothing to wait for, so nobody will call `result`
            self._turn.release()
            raise

    def result(self) -> DecodedBatch:
        """Wait for the batch that `start` sent, and return it.

        Raises:
            Unavailable: the child process ended three times while it decoded this batch.
            Exception: the error of decoding. Its note says where in the child process it was raised.
        """
        try:
            answer, batch = self._answer(), self._batch
        finally:
            self._batch = _NOTHING  # its records need no memory any more
            self._turn.release()
        if isinstance(answer, BaseException):
            raise answer
        decoded: DecodedBatch = answer
        return replace(decoded, origins=join_origins(in_order(*batch)))

    def _request(self) -> None:
        chunks, partition_no = self._batch
        bare = [replace(chunk, origins=()) for chunk in chunks]  # the worker keeps the origins
        _send(self._child.stdin, (bare, partition_no))

    def _answer(self) -> Any:
        """Return the child's answer. A child that has ended is replaced, and gets the records again."""
        code: int | None = None
        for attempt in range(_TRIES):
            try:
                if attempt:
                    self._request()
                return _receive(self._child.stdout)
            except (EOFError, BrokenPipeError):
                self.close()
                code = self._child.returncode
                self._child = self._start()
        raise Unavailable(
            f"the process that decodes records ended {_TRIES} times at one batch, last with exit code "
            f"{code}: was it killed for its memory? INTEGRITY_DECODER_PROCESS=false decodes without it"
        )

    def close(self) -> None:
        """End the child process, and wait for its end."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.wait()


def _enlarge(pipe: IO[bytes] | None) -> None:
    if pipe is not None and sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - absent from Windows, like the size of a pipe

        try:
            fcntl.fcntl(pipe.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
        except PermissionError:  # a user's pipes are limited together
            return


def _send(pipe: IO[bytes] | None, message: Any) -> None:
    assert pipe is not None  # noqa: S101 - both ends are pipes
    packed = memoryview(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
    for part in (memoryview(len(packed).to_bytes(_LENGTH_BYTES, "big")), packed):
        written = 0
        while written < len(part):
            written += pipe.write(part[written:])


def _receive(pipe: IO[bytes] | None) -> Any:
    """Return the next message.

    Raises:
        EOFError: the other process closed the pipe.
    """
    assert pipe is not None  # noqa: S101 - both ends are pipes
    length = int.from_bytes(_read(pipe, _LENGTH_BYTES), "big")
    return pickle.loads(_read(pipe, length))  # noqa: S301 - from our own child or parent


def _read(pipe: IO[bytes], length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        count = pipe.readinto(rest)  # type: ignore[attr-defined]  # unbuffered pipes are raw files
        if not count:
            raise EOFError
        rest = rest[count:]
    return data


def _portable(error: Exception) -> Exception:
    """Return `error` if it can be pickled for the worker.

    Otherwise return a RuntimeError with the text of `error`.
    """
    place = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"In the process that decodes records:\n{place}")
    return error


def _serve() -> None:
    """Decode what the worker sends until the input ends.

    Signals are ignored, because the worker decides when to stop.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what is printed by mistake must not be taken for an answer
    try:
        decoder = InlineDecoder(_receive(requests))
        while True:
            chunks, partition_no = _receive(requests)
            try:
                decoder.start(chunks, partition_no)
                answer: object = with_shared_names(decoder.result())
            except Exception as error:
                answer = _portable(error)
            _send(answers, answer)
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    _serve()
