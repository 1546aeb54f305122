"""Segments: the append-only log of votes, and its counts.

A seal takes every partition's [sealed_offset, next_offset) in the order (partition, offset). Its
digest continues the one before, so no vote can be changed, added or taken out later without every
later digest changing. Its counts, and their sum over all segments, make a refresh as cheap after
years as on the first day.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import VerificationFailed
from pipeline.store import names, schema, styles

_GENESIS = hashlib.sha256(b"leaderboard-integrity vote log 1").hexdigest()
_LOCK = 0x5EA1
_ROWS = 20_000
_TOTAL = "votes"

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SealedCounts:
    """What a refresh needs of sealed votes.

    Attributes:
        pairs: int64[n, 5], model_a, model_b, outcome, fate, votes.
        ties: int64[4], over voters: Σn, Σk, Σn(n−1), Σk(k−1) of n votes with k ties each.
    """

    pairs: Counts
    ties: Counts


def seal(connection: Connection, now: int) -> int:
    """Append the committed votes that are not in the log yet.

    Returns:
        The size of the log: votes sealed so far.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    size, digest = head(connection)
    p = schema.partition.c
    ranges = connection.execute(
        sa.select(p.partition_no, p.sealed_offset, p.next_offset)
        .where(p.next_offset > p.sealed_offset)
        .order_by(p.partition_no)
    ).all()
    chain = _Chain(digest, names.model_names(connection))
    for part, first, end in ranges:
        for rows in _stored(connection, part, first, end):
            chain.append(part, rows)
    if not chain.size:
        return size
    segment = connection.execute(
        schema.segment.insert().returning(schema.segment.c.segment_no),
        {
            "log_size": size + chain.size,
            "digest": chain.digest,
            "counts": _pack(chain.counts()),
            "styles": styles.pack(chain.styled),
            "at": now,
        },
    ).scalar_one()
    for part, first, end in ranges:
        connection.execute(
            schema.segment_range.insert(),
            {"segment_no": segment, "partition_no": part, "first_offset": first, "next_offset": end},
        )
        connection.execute(sa.update(schema.partition).where(p.partition_no == part).values(sealed_offset=end))
    _add_to_total(connection, size, size + chain.size, chain.counts())
    return size + chain.size


def head(connection: Connection) -> tuple[int, str]:
    """The size of the log and the digest of its last segment."""
    s = schema.segment.c
    row = connection.execute(sa.select(s.log_size, s.digest).order_by(s.log_size.desc()).limit(1)).one_or_none()
    return (int(row.log_size), row.digest) if row else (0, _GENESIS)


def digest_at(connection: Connection, log_size: int) -> str:
    """The digest of the log when it had this size."""
    s = schema.segment.c
    found = connection.scalar(sa.select(s.digest).where(s.log_size == log_size))
    return _GENESIS if log_size == 0 else str(found)


def counts(connection: Connection, log_size: int) -> SealedCounts:
    """The counts of the first `log_size` votes: the sum of all segments but those sealed since.

    The newest size, which is what a refresh asks for, costs one row.
    """
    s = schema.segment.c
    total = _total(connection)
    newer = connection.scalar(sa.select(sa.func.count()).where(s.log_size > log_size)) or 0
    older = connection.scalar(sa.select(sa.func.count()).where(s.log_size <= log_size)) or 0
    if total is None or older < newer:
        return _added(_segments(connection, s.log_size <= log_size))
    taken = _added(_segments(connection, s.log_size > log_size))
    return _added([total, SealedCounts(taken.pairs * np.array([1, 1, 1, 1, -1]), -taken.ties)])


def total_agrees(connection: Connection) -> bool:
    """True if the sum that a refresh reads is the sum of the segments."""
    kept, summed = _total(connection), _added(_segments(connection, sa.true()))
    if kept is None:
        return not len(summed.pairs)
    return np.array_equal(kept.pairs, summed.pairs) and np.array_equal(kept.ties, summed.ties)


def _total(connection: Connection) -> SealedCounts | None:
    raw = connection.scalar(sa.select(schema.sealed_total.c.counts).where(schema.sealed_total.c.name == _TOTAL))
    return None if raw is None else _unpack(bytes(raw))


def _segments(connection: Connection, which: sa.ColumnElement[bool]) -> list[SealedCounts]:
    s = schema.segment.c
    return [_unpack(bytes(raw)) for raw in connection.scalars(sa.select(s.counts).where(which).order_by(s.segment_no))]


def _added(parts: list[SealedCounts]) -> SealedCounts:
    pairs = _summed(np.concatenate([part.pairs for part in parts] or [np.zeros((0, 5), dtype=np.int64)]))
    ties = sum((part.ties for part in parts), np.zeros(4, dtype=np.int64))
    return SealedCounts(pairs[pairs[:, 4] != 0], ties)


