"""Stores the counts of sealed votes by pair of models, outcome and fate. A refresh reads these counts, not the votes.

The stored total is the sum of the counts of all segments (`total_matches_segments`). It changes only in a transaction
with the lock of seals. The time to read it does not grow with the number of votes.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.log import retractions
from pipeline.store.votes.arrow_reader import to_numpy
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import ACCEPTED, FATES
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.packing import pack_integers, unpack_integers

_TOTAL = "votes"
_OUTCOMES, _FATES = len(OUTCOMES), len(FATES)
# Bits of a cell packed into one number: model_a, 29 of model_b, 2 of the outcome, 2 of the fate.
_MODEL_A, _MODEL_B = 33, 4


@dataclass(frozen=True, slots=True)
class SealedCounts:
    """Holds the counts of sealed votes that a refresh needs.

    Attributes:
        pairs: int64[n, 5], rows (model_a, model_b, outcome, fate, number of votes). Retracted votes are subtracted, so
            a number in the counts of one segment may be negative.
        ties: int64[4], the sums Σn, Σk, Σn(n−1), Σk(k−1) over all pairs of a segment and a voter. The voter has n
            accepted votes in the segment, of which k are ties.
    """

    pairs: Int64
    ties: Int64


def read_counts(connection: Connection, log_size: int) -> SealedCounts:
    """Return the counts of the votes in the first `log_size` leaves.

    For the newest size of the log, one row is read. For an older size, the counts of later segments are subtracted from
    the total. If there are fewer earlier segments than later ones, the counts of the earlier segments are added up
    instead.
    """
    s = schema.segment.c
    total = _total(connection)
    newer = connection.scalar(sa.select(sa.func.count()).where(s.log_size > log_size)) or 0
    older = connection.scalar(sa.select(sa.func.count()).where(s.log_size <= log_size)) or 0
    if total is None or older < newer:
        return _sum(_segments(connection, s.log_size <= log_size))
    taken = _sum(_segments(connection, s.log_size > log_size))
    return _sum([total, SealedCounts(taken.pairs * np.array([1, 1, 1, 1, -1]), -taken.ties)])


def total_matches_segments(connection: Connection) -> bool:
    """Return whether the stored total is the sum of the counts of all segments."""
    total, summed = _total(connection), _sum(_segments(connection, sa.true()))
    if total is None:
        return not len(summed.pairs)
    return np.array_equal(total.pairs, summed.pairs) and np.array_equal(total.ties, summed.ties)


def _total(connection: Connection) -> SealedCounts | None:
    raw = connection.scalar(sa.select(schema.sealed_total.c.counts).where(schema.sealed_total.c.name == _TOTAL))
    return None if raw is None else unpack(bytes(raw))


def _segments(connection: Connection, which: sa.ColumnElement[bool]) -> list[SealedCounts]:
    s = schema.segment.c
    return [unpack(bytes(raw)) for raw in connection.scalars(sa.select(s.counts).where(which).order_by(s.segment_no))]


def _sum(parts: list[SealedCounts]) -> SealedCounts:
    pairs = _sum_by_cell(np.concatenate([part.pairs for part in parts] or [np.zeros((0, 5), dtype=np.int64)]))
    ties = sum((part.ties for part in parts), np.zeros(4, dtype=np.int64))
    return SealedCounts(pairs[pairs[:, 4] != 0], ties)


def add_segment(connection: Connection, before: int, size: int, added: SealedCounts) -> None:
    """Add the counts of a new segment to the stored total.

    Args:
        connection: a transaction with the lock of seals.
        before: number of leaves of the log before the segment.
        size: number of leaves of the log after the segment.
        added: counts of the segment.
    """
    total = _total(connection)
    table, t = schema.sealed_total, schema.sealed_total.c
    if total is None:
        total = _sum(_segments(connection, schema.segment.c.log_size <= before))
        connection.execute(table.insert(), {"name": _TOTAL, "log_size": before, "counts": pack(total)})
    row = {"log_size": size, "counts": pack(_sum([total, added]))}
    connection.execute(sa.update(table).where(t.name == _TOTAL).values(row))


class SegmentCounter:
    """Counts the votes of a new segment, batch by batch, for the seal."""

    def __init__(self) -> None:
        self._cells = [np.zeros(0, dtype=np.int64)]
        self._retracted = np.zeros((0, 5), dtype=np.int64)
        self._voters = [np.zeros(0, dtype=np.int64)]
        self._tied = [np.zeros(0, dtype=np.bool_)]

    def add_votes(self, batch: pa.RecordBatch) -> None:
        """Count the votes of a batch, which has the columns of `arrow_reader.VOTE_SCHEMA`."""
        model_a, model_b = to_numpy(batch, "model_a").astype(np.int64), to_numpy(batch, "model_b").astype(np.int64)
        outcome, fate, voter = to_numpy(batch, "outcome"), to_numpy(batch, "fate"), to_numpy(batch, "voter")
        self._cells.append(model_a << _MODEL_A | model_b << _MODEL_B | outcome << 2 | fate)
        known = (fate == ACCEPTED) & (voter != 0)
        self._voters.append(voter[known])
        self._tied.append(outcome[known] >= 2)

    def subtract(self, cells: list[retractions.Cell]) -> None:
        """Subtract retracted votes from the counts. Each vote is given as (model_a, model_b, outcome, fate)."""
        self._retracted = _sum_by_cell(np.array([(*cell, -1) for cell in cells], dtype=np.int64).reshape(-1, 5))

    def result(self) -> SealedCounts:
        """Return the counts of the segment: the votes that were added, minus the votes that were subtracted."""
        cells, votes = np.unique(np.concatenate(self._cells), return_counts=True)
        model_b = cells >> _MODEL_B & (1 << _MODEL_A - _MODEL_B) - 1
        pairs = np.column_stack([cells >> _MODEL_A, model_b, cells >> 2 & 3, cells & 3, votes])
        if len(self._retracted):
            pairs = _sum_by_cell(np.concatenate([pairs, self._retracted]))
        return SealedCounts(pairs, _tie_moments(np.concatenate(self._voters), np.concatenate(self._tied)))


def _sum_by_cell(rows: Int64) -> Int64:
    """Return the rows summed by (model_a, model_b, outcome, fate), sorted."""
    if not len(rows):
        return rows.reshape(0, 5)
    models = int(rows[:, :2].max()) + 1
    key = ((rows[:, 0] * models + rows[:, 1]) * _OUTCOMES + rows[:, 2]) * _FATES + rows[:, 3]
    cells, first, group = np.unique(key, return_index=True, return_inverse=True)
    total = np.zeros(len(cells), dtype=np.int64)
    np.add.at(total, group.ravel(), rows[:, 4])
    return np.column_stack([rows[first, :4], total])


def _tie_moments(voter: Int64, tied: Bool) -> Int64:
    """Return int64[4], the sums Σn, Σk, Σn(n−1) and Σk(k−1) over all voters.

    A voter has n votes, and k of them are ties.

    Args:
        voter: int64[votes], the voter of each vote.
        tied: bool[votes], whether each vote is a tie.
    """
    if not len(voter):
        return np.zeros(4, dtype=np.int64)
    order = np.argsort(voter)
    grouped = voter[order]
    first = np.flatnonzero(np.append(True, grouped[1:] != grouped[:-1]))
    n = np.diff(np.append(first, len(voter)))
    k = np.add.reduceat(tied[order].astype(np.int64), first)
    return np.array([n.sum(), k.sum(), (n * (n - 1)).sum(), (k * (k - 1)).sum()], dtype=np.int64)


def pack(sealed: SealedCounts) -> bytes:
    """Pack the counts of a segment as bytes, for the column `counts` of the segment's row."""
    return pack_integers(sealed.ties, sealed.pairs)


def unpack(raw: bytes) -> SealedCounts:
    """Unpack counts from the bytes that `pack` returned."""
    flat = unpack_integers(raw)
    return SealedCounts(flat[4:].reshape(-1, 5), flat[:4])
