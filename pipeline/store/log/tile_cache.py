"""The hashes of the vote log, made from committed segments: what tiles and proofs are read from.

Laws: a hash is a function of the log, so it may be written at any time, by anybody, twice; what is made is held against
the root that the store has, and hashes that do not give that root are made again from the segments.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Refuted, Unavailable
from pipeline.ledger import segment
from pipeline.ledger.merkle import WIDTH, Frontier
from pipeline.ledger.tiles import HEIGHT, LogGrowth
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles


def write(files: LedgerFiles, grown: Iterable[LogGrowth]) -> None:
    """Write the hashes of what a seal has committed; what is missing before it is left to `bring_up`.

    Raises:
        Unavailable: the folder cannot be written to.
    """
    for one in grown:
        if files.leaves() < one.size:
            return
        _put(files, one)


def bring_up(connection: Connection, files: LedgerFiles) -> int:
    """Make the hashes of every segment that has none.

    Returns:
        Hashes written.

    Raises:
        Unavailable: a segment's file is away, or the folder cannot be written to.
        Refuted: reason `root`; the leaves of a segment's file do not give the root that the store has.
    """
    size = connection.scalar(sa.select(sa.func.max(schema.segment.c.log_size))) or 0
    # Leaf hashes are written last.
    return repair(connection, files, files.leaves()) if files.leaves() < size else 0


def repair(connection: Connection, files: LedgerFiles, first: int = 0) -> int:
    """Make every hash again, from the segment on that holds leaf `first`.

    Returns:
        Hashes that were not there, or were others.

    Raises:
        Unavailable, Refuted: as `bring_up`.
    """
    s, frontier, changed = schema.segment.c, Frontier(), 0
    query = sa.select(s.log_size, s.leaves, s.root, s.edge, s.sha256).order_by(s.log_size)
    for row in connection.execute(query).all():
        if row.log_size <= first:
            edge = bytes(row.edge)
            frontier = Frontier(row.log_size, [edge[at : at + WIDTH] for at in range(0, len(edge), WIDTH)])
            continue
        where = f"segment of leaves {row.log_size - row.leaves} to {row.log_size - 1}"
        _, hashes = segment.read(files.get(row.sha256), where)
        grown = LogGrowth(frontier.size, tuple(frontier.extend(hashes)))
        if frontier.root().hex() != row.root:
            raise Refuted("root", where, f"expected root {row.root} after it, its file gives {frontier.root().hex()}")
        changed += _put(files, grown)
    return changed


def _put(files: LedgerFiles, grown: LogGrowth) -> int:
    """Write what is not there yet, leaf hashes last."""
    changed = 0
    for level in range((len(grown.levels) - 1) // HEIGHT, -1, -1):
        first, hashes = grown.levels[level * HEIGHT]
        size = len(hashes) // WIDTH
        try:
            held = files.get_hashes(level, first, size)
        except Unavailable:
            held = b""
        if held != hashes:
            files.put_hashes(level, first, hashes)
            changed += size
    return changed
