"""Where the rules of the ledger begin and end: each limit from both sides, and encodings beside the general encoder."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rfc8785

from pipeline.errors import Refuted
from pipeline.ledger import (
    bundle,
    bundle_archive,
    canonical_json,
    leaf,
    leaf_encoding,
    manifest,
    merkle,
    merkle_proofs,
    published_views,
    segment,
    signed_note,
    tiles,
    vote_log,
    witness_request,
)
from pipeline.ledger.vote_log import VoteLog
from pipeline.ratings import PairCounts
from tests.unit.ledger import slow_merkle
from tests.unit.ledger.board_operator import changed, good, operator, published_view, small_votes

HOUR = 3_600_000_000


def refuted(check: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(Refuted) as found:
        check()
    return found.value.reason, found.value.where


# --- leaves -----------------------------------------------------------------------------------------------------------


def three_votes(**values: Any) -> pa.Table:
    """Leaves 7, 8 and 9: two votes and the retraction of leaf 3; the second vote with other values."""
    rows = small_votes().slice(0, 2)
    back = leaf.retraction_rows(["an id"], np.array([5 * HOUR + 1]), [3], ["asked for"])
    table = pa.concat_tables([rows, back])
    return changed(table, values.pop("row", 1), **values) if values else table


def test_votes_and_retractions_of_earlier_leaves_are_leaves() -> None:
    leaf.check(three_votes(), 7)
    leaf.check(three_votes(vote="x"), 7)
    leaf.check(three_votes(vote="ü" * 200, model_a="a" * 200), 7)
    leaf.check(three_votes(row=2, retracts=8), 7)
    leaf.check(three_votes(row=2, retracts=0), 7)
    leaf.check(small_votes().slice(0, 0), 0)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"vote": ""}, "leaf 8"),
        ({"vote": "x" * 201}, "leaf 8"),
        ({"model_a": "a" * 201}, "leaf 8"),
        ({"model_b": ""}, "leaf 8"),
        ({"model_a": "same", "model_b": "same"}, "leaf 8"),
        ({"fate": "lost"}, "leaf 8"),
        ({"outcome": "draw"}, "leaf 8"),
        ({"fate": None}, "leaf 8"),
        ({"commitment": None}, "leaf 8"),
        ({"reason": "none is wanted"}, "leaf 8"),
        ({"at": "2024-08-14T12:30:00Z"}, "leaf 8"),
        ({"at": "2024-08-14T12:00:00Zx"}, "leaf 8"),
        ({"row": 2, "retracts": 9}, "leaf 9"),
        ({"row": 2, "retracts": -1}, "leaf 9"),
        ({"row": 2, "reason": None}, "leaf 9"),
        ({"row": 2, "outcome": "tie"}, "leaf 9"),
    ],
)
def test_a_leaf_that_is_neither_is_named(values: dict[str, Any], where: str) -> None:
    assert refuted(lambda: leaf.check(three_votes(**values), 7)) == ("leaf", where)


def test_the_bytes_of_leaves_are_those_of_the_general_encoder() -> None:
    """Also where texts need escapes, and among more names than are written out in pairs."""
    names = [f'm{k}"\\\n' if k % 50 == 0 else f"model {k} é" for k in range(300)]
    rng = np.random.default_rng(1)
    n = 1_500
    a = rng.integers(0, 300, n)
    rows = leaf.vote_rows(
        [f"id {i}" if i % 7 else f"id\t{i}" for i in range(n)], 10**15 + rng.integers(0, 900 * HOUR, n),
        [names[k] for k in a], [names[(k + 1) % 300] for k in a], rng.integers(0, 4, n), rng.integers(0, 3, n),
        rng.bytes(32 * n),
    )  # fmt: skip
    back = leaf.retraction_rows(["id 1", "id 2"], np.array([HOUR, 2 * HOUR]), [1, 2], ['"why"', "é"])
    table = pa.concat_tables([rows, back, rows.slice(0, 3)])
    expected = []
    for row in table.to_pylist():
        kind = "vote" if row["retracts"] is None else "retraction"
        kept = {name: value for name, value in row.items() if value is not None}
        if kind == "vote":
            kept["commitment"] = kept["commitment"].hex()
        expected.append(rfc8785.dumps({**kept, "type": kind}))
    assert leaf_encoding.entries(table) == expected
    assert leaf_encoding.hashes(table) == b"".join(sha256(b"\0" + one).digest() for one in expected)
    assert leaf_encoding.hashes(rows) == b"".join(sha256(b"\0" + one).digest() for one in expected[:n])
    assert leaf_encoding.sha256_each(pa.array(["a", "b"])) == sha256(b"a").digest() + sha256(b"b").digest()


def test_times_are_rounded_down_to_the_hour() -> None:
    times = np.array([1_723_636_800_000_000, 1_723_640_399_999_999, 1_723_640_400_000_000, -1])
    expected = [datetime.fromtimestamp(t // HOUR * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for t in times.tolist()]
    assert leaf.hour_texts(times).to_pylist() == expected
    assert expected[0] == expected[1] == "2024-08-14T12:00:00Z"


@pytest.mark.parametrize("spread", [0, 1, 99_999, 100_000, 100_001, 10**12])
def test_distinct_values_and_their_places_are_those_of_sorting(spread: int) -> None:
    values = np.array([5, 5 + spread, 5, 5 + spread // 2, 5 + spread]) - 3
    found, code = leaf.unique_codes(values)
    expected, places = np.unique(values, return_inverse=True)
    assert (found.tolist(), code.tolist()) == (expected.tolist(), places.tolist())
    assert leaf.unique_codes(values[:0])[0].tolist() == []


# --- the log of votes -------------------------------------------------------------------------------------------------


def log_of(*tables: pa.Table) -> VoteLog:
    log = VoteLog()
    for rows in tables:
        log.extend(rows, leaf_encoding.hashes(rows))
    return log


def nothing_excluded(*leaves: int, exclusion: int = 0) -> pa.Table:
    return pa.table(
        {"leaf": pa.array(leaves, pa.int64()), "exclusion": pa.array([exclusion] * len(leaves), pa.int32())}
    )


def test_the_first_and_the_last_leaf_can_be_excluded_and_none_beyond() -> None:
    rows = changed(small_votes().slice(0, 4), 3, fate="accepted")
    raw, defended, votes = log_of(rows).counted(nothing_excluded(0, 3), 2)
    assert (raw.tolist(), defended.tolist(), votes) == ([True] * 4, [False, True, True, False], [2, 0])
    assert refuted(lambda: log_of(rows).counted(nothing_excluded(4), 1)) == ("exclusion", "excluded.parquet")
    assert refuted(lambda: log_of(rows).counted(nothing_excluded(-1, 0), 1)) == ("exclusion", "excluded.parquet")
    assert refuted(lambda: log_of(rows).counted(nothing_excluded(2, exclusion=1), 1)) == ("exclusion", "leaf 2")
    assert refuted(lambda: log_of(rows).counted(nothing_excluded(2, exclusion=-1), 1)) == ("exclusion", "leaf 2")


def test_late_votes_count_by_the_rule_of_the_manifest_and_retracted_ones_in_no_view() -> None:
    rows = changed(changed(small_votes().slice(0, 5), 1, fate="late"), 2, fate="quarantined")
    name = rows["vote"][3].as_py()
    back = leaf.retraction_rows([name], np.array([0]), [3], ["asked for"])
    raw, defended, _ = log_of(rows, back).counted(nothing_excluded(), 0)
    assert raw.tolist() == [True, True, False, False, True, False]
    assert defended.tolist() == raw.tolist()
    assert log_of(rows, back).count_late(raw) == 1
    _, earlier, _ = log_of(rows, back).counted(nothing_excluded(), 0, late_counts=False)
    assert earlier.tolist() == [True, False, False, False, True, False]
    assert refuted(lambda: log_of(rows, back, back).counted(nothing_excluded(), 0)) == ("retraction", "leaf 6")
    assert refuted(lambda: log_of(rows, back).counted(nothing_excluded(3), 1)) == ("exclusion", "leaf 3")
    wrong = leaf.retraction_rows([name], np.array([0]), [4], ["asked for"])
    assert refuted(lambda: log_of(rows, wrong).counted(nothing_excluded(), 0)) == ("retraction", "leaf 5")
    again = leaf.retraction_rows([name], np.array([0]), [5], ["asked for"])
    assert refuted(lambda: log_of(rows, back, again).counted(nothing_excluded(), 0)) == ("retraction", "leaf 6")


def test_a_vote_twice_in_the_log_is_named_by_its_second_leaf() -> None:
    rows = small_votes().slice(0, 3)
    assert refuted(lambda: log_of(rows, rows.slice(1, 1)).counted(nothing_excluded(), 0)) == (
        "duplicate_vote",
        "leaf 3",
    )


def test_ids_with_equal_fingerprints_are_read_again_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_log, "_fingerprints", lambda ids: np.zeros(len(ids), dtype=np.int64))
    rows, reads = small_votes().slice(0, 4), []

    def log_of_parts(*parts: pa.Table) -> VoteLog:
        log = VoteLog()
        for number, part in enumerate(parts):
            ids = part["vote"].combine_chunks()
            log.extend(part, leaf_encoding.hashes(part), lambda n=number, ids=ids: (reads.append(n), ids)[1])
        return log

    raw, _, _ = log_of_parts(rows.slice(0, 2), rows.slice(2)).counted(nothing_excluded(), 0)
    assert len(raw) == 4 and reads == [0, 1]
    assert refuted(lambda: log_of_parts(rows, rows.slice(2, 1)).counted(nothing_excluded(), 0)) == (
        "duplicate_vote",
        "leaf 4",
    )


def test_a_log_with_different_fingerprints_reads_only_the_segments_of_retracted_votes_again() -> None:
    rows, reads = small_votes().slice(0, 4), []
    back = leaf.retraction_rows([rows["vote"][3].as_py()], np.array([0]), [3], ["asked for"])
    log = VoteLog()
    for part in (rows.slice(0, 2), rows.slice(2), back):
        ids = part["vote"].combine_chunks()
        log.extend(part, leaf_encoding.hashes(part), lambda ids=ids: (reads.append(ids.to_pylist()), ids)[1])
    raw, _, _ = log.counted(nothing_excluded(), 0)
    assert raw.tolist() == [True, True, True, False, False]
    assert reads == [rows["vote"].slice(2).to_pylist()]


def test_counts_are_on_the_sorted_names_of_all_models() -> None:
    rows = pa.Table.from_pylist(small_votes().slice(0, 6).to_pylist(), leaf.SCHEMA)
    log = log_of(rows.slice(0, 2), rows.slice(2))
    counts = log.counts(np.array([True, False, True, True, False, True]), ["zebra"])
    assert counts.models == tuple(sorted({*rows["model_a"].to_pylist(), *rows["model_b"].to_pylist(), "zebra"}))
    kept = [rows.to_pylist()[k] for k in (0, 2, 3, 5)]
    expected = PairCounts.from_labels(*([row[name] for row in kept] for name in ("model_a", "model_b", "outcome")))

    def by_name(given: PairCounts) -> dict[tuple[str, str], list[int]]:
        pairs = zip(given.a.tolist(), given.b.tolist(), given.table().tolist(), strict=True)
        return {(given.models[a], given.models[b]): row for a, b, row in pairs}

    assert counts.total == 4
    assert by_name(counts) == by_name(expected)


# --- published boards -------------------------------------------------------------------------------------------------


def level_board() -> PairCounts:
    """Ant above bee and cat, who are equal, above dog."""
    rows = [
        [0, 1, 30, 10, 4, 0],
        [0, 2, 30, 10, 4, 0],
        [1, 2, 20, 20, 0, 0],
        [1, 3, 30, 10, 0, 0],
        [2, 3, 30, 10, 0, 0],
    ]
    table = np.array(rows)
    return PairCounts.from_rows(("ant", "bee", "cat", "dog"), table[:, 0], table[:, 1], table[:, 2:])


def settings(anchor: str) -> manifest.Configuration:
    return published_views.with_digest({"anchor": anchor, "least_share": 0.95})


def with_row(view: manifest.PublishedView, place: int, **values: Any) -> manifest.PublishedView:
    rows = list(view.rows)
    rows[place] = replace(rows[place], **values)
    return replace(view, rows=tuple(rows))


def test_half_a_cent_may_be_rounded_either_way_and_more_may_not() -> None:
    """The anchor stands at 1100.005 exactly, within what machines differ by."""
    given = settings("ant=1100.005")
    view = published_view(level_board(), given)
    for rating in (1100.0, 1100.01):
        published_views.check_view(with_row(view, 0, rating=rating), level_board(), given, "view")
    for rating in (1099.99, 1100.02, 1100.005):
        check = lambda: published_views.check_view(with_row(view, 0, rating=rating), level_board(), given, "view")  # noqa: B023, E731
        assert refuted(check) == ("rating", "view, ant")


def test_of_equal_models_either_may_stand_first_and_neither_last() -> None:
    given = settings("")
    view = published_view(level_board(), given)
    assert [row.model for row in view.rows] == ["ant", "bee", "cat", "dog"]
    published_views.check_view(with_row(view, 2, rank=3), level_board(), given, "view")
    published_views.check_view(with_row(view, 2, rank=2), level_board(), given, "view")
    for place, rank, model in ((2, 4, "cat"), (2, 1, "cat"), (0, 2, "ant"), (3, 3, "dog")):
        check = lambda: published_views.check_view(with_row(view, place, rank=rank), level_board(), given, "view")  # noqa: B023, E731
        assert refuted(check) == ("rank", f"view, {model}")


def test_the_largest_gradient_is_a_hundred_millionth_vote_a_battle() -> None:
    given = settings("")
    view = published_view(level_board(), given)
    most = 1e-8 * int(level_board().battles_per_model().max())
    published_views.check_view(replace(view, gradient_norm=most), level_board(), given, "view")
    published_views.check_view(replace(view, gradient_norm=0.0), level_board(), given, "view")
    for norm in (most * 1.01, -1e-12, float("inf")):
        check = lambda: published_views.check_view(replace(view, gradient_norm=norm), level_board(), given, "view")  # noqa: B023, E731
        assert refuted(check) == ("gradient", "view")


def test_rows_are_those_of_the_rated_models_each_once() -> None:
    given = settings("")
    view = published_view(level_board(), given)
    twice = replace(view, rows=(*view.rows, view.rows[0]))
    with pytest.raises(Refuted, match="each once, got 5: ant"):
        published_views.check_view(twice, level_board(), given, "view")
    with pytest.raises(Refuted, match="got 3: dog"):
        published_views.check_view(replace(view, rows=view.rows[:3]), level_board(), given, "view")
    turned = replace(view, rows=view.rows[::-1])
    assert refuted(lambda: published_views.check_view(turned, level_board(), given, "view")) == ("rows", "view")
    fewer = replace(view, votes=view.votes - 1)
    assert refuted(lambda: published_views.check_view(fewer, level_board(), given, "view")) == ("counts", "view")
    assert refuted(lambda: published_views.check_view(with_row(view, 1, votes=1), level_board(), given, "view")) == (
        "counts",
        "view, bee",
    )


def test_the_digest_of_counts_is_that_of_their_canonical_json() -> None:
    counts = PairCounts.from_rows(("zoo", "ant", 'b"ee'), [0, 1], [1, 2], [[5, 3, 2, 1], [7, 0, 0, 4]])
    table = [["ant", 'b"ee', 7, 0, 0, 4], ["ant", "zoo", 3, 5, 2, 1]]
    assert published_views.counts_digest(counts) == sha256(rfc8785.dumps(table)).hexdigest()


@pytest.mark.parametrize(
    ("values", "good_one"),
    [
        ({"anchor": "", "least_share": 1}, True),
        ({"anchor": "a=b=1000.5", "least_share": 0.5}, True),
        ({"anchor": "", "least_share": "1"}, False),
        ({"anchor": "", "least_share": True}, False),
        ({"anchor": None, "least_share": 1}, False),
        ({"anchor": "ant", "least_share": 1}, False),
        ({"anchor": "ant=much", "least_share": 1}, False),
    ],
)
def test_settings_that_a_rating_needs_are_a_share_and_an_anchor(values: dict[str, Any], good_one: bool) -> None:
    given = published_views.with_digest(values)
    if good_one:
        published_views.check_configuration(given, "here")
        other = replace(given, sha256=canonical_json.Digest("0" * 64))
        assert refuted(lambda: published_views.check_configuration(other, "here")) == ("configuration", "here")
    else:
        assert refuted(lambda: published_views.check_configuration(given, "here")) == ("configuration", "here")


# --- proofs, tiles, notes ---------------------------------------------------------------------------------------------


def test_proofs_are_asked_for_within_the_log() -> None:
    node = merkle.MerkleTree(slow_merkle.leaf_hashes([b"a", b"b", b"c"])).node
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="expected the index"):
            merkle_proofs.inclusion_path(index, size, node)
    for old, new in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="expected sizes"):
            merkle_proofs.consistency_path(old, new, node)
    assert merkle_proofs.consistency_path(0, 3, node) == merkle_proofs.consistency_path(3, 3, node) == []


def test_a_frontier_is_taken_up_from_its_edge_alone() -> None:
    entries = [b"%d" % k for k in range(13)]
    whole = merkle.Frontier()
    whole.extend(slow_merkle.leaf_hashes(entries))
    again = merkle.Frontier(13, whole.edge)
    assert again.root() == whole.root() == slow_merkle.root(entries)
    more = [*entries, b"13", b"14", b"15"]
    again.extend(slow_merkle.leaf_hashes(more[13:]))
    assert (again.size, again.root(), len(again.edge)) == (16, slow_merkle.root(more), 1)
    for edge in (whole.edge[1:], [*whole.edge, bytes(32)], [bytes(31)] * 3):
        with pytest.raises(ValueError, match="expected 3 hashes of 32 bytes"):
            merkle.Frontier(13, edge)
    assert merkle.Frontier().root() == sha256(b"").digest()


def test_completed_nodes_are_told_level_by_level() -> None:
    frontier = merkle.Frontier()
    hashes = slow_merkle.leaf_hashes([b"%d" % k for k in range(7)])
    frontier.extend(hashes[: 3 * 32])
    made = frontier.extend(hashes[3 * 32 :])
    tree = merkle.MerkleTree(hashes)
    # Leaves 3 to 6; then the pairs (2, 3) and (4, 5); then the four leaves 0 to 3.
    assert made == [(3, hashes[3 * 32 :]), (1, tree.node(1, 1) + tree.node(1, 2)), (0, tree.node(2, 0))]


def test_a_tile_s_width_is_what_the_log_has_of_it() -> None:
    assert tiles.tile_at_size(0, 0, 255) == tiles.Tile(0, 0, 255)
    assert tiles.tile_at_size(0, 1, 300) == tiles.Tile(0, 1, 44)
    assert tiles.tile_at_size(1, 0, 70_000) == tiles.Tile(1, 0, 256)
    assert tiles.tile_at_size(1, 1, 70_000) == tiles.Tile(1, 1, 17)  # 273 complete groups of 256


def test_limits_of_notes_and_keys() -> None:
    signer = signed_note.Signer("log", bytes(32))
    body = b"x" * 70_000
    longest = body[: signed_note.MAX_NOTE - len(signed_note.sign(b"\n", [signer]))] + b"\n"
    assert len(signed_note.sign(longest, [signer])) == 64 * 1024
    assert signed_note.parse(signed_note.sign(longest, [signer]), "here").text == longest
    assert refuted(lambda: signed_note.parse(signed_note.sign(b"x" + longest, [signer]), "here")) == ("note", "here")
    for seed in (bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="a seed of 32 bytes"):
            signed_note.Signer("log", seed)
    head = signed_note.Checkpoint("log", 2**53, bytes(32))
    assert signed_note.parse_checkpoint(signed_note.SignedNote(head.text, ()), "here") == head
    more = signed_note.Checkpoint("log", 2**53 + 1, bytes(32))
    assert (
        refuted(lambda: signed_note.parse_checkpoint(signed_note.SignedNote(more.text, ()), "here"))[0] == "checkpoint"
    )
    odd = signed_note.VerifierKey("log", 3, bytes(32))
    assert refuted(lambda: signed_note.VerifierKey.parse(str(odd))) == ("key", "key")


def test_a_signature_line_has_a_key_id_and_a_signature() -> None:
    def line(data: bytes) -> bytes:
        return b"text\n\n" + "— log ".encode() + base64.b64encode(data) + b"\n"

    (one,) = signed_note.parse(line(b"12345"), "here").signatures
    assert (one.name, one.key_id, one.signature) == ("log", b"1234", b"5")
    assert refuted(lambda: signed_note.parse(line(b"1234"), "here")) == ("note", "here")


def test_a_request_to_a_witness_comes_back_and_has_one_spelling() -> None:
    for proof in ((), (bytes(32),), tuple(bytes([k]) * 32 for k in range(63))):
        asked = witness_request.WitnessRequest(7, proof, b"log\n9\nroot\n\nsignatures\n")
        assert witness_request.load_request(asked.dump()) == asked
    assert witness_request.WitnessRequest(0, (), b"x").dump() == b"old 0\n\nx"
    for spoilt in (
        witness_request.WitnessRequest(7, (bytes(32),) * 64, b"x").dump(),
        witness_request.WitnessRequest(7, (bytes(31),), b"x").dump(),
        b"old 07\n\nx",
        b"old -1\n\nx",
        b"old 7\nx",
        b"old 7\n====\n\nx",
        b"size 7\n\nx",
    ):
        assert refuted(lambda: witness_request.load_request(spoilt)) == ("note", "request")  # noqa: B023


# --- manifests and bundles --------------------------------------------------------------------------------------------


def test_a_first_manifest_has_no_previous_one_and_every_other_has() -> None:
    first, second = (manifest.load(operator().manifests[k]) for k in (0, 1))
    assert (first.sequence, second.sequence) == (1, 2)
    for spoilt, reason in (
        (replace(first, previous=second.previous), "previous"),
        (replace(second, previous=manifest.NO_PREVIOUS), "previous"),
        (replace(first, sequence=0), "fields"),
        (replace(first, schema=2), "schema"),
    ):
        assert refuted(lambda: manifest.load(spoilt.dump()))[0] == reason  # noqa: B023
    assert manifest.SegmentFile(1234, 1, second.previous).path == "votes/000000001234.parquet"


def test_the_proofs_of_a_bundle_are_the_slow_definition_s() -> None:
    entries = [b"%d" % k for k in range(6)]
    node = merkle.MerkleTree(slow_merkle.leaf_hashes(entries)).node
    made = bundle.build_proof(3, 6, 2, node)
    as_hex = lambda path: tuple(one.hex() for one in path)  # noqa: E731
    assert made.inclusion == as_hex(slow_merkle.path(2, entries))
    assert made.previous_inclusion == as_hex(slow_merkle.path(1, entries))
    assert made.consistency == as_hex(slow_merkle.proof(2, entries))
    assert bundle.build_proof(1, 6, 0, node).previous_inclusion == ()


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    bundle_archive.write(out, files)
    return out.getvalue()


def test_a_zip_of_a_bundle_comes_back_and_has_one_spelling(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(packed(good()))
    found = bundle_archive.open_bundle(path)
    assert dict(found) == good()
    assert len(found) == len(good())
    assert packed(dict(reversed(good().items()))) == path.read_bytes()
    for spoilt in (path.read_bytes() + b"x", path.read_bytes()[:-1], b"PK", b"x" + path.read_bytes()):
        path.write_bytes(spoilt)
        assert refuted(lambda: bundle_archive.open_bundle(path))[0] == "archive"


@pytest.mark.parametrize("name", ["../out", "a//b", "a\\b", "/a"])
def test_a_zip_with_a_path_outside_the_bundle_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(packed({"manifest.json": b"{}", name: b"x"}))
    assert refuted(lambda: bundle_archive.open_bundle(path)) == ("archive", name)


def test_a_zip_with_compressed_or_repeated_entries_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a", b"x" * 100)
    assert refuted(lambda: bundle_archive.open_bundle(path)) == ("archive", "a")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as made:
        made.writestr("a", b"1")
        made.writestr("a", b"2")
    assert refuted(lambda: bundle_archive.open_bundle(path)) == ("archive", "a")


def test_canonical_json_has_one_spelling_and_its_declared_fields() -> None:
    record = bundle.BundleProof((), (), ())
    data = canonical_json.dump(record)
    assert data == b'{"consistency":[],"inclusion":[],"previous_inclusion":[]}'
    assert canonical_json.load(bundle.BundleProof, data, "here") == record
    with pytest.raises(Refuted, match=r"byte 1\b"):
        canonical_json.load(bundle.BundleProof, b'{ "consistency":[],"inclusion":[],"previous_inclusion":[]}', "here")
    for value, where in (
        ({"consistency": [], "inclusion": []}, "here.previous_inclusion"),
        ({"consistency": [], "inclusion": [], "previous_inclusion": [], "x": 1}, "here.x"),
        ({"consistency": [], "inclusion": ["A" * 64], "previous_inclusion": []}, "here.inclusion[0]"),
        ({"consistency": {}, "inclusion": [], "previous_inclusion": []}, "here.consistency"),
        ([], "here"),
    ):
        spoilt = rfc8785.dumps(value)
        assert refuted(lambda: canonical_json.load(bundle.BundleProof, spoilt, "here")) == ("fields", where)  # noqa: B023


@pytest.mark.parametrize("votes", [0, 2**53 - 1])
def test_whole_numbers_go_from_zero_to_what_every_reader_can_hold(votes: int) -> None:
    one = manifest.ManifestExclusion("voter", "x", "why", "who", votes)
    assert canonical_json.load(manifest.ManifestExclusion, canonical_json.dump(one), "here") == one
    for wrong in (-1, 2**53, 1.5, True, "1"):
        value = {"kind": "voter", "target": "x", "reason": "why", "name": "who", "votes": wrong}
        data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        reason, _ = refuted(lambda: canonical_json.load(manifest.ManifestExclusion, data, "here"))  # noqa: B023
        assert reason in {"fields", "canonical"}


# --- segments ---------------------------------------------------------------------------------------------------------


def test_excluded_leaves_ascend() -> None:
    def file(*leaves: int | None) -> bytes:
        return segment.write_excluded(pa.array(leaves, pa.int64()), pa.array([0] * len(leaves), pa.int32()))

    assert segment.read_excluded(file(1, 2, 9), "here")["leaf"].to_pylist() == [1, 2, 9]
    assert segment.read_excluded(file(), "here").num_rows == 0
    for leaves in ((2, 2), (3, 2), (1, None)):
        assert refuted(lambda: segment.read_excluded(file(*leaves), "here")) == ("exclusion", "here")  # noqa: B023


def test_the_first_row_that_differs_from_its_hash_is_found() -> None:
    rows = small_votes().slice(0, 9)
    hashes = leaf_encoding.hashes(rows)
    for row in (0, 4, 8):
        spoilt = leaf_encoding.hashes(changed(rows, row, vote="another"))
        assert segment.first_wrong_row(hashes, spoilt) == row
