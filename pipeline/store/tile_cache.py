"""The tiles of the vote log, made from committed segments.

Laws: a tile is a function of the log, so it may be made at any time, by anybody, twice; what is made is held against
the root that the store has, and tiles that do not give that root are made again from the segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Refuted, Unavailable
from pipeline.ledger import segment, tiles
from pipeline.ledger.tiles import Tile
from pipeline.store import schema
from pipeline.store.ledger_files import LedgerFiles


def write(files: LedgerFiles, grown: Iterable[tiles.Grown]) -> None:
    """Write the tiles of what a seal has committed; tiles that are missing before it are left to `bring_up`.

    Raises:
        Unavailable: the folder cannot be written to.
    """
    for one in grown:
        if one.size and not files.tile(_marker(one.size)).exists():
            return
        _put(files, tiles.cut(one, files.get_tile), one.after)


def bring_up(connection: Connection, files: LedgerFiles) -> int:
    """Make the tiles of every segment that has none.

    Returns:
        Tiles written.

    Raises:
        Unavailable: a segment's file is away, or the folder cannot be written to.
        Refuted: reason `root`; the leaves of a segment's file do not give the root that the store has.
    """
    waiting = []
    for row in _segments(connection, newest_first=True):
        if files.tile(_marker(row.log_size)).exists():
            break
        waiting.append(row)
    try:
        return sum(_write(files, row) for row in reversed(waiting))
    except (Refuted, Unavailable, ValueError):
        # Older tiles are damaged or away.
        return repair(connection, files)


def repair(connection: Connection, files: LedgerFiles) -> int:
    """Make every tile again.

    Returns:
        Tiles that were not there, or were others.

    Raises:
        Unavailable, Refuted: as `bring_up`.
    """
    return sum(_write(files, row) for row in _segments(connection, newest_first=False))


def _segments(connection: Connection, *, newest_first: bool) -> list[sa.Row[int, int, str, str]]:
    s = schema.segment.c
    query = sa.select(s.log_size, s.leaves, s.root, s.sha256)
    order = s.log_size.desc() if newest_first else s.log_size
    return list(connection.execute(query.order_by(order)).all())


def _write(files: LedgerFiles, row: sa.Row[int, int, str, str]) -> int:
    where = f"segment of leaves {row.log_size - row.leaves} to {row.log_size - 1}"
    _, hashes = segment.read(files.get(row.sha256), where)
    root, made = tiles.append(row.log_size - row.leaves, files.get_tile, hashes)
    if root.hex() != row.root:
        raise Refuted("root", where, f"expected root {row.root} after it, its file gives {root.hex()}")
    changed = {tile: data for tile, data in made.items() if not files.has_tile(tile, data)}
    _put(files, changed, row.log_size)
    return len(changed)


def _put(files: LedgerFiles, made: Mapping[Tile, bytes], size: int) -> None:
    marker = _marker(size)
    for tile in sorted(made, key=lambda one: one == marker):
        files.put_tile(tile, made[tile])


def _marker(size: int) -> Tile:
    """The tile that no smaller log has: it is written last."""
    return tiles.at_size(0, (size - 1) // tiles.FULL, size)
