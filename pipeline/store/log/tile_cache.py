"""Writes the Merkle hashes of the vote log to files, from which tiles and proofs are read.

A tile has 256 hashes of one level of the tree. Hashes depend on the log alone, so any process may write them at any
time, even twice. Hashes that are computed from the file of a segment are written only if they give the stored root.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Refuted, Unavailable
from pipeline.ledger import segment
from pipeline.ledger.merkle import WIDTH, Frontier
from pipeline.ledger.tiles import HEIGHT, LogGrowth
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log.seals import unpack_frontier


def write(files: LedgerFiles, growth: Iterable[LogGrowth]) -> None:
    """Write the hashes that a committed seal added to the vote log.

    If earlier hashes are missing in the files, nothing is written. `catch_up` then writes all missing hashes.

    Args:
        files: the files of the ledger.
        growth: the new hashes of the log, from `SealResult`.

    Raises:
        Unavailable: the folder cannot be written to.
    """
    for one in growth:
        if files.leaf_count() < one.size:
            return
        _put(files, one)


def catch_up(connection: Connection, files: LedgerFiles) -> int:
    """Write the missing hashes of the vote log, computed from the files of the segments.

    Returns:
        The number of hashes that were written.

    Raises:
        Unavailable: a segment's file is missing, or the folder cannot be written to.
        Refuted: reason `root`: the hashes of a segment's file do not give the root that the store has.
    """
    size = connection.scalar(sa.select(sa.func.max(schema.segment.c.log_size))) or 0
    # Leaf hashes are written last.
    return repair(connection, files, files.leaf_count()) if files.leaf_count() < size else 0


def repair(connection: Connection, files: LedgerFiles, first: int = 0) -> int:
    """Replace missing and wrong hashes in the ledger's files.

    Hashes are computed from the files of segments, and compared with the stored hashes. The comparison begins with the
    segment that contains the leaf `first`.

    Args:
        connection: reads the store.
        files: the files of the ledger.
        first: index of a leaf. Earlier segments are not checked.

    Returns:
        The number of hashes that were replaced.

    Raises:
        Unavailable: a segment's file is missing, or the folder cannot be written to.
        Refuted: reason `root`: the hashes of a segment's file do not give the root that the store has.
    """
    s, frontier, changed = schema.segment.c, Frontier(), 0
    query = sa.select(s.log_size, s.leaves, s.root, s.edge, s.sha256).order_by(s.log_size)
    for row in connection.execute(query).all():
        if row.log_size <= first:
            frontier = unpack_frontier(row.log_size, row.edge)
            continue
        where = f"segment of leaves {row.log_size - row.leaves} to {row.log_size - 1}"
        _, hashes = segment.read(files.get(row.sha256), where)
        growth = LogGrowth(frontier.size, tuple(frontier.extend(hashes)))
        if frontier.root().hex() != row.root:
            raise Refuted("root", where, f"expected root {row.root} after it, its file gives {frontier.root().hex()}")
        changed += _put(files, growth)
    return changed


def _put(files: LedgerFiles, growth: LogGrowth) -> int:
    """Write those hashes that are missing or wrong, leaf hashes last. Return the number of hashes written."""
    changed = 0
    for level in range((len(growth.levels) - 1) // HEIGHT, -1, -1):
        first, hashes = growth.levels[level * HEIGHT]
        size = len(hashes) // WIDTH
        try:
            stored = files.get_hashes(level, first, size)
        except Unavailable:
            stored = b""
        if stored != hashes:
            files.put_hashes(level, first, hashes)
            changed += size
    return changed
