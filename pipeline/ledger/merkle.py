"""Computes the hashes of Merkle trees (RFC 6962; RFC 9162, section 2.1): leaves, nodes, roots.

The hash is SHA-256 with the prefix 0x00 for leaves and 0x01 for nodes. The root depends only on the leaf hashes and
their order, not on the calls that appended them. Nothing is padded, so different lists of leaves have different roots.

A list of n hashes is one `bytes` object of length 32·n. Making a million `bytes` objects would take longer than
computing the hashes.

Not handled: the content of leaves (`leaf`, `manifest`), and where hashes are stored (`tiles`).
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from struct import Struct

import numpy as np

WIDTH = 32
"""Length of a hash in bytes."""

_NODE = Struct(f"{1 + 2 * WIDTH}s")

EMPTY_ROOT = sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""A function of (level, index) that returns the root of the complete subtree over leaves [index·2^level,
(index + 1)·2^level)."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the leaf hash of one entry of a log, 32 bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node, 32 bytes, from the hashes of its two children."""
    return sha256(b"\x01" + left + right).digest()


def parent_hashes(level: bytes) -> bytes:
    """Return the hashes of the next level of a tree: one parent for each complete pair of hashes.

    A last hash without a partner has no parent.

    Args:
        level: the n adjacent hashes of one level, 32·n bytes.
    """
    pairs = len(level) // (2 * WIDTH)
    prefixed = np.empty((pairs, 1 + 2 * WIDTH), dtype=np.uint8)
    prefixed[:, 0] = 1
    prefixed[:, 1:] = np.frombuffer(level, dtype=np.uint8, count=pairs * 2 * WIDTH).reshape(pairs, 2 * WIDTH)
    return b"".join([sha256(one).digest() for (one,) in _NODE.iter_unpack(prefixed.data)])


class Frontier:
    """The right edge of a growing tree: the O(log n) hashes that are needed to extend the tree and to compute its root.

    Attributes:
        size: number of leaves so far.
    """

    def __init__(self, size: int = 0, edge: Iterable[bytes] = ()) -> None:
        """Continue a tree of `size` leaves.

        Args:
            size: number of leaves so far.
            edge: roots of the complete subtrees that make up the tree, largest first (`Frontier.edge`).
        """
        hashes = list(edge)
        if len(hashes) != size.bit_count() or any(len(one) != WIDTH for one in hashes):
            raise ValueError(f"expected {size.bit_count()} hashes of {WIDTH} bytes for a tree of {size} leaves")
        self.size = size
        self._peaks: list[bytes] = [hashes.pop() if size >> level & 1 else b"" for level in range(size.bit_length())]

    @property
    def edge(self) -> tuple[bytes, ...]:
        """Hashes of the right edge: the roots of the complete subtrees of the tree, largest subtree first."""
        return tuple(peak for peak in reversed(self._peaks) if peak)

    def extend(self, hashes: bytes) -> list[tuple[int, bytes]]:
        """Append leaves to the tree, given by their hashes.

        Args:
            hashes: 32·n bytes, n leaf hashes.

        Returns:
            The nodes that became complete, level by level from the leaves up. Each level is a pair: the index of the
            first new node in the level, and the hashes of all its new nodes as bytes.
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

    def append(self, level: int, node: bytes) -> None:
        """Append the 2^level leaves of a complete subtree.

        Args:
            level: 0 for a leaf, 1 for two leaves, and so on.
            node: root of the subtree.

        Raises:
            ValueError: the leaves so far do not end where a complete subtree of this level begins.
        """
        width = 1 << level
        if self.size % width:
            raise ValueError(f"expected a subtree of level {level} to begin at a multiple of {width}, got {self.size}")
        self.size += width
        self._peaks += [b""] * (level + 1 - len(self._peaks))
        while self._peaks[level]:
            node, self._peaks[level] = node_hash(self._peaks[level], node), b""
            level += 1
            if level == len(self._peaks):
                self._peaks.append(b"")
        self._peaks[level] = node

    def root(self) -> bytes:
        """Return the root of the tree over all leaves so far, 32 bytes."""
        found = b""
        for peak in self._peaks:
            if peak:
                found = node_hash(peak, found) if found else peak
        return found or EMPTY_ROOT


def complete_subtrees(first: int, hashes: bytes) -> list[tuple[int, bytes]]:
    """Return the fewest complete subtrees that n adjacent leaves of a tree make up, as `Frontier.append` takes them.

    Args:
        first: index of the first leaf in the tree.
        hashes: the leaf hashes, 32·n bytes.

    Returns:
        A pair (level, root) for each subtree, in the order of the leaves.
    """
    found, start, left = [], 0, len(hashes) // WIDTH
    while left:
        level = left.bit_length() - 1
        if first:
            level = min(level, (first & -first).bit_length() - 1)
        width = 1 << level
        node = hashes[start * WIDTH : (start + width) * WIDTH]
        while len(node) > WIDTH:
            node = parent_hashes(node)
        found.append((level, node))
        first, start, left = first + width, start + width, left - width
    return found


def root(hashes: bytes) -> bytes:
    """Return the root of a tree, 32 bytes, from its n leaf hashes (32·n bytes)."""
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.root()


class MerkleTree:
    """Holds all nodes of a small log's tree in memory, to make proofs. A leaf takes 64 bytes.

    Attributes:
        size: number of leaves.
    """

    def __init__(self, hashes: bytes) -> None:
        self.size = len(hashes) // WIDTH
        self._levels = [hashes]
        while len(self._levels[-1]) > WIDTH:
            self._levels.append(parent_hashes(self._levels[-1]))

    def node(self, level: int, index: int) -> bytes:
        """Return the root hash of the complete subtree over leaves [index·2^level, (index + 1)·2^level)."""
        return self._levels[level][index * WIDTH : (index + 1) * WIDTH]
