"""Represents the hashes of a log as immutable files, called tiles (C2SP tlog-tiles).

A tile of level L contains up to 256 roots of complete subtrees of 2^(8·L) leaves. A tile never changes. A partial tile
has its width in its path, so a wider tile is another file. A proof in a log of n leaves reads O(log n) tiles.

Not handled: storage; callers pass a function that reads a tile.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .merkle import WIDTH, parent_hashes

HEIGHT = 8
FULL = 1 << HEIGHT

_PATH = re.compile(r"tile/(0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Names a tile by its position in the tree of a log.

    Attributes:
        level: 0 for leaf hashes, 1 for roots of 256 leaves, and so on.
        index: 0 for the first 256 hashes of the level.
        width: number of hashes, 1 to 256.
    """

    level: int
    index: int
    width: int = FULL

    @property
    def path(self) -> str:
        """Path of the tile, `tile/LEVEL/INDEX`, with `.p/WIDTH` added for a partial tile.

        INDEX is written in groups of three digits, all but the last after an "x": 1234 is `x001/234`.
        """
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        return f"tile/{self.level}/{name}" + ("" if self.width == FULL else f".p/{self.width}")

    @classmethod
    def parse(cls, path: str) -> Tile:
        """Parse the path of a tile.

        Raises:
            ValueError: the text is not the path of a tile in the form that `path` returns.
        """
        found = _PATH.fullmatch(path)
        if found is None:
            raise ValueError(f"expected the path of a tile, got {path!r}")
        level, name, width = found.groups()
        tile = cls(int(level), int(name.replace("x", "").replace("/", "")), int(width or FULL))
        if tile.path != path:
            raise ValueError(f"expected {tile.path!r}, got {path!r}")
        return tile


ReadTile = Callable[[Tile], bytes]


def tile_at_size(level: int, index: int, size: int) -> Tile:
    """Return the tile at a level and an index, as wide as it is in a log of `size` leaves."""
    return Tile(level, index, min(FULL, (size >> (HEIGHT * level)) - index * FULL))


class TileReader:
    """Reads the nodes of a log from its tiles. Each tile is read once and kept in memory.

    Attributes:
        size: number of leaves of the log.
        reads: number of tiles read so far.
    """

    def __init__(self, size: int, read: ReadTile) -> None:
        self.size = size
        self.reads = 0
        self._read = read
        self._cache: dict[Tile, bytes] = {}

    def node(self, level: int, index: int) -> bytes:
        """Return the root hash of the complete subtree over leaves [index·2^level, (index + 1)·2^level).

        Raises:
            ValueError: a tile that was read has the wrong length.
        """
        below = level % HEIGHT
        first = index << below
        tile = tile_at_size(level // HEIGHT, first >> HEIGHT, self.size)
        start = first % FULL * WIDTH
        hashes = self.hashes(tile)[start : start + (WIDTH << below)]
        for _ in range(below):
            hashes = parent_hashes(hashes)
        return hashes

    def hashes(self, tile: Tile) -> bytes:
        """Read a tile, and return its hashes as 32·width bytes.

        Raises:
            ValueError: the tile that was read has the wrong length.
        """
        data = self._cache.get(tile)
        if data is None:
            data = self._cache[tile] = self._read(tile)
            self.reads += 1
            if len(data) != tile.width * WIDTH:
                raise ValueError(f"{tile.path}: expected {tile.width * WIDTH} bytes, got {len(data)}")
        return data


@dataclass(frozen=True, slots=True)
class LogGrowth:
    """The hashes that new leaves add to the tree of a log.

    Attributes:
        size: number of leaves before the growth.
        levels: the nodes that became complete, as `Frontier.extend` returns them.
    """

    size: int
    levels: tuple[tuple[int, bytes], ...]
