"""Stores snapshots of the board, before their publication (candidates) and after it.

A refresh first writes a candidate, which readers do not see. One transaction then publishes it: the transaction signs
the manifest and stores a sequence number. A manifest contains the digest of the previous manifest. The constraint
UNIQUE(previous) lets only one snapshot follow a snapshot.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.time import format_rfc3339

_ROW = ("model", "rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes")
_LOCK = 0x5AA9


@dataclass(frozen=True, slots=True)
class PublishedSnapshot:
    """A published snapshot as the store keeps it, without the rows of its boards.

    Attributes:
        snapshot_id: SHA-256 of `body`.
        sequence: sequence number of the snapshot, 1 for the first.
        previous: `digest` of the snapshot before it, 64 zeros for the first.
        digest: SHA-256 of the manifest.
        log_size: number of leaves of the vote log that the snapshot rates.
        body: configuration, exclusions, counts and verdict, as a JSON object.
        published_at: time of the publication in microseconds since 1970 UTC.
    """

    snapshot_id: str
    sequence: int
    previous: str
    digest: str
    log_size: int
    body: dict[str, Any]
    published_at: int


@dataclass(frozen=True, slots=True)
class SnapshotCandidate:
    """A rated snapshot as the store keeps it, before or after its publication.

    Attributes:
        snapshot_id: SHA-256 of the body.
        raw: the body as bytes.
        body: the body as a JSON object.
        sequence: sequence number of the snapshot, None before it is published.
    """

    snapshot_id: str
    raw: bytes
    body: dict[str, Any]
    sequence: int | None


def canonical_digest(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a value in the canonical form of RFC 8785."""
    return hashlib.sha256(rfc8785.dumps(dict(value))).hexdigest()


def add_candidate(
    connection: Connection,
    work_key: str,
    body: Mapping[str, Any],
    rows: Mapping[str, Iterable[Mapping[str, Any]]],
    reference: bytes,
    now: int,
) -> str:
    """Store a candidate, unless one with the same work key is stored.

    Args:
        connection: the transaction.
        work_key: digest of everything that determines the candidate. Candidates with the same work key are equal.
        body: the body of the snapshot.
        rows: view → rows of its board.
        reference: the packed reference (`reference_codec.pack_reference`).
        now: present time in microseconds since 1970 UTC.

    Returns:
        The id of the candidate with this work key, new or stored.
    """
    snapshot_id = canonical_digest(body)
    statement = dialect.insert_or_ignore(connection, schema.snapshot).values(
        snapshot_id=snapshot_id,
        work_key=work_key,
        log_size=body["log_size"],
        body=rfc8785.dumps(dict(body)).decode(),
        reference=reference,
        rated_at=now,
    )
    # RETURNING, not the row count: PostgreSQL's driver gives none for this statement.
    if connection.scalar(statement.returning(schema.snapshot.c.snapshot_id)) is not None:
        lines = [
            {"snapshot_id": snapshot_id, "view": view, **{name: row[name] for name in _ROW}}
            for view, of_view in rows.items()
            for row in of_view
        ]
        if lines:
            connection.execute(schema.snapshot_row.insert(), lines)
        return snapshot_id
    found = connection.scalar(sa.select(schema.snapshot.c.snapshot_id).where(schema.snapshot.c.work_key == work_key))
    return str(found)


def lock_publication(connection: Connection) -> None:
    """Take a lock, so that no other process publishes until the end of this transaction."""
    dialect.lock(connection, _LOCK)


def find_candidate(connection: Connection, snapshot_id: str) -> SnapshotCandidate:
    """Return the stored snapshot with this id, published or not.

    Raises:
        Usage: no stored snapshot has this id.
    """
    c = schema.snapshot.c
    row = connection.execute(sa.select(c.body, c.sequence).where(c.snapshot_id == snapshot_id)).one_or_none()
    if row is None:
        raise Usage(f"expected the id of a candidate, got {snapshot_id!r}")
    return SnapshotCandidate(snapshot_id, row.body.encode(), json.loads(row.body), row.sequence)


def publish(
    connection: Connection, snapshot_id: str, sequence: int, previous: str, digest: str, now: int
) -> PublishedSnapshot:
    """Mark a candidate as published, in the same transaction that stores its signed manifest.

    Args:
        connection: a transaction that called `lock_publication`.
        snapshot_id: id of the candidate.
        sequence: sequence number of the snapshot, 1 for the first.
        previous: `digest` of the snapshot before it, 64 zeros for the first.
        digest: SHA-256 of the manifest of the candidate.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The published snapshot.
    """
    connection.execute(
        sa.update(schema.snapshot)
        .where(schema.snapshot.c.snapshot_id == snapshot_id)
        .values(sequence=sequence, previous=previous, digest=digest, published_at=now)
    )
    return find(connection, snapshot_id)


