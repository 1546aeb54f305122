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
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from pipeline.errors import Fenced
from pipeline.events.batch import NO_TIME, Int64, VoteBatch
from pipeline.events.decode import Reject
from pipeline.store import schema
from pipeline.store.arrays import BigIntegers, Bytes
from pipeline.store.bulk import load
from pipeline.store.names import insert_or_ignore

_CHUNK = 5_000


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


@dataclass(frozen=True, slots=True)
class Known:
    """Where the vote with a known id stands, and the digest of what it says."""

    partition_no: int
    offset: int
    body: bytes


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
    connection.execute(insert_or_ignore(connection, schema.source), {"name": name})
    number = connection.scalar(sa.select(schema.source.c.source_no).where(schema.source.c.name == name))
    return int(number)  # type: ignore[arg-type]  # the row is there: it was just put there


def end_frozen(connection: Connection, source_no: int, numbers: Iterable[int]) -> None:
    """End transactions that have held one of these partitions for more than 3 s; their batch is rolled back.

    A worker frozen in the middle of a COPY is not idle: no timeout of PostgreSQL ends its transaction (statement
    and transaction timeouts wait for the client's next message), and the partition's next owner would wait for
    ever. Nothing is lost by it: whoever asks is the owner now, and the other one's batch would be fenced.
    """
    if connection.dialect.name != "postgresql":
        return
    connection.execute(
        sa.text(
            "SELECT pg_terminate_backend(l.pid) FROM partition p"
            " JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = p.xmax"
            " JOIN pg_stat_activity a ON a.pid = l.pid AND a.xact_start < clock_timestamp() - interval '3 seconds'"
            " WHERE p.source_no = :source_no AND p.number = ANY(:numbers)"
        ),
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
    insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = insert(table).values(
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


def states_hold_to(connection: Connection, partition_no: int, epoch: int, offset: int) -> None:
    """The stored voter states of a partition hold up to this offset now.

    Raises:
        Fenced: somebody else claimed it.
    """
    table = schema.partition
    moved = connection.execute(
        sa.update(table).where(table.c.partition_no == partition_no, table.c.epoch == epoch).values(state_offset=offset)
    )
    if moved.rowcount != 1:
        raise Fenced(f"partition {partition_no}, epoch {epoch}: another worker owns it now")


def record(connection: Connection, progress: Iterable[Progress]) -> None:
    """Write the batch into the ledger of offsets."""
    rows = [
        {name: getattr(p, name) for name in p.__slots__ if name != "event_time"}  # the partition has it
        for p in progress
    ]
    connection.execute(schema.batch.insert(), rows)


def probe(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, Known]:
    """Which ids are in the store already."""
    known: dict[bytes, Known] = {}
    for start in range(0, len(keys), _CHUNK):
        where, parameters = _one_of(connection, "key", keys[start : start + _CHUNK])
        rows = connection.exec_driver_sql(
            f'SELECT "key", partition_no, "offset", body FROM vote_key WHERE {where}',  # noqa: S608
            parameters,
        )
        known.update((bytes(key), Known(p, o, bytes(body))) for key, p, o, body in rows)
    return known


def write_votes(connection: Connection, votes: VoteBatch, numbers: Mapping[str, Any], fate: Any) -> None:
    """New votes and their keys.

    Args:
        votes: new votes only.
        numbers: model_a, model_b, language, category, network as int32[n]; prompt as int64[n].
        fate: int8[n].
    """
    load(
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
            "voter_since": np.ma.masked_equal(votes.voter_since, NO_TIME),
            "style": _styles(votes),
        },
    )
    keys = votes.key.astype(">u8").tobytes()
    order = np.lexsort((votes.key[:, 1], votes.key[:, 0]))  # neighbours in the index, not all over it
    load(
        connection,
        schema.vote_key,
        {
            "key": [keys[16 * i : 16 * i + 16] for i in order.tolist()],
            "partition_no": votes.partition.astype(np.int64)[order],
            "offset": votes.offset[order],
            "body": [votes.body[i] for i in order.tolist()],
        },
    )


def _styles(votes: VoteBatch) -> list[bytes | None]:
    present = np.asarray((votes.style >= 0).any(axis=1))
    if not present.any():
        return [None] * len(votes)
    raw = votes.style.astype("<i4").tobytes()
    return [raw[40 * i : 40 * i + 40] if there else None for i, there in enumerate(present.tolist())]


def write_duplicates(connection: Connection, votes: VoteBatch, firsts: Sequence[Known], same: Sequence[bool]) -> None:
    """Repeats of known ids: where each stands, and where the vote that counts is."""
    load(
        connection,
        schema.duplicate,
        {
            "partition_no": votes.partition.astype(np.int64),
            "offset": votes.offset,
            "first_partition_no": np.array([k.partition_no for k in firsts], dtype=np.int64),
            "first_offset": np.array([k.offset for k in firsts], dtype=np.int64),
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


def read_states(connection: Connection, keys: Sequence[tuple[int, str, int]]) -> dict[tuple[int, str, int], bytes]:
    """The states of (partition, detector, voter) that exist."""
    found: dict[tuple[int, str, int], bytes] = {}
    groups: dict[tuple[int, str], list[int]] = {}
    for part, detector, voter in keys:
        groups.setdefault((part, detector), []).append(voter)
    for (part, detector), voters in groups.items():
        for start in range(0, len(voters), _CHUNK):
            where, parameters = _one_of(connection, "voter", voters[start : start + _CHUNK], part, detector)
            rows = connection.exec_driver_sql(f"SELECT voter, state FROM voter_state WHERE {where}", parameters)  # noqa: S608
            found.update(((part, detector, voter), bytes(state)) for voter, state in rows)
    return found


def write_states(connection: Connection, states: Mapping[tuple[int, str, int], bytes]) -> None:
    """Put each state in the place of the one before."""
    groups: dict[tuple[int, str], list[tuple[int, bytes]]] = {}
    for (part, detector, voter), state in states.items():
        groups.setdefault((part, detector), []).append((voter, state))
    upsert = (
        "INSERT INTO voter_state (partition_no, detector, voter, state) {values}"
        " ON CONFLICT (partition_no, detector, voter) DO UPDATE SET state = excluded.state"
    )
    for (part, detector), group in sorted(groups.items()):
        group.sort()
        if connection.dialect.name == "postgresql":
            voters = BigIntegers(np.array([voter for voter, _ in group], dtype=np.int64))
            connection.exec_driver_sql(
                upsert.format(values="SELECT %s, %s, v, s FROM unnest(%s, %s) AS one(v, s)"),
                (part, detector, voters, Bytes([state for _, state in group])),
            )
        else:
            rows = [(part, detector, voter, state) for voter, state in group]
            connection.exec_driver_sql(upsert.format(values="VALUES (?, ?, ?, ?)"), rows)


def next_offsets(connection: Connection, source_no: int) -> dict[int, int]:
    """Partition number of the source → next offset to read."""
    c = schema.partition.c
    rows = connection.execute(sa.select(c.number, c.next_offset).where(c.source_no == source_no))
    return {int(number): int(offset) for number, offset in rows}


def _one_of(connection: Connection, column: str, values: Sequence[Any], *fixed: Any) -> tuple[str, tuple[Any, ...]]:
    """A condition "this column is one of these", and its parameters.

    One array for PostgreSQL; SQLite has no arrays and takes at most 32,766 parameters.

    Args:
        fixed: values of partition_no and detector, where the table has them.
    """
    if connection.dialect.name == "postgresql":
        many = Bytes(values) if isinstance(values[0], bytes) else BigIntegers(np.array(values, dtype=np.int64))
        parameters, mark, condition = (*fixed, many), "%s", f'"{column}" = ANY(%s)'
    else:
        parameters, mark, condition = (*fixed, *values), "?", f'"{column}" IN ({", ".join("?" * len(values))})'
    before = [f"{name} = {mark}" for name, _ in zip(("partition_no", "detector"), fixed, strict=False)]
    return " AND ".join([*before, condition]), parameters
