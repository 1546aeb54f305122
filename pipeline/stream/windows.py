"""Five-minute windows as arrays: what anything about a model reads instead of votes.

A window's counts are an int32 array with one row a (model, cohort): appearances, times it was on the
side that a sampling test looks at, wins, ties. Cohorts: 0 unknown, 1 established, 2 new (the voter's
account was made within 7 days of the vote).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.events.batch import NO_TIME, Int64

Counts = npt.NDArray[np.int32]

WIDTH = 5 * 60 * 1_000_000
"""Microseconds of a window."""

NEW_ACCOUNT = 7 * 24 * 3600 * 1_000_000
"""Microseconds for which an account counts as new."""

COLUMNS = ("model", "cohort", "appearances", "chosen", "wins", "ties")


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Counts of one window in one partition.

    Attributes:
        start: microseconds since 1970 UTC, a multiple of WIDTH.
        partition: the store's number.
        accepted, late: votes.
        counts: int32[rows, 6] in the order of COLUMNS, sorted by (model, cohort), accepted votes only.
    """

    start: int
    partition: int
    accepted: int
    late: int
    counts: Counts


def start_of(time: Int64) -> Int64:
    """The start of the window that each time falls into."""
    return time - time % WIDTH


def cohorts(cast_at: Int64, voter_since: Int64) -> Int64:
    """0 unknown, 1 established, 2 new."""
    age = np.where(voter_since == NO_TIME, 0, cast_at - voter_since)
    return np.where(voter_since == NO_TIME, 0, np.where(age <= NEW_ACCOUNT, 2, 1))


def count(
    partition: Int64,
    cast_at: Int64,
    late: npt.NDArray[np.bool_],
    models: Int64,
    outcome: npt.NDArray[np.int8],
    side: npt.NDArray[np.uint8],
    cohort: Int64,
) -> list[WindowCounts]:
    """Counts per (window, partition) of n votes; `models` is int64[n, 2]."""
    starts = start_of(cast_at)
    order = np.lexsort((partition, starts))
    key = np.column_stack([starts, partition])[order]
    cuts = np.flatnonzero((key[1:] != key[:-1]).any(axis=1)) + 1
    result = []
    for rows in np.split(order, cuts):
        if len(rows):
            kept = rows[~late[rows]]
            counts = _counts(models[kept], outcome[kept], side[kept], cohort[kept])
            first = rows[0]
            result.append(
                WindowCounts(int(starts[first]), int(partition[first]), len(kept), len(rows) - len(kept), counts)
            )
    return result


def _counts(models: Int64, outcome: npt.NDArray[np.int8], side: npt.NDArray[np.uint8], cohort: Int64) -> Counts:
    rows = np.zeros((2 * len(outcome), 6), dtype=np.int32)
    rows[:, 0] = models.T.ravel()
    rows[:, 1] = np.tile(cohort, 2)
    rows[:, 2] = 1
    rows[:, 3] = np.concatenate([side == 0, side == 1])
    rows[:, 4] = np.concatenate([outcome == 0, outcome == 1])
    rows[:, 5] = np.tile(outcome >= 2, 2)
    return add(rows)


def add(*counts: Counts) -> Counts:
    """The sum of counts, one row a (model, cohort)."""
    rows = np.concatenate(counts)
    if not len(rows):
        return rows
    code = rows[:, 0].astype(np.int64) * 4 + rows[:, 1]
    order = np.argsort(code, kind="stable")
    first = np.flatnonzero(np.append(True, code[order][1:] != code[order][:-1]))
    summed = np.add.reduceat(rows[order], first, axis=0, dtype=np.int32)
    summed[:, :2] = rows[order][first, :2]
    return summed


def pack(counts: Counts) -> bytes:
    """Counts as compressed bytes."""
    return zlib.compress(np.ascontiguousarray(counts, dtype="<i4").tobytes(), 1)


def unpack(raw: bytes) -> Counts:
    """The counts of `pack`."""
    return np.frombuffer(zlib.decompress(raw), dtype="<i4").astype(np.int32).reshape(-1, len(COLUMNS))
