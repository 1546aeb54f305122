"""A folder of logs, a follower that can be killed, and what a store has of the logs."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.formats.vote_ids import VoteIds
from pipeline.stream.follow.log_position import LogPosition
from pipeline.stream.follow.log_tracker import LogTracker


class Lines:
    """An event is the content of a line; its id is derived from the content."""

    id_key = b""

    def event(self, line: bytes, ids: VoteIds) -> bytes | None:
        return None if line.startswith(b"#") else ids.encode({"content": line.decode()})

    def count(self, line: bytes, ids: VoteIds) -> None:
        self.event(line, ids)


class Kept:
    """Positions that outlive a tracker."""

    def __init__(self) -> None:
        self.logs: list[LogPosition] = []

    def load(self) -> list[LogPosition]:
        return list(self.logs)

    def save(self, logs: list[LogPosition]) -> None:
        self.logs = list(logs)


class Scene:
    """A folder of logs, a follower of it, and what a store has: each event once, by its bytes with the id."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept, self.written, self.store = folder, Kept(), Counter[str](), set[bytes]()
        self.sent = 0
        self.notes: list[str] = []
        self.restart()

    def scan(self) -> Mapping[str, Path]:
        return {path.name: path for path in self.folder.iterdir() if not path.name.startswith(".")}

    def restart(self) -> None:
        if hasattr(self, "tracker"):
            self.tracker.close()
        self.tracker = LogTracker(self.scan, Lines(), self.kept, lambda name: not name.endswith(".bak"))

    def write(self, name: str, *contents: str, end: str = "\n") -> None:
        with (self.folder / name).open("a") as file:
            for content in contents:
                self.written[content] += 1
                file.write(content + end)

    def poll(self, killed_after: int = 1_000_000, between: Callable[[], None] = lambda: None) -> None:
        """Poll; be killed when so many batches were sent, the last of which is not remembered.

        `between` is called after each batch, before it is remembered.
        """
        for number, batch in enumerate(self.tracker.poll(), 1):
            assert len(batch.rows) == len(batch.events)
            self.store.update(batch.events)
            self.sent += len(batch.events)
            if number >= killed_after:
                self.restart()
                return
            between()
        self.notes += self.tracker.notes
        self.tracker.notes.clear()

    def settle(self) -> None:
        for _ in range(3):
            self.poll()

    def stored(self) -> Counter[str]:
        return Counter(event.split(b'"content":"')[1].split(b'"')[0].decode() for event in self.store)


def rename(scene: Scene, name: str, to: str) -> None:
    (scene.folder / name).rename(scene.folder / to)


def copy_truncate(scene: Scene, name: str, to: str) -> None:
    shutil.copyfile(scene.folder / name, scene.folder / to)
    os.truncate(scene.folder / name, 0)
