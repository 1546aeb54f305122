"""Keeps large arrays in temporary files that are mapped into memory, so that a process stays small.

An array has a value for each of millions of votes, and most of the time no step reads it. Its pages are those of a
file without a name, in the folder for temporary files (`TMPDIR`). While the process holds more than RESIDENT_MB, a
thread gives the pages back to the system. The system keeps the values in its cache or on the disk, so the next step
that reads the array gets the same values.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.large_arrays import allocating

RESIDENT_MB = 512
"""If the process holds more resident memory than this, in MB, pages of arrays are given back to the system."""

LEAST_MAPPED_MB = 256
"""Pages are given back only if more than this, in MB, are pages of files. Fewer would be needed again at once."""

SMALLEST = 1 << 18
"""Arrays of fewer bytes stay in memory."""

# Arrays share files of at least this size, since a process may open a thousand files only.
_FILE_BYTES = 64 << 20
_ALIGNED = 64
_PAUSE_SECONDS, _TRIM_SECONDS = 0.02, 1.0
_STATUS = Path("/proc/self/statm")
# A function of the C library that gives back what is free in the heap, which is large after many arrays of some MB.
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


class SpilledArrays:
    """Allocates large arrays in temporary files, and can return their memory pages to the operating system.

    A file exists until all arrays in it are deleted.
    """

    def __init__(self) -> None:
        """Begin without files."""
        self._maps: WeakSet[mmap.mmap] = WeakSet()
        self._newest: mmap.mmap | None = None
        self._used = 0
        self._lock = Lock()

    def allocate(self, shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return an array of undefined content: in a file, or in memory if it is small or the disk has no room."""
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        if size < SMALLEST or kind.hasobject:
            return np.empty(shape, kind)
        if self._newest is None or self._used + size > len(self._newest):
            try:
                self._newest, self._used = _new_map(max(size, _FILE_BYTES)), 0
            except OSError:
                return np.empty(shape, kind)
            with self._lock:
                self._maps.add(self._newest)
        found = np.frombuffer(self._newest, kind, size // kind.itemsize, self._used).reshape(shape)
        self._used += -(-size // _ALIGNED) * _ALIGNED
        return found

    def give_back(self) -> None:
        """Give all pages of the arrays back to the system. The next read of a value loads its page again."""
        with self._lock:
            maps = list(self._maps)
        for one in maps:
            one.madvise(mmap.MADV_DONTNEED)


def _new_map(size: int) -> mmap.mmap:
    with tempfile.TemporaryFile(prefix="integrity-arrays-") as file:
        # Reserved now: a write to a mapped page that finds no room on the disk would end the process.
        os.posix_fallocate(file.fileno(), 0, size)
        return mmap.mmap(file.fileno(), size)


@contextmanager
def spilled_arrays(
    resident_mb: int = RESIDENT_MB, least_mapped_mb: int = LEAST_MAPPED_MB
) -> Iterator[SpilledArrays | None]:
    """Within a `with` block, keep large arrays (`pipeline.vocabulary.large_arrays`) in temporary files.

    Args:
        resident_mb: the resident memory in MB above which pages are given back to the system.
        least_mapped_mb: pages are given back only if more than this, in MB, of the resident memory is pages of files,
            pages of libraries included.

    Returns:
        The object that allocates the arrays. None on a system that cannot give back pages; all arrays then stay in
            memory.
    """
    if not hasattr(mmap, "MADV_DONTNEED") or not _STATUS.exists():
        yield None
        return
    arrays, ended = SpilledArrays(), Event()

    def give_back() -> None:
        while not ended.wait(_PAUSE_SECONDS):
            if resident_bytes() > resident_mb << 20 and mapped_bytes() > least_mapped_mb << 20:
                arrays.give_back()

    def trim() -> None:  # in a thread of its own: it may take longer than the main thread needs for a gigabyte of pages
        while not ended.wait(_TRIM_SECONDS):
            if resident_bytes() > resident_mb << 20:
                release_memory()

    threads = [Thread(target=one, name="spilled arrays", daemon=True) for one in (give_back, trim)]
    for thread in threads:
        thread.start()
    try:
        with allocating(arrays.allocate):
            yield arrays
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        release_memory()


def release_memory() -> None:
    """Give back to the system what is free in the heap and in Arrow's memory, after a step with many small values."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and a caller that used it has imported it

    if _TRIM is not None:
        _TRIM(0)
    pa.default_memory_pool().release_unused()


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes."""
    return int(_STATUS.read_text().split()[1]) * mmap.PAGESIZE


def mapped_bytes() -> int:
    """Return the resident memory of this process that is pages of files, in bytes."""
    return int(_STATUS.read_text().split()[2]) * mmap.PAGESIZE
