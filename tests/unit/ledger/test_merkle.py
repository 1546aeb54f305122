"""Merkle trees: the published example, the golden vectors, and the definitions word for word."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Refuted
from pipeline.ledger import merkle, merkle_proofs, tiles
from tests.unit.ledger import make_vectors, slow_merkle

VECTORS = json.loads(make_vectors.FILE.read_text("utf-8"))
HASHES = slow_merkle.leaf_hashes(make_vectors.ENTRIES)
# The eight entries that the logs of Certificate Transparency are tested with, and their roots.
PUBLISHED = [
    ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
]


def test_the_published_roots() -> None:
    frontier = merkle.Frontier()
    for entry, root in PUBLISHED:
        frontier.extend(merkle.leaf_hash(bytes.fromhex(entry)))
        assert frontier.root().hex() == root


def test_the_golden_roots_of_every_size_from_0_to_130() -> None:
    for size, expected in enumerate(VECTORS["roots"]):
        assert merkle.root(HASHES[: size * merkle.WIDTH]).hex() == expected


def test_the_vectors_have_more_bad_cases_than_good_and_follow_the_definition() -> None:
    for kind, judge in (("inclusion", make_vectors.included), ("consistency", make_vectors.consistent)):
        good = sum(case["good"] for case in VECTORS[kind])
        assert 50 < good < len(VECTORS[kind]) / 6
        assert all(bool(judge(case)) == case["good"] for case in VECTORS[kind])


def accepts(check: Any, case: dict[str, Any], reasons: set[str]) -> bool:
    try:
        check()
    except Refuted as error:
        assert error.reason in reasons, case
        return False
    return True


def test_the_golden_inclusion_proofs() -> None:
    for case in VECTORS["inclusion"]:
        leaf, root, *path = map(bytes.fromhex, [case["leaf"], case["root"], *case["path"]])
        check = lambda: merkle_proofs.check_inclusion(leaf, case["index"], case["size"], path, root)  # noqa: B023, E731
        assert accepts(check, case, {"inclusion"}) == case["good"], case


def test_the_golden_consistency_proofs() -> None:
    for case in VECTORS["consistency"]:
        old_root, new_root, *path = map(bytes.fromhex, [case["old_root"], case["new_root"], *case["path"]])
        check = lambda: merkle_proofs.check_consistency(case["old"], old_root, case["new"], new_root, path)  # noqa: B023, E731
        assert accepts(check, case, {"consistency", "rollback", "fork"}) == case["good"], case


def test_an_older_size_is_a_rollback_and_one_size_with_two_roots_a_fork() -> None:
    a, b = bytes(32), b"\x01" * 32
    with pytest.raises(Refuted, match="rollback"):
        merkle_proofs.check_consistency(5, a, 4, a, [])
    with pytest.raises(Refuted, match="fork"):
        merkle_proofs.check_consistency(5, a, 5, b, [])


def test_every_proof_of_every_size_is_the_definition_s() -> None:
    entries = make_vectors.ENTRIES
    tree = merkle.MerkleTree(HASHES)
    for size in (1, 2, 3, 7, 8, 9, 31, 33, 64, 100, 127, 128, 129):
        for index in range(0, size, max(1, size // 9)):
            assert merkle_proofs.inclusion_path(index, size, tree.node) == slow_merkle.path(index, entries[:size])
            assert merkle_proofs.consistency_path(index, size, tree.node) == slow_merkle.proof(index, entries[:size])


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 10**6))
def test_the_root_does_not_depend_on_how_leaves_were_appended(cuts: list[int], seed: int) -> None:
    hashes = slow_merkle.leaf_hashes([b"%d %d" % (seed, i) for i in range(sum(cuts))])
    frontier, held = merkle.Frontier(), 0
    for cut in cuts:
        frontier.extend(hashes[held * 32 : (held + cut) * 32])
        held += cut
        frontier = merkle.Frontier(frontier.size, frontier.edge)
        assert frontier.root() == merkle.root(hashes[: held * 32])


@given(st.integers(1, 130), st.data())
def test_a_flipped_bit_anywhere_in_a_proof_refutes_it(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree, root = merkle.MerkleTree(HASHES), merkle.root(HASHES[: size * 32])
    path = merkle_proofs.inclusion_path(index, size, tree.node)
    leaf = HASHES[index * 32 : index * 32 + 32]
    merkle_proofs.check_inclusion(leaf, index, size, path, root)
    whole = bytearray(b"".join([leaf, root, *path]))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    parts = [bytes(whole[at : at + 32]) for at in range(0, len(whole), 32)]
    with pytest.raises(Refuted):
        merkle_proofs.check_inclusion(parts[0], index, size, parts[2:], parts[1])


class Disk:
    """The tiles of a log, cut from its hashes level by level."""

    def __init__(self, hashes: bytes) -> None:
        self.levels = [hashes]
        while len(self.levels[-1]) > 32:
            level = self.levels[-1]
            for _ in range(tiles.HEIGHT):
                level = merkle.parent_hashes(level)
            self.levels.append(level)

    def read(self, tile: tiles.Tile) -> bytes:
        start = tile.index * tiles.FULL * 32
        return self.levels[tile.level][start : start + tile.width * 32]


@given(st.integers(1, 3_000), st.data())
def test_tiles_give_the_proofs_of_the_tree(size: int, data: st.DataObject) -> None:
    hashes = slow_merkle.leaf_hashes([b"%d" % i for i in range(size)])
    tree, log = merkle.MerkleTree(hashes), tiles.TileReader(size, Disk(hashes).read)
    for index in {0, size // 3, size - 1}:
        path = merkle_proofs.inclusion_path(index, size, log.node)
        assert path == merkle_proofs.inclusion_path(index, size, tree.node)
        merkle_proofs.check_inclusion(hashes[index * 32 : index * 32 + 32], index, size, path, merkle.root(hashes))
    old = data.draw(st.integers(0, size))
    path = merkle_proofs.consistency_path(old, size, log.node)
    assert path == merkle_proofs.consistency_path(old, size, tree.node)


def test_a_proof_in_a_log_of_70_000_leaves_reads_a_few_tiles() -> None:
    hashes = b"".join(i.to_bytes(32, "big") for i in range(70_000))
    log = tiles.TileReader(70_000, Disk(hashes).read)
    path = merkle_proofs.inclusion_path(12_345, 70_000, log.node)
    merkle_proofs.check_inclusion((12_345).to_bytes(32, "big"), 12_345, 70_000, path, merkle.root(hashes))
    # One for the leaf's own tile, and per level the one above it and the right edge.
    assert log.reads <= 2 * 3


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (tiles.Tile(0, 0), "tile/0/000"),
        (tiles.Tile(0, 999, 1), "tile/0/999.p/1"),
        (tiles.Tile(1, 1234067), "tile/1/x001/x234/067"),
        (tiles.Tile(3, 1000, 255), "tile/3/x001/000.p/255"),
    ],
)
def test_the_path_of_a_tile(tile: tiles.Tile, path: str) -> None:
    assert tile.path == path
    assert tiles.Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/0/x000/000",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/001/x002",
        "tile/0/000/",
        "tile/0/٠٠٠",
    ],
)
def test_another_spelling_of_a_tile_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        tiles.Tile.parse(path)


def test_a_tile_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tile/0/000\.p/3: expected 96 bytes, got 64"):
        tiles.TileReader(3, lambda _: bytes(64)).node(0, 0)


@given(st.lists(st.integers(0, 70), max_size=6))
def test_complete_subtrees_are_appended_as_their_leaves_are(sizes: list[int]) -> None:
    leaves, subtrees, first = merkle.Frontier(), merkle.Frontier(), 0
    for size in sizes:
        hashes = b"".join(merkle.leaf_hash(f"{first + at}".encode()) for at in range(size))
        leaves.extend(hashes)
        for level, node in merkle.complete_subtrees(first, hashes):
            subtrees.append(level, node)
        first += size
        assert (subtrees.size, subtrees.edge, subtrees.root()) == (leaves.size, leaves.edge, leaves.root())


def test_a_subtree_is_appended_only_where_one_of_its_level_begins() -> None:
    frontier = merkle.Frontier()
    frontier.append(0, bytes(32))
    with pytest.raises(ValueError, match="expected a subtree of level 1 to begin at a multiple of 2, got 1"):
        frontier.append(1, bytes(32))
