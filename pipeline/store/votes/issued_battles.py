"""Stores how many battles the operator showed in each window (issued battles).

A battle counts as issued whether or not the voter voted. One transaction changes the counts, the keys of the counted
battles and the next offset to read from their topic. Therefore no battle of a window is counted twice or skipped.
"""

import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events import Reject
from pipeline.events.battle_issued import decode_battle
from pipeline.events.chunk import Chunk
from pipeline.scoring.issued_battles import add_battles, by_window
from pipeline.scoring.window import IssuedBattles
from pipeline.store.db import dialect, schema
from pipeline.store.votes import registry_events


def next_offset(connection: Connection, source: str) -> int:
    """Return the next offset to read of a topic of issued battles, 0 if nothing was read."""
    c = schema.position.c
    return int(connection.scalar(sa.select(c.position).where(c.name == _position_name(source))) or 0)


def append_chunk(
    connection: Connection, source: str, chunk: Chunk, decoded: tuple[Sequence[int], Sequence[Reject]]
) -> list[dict[str, Any]] | None:
    """Count the issued battles of a chunk, and store its rejects and the next offset, in the caller's transaction.

    A battle that was counted in its window before is not counted again.

    Args:
        connection: the transaction.
        source: name of the topic.
        chunk: records of the topic.
        decoded: two sequences. The first has the indices in the chunk of the records that are battles. The second has
            the rejects.

    Returns:
        The rejects of this chunk, in the form of `registry_events.list_rejects`. If another reader has already stored
        these offsets, nothing is written and the result is None.
    """
    if not registry_events.move_position(connection, _position_name(source), chunk):
        return None
    positions, rejects = decoded
    events = [decode_battle(chunk.values[position] or b"") for position in positions]
    for start, battles in sorted(by_window(events).items()):
        counts, keys = _read(connection, start)
        counts, keys = add_battles(counts, keys, battles)
        row = {"start": start, "battles": counts.battles, "counts": _pack(counts), "battle_keys": _pack_keys(keys)}
        dialect.upsert(connection, schema.issued_window, ["start"], [row])
    return registry_events.store_rejects(connection, source, chunk, rejects)


def read_range(connection: Connection, first: int, end: int) -> dict[int, IssuedBattles]:
    """Return the issued battles of the windows that start in [first, end), as start of a window → battles.

    Times are in microseconds since 1970 UTC. A window without battles is left out.
    """
    c = schema.issued_window.c
    rows = connection.execute(sa.select(c.start, c.counts).where(c.start >= first, c.start < end)).all()
    return {int(row.start): _unpack(bytes(row.counts)) for row in rows}


def first_start(connection: Connection) -> int | None:
    """Return the start of the first window with an issued battle. None if there is none.

    The start is in microseconds since 1970 UTC.
    """
    start: int | None = connection.scalar(sa.select(sa.func.min(schema.issued_window.c.start)))
    return start


def _position_name(source: str) -> str:
    return f"battles:{source}"


def _read(connection: Connection, start: int) -> tuple[IssuedBattles, set[int]]:
    c = schema.issued_window.c
    row = connection.execute(sa.select(c.counts, c.battle_keys).where(c.start == start)).one_or_none()
    if row is None:
        return IssuedBattles(), set()
    return _unpack(bytes(row.counts)), set(np.frombuffer(bytes(row.battle_keys), dtype="<i8").tolist())


def _pack(counts: IssuedBattles) -> bytes:
    body = {"battles": counts.battles, "appearances": counts.appearances, "chosen": counts.chosen}
    return zlib.compress(json.dumps(body, sort_keys=True).encode())


def _unpack(raw: bytes) -> IssuedBattles:
    return IssuedBattles(**json.loads(zlib.decompress(raw)))


def _pack_keys(keys: set[int]) -> bytes:
    return np.array(sorted(keys), dtype="<i8").tobytes()
