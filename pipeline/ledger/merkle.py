"""Merkle trees of RFC 6962 (RFC 9162, section 2.1): SHA-256, leaf 0x00, node 0x01.

Laws: a tree is its leaf hashes in order; the root of n leaves is the same however they were appended; nothing is
padded, so no two lists of leaves have one root.

Hashes in bulk are bytes of 32·n: a list of a million small objects costs more than hashing them.

Not handled: what a leaf says (`leaf`, `manifest`), where hashes are kept (`tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from struct import Struct

import numpy as np

WIDTH = 32
"""Bytes of a hash."""

_NODE = Struct(f"{1 + 2 * WIDTH}s")

EMPTY_ROOT = sha256(b"").digest()

# (level, index) → the root of the complete subtree over leaves [index·2^level, (index + 1)·2^level).
NodeReader = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry of a log."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def parent_hashes(level: bytes) -> bytes:
    """The hashes over pairs of neighbours; an odd last one is left out."""
    pairs = len(level) // (2 * WIDTH)
    prefixed = np.empty((pairs, 1 + 2 * WIDTH), dtype=np.uint8)
    prefixed[:, 0] = 1
    prefixed[:, 1:] = np.frombuffer(level, dtype=np.uint8, count=pairs * 2 * WIDTH).reshape(pairs, 2 * WIDTH)
    return b"".join([sha256(one).digest() for (one,) in _NODE.iter_unpack(prefixed.data)])


class Frontier:
    """The right edge of a growing tree: enough to append and to know the root, O(log n) hashes.

    Attributes:
        size: leaves so far.
    """

    def __init__(self, size: int = 0, edge: Iterable[bytes] = ()) -> None:
        """Go on with a tree of which `size` leaves are known.

        Args:
            size: its leaves.
            edge: the complete subtrees that it falls into, widest first (`Frontier.edge`).
        """
        hashes = list(edge)
        if len(hashes) != size.bit_count() or any(len(one) != WIDTH for one in hashes):
            raise ValueError(f"expected {size.bit_count()} hashes of {WIDTH} bytes for a tree of {size} leaves")
        self.size = size
        self._peaks: list[bytes] = [hashes.pop() if size >> level & 1 else b"" for level in range(size.bit_length())]

    @property
    def edge(self) -> tuple[bytes, ...]:
        """The complete subtrees that the tree falls into, widest first."""
        return tuple(peak for peak in reversed(self._peaks) if peak)

    def extend(self, hashes: bytes) -> list[tuple[int, bytes]]:
        """Append n leaf hashes.

        Returns:
            What has become complete: (index of the first, hashes) of each level from the leaves up.
        """
        made, first, level = [], self.size, 0
        self.size += len(hashes) // WIDTH
        while hashes:
            made.append((first, hashes))
            if level == len(self._peaks):
                self._peaks.append(b"")
            nodes = self._peaks[level] + hashes
            odd = len(nodes) // WIDTH % 2
            self._peaks[level] = nodes[-WIDTH:] if odd else b""
            hashes, first, level = parent_hashes(nodes), first // 2, level + 1
        return made

    def root(self) -> bytes:
        """The root of all leaves so far."""
        found = b""
        for peak in self._peaks:
            if peak:
                found = node_hash(peak, found) if found else peak
        return found or EMPTY_ROOT


def root(hashes: bytes) -> bytes:
    """The root of a tree with these leaf hashes."""
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.root()


class MerkleTree:
    """All complete subtrees of a tree in memory: 64 bytes a leaf, for proofs of small logs.

    Attributes:
        size: its leaves.
    """

    def __init__(self, hashes: bytes) -> None:
        self.size = len(hashes) // WIDTH
        self._levels = [hashes]
        while len(self._levels[-1]) > WIDTH:
            self._levels.append(parent_hashes(self._levels[-1]))

    def node(self, level: int, index: int) -> bytes:
        """The root of the complete subtree over leaves [index·2^level, (index + 1)·2^level)."""
        return self._levels[level][index * WIDTH : (index + 1) * WIDTH]
