"""Reads and writes the files of the public ledger.

There are three kinds of files. Segments and bundle files are named by their SHA-256. Each level of the Merkle tree of
the vote log has a file with the hashes of this level. Each snapshot has a file with the signed head of the snapshot
log.

Segments, bundle files and heads are complete or absent: a file is first written under another name and then renamed. A
file that a database row names is flushed to the disk before the row is committed.

A tile has 256 hashes of one level. A tile is a part of the level's file: with one file for each tile, a million leaves
would need four thousand files. Two writers of hashes write the same bytes, because hashes are computed from committed
leaves only. Files of hashes are not flushed, because missing hashes can be computed again from the segments.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import Unavailable
from pipeline.ledger.merkle import WIDTH
from pipeline.ledger.tiles import FULL, Tile

_DRAFT = ".new-"
# Seconds. A draft is written without a pause, so an older one was left by a killed process.
_MAX_DRAFT_AGE = 3_600.0


class LedgerFiles:
    """Reads and writes the ledger files in one folder. The folder is created with the first file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Store a file under its SHA-256, unless it is stored already.

        Returns:
            The SHA-256 in hexadecimal digits.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        digest = hashlib.sha256(data).hexdigest()
        if not self.path(digest).exists():
            self._write(self.path(digest), data)
        return digest

    def draft(self) -> DraftFile:
        """Return a new, empty draft. Readers find the file only after `DraftFile.keep` or `DraftFile.rename`."""
        return DraftFile(self)

    def delete_old_drafts(self) -> None:
        """Delete drafts that are older than an hour. Killed processes left them."""
        for path in self.folder.glob(f"{_DRAFT}*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _MAX_DRAFT_AGE:
                    path.unlink()

    def get(self, digest: str) -> bytes:
        """Return the content of the file with this SHA-256. The content is not checked.

        Raises:
            Unavailable: the file is missing.
        """
        return _read(self.path(digest))

    def path(self, digest: str) -> Path:
        """Return the path of the file with this SHA-256, whether it exists or not."""
        return self.folder / "files" / digest[:2] / digest

    def put_hashes(self, level: int, first: int, hashes: bytes) -> None:
        """Write hashes of one level of the vote log, in place of hashes that are stored at the same indices.

        Args:
            level: 0 for leaf hashes, 1 for roots of 256 leaves, and so on.
            first: index in the level of the first hash.
            hashes: 32·n bytes.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        path = self.level_path(level)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                file.seek(first * WIDTH)
                file.write(hashes)
        except OSError as error:
            raise Unavailable(f"the ledger's file {path} cannot be written: {error.strerror}") from error

    def get_tile(self, tile: Tile) -> bytes:
        """Return the hashes of a tile of the vote log as 32·n bytes.

        Raises:
            Unavailable: hashes of the tile are missing.
        """
        return self.get_hashes(tile.level, tile.index * FULL, tile.width)

    def get_hashes(self, level: int, first: int, number: int) -> bytes:
        """Return `number` hashes of one level of the vote log, from index `first` on, as 32·`number` bytes.

        Raises:
            Unavailable: some of the hashes are missing.
        """
        path = self.level_path(level)
        try:
            with path.open("rb") as file:
                file.seek(first * WIDTH)
                found = file.read(number * WIDTH)
        except OSError as error:
            raise Unavailable(f"expected the ledger's file {path}, got: {error.strerror}") from error
        if len(found) != number * WIDTH:
            raise Unavailable(
                f"expected hashes {first} to {first + number - 1} in the ledger's file {path}, "
                f"got {len(found) // WIDTH} of them"
            )
        return found

    def delete_hashes(self) -> None:
        """Delete all stored hashes of the vote log. They can be computed again from the segments."""
        for path in (self.folder / "votes").glob("level-*"):
            path.unlink(missing_ok=True)

    def leaf_count(self) -> int:
        """Return how many leaf hashes of the vote log are stored."""
        try:
            return self.level_path(0).stat().st_size // WIDTH
        except OSError:
            return 0

    def level_path(self, level: int) -> Path:
        """Return the path of the file with the hashes of one level of the vote log."""
        return self.folder / "votes" / f"level-{level}"

    def put_head(self, sequence: int, checkpoint: bytes) -> None:
        """Store a signed head of the snapshot log as a file.

        A database that was restored from a backup may lack this head, but the file still has it.

        Args:
            sequence: sequence number of the snapshot.
            checkpoint: the signed head.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        self._write(self.folder / "heads" / f"{sequence:09d}", checkpoint)

    def has_head(self, sequence: int) -> bool:
        """Return whether the head of the snapshot with this sequence number is stored as a file."""
        return (self.folder / "heads" / f"{sequence:09d}").exists()

    def heads(self) -> dict[int, bytes]:
        """Return all heads that are stored as files, as sequence number of the snapshot → signed head."""
        found = sorted((self.folder / "heads").glob("[0-9]*"))
        return {int(path.name): path.read_bytes() for path in found}

    def _write(self, path: Path, data: bytes) -> None:
        draft = DraftFile(self)
        try:
            draft.write(data)
            draft.rename(path)
        finally:
            draft.discard()


class DraftFile(io.RawIOBase):
    """Writes a file that readers find only after `keep` or `rename`. The first write creates it."""

    def __init__(self, files: LedgerFiles) -> None:
        self._files = files
        self._path = files.folder / f"{_DRAFT}{os.getpid()}-{threading.get_ident()}-{secrets.token_hex(4)}"
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        """Return True, as `io.RawIOBase` requires of a file that can be written."""
        return True

    def write(self, data: Any, /) -> int:
        """Append bytes to the draft, and return the number of bytes. The first call creates the file.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        try:
            if self._file is None:
                self._files.folder.mkdir(parents=True, exist_ok=True)
                # Mode 0644: the ledger is public.
                self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb")
            self._hash.update(data)
            return self._file.write(data)
        except OSError as error:
            raise self._unwritable(self._path, error) from error

    def keep(self) -> str:
        """Store the draft under the SHA-256 of its content, unless such a file is stored already.

        Returns:
            The SHA-256 in hexadecimal digits.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        digest = self._hash.hexdigest()
        if not self._files.path(digest).exists():
            self.rename(self._files.path(digest))
        return digest

    def rename(self, path: Path) -> None:
        """Store the draft at a path in the folder of the ledger.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        try:
            if self._file is None:
                self.write(b"")
            assert self._file is not None  # noqa: S101
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._path.replace(path)
            _flush(path.parent)
        except OSError as error:
            raise self._unwritable(path, error) from error

    def discard(self) -> None:
        """Close the draft, and delete it if it was not stored by `keep` or `rename`."""
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _unwritable(path: Path, error: OSError) -> Unavailable:
        return Unavailable(f"the ledger's file {path} cannot be written: {error.strerror}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"expected the ledger's file {path}, got: {error.strerror}") from error


def _flush(folder: Path) -> None:
    """Flush a folder to the disk. Only then does the name of a new file survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
