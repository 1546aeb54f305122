"""Reads single votes, hot or archived, by their positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.store.cold import cold_files, cold_votes
from pipeline.store.cold.cold_votes import VoteFilter
from pipeline.store.db import dialect


def read_at(
    connection: Connection, names: Sequence[str], positions: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], tuple[Any, ...]]:
    """Return columns of the votes at some positions. A position without a vote is left out.

    The archive is read after the table `vote`, so a vote that is archived between the two reads is found.

    Args:
        connection: a transaction.
        names: names of columns of the table `vote`, but not partition_no.
        positions: (partition_no, offset) of each vote.

    Returns:
        Position → the values of the columns.

    Raises:
        MissingKey: a vote is archived, and there is no archive key.
        Unavailable: an archive file is missing.
    """
    by_part: dict[int, list[int]] = {}
    for part, offset in set(positions):
        by_part.setdefault(int(part), []).append(int(offset))
    found: dict[tuple[int, int], tuple[Any, ...]] = {}
    columns = ", ".join(f'"{name}"' for name in ("offset", *names))
    for part, offsets in sorted(by_part.items()):
        for start in range(0, len(offsets), dialect.CHUNK):
            where, given = dialect.any_of(connection, "offset", sorted(offsets)[start : start + dialect.CHUNK], part)
            query = f"SELECT {columns} FROM vote WHERE {where}"  # noqa: S608
            found.update(((part, row[0]), tuple(row[1:])) for row in connection.exec_driver_sql(query, given))
    missing = {part: [one for one in offsets if (part, one) not in found] for part, offsets in by_part.items()}
    missing = {part: offsets for part, offsets in missing.items() if offsets}
    if missing and cold_files.any_archived(connection):
        wanted = VoteFilter(offsets={part: np.array(sorted(mine), dtype=np.int64) for part, mine in missing.items()})
        for part, packed in cold_votes.scan(connection, wanted):
            rows = np.flatnonzero(wanted.mask(part, packed))
            values = (packed.values(name, rows) for name in ("offset", *names))
            found.update(((part, row[0]), tuple(row[1:])) for row in zip(*values, strict=True))
    return found
