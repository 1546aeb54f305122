"""A worker's statements: claim, fence, probe, write.

The database holds the truth about how far each partition is read. `claim` takes the partition and
raises its epoch; `fence` is the first statement of every batch and fails for a former owner; whatever
else the batch writes is in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Fenced
from pipeline.events.batch import VoteBatch
from pipeline.events.decode import Reject
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import NO_TIME


@dataclass(frozen=True, slots=True)
class Claim:
    """A partition that this worker owns now.

    Attributes:
        partition_no: the store's number of it.
        number: the source's number of it.
        next_offset: the next offset to read.
        epoch: the number that fences former owners off.
        event_time: its largest event time so far, None before the first vote.
        state_offset: the stored voter states hold up to here.
        fresh: True if it was never read before.
    """

    partition_no: int
    number: int
    next_offset: int
    epoch: int
    event_time: int | None
    state_offset: int
    fresh: bool


Place = tuple[int, int]
"""(the store's number of a partition, offset)"""

Keys = npt.NDArray[np.void]
"""V16[n]: the first 128 bits of SHA-256(vote_id)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one batch did to one partition: a row of the ledger of offsets."""

    partition_no: int
    epoch: int
    first_offset: int
    next_offset: int
    event_time: int | None
    read: int
    accepted: int
    late: int
    quarantined: int
    duplicate: int
    rejected: int


def source_number(connection: Connection, name: str) -> int:
    """The store's number of a source; a new source gets one."""
    connection.execute(dialect.insert_or_ignore(connection, schema.source, "name"), {"name": name})
    number = connection.scalar(sa.select(schema.source.c.source_no).where(schema.source.c.name == name))
    return int(number)  # type: ignore[arg-type]  # the row is there: it was just put there


def end_frozen(connection: Connection, source_no: int, numbers: Iterable[int]) -> None:
    """End transactions that have held one of these partitions for more than 3 s; their batch is rolled back.

    A worker frozen in the middle of a COPY is not idle: no timeout of PostgreSQL ends its transaction (statement
    and transaction timeouts wait for the client's next message), and the partition's next owner would wait for
    ever. Nothing is lost by it: whoever asks is the owner now, and the other one's batch would be fenced.
    """
    dialect.execute_on_server(
        connection,
        "SELECT pg_terminate_backend(l.pid) FROM partition p"
        " JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = p.xmax"
        " JOIN pg_stat_activity a ON a.pid = l.pid AND a.xact_start < clock_timestamp() - interval '3 seconds'"
        " WHERE p.source_no = :source_no AND p.number = ANY(:numbers)",
        {"source_no": source_no, "numbers": list(numbers)},
    )


def claim(connection: Connection, source_no: int, number: int, first: int, owner: str, now: int) -> Claim:
    """Take a partition over. From here on its former owner's batches fail.

    Args:
        first: the offset to begin at if the partition was never read.
        owner: who takes it, for people to read.
        now: wall clock in microseconds.
    """
    table = schema.partition
    statement = dialect.insert(connection, table).values(
        source_no=source_no,
        number=number,
        next_offset=first,
        epoch=1,
        owner=owner,
        sealed_offset=first,
        state_offset=first,
        updated_at=now,
    )
    upsert = statement.on_conflict_do_update(
        index_elements=["source_no", "number"], set_={"epoch": table.c.epoch + 1, "owner": owner}
    ).returning(table.c.partition_no, table.c.next_offset, table.c.epoch, table.c.event_time, table.c.state_offset)
    partition_no, next_offset, epoch, event_time, state_offset = connection.execute(upsert).one()
    return Claim(partition_no, number, next_offset, epoch, event_time, state_offset, fresh=epoch == 1)


def fence(connection: Connection, progress: Progress, now: int) -> None:
    """Move a partition's next offset on, if it is still ours.

    Raises:
        Fenced: somebody else claimed it, or these offsets are already done.
    """
    table = schema.partition
    moved = connection.execute(
        sa.update(table)
        .where(
            table.c.partition_no == progress.partition_no,
            table.c.epoch == progress.epoch,
            table.c.next_offset <= progress.first_offset,
        )
        .values(next_offset=progress.next_offset, event_time=progress.event_time, updated_at=now)
    )
    if moved.rowcount != 1:
        raise Fenced(f"partition {progress.partition_no}, epoch {progress.epoch}: another worker owns it now")


def record(connection: Connection, progress: Iterable[Progress]) -> None:
    """Write the batch into the ledger of offsets."""
    rows = [
        {name: getattr(p, name) for name in p.__slots__ if name != "event_time"}  # the partition has it
        for p in progress
    ]
    connection.execute(schema.batch.insert(), rows)


def keys_of(votes: VoteBatch) -> Keys:
    """The keys of votes as the store has them."""
    return np.ascontiguousarray(votes.key.astype(">u8")).view("V16").ravel()


def probe(connection: Connection, keys: Keys) -> dict[bytes, Place]:
    """Which ids are in the store already, and where the vote with that id stands."""
    known: dict[bytes, Place] = {}
    key = dialect.key_bytes(connection, "key")
    for start in range(0, len(keys), dialect.CHUNK):
        where, parameters = dialect.any_of(connection, "key", keys[start : start + dialect.CHUNK])
        query = f'SELECT {key}, partition_no, "offset" FROM vote_key WHERE {where}'  # noqa: S608
        known.update((bytes(k), (p, o)) for k, p, o in connection.exec_driver_sql(query, parameters))
    return known


_SAID = "voter, cast_at, model_a, model_b, outcome, language, category, network, prompt, voter_since, style"


def said(connection: Connection, places: Sequence[Place]) -> list[tuple[Any, ...]]:
    """What the votes at these places say, in the same order: see `saying`."""
    return [tuple(row) for row in dialect.rows_at(connection, "vote", _SAID, places)]


def saying(votes: VoteBatch, numbers: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Everything that votes say, as `said` finds it in the store; two votes are the same if these are equal.

    Args:
        numbers: of the votes.
    """
    columns = (
        np.where(votes.has_voter, votes.voter, 0), votes.cast_at, numbers["model_a"], numbers["model_b"], votes.outcome,
        numbers["language"], numbers["category"], numbers["network"], votes.prompt,
    )  # fmt: skip
    since = [None if time == NO_TIME else time for time in votes.voter_since.tolist()]
    return list(zip(*(column.tolist() for column in columns), since, _styles(votes), strict=True))


def write_votes(connection: Connection, votes: VoteBatch, numbers: Mapping[str, Any], fate: Any) -> None:
    """New votes and their keys.

    Args:
        votes: new votes only.
        numbers: model_a, model_b, language, category, network as int32[n].
        fate: int8[n].
    """
    dialect.load(
        connection,
        schema.vote,
        {
            "partition_no": votes.partition.astype(np.int64),
            "offset": votes.offset,
            "vote_id": votes.vote_id,
            "voter": np.where(votes.has_voter, votes.voter, 0),
            "cast_at": votes.cast_at,
            "appended_at": votes.appended_at,
            "outcome": votes.outcome,
            "fate": fate,
            **numbers,
            "prompt": votes.prompt,
            "voter_since": np.ma.masked_equal(votes.voter_since, NO_TIME),
            "style": _styles(votes),
        },
    )
    order = np.lexsort((votes.key[:, 1], votes.key[:, 0]))  # neighbours in the index, not all over it
    dialect.load(
        connection,
        schema.vote_key,
        {
            "key": keys_of(votes)[order],
            "partition_no": votes.partition.astype(np.int64)[order],
            "offset": votes.offset[order],
        },
    )


def _styles(votes: VoteBatch) -> list[bytes | None]:
    present = np.asarray((votes.style >= 0).any(axis=1))
    if not present.any():
        return [None] * len(votes)
    raw = votes.style.astype("<i4").tobytes()
    return [raw[40 * i : 40 * i + 40] if there else None for i, there in enumerate(present.tolist())]


def write_duplicates(connection: Connection, votes: VoteBatch, firsts: Sequence[Place], same: Sequence[bool]) -> None:
    """Repeats of known ids: where each stands, where the vote that counts is, and whether it says the same."""
    dialect.load(
        connection,
        schema.duplicate,
        {
            "partition_no": votes.partition.astype(np.int64),
            "offset": votes.offset,
            "first_partition_no": np.array([part for part, _ in firsts], dtype=np.int64),
            "first_offset": np.array([offset for _, offset in firsts], dtype=np.int64),
            "same_body": np.array(same, dtype=np.bool_),
        },
    )


def write_rejects(
    connection: Connection,
    rejects: Sequence[Reject],
    partition: Int64,
    offset: Int64,
    appended_at: Int64,
    origins: Sequence[str | None],
) -> None:
    """What is not a vote, with its place and the reason."""
    rows = [
        {
            "partition_no": int(partition[r.position]),
            "offset": int(offset[r.position]),
            "appended_at": int(appended_at[r.position]),
            "reason": r.reason,
            "detail": r.detail.replace("\x00", "\\0"),  # PostgreSQL's text holds no NUL
            "origin": origins[r.position],
            "sha256": r.sha256,
            "sample": r.sample,
        }
        for r in rejects
    ]
    if rows:
        connection.execute(schema.reject.insert(), rows)


def last_votes(connection: Connection, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
    """By the store's number of a partition: offset and append time of its last vote, where it has one."""
    v = schema.vote.c
    found = {}
    for part in partitions:
        query = sa.select(v.offset, v.appended_at).where(v.partition_no == part).order_by(v.offset.desc()).limit(1)
        for offset, appended_at in connection.execute(query):
            found[part] = (int(offset), int(appended_at))
    return found


def next_offsets(connection: Connection, source_no: int) -> dict[int, int]:
    """Partition number of the source → next offset to read."""
    c = schema.partition.c
    rows = connection.execute(sa.select(c.number, c.next_offset).where(c.source_no == source_no))
    return {int(number): int(offset) for number, offset in rows}
