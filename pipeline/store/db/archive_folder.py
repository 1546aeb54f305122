"""Reads and writes the files of a store's archive: private files, named by their SHA-256, in one folder.

A file is complete or absent: it is written under another name, flushed to the disk, and renamed. It is never changed.
A file that no row of the database names any more is deleted an hour later, so that transactions which began earlier can
still read it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.errors import MissingKey, Unavailable
from pipeline.store.db import key_files

_DRAFT = ".new-"
# Seconds. A draft is written without a pause, and no transaction that reads lasts longer.
_KEPT = 3_600.0


class ArchiveFolder:
    """Gives access to the archive's files, and to the archive key, which encrypts the key of each file.

    Files and the archive key are read when they are first used.

    Attributes:
        folder: folder of the files. It is created with the first file.
    """

    def __init__(self, folder: Path, key_folder: Path, key: bytes | None = None) -> None:
        """Describe an archive.

        Args:
            folder: folder of the files.
            key_folder: folder of the store's key files.
            key: the archive key, 32 bytes; None for the key file of the store.
        """
        self.folder = folder
        self._key_folder, self._key = key_folder, key

    def key(self) -> bytes:
        """Return the archive key, 32 bytes.

        Raises:
            MissingKey: there is no key.
        """
        found = self._key or key_files.read(self._key_folder, key_files.ARCHIVE_KEY)
        if found is None:
            raise MissingKey(
                "expected the key of the archived votes in INTEGRITY_ARCHIVE_KEY or "
                f"{self._key_folder / key_files.ARCHIVE_KEY}, got none: give this process the key, or restore it from "
                "a backup"
            )
        return found

    def has_key(self) -> bool:
        """Return whether there is an archive key."""
        return (self._key or key_files.read(self._key_folder, key_files.ARCHIVE_KEY)) is not None

    def create_key(self) -> None:
        """Create the key file, unless there is a key. Call this only for a store without archived votes."""
        if self._key is None:
            key_files.create(self._key_folder, key_files.ARCHIVE_KEY)

    def path(self, digest: str) -> Path:
        """Return the path of the file with this SHA-256, whether it exists or not."""
        return self.folder / digest[:2] / digest

    def put(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Store a file, given in pieces, and flush it to the disk.

        Returns:
            Two values: its SHA-256 in hexadecimal digits, and its number of bytes.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        draft = self.folder / f"{_DRAFT}{os.getpid()}-{secrets.token_hex(4)}"
        digest, size = hashlib.sha256(), 0
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    size += file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            path = self.path(digest.hexdigest())
            path.parent.mkdir(mode=0o700, exist_ok=True)
            draft.replace(path)
            path.touch()
            for folder in (path.parent, self.folder):
                _flush(folder)
        except OSError as error:
            raise Unavailable(f"the archive's folder {self.folder} cannot be written: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def open(self, digest: str) -> mmap.mmap:
        """Return the content of a file, mapped into memory. The content is not checked.

        Raises:
            Unavailable: the file is missing or empty.
        """
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"expected the archive's file {path}, got: {error}. This process needs the archive's folder "
                "(INTEGRITY_ARCHIVE); if the file is lost, restore it from a backup. If an erasure or another "
                "`integrity archive` ran meanwhile, run this again"
            ) from error

    def digests(self) -> list[str]:
        """Return the names of all complete files in the folder, sorted."""
        return sorted(path.name for path in self.folder.glob("??/*"))

    def delete_unnamed(self, named: Collection[str]) -> int:
        """Delete files that are not in `named`, and drafts, if they are older than an hour.

        Returns:
            The number of deleted files.
        """
        deleted = 0
        for path in [*self.folder.glob("??/*"), *self.folder.glob(f"{_DRAFT}*")]:
            with suppress(FileNotFoundError):
                if path.name not in named and time.time() - path.stat().st_mtime > _KEPT:
                    path.unlink()
                    deleted += 1
        return deleted


def _flush(folder: Path) -> None:
    """Flush a folder to the disk. Only then does the name of a new file survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
