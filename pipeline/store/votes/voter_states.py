"""Stores the states of voter detectors, one packed state for each voter in each partition.

The stored states of a partition include the votes before its `state_offset`. The next owner of the partition replays
the votes from `state_offset` on. When a voter votes in a partition for the first time, the voter's state is taken over
from another partition (`carrying_partitions`).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.scoring.vote_processor import PartitionVotes
from pipeline.store.cold import cold_votes
from pipeline.store.db import dialect, schema
from pipeline.store.votes import partitions
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import QUARANTINED
from pipeline.vocabulary.time import HOUR

_ROWS = 20_000


def read(connection: Connection, partition_no: int, voters: Sequence[int]) -> dict[int, bytes]:
    """Return the packed states of voters in a partition, as pseudonym → state. Voters without a state are left out."""
    found: dict[int, bytes] = {}
    for start in range(0, len(voters), dialect.CHUNK):
        where, parameters = dialect.any_of(connection, "voter", voters[start : start + dialect.CHUNK], partition_no)
        query = f"SELECT voter, state FROM voter_state WHERE {where}"  # noqa: S608
        found.update((voter, bytes(state)) for voter, state in connection.exec_driver_sql(query, parameters))
    return found


def carrying_partitions(connection: Connection, partition_no: int, appended_at: int | None = None) -> list[int]:
    """Find the other partitions that may have states of voters who vote in this partition.

    The partition that began last comes first.

    Partitions of other sources, such as the file of an imported history, are always included. Partitions of the same
    source are included only if some of them began more than an hour after the first. These were added to the source, so
    that a voter's votes may now go to another partition than before.

    Args:
        connection: reads the store.
        partition_no: the partition number of the store (partition_no).
        appended_at: append time of the vote that is about to be the partition's first, in microseconds since 1970 UTC.
            None if there is no such vote. The time is ignored if the partition has a stored vote.
    """
    p, v, r = schema.partition.c, schema.vote.c, schema.cold_range.c
    hot = sa.select(v.appended_at).where(v.partition_no == p.partition_no).order_by(v.offset).limit(1)
    cold = sa.select(r.first_appended_at).where(r.partition_no == p.partition_no).order_by(r.first_offset).limit(1)
    first = (one.correlate(schema.partition).scalar_subquery() for one in (cold, hot))
    query = sa.select(p.partition_no, p.source_no, sa.func.coalesce(*first))
    rows = connection.execute(query).all()
    sources = {int(part): int(source) for part, source, _ in rows}
    if len(sources) < 2 or partition_no not in sources:
        return []
    began = {int(part): int(at) for part, _, at in rows if at is not None}
    if appended_at is not None:
        began.setdefault(partition_no, appended_at)
    own = [at for part, at in began.items() if sources[part] == sources[partition_no]]
    was_added_to = bool(own) and max(own) - min(own) > HOUR
    found = [
        part for part in began if part != partition_no and (was_added_to or sources[part] != sources[partition_no])
    ]
    return sorted(found, key=lambda part: (-began[part], part))


def read_carried(connection: Connection, parts: Sequence[int], voters: Sequence[int]) -> dict[int, bytes]:
    """Return the states that voters have in other partitions, as pseudonym → packed state.

    A voter's state is taken from the first partition in `parts` that has a state of this voter. Voters without a state
    in any of these partitions are left out.
    """
    found: dict[int, bytes] = {}
    for part in parts:
        left = [voter for voter in voters if voter not in found]
        found |= read(connection, part, left) if left else {}
    return found


def began_at(connection: Connection, partition_no: int) -> int | None:
    """Return the append time of the first vote of a partition in microseconds since 1970 UTC, None without votes."""
    v, r = schema.vote.c, schema.cold_range.c
    archived = sa.select(r.first_appended_at).where(r.partition_no == partition_no).order_by(r.first_offset).limit(1)
    found: int | None = connection.scalar(archived)
    if found is None:
        query = sa.select(v.appended_at).where(v.partition_no == partition_no).order_by(v.offset).limit(1)
        found = connection.scalar(query)
    return found


def write(connection: Connection, states: Mapping[int, Mapping[int, bytes]]) -> None:
    """Store packed states of voters, given as partition number (partition_no) → pseudonym → state.

    Stored states of other voters stay.
    """
    for part, by_voter in sorted(states.items()):
        if by_voter:
            voters = sorted(by_voter)  # neighbours in the index
            columns: dict[str, Int64 | Sequence[bytes | None]] = {
                "partition_no": np.full(len(voters), part, dtype=np.int64),
                "voter": np.array(voters, dtype=np.int64),
                "state": list(map(by_voter.__getitem__, voters)),
            }
            dialect.upsert_columns(connection, schema.voter_state, ("partition_no", "voter"), columns)


def set_state_offset(connection: Connection, partition_no: int, epoch: int, offset: int) -> None:
    """Record up to which offset the stored states of a partition include its votes.

    Args:
        connection: the transaction.
        partition_no: the partition number of the store (partition_no).
        epoch: number of the worker's claim of the partition.
        offset: the states include the votes before this offset.

    Raises:
        Fenced: another worker claimed the partition.
    """
    table = schema.partition
    moved = connection.execute(
        sa.update(table).where(table.c.partition_no == partition_no, table.c.epoch == epoch).values(state_offset=offset)
    )
    if moved.rowcount != 1:
        raise partitions.fenced(partition_no, epoch)


def votes_to_replay(connection: Connection, partition_no: int, first: int, end: int) -> Iterator[PartitionVotes]:
    """Yield the votes at offsets [first, end) of a partition, in blocks, to compute voter states again.

    Votes without a voter and quarantined votes are left out, because voter detectors ignore them.
    """
    yield from _archived_to_replay(connection, partition_no, first, end)
    v = schema.vote.c
    query = (
        sa.select(v.voter, v.offset, v.cast_at, v.model_a, v.model_b, v.outcome, v.prompt, v.flags)
        .where(v.partition_no == partition_no, v.offset >= first, v.offset < end, v.voter != 0, v.fate != QUARANTINED)
        .order_by(v.offset)
        .execution_options(yield_per=_ROWS)
    )
    for rows in connection.execute(query).partitions():
        table = np.array([tuple(row) for row in rows], dtype=np.int64).T
        voter, offset, at, model_a, model_b, outcome, prompt, flags = table
        yield PartitionVotes(voter, offset, at, model_a, model_b, outcome.astype(np.int8), prompt, flags)


def _archived_to_replay(connection: Connection, partition_no: int, first: int, end: int) -> Iterator[PartitionVotes]:
    for rows in cold_votes.blocks(connection, partition_no, first, end):
        names = ("voter", "offset", "cast_at", "model_a", "model_b", "outcome", "prompt", "flags", "fate")
        column = {name: rows[name].to_numpy() for name in names}
        kept = (column["voter"] != 0) & (column["fate"] != QUARANTINED)
        if kept.any():
            voter, offset, at, model_a, model_b, outcome, prompt, flags = (column[name][kept] for name in names[:-1])
            yield PartitionVotes(voter, offset, at, model_a, model_b, outcome.astype(np.int8), prompt, flags)
