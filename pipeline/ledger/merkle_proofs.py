"""Makes and checks inclusion and consistency proofs of a log (RFC 9162, sections 2.1.3 and 2.1.4).

An inclusion proof shows that a leaf is in a log. A consistency proof shows that a log begins with an older log.

A proof with one hash too many or too few is refuted. Callers take sizes and indices from signed data or from data
that they saved, never from the proof. The code that checks proofs is independent of the code that makes them.
"""

from collections.abc import Sequence

from ..errors import Refuted
from .merkle import EMPTY_ROOT, WIDTH, NodeReader, node_hash


def inclusion_path(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Make the proof that leaf `index` is in a tree of `size` leaves.

    Args:
        index: index of the leaf.
        size: number of leaves of the tree.
        node: a function that returns the hash of a node of the tree.

    Returns:
        O(log size) hashes, lowest level first.

    Raises:
        ValueError: the tree has no leaf `index`.
    """
    if not 0 <= index < size:
        raise ValueError(f"expected the index of one of {size} leaves, got {index}")
    path, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(subtree_root(middle, high, node))
            high = middle
        else:
            path.append(subtree_root(low, middle, node))
            low = middle
    return path[::-1]


def consistency_path(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Make the proof that a tree of `new` leaves begins with the tree of `old` leaves.

    Args:
        old, new: numbers of leaves.
        node: a function that returns the hash of a node of the tree.

    Returns:
        O(log new) hashes, lowest level first; empty if `old` is 0 or equals `new`.

    Raises:
        ValueError: `old` and `new` do not satisfy 0 ≤ old ≤ new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"expected sizes 0 ≤ old ≤ new, got {old} and {new}")
    path, low, high, known = [], 0, new, True
    while old and old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(subtree_root(middle, high, node))
            high = middle
        else:
            path.append(subtree_root(low, middle, node))
            low, known = middle, False
    if old and not known:
        path.append(subtree_root(low, high, node))
    return path[::-1]


def subtree_root(low: int, high: int, node: NodeReader) -> bytes:
    """Return the root hash over the leaves [low, high) of a tree.

    Args:
        low: first leaf, a multiple of the smallest power of two ≥ high − low.
        high: the leaf after the last one.
        node: a function that returns the hash of a node of the tree.
    """
    root, end = b"", high
    while end > low:
        level = ((end - low) & -(end - low)).bit_length() - 1
        end -= 1 << level
        left = node(level, end >> level)
        root = node_hash(left, root) if root else left
    return root


def check_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes, where: str = "leaf"
) -> None:
    """Check that a leaf is at `index` of the tree with this size and root.

    Args:
        leaf: hash of the leaf, 32 bytes.
        index: index of the leaf, from signed data.
        size: number of leaves of the tree, from signed data.
        path: the inclusion proof, lowest level first.
        root: root of the tree, from signed data.
        where: place of the proof, for messages.

    Raises:
        Refuted: reason `inclusion`: the proof does not lead to `root`.
    """
    if not 0 <= index < size:
        raise Refuted("inclusion", where, f"expected an index below the size {size}, got {index}")
    _check_hashes(path, "inclusion", where)
    computed, at, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise Refuted("inclusion", where, f"expected a shorter proof for leaf {index} of {size}")
        if at & 1 or at == last:
            computed = node_hash(sibling, computed)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise Refuted("inclusion", where, f"expected a longer proof for leaf {index} of {size}")
    if computed != root:
        raise Refuted("inclusion", where, f"leaf {index} of {size} gives root {computed.hex()}, expected {root.hex()}")


def check_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes], where: str = "log"
) -> None:
    """Check that a newer tree begins with an older tree. Each tree is given by its size and root.

    Args:
        old, old_root, new, new_root: sizes and roots of both trees, from signed data.
        path: the consistency proof, lowest level first.
        where: place of the proof, for messages.

    Raises:
        Refuted: reason `rollback`: the log shrank. Reason `fork`: one size has two roots. Reason `consistency`: the
            proof does not lead to both roots.
    """
    if not 0 <= old <= new:
        raise Refuted("rollback", where, f"expected at least {old} leaves, got {new}")
    if old == new and old_root != new_root:
        raise Refuted("fork", where, f"{old} leaves have root {old_root.hex()} and root {new_root.hex()}")
    _check_hashes(path, "consistency", where)
    if old in (0, new):
        if path:
            raise Refuted("consistency", where, f"expected no hashes between {old} and {new} leaves, got {len(path)}")
        if old == 0 and old_root != EMPTY_ROOT:
            raise Refuted("consistency", where, "expected the root of the empty log for no leaves")
        return
    before, after = _both_roots(old, new, old_root, path, where)
    if before != old_root:
        raise Refuted("consistency", where, f"the proof gives root {before.hex()} at {old}, expected {old_root.hex()}")
    if after != new_root:
        raise Refuted("consistency", where, f"the proof gives root {after.hex()} at {new}, expected {new_root.hex()}")


def _both_roots(old: int, new: int, old_root: bytes, path: Sequence[bytes], where: str) -> tuple[bytes, bytes]:
    # If `old` is a power of two, the first hash is the old root, which the proof leaves out.
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    wrong_length = Refuted("consistency", where, f"expected another number of hashes between {old} and {new} leaves")
    if not hashes:
        raise wrong_length
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise wrong_length
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise wrong_length
    return before, after


def _check_hashes(path: Sequence[bytes], reason: str, where: str) -> None:
    if any(len(one) != WIDTH for one in path):
        raise Refuted(reason, where, f"expected hashes of {WIDTH} bytes in the proof")


def _split(size: int) -> int:
    """Return the largest power of two that is smaller than `size` (at least 2): 4 for the size 8."""
    return 1 << ((size - 1).bit_length() - 1)
