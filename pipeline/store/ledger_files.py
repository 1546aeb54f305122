"""The files of the public ledger: segments and what goes with a manifest by their SHA-256, tiles by their place.

Laws: a file is whole or not there (written beside, then renamed); what a row names is on the disk before the row is
committed (flushed); a tile holds committed leaves alone, so whoever writes it writes the same bytes, and it is made
again from the segments where it is missing. So tiles are not flushed, one by one: a log of a million leaves has four
thousand of them.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from pipeline.errors import Unavailable
from pipeline.ledger.tiles import Tile


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
            self._write(self.place(digest), data, flush=True)
        return digest

    def get(self, digest: str) -> bytes:
        """A file that was kept; its content is not checked.

        Raises:
            Unavailable: it is not there.
        """
        return _read(self.place(digest))

    def place(self, digest: str) -> Path:
        """Where a file is."""
        return self.folder / "files" / digest[:2] / digest

    def put_tile(self, tile: Tile, data: bytes) -> None:
        """Keep a tile of the vote log.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        self._write(self.tile(tile), data, flush=False)

    def get_tile(self, tile: Tile) -> bytes:
        """A tile of the vote log.

        Raises:
            Unavailable: it is not there.
        """
        return _read(self.tile(tile))

    def put_head(self, sequence: int, checkpoint: bytes) -> None:
        """Keep a signed head beside the database: a database that is set back no longer has it.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        self._write(self.folder / "heads" / f"{sequence:09d}", checkpoint, flush=True)

    def has_head(self, sequence: int) -> bool:
        """True if a head was kept."""
        return (self.folder / "heads" / f"{sequence:09d}").exists()

    def heads(self) -> dict[int, bytes]:
        """Every head that was kept, by sequence number."""
        found = sorted((self.folder / "heads").glob("[0-9]*"))
        return {int(path.name): path.read_bytes() for path in found}

    def has_tile(self, tile: Tile, data: bytes) -> bool:
        """True if the tile is there and holds this."""
        try:
            return self.tile(tile).read_bytes() == data
        except OSError:
            return False

    def tile(self, tile: Tile) -> Path:
        """Where a tile is."""
        return self.folder / "votes" / tile.path

    def _write(self, path: Path, data: bytes, *, flush: bool) -> None:
        draft = path.with_name(f".new-{os.getpid()}-{threading.get_ident()}-{path.name}")
        try:
            descriptor = self._create(draft)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if flush:
                    file.flush()
                    os.fsync(descriptor)
            draft.replace(path)
            if flush:
                _flush(path.parent)
        except OSError as error:
            raise Unavailable(f"the ledger's file {path} cannot be written: {error.strerror}") from error

    def _create(self, draft: Path) -> int:
        """A new file that everybody may read: it is public."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            return os.open(draft, flags, 0o644)
        except FileNotFoundError:
            draft.parent.mkdir(parents=True, exist_ok=True)
            return os.open(draft, flags, 0o644)


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
