"""The files of the public ledger: segments and what goes with a manifest by their SHA-256, hashes of the log, heads.

Laws: a file is whole or not there (written beside, then renamed); what a row names is on the disk before the row is
committed (flushed).

The hashes of a level of the log stand one after the other in one file, and a tile is a part of it: a file a tile would
be four thousand files for a million leaves, and cost more than hashing them. A hash is written to its place from
committed leaves alone, so whoever writes it writes the same bytes; where hashes are missing they are made again from
the segments, and so they are not flushed.
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
# Seconds: a draft is written without a pause.
_OLD = 3_600.0


class LedgerFiles:
    """A folder of immutable files.

    Attributes:
        folder: where; made with the first file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Keep a file.

        Returns:
            Its SHA-256.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        digest = hashlib.sha256(data).hexdigest()
        if not self.place(digest).exists():
            self._write(self.place(digest), data)
        return digest

    def draft(self) -> Draft:
        """A file that is kept like others (`put`) once it is whole."""
        return Draft(self)

    def forget_drafts(self) -> None:
        """Take away drafts that nobody writes any more: whoever is killed leaves one."""
        for path in self.folder.glob(f"{_DRAFT}*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _OLD:
                    path.unlink()

    def get(self, digest: str) -> bytes:
        """A file that was kept; its content is not checked.

        Raises:
            Unavailable: it is not there.
        """
        return _read(self.place(digest))

    def place(self, digest: str) -> Path:
        """Where a file is."""
        return self.folder / "files" / digest[:2] / digest

    def put_hashes(self, level: int, first: int, hashes: bytes) -> None:
        """Write hashes of a level of tiles to their places.

        Args:
            level: of the tiles: 0 holds leaf hashes, 1 the roots of 256 leaves, …
            first: place of the first.
            hashes: 32 bytes each.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        path = self.level(level)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                file.seek(first * WIDTH)
                file.write(hashes)
        except OSError as error:
            raise Unavailable(f"the ledger's file {path} cannot be written: {error.strerror}") from error

    def get_tile(self, tile: Tile) -> bytes:
        """A tile of the vote log.

        Raises:
            Unavailable: it is not there.
        """
        return self.get_hashes(tile.level, tile.index * FULL, tile.width)

    def get_hashes(self, level: int, first: int, number: int) -> bytes:
        """Hashes of a level of tiles.

        Raises:
            Unavailable: they are not there.
        """
        path = self.level(level)
        try:
            with path.open("rb") as file:
                file.seek(first * WIDTH)
                found = file.read(number * WIDTH)
        except OSError as error:
            raise Unavailable(f"expected the ledger's file {path}, got: {error.strerror}") from error
        if len(found) != number * WIDTH:
            raise Unavailable(
                f"expected hashes {first} to {first + number - 1} in the ledger's file {path}, it ends before"
            )
        return found

    def leaves(self) -> int:
        """Leaf hashes that are there."""
        try:
            return self.level(0).stat().st_size // WIDTH
        except OSError:
            return 0

    def level(self, level: int) -> Path:
        """Where the hashes of a level of tiles are."""
        return self.folder / "votes" / f"level-{level}"

    def put_head(self, sequence: int, checkpoint: bytes) -> None:
        """Keep a signed head beside the database: a database that is set back no longer has it.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        self._write(self.folder / "heads" / f"{sequence:09d}", checkpoint)

    def has_head(self, sequence: int) -> bool:
        """True if a head was kept."""
        return (self.folder / "heads" / f"{sequence:09d}").exists()

    def heads(self) -> dict[int, bytes]:
        """Every head that was kept, by sequence number."""
        found = sorted((self.folder / "heads").glob("[0-9]*"))
        return {int(path.name): path.read_bytes() for path in found}

    def _write(self, path: Path, data: bytes) -> None:
        draft = Draft(self)
        try:
            draft.write(data)
            draft.rename(path)
        finally:
            draft.discard()


class Draft(io.RawIOBase):
    """A file that nobody finds before it is whole; made with the first byte."""

    def __init__(self, files: LedgerFiles) -> None:
        self._files = files
        self._path = files.folder / f"{_DRAFT}{os.getpid()}-{threading.get_ident()}-{secrets.token_hex(4)}"
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        """It is there to be written."""
        return True

    def write(self, data: Any, /) -> int:
        """Append bytes.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        try:
            if self._file is None:
                self._files.folder.mkdir(parents=True, exist_ok=True)
                # It is public.
                self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb")
            self._hash.update(data)
            return self._file.write(data)
        except OSError as error:
            raise self._unwritable(self._path, error) from error

    def keep(self) -> str:
        """Let it be found by its SHA-256.

        Returns:
            Its SHA-256.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        digest = self._hash.hexdigest()
        if not self._files.place(digest).exists():
            self.rename(self._files.place(digest))
        return digest

    def rename(self, path: Path) -> None:
        """Let it be found at a path of the ledger.

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
        """Take away what was not kept."""
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
    """A new name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
