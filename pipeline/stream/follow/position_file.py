"""Reads and writes the state file of a follower, which says how far each log was read.

A lock lets only one process at a time use the file. Each write replaces the file atomically.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.errors import BadInput, Unavailable
from pipeline.stream.durable_file import write_durably
from pipeline.stream.follow.log_position import LogPosition

_VERSION = 1
_ADVICE = "move it away to read every log again; the store finds the votes that it has by their ids"


class _Document(msgspec.Struct):
    version: int
    follows: str
    to: str
    logs: list[LogPosition]


class PositionFile:
    """Stores the positions of a follower in its state file, which is locked for this process."""

    def __init__(self, path: Path, follows: str, to: str) -> None:
        """Lock the file, which need not exist yet. Its folder is created.

        Args:
            path: the state file.
            follows: the followed log or folder, as text. The file stores it, and `load` compares it.
            to: the topic to which the votes are sent, as text. The file stores it, and `load` compares it.

        Raises:
            Unavailable: another process has the file.
        """
        self._path, self._follows, self._to = path, follows, to
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise Unavailable(
                f"another process follows {follows} and sends it to {to}: it has the state file {path}; end that "
                "process first, or name another folder with --state"
            ) from None

    def load(self) -> list[LogPosition]:
        """Return the stored positions, an empty list before the first run.

        Raises:
            BadInput: the file is damaged, or belongs to a follower of other logs or to another target.
        """
        if not self._path.exists():
            return []
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Document)
        except msgspec.DecodeError as error:
            raise BadInput(f"{self._path}: expected the state of a follower, got {error}: {_ADVICE}") from None
        if (found.version, found.follows, found.to) != (_VERSION, self._follows, self._to):
            raise BadInput(
                f"{self._path}: expected version {_VERSION}, {self._follows} to {self._to}, got version "
                f"{found.version}, {found.follows} to {found.to}: name another folder with --state"
            )
        return found.logs

    def save(self, logs: Sequence[LogPosition]) -> None:
        """Replace the stored positions. When this returns, they are on the disk and survive a power failure."""
        document = _Document(_VERSION, self._follows, self._to, list(logs))
        write_durably(self._path, msgspec.json.encode(document))

    def close(self) -> None:
        """Release the lock of the state file."""
        os.close(self._lock)