def latest(connection: Connection) -> PublishedSnapshot | None:
    """Return the newest published snapshot, None if no snapshot is published."""
    c = schema.snapshot.c
    query = sa.select(schema.snapshot).where(c.sequence.is_not(None)).order_by(c.sequence.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return from_row(dict(row)) if row else None


def find(connection: Connection, snapshot_id: str | None = None, at: int | None = None) -> PublishedSnapshot:
    """Return the newest published snapshot that fulfils all given conditions.

    Args:
        connection: reads the store.
        snapshot_id: an id or digest of a snapshot, or the beginning of one; None for any snapshot.
        at: only snapshots published up to this time, microseconds since 1970 UTC; None for any time.

    Raises:
        Usage: nothing is published, or no snapshot fulfils the conditions.
    """
    c = schema.snapshot.c
    query = sa.select(schema.snapshot).where(c.sequence.is_not(None)).order_by(c.sequence.desc()).limit(1)
    if snapshot_id is not None:
        begins = [column.startswith(snapshot_id, autoescape=True) for column in (c.snapshot_id, c.digest)]
        query = query.where(sa.or_(*begins))
    if at is not None:
        query = query.where(c.published_at <= at)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise _not_found(connection, snapshot_id, at)
    return from_row(dict(row))


def _not_found(connection: Connection, snapshot_id: str | None, at: int | None) -> Usage:
    """Return the error of `find`: nothing is published, the id is unknown, or the time is before the first snapshot."""
    known = read_published(connection)
    if not known:
        return Usage("expected a published snapshot, got none: `integrity refresh` publishes one")
    span = f"snapshots 1 to {known[-1].sequence} are published"
    if snapshot_id is not None:
        newest = known[-1].snapshot_id[:12]
        return Usage(
            f"expected the id of a published snapshot or the beginning of it, got {snapshot_id!r}; {span}, the newest "
            f"is {newest}: the page /snapshots lists them"
        )
    first = format_rfc3339(known[0].published_at, "seconds")
    return Usage(f"expected a time after the first snapshot ({first}), got {format_rfc3339(at or 0)}; {span}")


def newest_sequence(connection: Connection) -> int:
    """Return the sequence number of the newest published snapshot, 0 if no snapshot is published."""
    return int(connection.scalar(sa.select(sa.func.max(schema.snapshot.c.sequence))) or 0)


def read_published(connection: Connection) -> list[PublishedSnapshot]:
    """Return every published snapshot, oldest first."""
    c = schema.snapshot.c
    query = sa.select(schema.snapshot).where(c.sequence.is_not(None)).order_by(c.sequence)
    return [from_row(dict(row)) for row in connection.execute(query).mappings()]


def count_published(connection: Connection) -> int:
    """Return the number of published snapshots."""
    query = sa.select(sa.func.count()).where(schema.snapshot.c.sequence.is_not(None))
    return int(connection.scalar(query) or 0)


def read_rows(connection: Connection, snapshot_id: str, view: str) -> list[dict[str, Any]]:
    """Return the rows of one view of a snapshot, sorted by rank, rating and name.

    The list is empty if the snapshot does not have this view.
    """
    c = schema.snapshot_row.c
    query = sa.select(*(c[name] for name in _ROW)).where(c.snapshot_id == snapshot_id, c.view == view)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    # Not ordered by the database: the order of names depends on its collation.
    return sorted(rows, key=lambda row: (row["rank"], -row["rating"], row["model"]))


def read_boards(connection: Connection, snapshot_id: str, views: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of several views of a snapshot, as view → unsorted rows.

    A view that the snapshot does not have gets an empty list.
    """
    c = schema.snapshot_row.c
    found: dict[str, list[dict[str, Any]]] = {view: [] for view in views}
    query = sa.select(c.view, *(c[name] for name in _ROW)).where(c.snapshot_id == snapshot_id, c.view.in_(found))
    for row in connection.execute(query).all():  # all at once: one after another takes twice as long
        found[row[0]].append(dict(zip(_ROW, row[1:], strict=True)))
    return found


def from_row(row: Mapping[str, Any]) -> PublishedSnapshot:
    """Convert a row of the table `snapshot` to a `PublishedSnapshot`."""
    return PublishedSnapshot(
        row["snapshot_id"],
        row["sequence"],
        row["previous"],
        row["digest"],
        row["log_size"],
        json.loads(row["body"]),
        row["published_at"],
    )
