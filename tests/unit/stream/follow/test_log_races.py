"""Each line once, when logs are written and rotated between any two system calls of the follower."""

from __future__ import annotations

import gzip
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.stream.follow import log_file, open_logs
from tests.unit.stream.follow.log_scene import Scene

LINES = "abc"


class Writer:
    """An arena that writes a log, and a rotation of the log. `step` does what one system call does.

    Attributes:
        written: the lines of logs that were rotated whole.
        late: the lines that were written after a log was copied and before it was truncated. A follower has a line of
            these if it has read it before the truncation, and nothing else has it.
    """

    def __init__(self, folder: Path, choices: random.Random) -> None:
        self._log, self._choices = folder / "log", choices
        self.written, self.late = Counter[str](), Counter[str]()
        self._steps = self._life()

    def step(self) -> bool:
        """Do the next step; return whether there was one."""
        return next(self._steps, None) is not None

    def _life(self) -> Iterator[str]:
        for rotation in range(self._choices.randrange(1, 6)):
            for _ in range(self._choices.randrange(4)):
                yield from self._write(rotation, self.written)
            if self._log.exists():
                yield from self._choices.choice([self._rename, self._copy])(rotation)
            if self._choices.random() < 0.3:
                yield from self._pack()

    def _write(self, rotation: int, counts: Counter[str]) -> Iterator[str]:
        lines = [f"{rotation} {self._choices.choice(LINES)}" for _ in range(self._choices.randrange(1, 5))]
        text = "".join(line + "\n" for line in lines)
        counts.update(lines)
        for part in self._parts(text.encode()):
            self._append(self._log, part)
            yield "write"

    def _rename(self, rotation: int) -> Iterator[str]:
        self._log.rename(self._log.with_name(f"log.{rotation}"))
        yield "rename"

    def _copy(self, rotation: int) -> Iterator[str]:
        copy = self._log.with_name(f"log.{rotation}")
        yield from self._make(copy, self._log.read_bytes())
        while self._choices.random() < 0.3:
            yield from self._write(rotation, self.late)
        os.truncate(self._log, 0)
        yield "truncate"

    def _pack(self) -> Iterator[str]:
        for path in [path for path in sorted(self._log.parent.glob("log.*")) if path.suffix != ".gz"][:1]:
            yield from self._make(path.with_name(path.name + ".gz"), gzip.compress(path.read_bytes()))
            path.unlink()
            yield "unlink"

    def _make(self, path: Path, content: bytes) -> Iterator[str]:
        path.touch()
        yield "create"
        for part in self._parts(content):
            self._append(path, part)
            yield "copy"

    def _parts(self, data: bytes) -> list[bytes]:
        """Data in one piece or in a few."""
        ends = sorted(self._choices.randrange(len(data) + 1) for _ in range(self._choices.choice([0, 0, 1, 2])))
        return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]

    def _append(self, path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)


class SteppedPath(type(Path())):  # type: ignore[misc]  # the class of this system's paths
    """A path before whose `stat` somebody else may act."""

    before: Callable[[], None] = staticmethod(lambda: None)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self.before()
        return super().stat(follow_symlinks=follow_symlinks)


class SteppedScene(Scene):
    """A scene in which a writer may act before each system call of the follower."""

    def __init__(self, folder: Path, before: Callable[[], None]) -> None:
        self.before = before
        super().__init__(folder)

    def scan(self) -> Mapping[str, Path]:
        self.before()
        paths = {name: SteppedPath(path) for name, path in super().scan().items()}
        for path in paths.values():
            path.before = self.before
        return paths


def stepped_os(before: Callable[[], None]) -> SimpleNamespace:
    """What `log_file` uses of `os`, with another process acting before each call."""

    def stepped(name: str) -> Callable[..., object]:
        def call(*args: object) -> object:
            before()
            return getattr(os, name)(*args)

        return call

    calls = {name: stepped(name) for name in ("open", "pread", "fstat")}
    return SimpleNamespace(
        **calls, close=os.close, O_RDONLY=os.O_RDONLY, O_CLOEXEC=os.O_CLOEXEC, stat_result=os.stat_result
    )


@given(seed=st.integers(0, 2**32), pace=st.sampled_from([0.02, 0.1, 0.3, 0.6]), most=st.sampled_from([2, 3, 100]))
@example(seed=7207, pace=0.6, most=100)  # two logs in one read
@example(seed=7015, pace=0.1, most=2)
@example(seed=498, pace=0.6, most=100)  # a copy that lacks the last lines
@example(seed=1610, pace=0.3, most=100)  # truncated just before its beginning is read again
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_line_once_when_a_log_is_rotated_between_two_calls(seed: int, pace: float, most: int) -> None:
    """Copies are half made for a while; lines are cut anywhere; the follower is killed at random."""
    choices = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        writer = Writer(Path(folder), choices)

        def before() -> None:
            while choices.random() < pace and writer.step():
                pass

        patch.setattr(log_file, "os", stepped_os(before))
        patch.setattr(open_logs, "_MOST", most)
        scene = SteppedScene(Path(folder), before)
        while writer.step():
            scene.poll(choices.choice([1, 2, 1_000_000, 1_000_000]), before)
        scene.settle()
        scene.settle()
        scene.tracker.close()
        stored = scene.stored()
        assert writer.written <= stored <= writer.written + writer.late
