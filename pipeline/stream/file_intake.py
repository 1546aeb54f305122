"""Reads files into a store in turn: one process at a time, each reading after the previous one.

A lease in the store is the turn: of two processes that read files, the second waits until the first has ended. The
epoch of the partition fences off a process that was slow and lost its lease.
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import DBAPIError

from pipeline.store import Store
from pipeline.store.db import leases
from pipeline.store.votes import file_readings
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source.event_source import Source
from pipeline.stream.source.file_source import FileSource

_LEASE = "files"
_PAUSE = 0.5

_log = logging.getLogger(__name__)


class _Stopped(Exception):  # no error: the worker was asked to stop
    """Ends the reading of a file that has not begun to be stored."""


class FileIntake:
    """The right of one process to read files into a store, and its readings."""

    def __init__(
        self, source: FileSource, store: Store, owner: str, seconds: float, stopping: Callable[[], bool]
    ) -> None:
        """Prepare to wait for the turn.

        Args:
            owner: HOST:PID, the name of this process in the lease.
            seconds: the lease expires after this long without renewal.
            stopping: returns True once the worker was asked to stop.
        """
        self._source, self._store, self._owner, self._seconds = source, store, owner, seconds
        self._stopping = stopping
        self._retry = RetryPolicy(store)
        self._renewed = 0.0

    @classmethod
    def of(
        cls, source: Source, store: Store, owner: str, seconds: float, stopping: Callable[[], bool]
    ) -> "FileIntake | None":
        """Return the intake of a file; None for another source."""
        return cls(source, store, owner, seconds, stopping) if isinstance(source, FileSource) else None

    def take_turn(self) -> bool:
        """Wait until no other process reads files into this store; return False if the worker is to stop first."""
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
        """Find the new records of the file, and store the readings to do; return False if the worker is to stop."""
        known = self._retry.read(partial(file_readings.read_readings, partition_no=partition_no))
        try:
            going = self._source.prepare(known, next_offset, self._keep)
        except _Stopped:
            return False
        self._source.number(
            self._retry.write(
                lambda c: file_readings.begin(c, partition_no=partition_no, next_offset=next_offset, readings=going)
            )
        )
        return True

    def _keep(self) -> None:
        if self._stopping():
            raise _Stopped
        self.renew()

    def renew(self) -> None:
        """Renew the lease, at most every third of its time."""
        if time.monotonic() - self._renewed > self._seconds / 3:
            self._acquire()

    def release(self) -> None:
        """Release the lease for the next process; without the database the lease expires."""
        with suppress(DBAPIError), self._store.write() as connection:
            leases.release(connection, _LEASE, self._owner)

    def _acquire(self) -> bool:
        self._renewed = time.monotonic()
        now = time.time_ns() // 1000
        return self._retry.write(
            partial(leases.acquire, name=_LEASE, owner=self._owner, now=now, seconds=self._seconds)
        )


def _has_ended(owner: str) -> bool:
    """Return whether the owner was a process of this machine that no longer runs."""
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
