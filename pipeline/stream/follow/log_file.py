"""Reads the bytes of a log at any position. The open file may be renamed or deleted at any time.

A log is compressed by a rotation, after its last line was written. A compressed log never grows, and is unpacked from
its beginning.
"""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

_OPENERS: Mapping[str, Callable[[Path], Any]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": lambda path: pa.CompressedInputStream(str(path), "zstd"),
}
# What these raise for a file that is damaged, or not written to its end yet.
DAMAGED = (OSError, EOFError, lzma.LZMAError, ValueError)
_SKIP = 1024 * 1024


def is_compressed(name: str) -> bool:
    """Return whether a file with this name is compressed, so that it must be unpacked."""
    return Path(name).suffix.lower() in _OPENERS


class LogFile:
    """Reads the bytes of one log, from a file that stays open.

    Attributes:
        compressed: whether the file is compressed. The log is then complete, and all positions count unpacked bytes.
    """

    def __init__(self, path: Path) -> None:
        """Open a log.

        Raises:
            OSError: the file does not exist, or we may not read it.
        """
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._path, self._opener = path, _OPENERS.get(path.suffix.lower())
        self._stream: IO[bytes] | None = None
        self._at = 0
        self.compressed = self._opener is not None

    def stat(self) -> os.stat_result:
        """Return the status of the open file, the result of `os.fstat`."""
        return os.fstat(self._descriptor)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return `size` bytes of the log from the position `offset` on, or fewer at the end of the log.

        Raises:
            OSError, EOFError, lzma.LZMAError, ValueError: a compressed file is damaged or incomplete. The tuple DAMAGED
                has these exceptions.
        """
        if self._opener is None:
            return self._read_plain(offset, size)
        try:
            return self._unpack(offset, size)
        except DAMAGED:
            self._close_stream()
            raise

    def _unpack(self, offset: int, size: int) -> bytes:
        assert self._opener is not None  # noqa: S101  # the caller has checked it
        if self._stream is None or offset < self._at:
            self._close_stream()
            self._stream, self._at = self._opener(self._path), 0
        while self._at < offset:
            skipped = len(self._stream.read(min(_SKIP, offset - self._at)))
            if not skipped:
                return b""
            self._at += skipped
        parts = b""
        while len(parts) < size and (part := self._stream.read(size - len(parts))):
            parts += part
        self._at += len(parts)
        return parts

    def _read_plain(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, offset)
        while data and len(data) < size and (more := os.pread(self._descriptor, size - len(data), offset + len(data))):
            data += more
        return data

    def close(self) -> None:
        """Close the open file."""
        self._close_stream()
        os.close(self._descriptor)

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
