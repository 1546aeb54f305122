"""Tiles: the hashes of a log as immutable files (C2SP tlog-tiles).

Laws: a tile of level L holds up to 256 hashes of complete subtrees of 2^(8·L) leaves; a full tile never changes; a
partial one has its width in its path, so that it never changes either; any proof reads O(log n) tiles.

Not handled: where the files are; reading is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .merkle import WIDTH, parent_hashes

HEIGHT = 8
FULL = 1 << HEIGHT

_PATH = re.compile(r"tile/(0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """The place of a tile.

    Attributes:
        level: 0 holds leaf hashes, 1 the roots of 256 leaves, …
        index: 0 holds the first 256 of them.
        width: hashes in it, 1 to 256.
    """

    level: int
    index: int
    width: int = FULL

    @property
    def path(self) -> str:
        """`tile/LEVEL/INDEX`, the index in groups of three digits, `.p/WIDTH` behind a partial one."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        return f"tile/{self.level}/{name}" + ("" if self.width == FULL else f".p/{self.width}")

    @classmethod
    def parse(cls, path: str) -> Tile:
        """The tile of a path.

        Raises:
            ValueError: this is no path of a tile, or not the one way to write it.
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
    """The tile as it is in a log of this size."""
    return Tile(level, index, min(FULL, (size >> (HEIGHT * level)) - index * FULL))


class TileReader:
    """A log read through its tiles; each is read once.

    Attributes:
        size: leaves of the log.
        reads: tiles read so far.
    """

    def __init__(self, size: int, read: ReadTile) -> None:
        self.size = size
        self.reads = 0
        self._read = read
        self._held: dict[Tile, bytes] = {}

    def node(self, level: int, index: int) -> bytes:
        """The root of the complete subtree over leaves [index·2^level, (index + 1)·2^level).

        Raises:
            ValueError: a tile has not the length that its place asks for.
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
        """The hashes of a tile, 32·width bytes."""
        found = self._held.get(tile)
        if found is None:
            found = self._held[tile] = self._read(tile)
            self.reads += 1
            if len(found) != tile.width * WIDTH:
                raise ValueError(f"{tile.path}: expected {tile.width * WIDTH} bytes, got {len(found)}")
        return found


@dataclass(frozen=True, slots=True)
class LogGrowth:
    """What a log has grown by.

    Attributes:
        size: leaves that it had.
        levels: what became complete, (index of the first, hashes) of each level from the leaves up.
    """

    size: int
    levels: tuple[tuple[int, bytes], ...]

    @property
    def after(self) -> int:
        """Leaves that it has."""
        return self.size + (len(self.levels[0][1]) // WIDTH if self.levels else 0)


def new_tiles(grown: LogGrowth, read: ReadTile) -> dict[Tile, bytes]:
    """The tiles to write where a log has grown, with what was there before them.

    Args:
        grown: what is new.
        read: reads a tile of the log as it was, at most one a level.
    """
    log = TileReader(grown.size, read)
    written: dict[Tile, bytes] = {}
    for level, (first, made) in enumerate(grown.levels):
        if level % HEIGHT == 0:
            written.update(_cut(log, level // HEIGHT, first, made))
    return written


def _cut(log: TileReader, level: int, first: int, made: bytes) -> Iterator[tuple[Tile, bytes]]:
    """The tiles that hold the hashes from `first` on, with what was there before them."""
    index, held = divmod(first, FULL)
    if held:
        made = log.hashes(tile_at_size(level, index, log.size))[: held * WIDTH] + made
    for at in range(0, len(made), FULL * WIDTH):
        piece = made[at : at + FULL * WIDTH]
        yield Tile(level, index + at // (FULL * WIDTH), len(piece) // WIDTH), piece