def _add_to_total(connection: Connection, before: int, size: int, fresh: SealedCounts) -> None:
    """The seal's lock is held: nobody else adds at the same time."""
    kept = _total(connection)
    table, t = schema.sealed_total, schema.sealed_total.c
    if kept is None:
        kept = _added(_segments(connection, schema.segment.c.log_size <= before))
        connection.execute(table.insert(), {"name": _TOTAL, "log_size": before, "counts": _pack(kept)})
    row = {"log_size": size, "counts": _pack(_added([kept, fresh]))}
    connection.execute(sa.update(table).where(t.name == _TOTAL).values(row))


def recount(connection: Connection) -> Iterator[tuple[int, str, str, SealedCounts, SealedCounts]]:
    """Go through the votes again, segment by segment.

    Yields:
        (segment number, digest recorded, digest found, counts recorded, counts found)

    Raises:
        VerificationFailed: the style counts recorded are not those of the votes.
    """
    s, r = schema.segment.c, schema.segment_range.c
    known = names.model_names(connection)
    before = _GENESIS
    for number, digest, stored, styled in connection.execute(
        sa.select(s.segment_no, s.digest, s.counts, s.styles).order_by(s.segment_no)
    ).all():
        chain = _Chain(before, known)
        ranges = connection.execute(
            sa.select(r.partition_no, r.first_offset, r.next_offset)
            .where(r.segment_no == number)
            .order_by(r.partition_no)
        ).all()
        for part, first, end in ranges:
            for rows in _stored(connection, part, first, end):
                chain.append(part, rows)
        if not styles.same(chain.styled, None if styled is None else bytes(styled)):
            raise VerificationFailed(f"segment {number}: its style counts are not those of its votes")
        yield number, digest, chain.digest, _unpack(bytes(stored)), chain.counts()
        before = digest


class _Chain:
    """A digest over votes, and their counts, grown a few thousand rows at a time."""

    def __init__(self, before: str, models: dict[int, str]) -> None:
        self._hash = hashlib.sha256(before.encode())
        self._models = models
        self._pairs: list[Counts] = []
        self._voters: list[Counts] = []
        self.styled: list[npt.NDArray[np.void]] = []
        self.size = 0

    def append(self, part: int, rows: list[Any]) -> None:
        name = self._models
        for v in rows:
            line = (
                f"{v.source}|{v.number}|{v.offset}|{v.vote_id}|{name[v.model_a]}|{name[v.model_b]}"
                f"|{v.outcome}|{v.fate}|{v.cast_at}|{v.voter}\n"
            )
            self._hash.update(line.encode())
        self.size += len(rows)
        self.styled.append(styles.block(part, rows))
        cells = np.array([(v.model_a, v.model_b, v.outcome, v.fate, 1) for v in rows], dtype=np.int64)
        self._pairs.append(_summed(cells))
        self._voters.append(
            np.array([(v.voter, v.outcome >= 2) for v in rows if v.fate == 0 and v.voter], dtype=np.int64).reshape(
                -1, 2
            )
        )

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def counts(self) -> SealedCounts:
        return SealedCounts(_summed(np.concatenate(self._pairs)), _tie_moments(np.concatenate(self._voters)))


def _stored(connection: Connection, part: int, first: int, end: int) -> Iterator[list[Any]]:
    v, p, s = schema.vote.c, schema.partition.c, schema.source.c
    query = (
        sa.select(
            s.name.label("source"), p.number, v.offset, v.vote_id, v.model_a, v.model_b, v.outcome, v.fate,
            v.cast_at, v.voter, v.style,
        )
        .select_from(schema.vote)
        .join(schema.partition, p.partition_no == v.partition_no)
        .join(schema.source, s.source_no == p.source_no)
        .where(v.partition_no == part, v.offset >= first, v.offset < end)
        .order_by(v.offset)
        .execution_options(yield_per=_ROWS)
    )  # fmt: skip
    for rows in connection.execute(query).partitions():
        yield list(rows)


def _summed(rows: Counts) -> Counts:
    """One row a (model_a, model_b, outcome, fate), sorted."""
    if not len(rows):
        return rows.reshape(0, 5)
    cells, group = np.unique(rows[:, :4], axis=0, return_inverse=True)
    total = np.zeros(len(cells), dtype=np.int64)
    np.add.at(total, group.ravel(), rows[:, 4])
    return np.column_stack([cells, total])


def _tie_moments(votes: Counts) -> Counts:
    """Σn, Σk, Σn(n−1), Σk(k−1) over voters; votes is int64[n, 2] of voter and "was a tie"."""
    if not len(votes):
        return np.zeros(4, dtype=np.int64)
    _, voter = np.unique(votes[:, 0], return_inverse=True)
    n = np.bincount(voter)
    k = np.bincount(voter, weights=votes[:, 1]).astype(np.int64)
    return np.array([n.sum(), k.sum(), (n * (n - 1)).sum(), (k * (k - 1)).sum()], dtype=np.int64)


def _pack(sealed: SealedCounts) -> bytes:
    raw = sealed.ties.astype("<i8").tobytes() + sealed.pairs.astype("<i8").tobytes()
    return zlib.compress(raw, 1)


def _unpack(raw: bytes) -> SealedCounts:
    flat = np.frombuffer(zlib.decompress(raw), dtype="<i8").astype(np.int64)
    return SealedCounts(flat[4:].reshape(-1, 5), flat[:4])
