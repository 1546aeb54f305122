"""Finds archived votes by their ids.

The ids are in a few files, each at least twice as large as the next (a log-structured merge). If a new file is more
than half as large as the one before it, the two are merged; this is repeated with the merged file. A search looks into
each file.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from pipeline.errors import Unavailable
from pipeline.store.cold import cold_files, id_file
from pipeline.store.cold.id_file import Ids
from pipeline.store.db import schema


def find(connection: Connection, keys: npt.NDArray[np.void]) -> dict[bytes, tuple[int, int]]:
    """Return the positions of archived votes, as key → (partition_no, offset). Keys of other votes are left out.

    A caller that also searches the table `vote_key` must do so before this call. Otherwise a vote that is archived
    between the two searches is found by neither.

    Args:
        connection: a transaction.
        keys: V16[n], keys of vote ids (`ingest.VoteKeys`).
    """
    found: dict[bytes, tuple[int, int]] = {}
    for one in _open(connection) if len(keys) else ():
        high, low = id_file.split_keys(keys)
        rows, partition, offset = one.find(high, low)
        for row, *position in zip(rows.tolist(), partition.tolist(), offset.tolist(), strict=True):
            found[keys[row].tobytes()] = (position[0], position[1])
    return found


def version(connection: Connection) -> int:
    """Return a number that changes whenever votes are archived; 0 if no votes are archived yet."""
    return int(connection.scalar(sa.select(sa.func.max(schema.cold_ids.c.run_no))) or 0)


def expect_version(connection: Connection, expected: int) -> None:
    """Check that no votes were archived since `version` returned a number, before a batch of votes is committed.

    Why: this transaction has searched for the ids of its votes. Another transaction may have committed a vote with one
    of these ids after the search. The id is then in `vote_key`, so inserting it again fails. But if that vote has been
    archived too, its id is no longer in `vote_key`. This check finds that case.

    Raises:
        sqlalchemy.exc.OperationalError: votes were archived meanwhile. The transaction can be run again.
    """
    if version(connection) != expected:
        raise OperationalError("archive", None, Exception("votes were archived while this batch was written"))


def _open(connection: Connection) -> list[id_file.IdFile]:
    c, folder = schema.cold_ids.c, None
    query = sa.select(c.sha256, c.ids).order_by(c.run_no)
    rows = connection.execute(query).all()
    if rows:
        folder = cold_files.archive_of(connection)
    try:
        return [id_file.open_ids(folder, row.sha256, row.ids) for row in rows if folder is not None]
    except Unavailable:
        again = connection.execute(query).all()
        if folder is None or again == rows:
            raise
        # Merged meanwhile by another transaction.
        return [id_file.open_ids(folder, row.sha256, row.ids) for row in again]


def add(connection: Connection, ids: Ids) -> None:
    """Store the ids of votes that are being archived, in a new file that is merged with smaller ones.

    Args:
        connection: the transaction that archives the votes.
        ids: the ids of n votes, n at least 1.

    Raises:
        ValueError: an id is stored already.
    """
    folder, c = cold_files.archive_of(connection), schema.cold_ids.c
    rows = list(connection.execute(sa.select(c.run_no, c.sha256, c.ids).order_by(c.run_no)))
    parts, total = [ids], len(ids.high)
    while rows and rows[-1].ids < 2 * total:
        row = rows.pop()
        parts.append(id_file.open_ids(folder, row.sha256, row.ids).all())
        total += row.ids
        connection.execute(sa.delete(schema.cold_ids).where(c.run_no == row.run_no))
    digest, size = folder.put(id_file.build(Ids.joined(parts)))
    connection.execute(schema.cold_ids.insert(), {"ids": total, "bytes": size, "sha256": digest})
