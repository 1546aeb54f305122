"""Lets only one process at a time read files into a store.

A process must hold a lease in the store while it reads a file. The next process waits until the lease is released or
expires. A slow process may lose its lease. Such a process cannot write afterwards, because the epoch of the partition
has changed.
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import DBAPIError

from pipeline.errors import Usage
from pipeline.store import Store
from pipeline.store.db import leases
from pipeline.store.votes import file_readings, ingest
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source.event_source import Source
from pipeline.stream.source.file_source import FileSource

_LEASE = "files"
_PAUSE = 0.5

_log = logging.getLogger(__name__)


class _Stopped(Exception):  # no error: the worker was asked to stop
    """Ends the reading of a file because the worker was asked to stop, before any vote of the file was stored."""


class FileIntake:
    """Controls how a worker reads a file: waits for the lease, and finds the records to read."""

    def __init__(
        self, source: FileSource, store: Store, owner: str, seconds: float, stopping: Callable[[], bool]
    ) -> None:
        """Create an intake that does not hold the lease yet.

        Args:
            source: the file.
            store: the store.
            owner: HOST:PID, the name of this process in the lease.
            seconds: time without renewal after which the lease expires.
            stopping: function that returns whether the worker was asked to stop.
        """
        self._source, self._store, self._owner, self._seconds = source, store, owner, seconds
        self._stopping = stopping
        self._retry = RetryPolicy(store)
        self._renewed = 0.0

    @classmethod
    def of(
        cls, source: Source, store: Store, owner: str, seconds: float, stopping: Callable[[], bool]
    ) -> "FileIntake | None":
        """Return the intake for a source that is a file. None for any other source.

        Args:
            source: the source that the worker reads.
            store: the store.
            owner: HOST:PID, the name of this process in the lease.
            seconds: time without renewal after which the lease expires.
            stopping: a function that returns whether the worker was asked to stop.
        """
        return cls(source, store, owner, seconds, stopping) if isinstance(source, FileSource) else None

    def take_turn(self) -> bool:
        """Wait until this process holds the lease for reading files.

        Returns:
            False if the worker was asked to stop while it waited, True otherwise.
        """
        told = None
        while not self._acquire():
            holder = self._retry.read(partial(leases.holder, name=_LEASE))
            if self._stopping():
                return False
            if holder is not None and _has_ended(holder):
                self._retry.write(partial(leases.release, name=_LEASE, owner=holder))
                continue
            if holder != told:
                _log.warning("waits for %s, which reads a file into this store", holder)
                told = holder
            time.sleep(_PAUSE)
        return True

    def begin(self, partition_no: int, next_offset: int) -> bool:
        """Find the new records of the files, and store which passes over new records must be done.

        Args:
            partition_no: the store's number (partition_no) of the partition of files.
            next_offset: next offset of this partition.

        Returns:
            True if the passes were stored. False if the worker was asked to stop before.

        Raises:
            Usage: the store has votes of the file under ids that an earlier version made. They would count twice.
        """
        known = self._retry.read(partial(file_readings.read_readings, partition_no=partition_no))
        try:
            going = self._source.prepare(known, next_offset, self._keep)
        except _Stopped:
            return False
        self._expect_new_ids()
        self._source.number(
            self._retry.write(
                lambda c: file_readings.begin(c, partition_no=partition_no, next_offset=next_offset, readings=going)
            )
        )
        return True

    def _expect_new_ids(self) -> None:
        """Check that no vote of this log is stored under an id that an early version made from its conversation's name.

        Under new ids, these votes would count twice.

        Raises:
            Usage: the store has such votes.
        """
        names = self._source.conversations
        stored = self._retry.read(partial(ingest.find_by_vote_id, vote_ids=names)) if names else ()
        if stored:
            raise Usage(
                f"{self._source.path.name}: the store has votes of this log under the names of their conversations, as "
                f"an earlier version read them ({len(stored):,} of the first {len(names):,}). Under new ids they would "
                "count twice: set INTEGRITY_LOG_IDS=conversation to go on with the ids of this board"
            )

    def _keep(self) -> None:
        if self._stopping():
            raise _Stopped
        self.renew()

    def renew(self) -> None:
        """Renew the lease, if more than a third of its time has passed since the last renewal."""
        if time.monotonic() - self._renewed > self._seconds / 3:
            self._acquire()

    def release(self) -> None:
        """Release the lease for the next process. If the database does not answer, the lease expires later."""
        with suppress(DBAPIError), self._store.write() as connection:
            leases.release(connection, _LEASE, self._owner)

    def _acquire(self) -> bool:
        self._renewed = time.monotonic()
        now = time.time_ns() // 1000
        return self._retry.write(
            partial(leases.acquire, name=_LEASE, owner=self._owner, now=now, seconds=self._seconds)
        )


def _has_ended(owner: str) -> bool:
    """Return whether an owner, HOST:PID, was a process of this machine that no longer runs."""
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
