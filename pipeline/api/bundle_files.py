"""Writes the bundles of snapshots to temporary files, and keeps the last few of these files as a cache."""

import os
import tempfile
import threading
from pathlib import Path

from pipeline.api.error_responses import Problem
from pipeline.store import Store
from pipeline.store.read import log_proofs, snapshot_bundles

_MAX_FILES = 4


class BundleFiles:
    """A cache of the last few bundles, each in a temporary file. The files are deleted when the process ends.

    One bundle is written at a time. Reading the cache needs no lock, so a request for an existing bundle does not wait
    while another bundle is written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, tuple[bytes, Path]] = {}
        self._lock = threading.Lock()

    def get(self, snapshot: str) -> Path:
        """Return the path of a file that contains the bundle of a snapshot (a zip archive).

        A bundle in the cache is returned at once, unless the checkpoint of the snapshot log has changed since, for
        example because a witness signed. Otherwise the bundle is written. While another bundle is being written, the
        call waits up to 30 s.

        Args:
            snapshot: digest of the snapshot.

        Raises:
            Usage: there is no such snapshot.
            Problem: status 503, if another bundle is still being written after 30 s.
        """
        head = log_proofs.read_checkpoint(self._store)
        cached = self._files.get(snapshot)
        if cached is not None and cached[0] == head:
            return cached[1]
        if not self._lock.acquire(timeout=30):
            raise Problem(503, "another bundle is being written; try again", {"retry-after": "30"})
        try:
            return self._write(snapshot, head)
        finally:
            self._lock.release()

    def _write(self, snapshot: str, head: bytes) -> Path:
        cached = self._files.pop(snapshot, None)
        if cached is None or cached[0] != head:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="integrity-bundles-")
            number, name = tempfile.mkstemp(dir=self._folder.name, suffix=".zip")
            with os.fdopen(number, "wb") as out:
                snapshot_bundles.write_archive(self._store, out, snapshot)
            if cached is not None:
                cached[1].unlink(missing_ok=True)
            cached = (head, Path(name))
        self._files[snapshot] = cached
        while len(self._files) > _MAX_FILES:
            oldest = next(iter(self._files))
            self._files.pop(oldest)[1].unlink(missing_ok=True)
        return cached[1]
