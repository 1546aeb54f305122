"""A verifier faces a hostile operator: what it may take, what it may accept, and what a mistake of its caller is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import Refuted
from pipeline.ledger import (
    bundle,
    bundle_archive,
    canonical_json,
    leaf,
    leaf_encoding,
    manifest,
    merkle,
    published_views,
    segment,
    signed_note,
)
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ratings import PairCounts
from tests.command import called
from tests.unit.ledger import slow_merkle
from tests.unit.ledger.board_operator import (
    SIGNER,
    STRANGER,
    THIRD,
    Files,
    Operator,
    good,
    honest,
    operator,
    small_votes,
)
from tests.unit.ledger.signed_lies import signed, third, with_files

KEY = str(SIGNER.verifier)
MOST_MEMORY = 300 * 2**20
CHILD = Path(__file__).with_name("verify_within_memory.py")


# --- a small bundle that unpacks to much ------------------------------------------------------------------------------


def parquet(columns: Mapping[str, pa.Array | pa.ChunkedArray], **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink, **{"compression": "zstd", "store_schema": False, **options})
    return sink.getvalue()


def rows_of(size: int, **columns: pa.Array) -> dict[str, pa.Array]:
    """Columns of a segment of retractions, with others in their place."""
    nothing = pa.nulls(size, pa.string())
    return {
        "at": pa.array(["2024-08-14T12:00:00Z"] * size),
        "commitment": pa.nulls(size, pa.binary(32)),
        **dict.fromkeys(("fate", "model_a", "model_b", "outcome"), nothing),
        "reason": pa.array(["why"] * size),
        "retracts": pa.array(np.zeros(size, dtype=np.int64)),
        "vote": pa.array(["an id"] * size),
        "leaf_hash": pa.array([bytes(32)] * size, pa.binary(32)),
    } | columns


def segment_bomb(size: int, **columns: pa.Array) -> Files:
    data = parquet(rows_of(size, **columns))
    files = replace(third().segments[2], size=size, sha256=manifest.sha256_hex(data))
    return signed(replace(third(), segments=(*third().segments[:2], files)).dump(), {THIRD: data})


def giant_dictionary() -> Files:
    """A text of a megabyte, two thousand times."""
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2_000, np.int32)), pa.array(["x" * 1_000_000]))
    return segment_bomb(2_000, reason=texts)


def giant_texts() -> Files:
    return segment_bomb(3, reason=pa.array(["x" * 150_000_000, "y" * 150_000_000, "z"]))


def many_rows() -> Files:
    return segment_bomb(2_000_000)


def plain_texts() -> Files:
    """The same without a dictionary, under a manifest that states the size of an honest file."""
    data = parquet(rows_of(2, reason=pa.array(["x" * 150_000_000, "y" * 150_000_000])), use_dictionary=False)
    return with_files({THIRD: data})


def prefixed_texts() -> Files:
    """Texts that are each the text before it: 100 KB take two bytes."""
    size = 4_000
    options = {"use_dictionary": False, "column_encoding": {"reason": "DELTA_BYTE_ARRAY"}}
    data = parquet(rows_of(size, reason=pa.array(["x" * 100_000] * size)), **options)
    listed = replace(third().segments[2], size=size, sha256=manifest.sha256_hex(data))
    return signed(replace(third(), segments=(*third().segments[:2], listed)).dump(), {THIRD: data})


def many_exclusions() -> Files:
    size = 20_000_000
    zeros = pa.array(np.zeros(size, dtype=np.int64)), pa.array(np.zeros(size, dtype=np.int32))
    return with_files({"excluded.parquet": parquet(dict(zip(("leaf", "exclusion"), zeros, strict=True)))})


def many_models() -> Files:
    """A ring of 2,600 models, each of which beat the next one: 168 KB of votes."""
    size = 2_600
    names = [f"m{at}" for at in range(size)]
    rows = leaf.vote_rows(
        [str(at) for at in range(size)], np.zeros(size, dtype=np.int64), names, [*names[1:], names[0]],
        np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), np.random.default_rng(1).bytes(32 * size),
    )  # fmt: skip
    hashes = leaf_encoding.hashes(rows)
    sink = io.BytesIO()
    writer = segment.SegmentWriter(sink)
    writer.append(rows, hashes)
    writer.close()
    head = manifest.VoteLogHead(size, canonical_json.Digest(merkle.root(hashes).hex()))
    file = manifest.SegmentFile(0, size, manifest.sha256_hex(sink.getvalue()))
    nobody = segment.write_excluded(pa.array([], pa.int64()), pa.array([], pa.int32()))
    counts = digest_of(rows)
    view = replace(third().views.raw, votes=size, counts_sha256=counts, unrated=())
    made = Operator()
    made.files, made.stated = [sink.getvalue()], [bundle.listed_files(SIGNER.verifier, nobody)]
    told = replace(
        third(), sequence=1, previous=manifest.NO_PREVIOUS, vote_log=head, segments=(file,), exclusions=(),
        coverage=None,
        views=manifest.PublishedViews(view, view), files=bundle.file_digests(made.stated[0]),
    )  # fmt: skip
    made.manifests = [told.dump()]
    made.heads = [head_of(made.manifests)]
    return made.bundle()


def digest_of(rows: pa.Table) -> canonical_json.Digest:
    columns = (rows[name].to_pylist() for name in ("model_a", "model_b", "outcome"))
    return published_views.counts_digest(PairCounts.from_labels(*columns))


def head_of(manifests: list[bytes], signer: signed_note.Signer = SIGNER) -> bytes:
    root = merkle.root(slow_merkle.leaf_hashes(manifests))
    return signed_note.sign(signed_note.Checkpoint(signer.name, len(manifests), root).text, [signer])


def deep_proof() -> Files:
    return {**good(), "proof.json": b"[" * 200_000}


def many_values() -> Files:
    return {**good(), "proof.json": b'{"leaves":[' + b"[]," * 3_000_000 + b"[]]}"}


BOMBS: dict[str, tuple[Callable[[], Files], str]] = {
    "a repeated text": (giant_dictionary, "limit leaf"),
    "two giant texts": (giant_texts, "limit"),
    "two million rows": (many_rows, "limit"),
    "two giant texts, plain": (plain_texts, "limit"),
    "texts by their prefix": (prefixed_texts, "limit"),
    "twenty million exclusions": (many_exclusions, "limit"),
    "2,600 models": (many_models, "limit"),
    "a deep proof": (deep_proof, "canonical"),
    "a proof of many values": (many_values, "limit"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", BOMBS)
def test_a_small_bundle_cannot_fill_the_memory_of_its_reader(what: str, tmp_path: Path) -> None:
    """Refused by both readers in a process of its own, under 300 MB; each bundle is smaller than 12 MB."""
    make, reasons = BOMBS[what]
    files = make()
    assert sum(map(len, files.values())) < 12_000_000
    with (tmp_path / "bundle.zip").open("wb") as out:
        bundle_archive.write(out, files)
    bundle.write_folder(tmp_path / "bundle", files)
    for path in (tmp_path / "bundle", tmp_path / "bundle.zip"):
        done = subprocess.run([sys.executable, CHILD, path, KEY], capture_output=True, text=True, check=False)
        told = json.loads(done.stdout)
        assert told["reason"] in reasons.split(), (told, done.stderr)
        assert told["bytes"] < MOST_MEMORY, told


@pytest.mark.long
def test_a_zip_of_many_entries_is_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as made:
        for at in range(100_001):
            made.writestr(zipfile.ZipInfo(f"votes/{at}", (1980, 1, 1, 0, 0, 0)), b"")
    done = subprocess.run([sys.executable, CHILD, path, KEY], capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert told["reason"] == "limit"
    assert told["bytes"] < MOST_MEMORY


def test_long_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refuted, match="limit"):
        verify_bundle({**good(), "x" * 201: b""})
    with (tmp_path / "bundle.zip").open("wb") as out:
        bundle_archive.write(out, {**good(), "x" * 201: b""})
    with pytest.raises(Refuted, match="limit"):
        bundle_archive.open_bundle(tmp_path / "bundle.zip")


# --- a kept checkpoint of any size ------------------------------------------------------------------------------------


def board_of(snapshots: int) -> Operator:
    """A log of many snapshots over the same votes."""
    made = Operator()
    made.seal(small_votes().slice(0, 300))
    for _ in range(snapshots):
        made.publish()
    return made


def forked(at: int, size: int) -> list[bytes]:
    """Heads of a log that is another one from its snapshot `at` on."""
    log = [*board.manifests[: at - 1], *(bytes([at]) * 9 for _ in range(size - at + 1))]
    return [head_of(log[:one]) for one in range(1, size + 1)]


board = board_of(9)


@pytest.mark.parametrize("kept", range(1, 10))
def test_a_kept_checkpoint_of_every_size_is_compared(kept: int) -> None:
    for sequence in range(1, 10):
        files = board.bundle(sequence)
        if kept <= sequence:
            assert verify_bundle(files, [SIGNER.verifier], board.heads[kept - 1]).key_checked
            with pytest.raises(Refuted, match="fork") as refused:
                verify_bundle(files, [SIGNER.verifier], forked(1, kept)[-1])
            assert refused.value.where == "kept checkpoint"
            with pytest.raises(Refuted, match="fork"):
                verify_bundle(files, [SIGNER.verifier], forked(kept, kept)[-1])
        else:
            with pytest.raises(Refuted, match="rollback"):
                verify_bundle(files, [SIGNER.verifier], board.heads[kept - 1])


def test_the_leaves_of_a_bundle_are_those_of_its_signed_head() -> None:
    files, proof = board.bundle(9), json.loads(board.bundle(9)["proof.json"])
    for leaves in (proof["leaves"][:-1], proof["leaves"][::-1], [*proof["leaves"], "0" * 64], ["0" * 64] * 9):
        with pytest.raises(Refuted, match="consistency"):
            verify_bundle({**files, "proof.json": canonical_json.dump({**proof, "leaves": leaves})}, [SIGNER.verifier])


def test_a_bundle_without_the_leaves_of_its_log_proves_only_the_snapshot_before() -> None:
    """Bundles of earlier versions: they verify, and what they cannot show is refused, not passed over."""
    proof = {name: value for name, value in json.loads(board.bundle(9)["proof.json"]).items() if name != "leaves"}
    files = {**board.bundle(9), "proof.json": canonical_json.dump(proof)}
    assert verify_bundle(files, [SIGNER.verifier]).key_checked
    for size in (8, 9):
        assert verify_bundle(files, [SIGNER.verifier], board.heads[size - 1]).key_checked
        with pytest.raises(Refuted, match=r"fork|consistency"):
            verify_bundle(files, [SIGNER.verifier], forked(size, size)[-1])
    with pytest.raises(Refuted, match="get a bundle of a newer version"):
        verify_bundle(files, [SIGNER.verifier], board.heads[2])


def test_the_command_refuses_a_fork_at_an_older_kept_checkpoint(tmp_path: Path) -> None:
    bundle.write_folder(tmp_path / "bundle", board.bundle(9))
    (tmp_path / "kept").write_bytes(forked(2, 3)[-1])
    words = ("verify", str(tmp_path / "bundle"), "--key", KEY, "--checkpoint", str(tmp_path / "kept"))
    done = called(*words, "--json", settings={})
    told = json.loads(done.stdout)
    assert (done.returncode, told["reason"], told["where"]) == (4, "fork", "kept checkpoint")
    (tmp_path / "kept").write_bytes(board.heads[2])
    assert called(*words, settings={}).returncode == 0


# --- notes, line endings, typing errors -------------------------------------------------------------------------------


def test_lines_by_unknown_signers_are_ignored_and_one_by_the_operator_is_needed() -> None:
    text = good()["checkpoint"].partition(b"\n\n")[0] + b"\n"
    lines = good()["checkpoint"].partition(b"\n\n")[2]
    strange = [
        signed_note.Signer("other.example", bytes(32), kind).sign(text, 1)
        for kind in (signed_note.ED25519, signed_note.COSIGNATURE)
    ]
    other_kind = "— quantum.example AAAAAAAA\n".encode()
    for more in (strange[0], strange[1], other_kind, STRANGER.sign(text), b"".join(strange) * 2):
        for note in (text + b"\n" + more + lines, text + b"\n" + lines + more):
            assert verify_bundle({**good(), "checkpoint": note}, [SIGNER.verifier]).witnesses == ()
        with pytest.raises(Refuted, match="unsigned"):
            verify_bundle({**good(), "checkpoint": text + b"\n" + more}, [SIGNER.verifier])


@pytest.mark.parametrize("name", ["checkpoint", "previous-checkpoint", "README.txt", "key.txt", "manifest.json"])
def test_line_endings_that_a_transfer_changed_are_named(name: str) -> None:
    data = good()[name].replace(b"\n", b"\r\n") if name != "manifest.json" else good()[name] + b"\r\n"
    with pytest.raises(Refuted, match=r"CRLF|line ending"):
        verify_bundle({**good(), name: data}, [SIGNER.verifier])


def test_a_mistyped_path_or_key_is_a_usage_error(tmp_path: Path) -> None:
    bundle.write_folder(tmp_path / "bundle", good())
    (tmp_path / "votes.csv").write_text("model_a,model_b,winner\n")
    (tmp_path / "kept").write_bytes(good()["checkpoint"].replace(b"\n", b"\r\n"))
    path = str(tmp_path / "bundle")
    for words in (
        (str(tmp_path / "bundel"), "--key", KEY),
        (str(tmp_path / "votes.csv"), "--key", KEY),
        (str(tmp_path), "--key", KEY),
        (path, "--key", KEY[:-1]),
        (path, "--key", KEY[1:]),
        (path, "--key", "the key"),
        (path, "--key", KEY, "--checkpoint", str(tmp_path / "nothing")),
        (path, "--key", KEY, "--checkpoint", str(tmp_path / "votes.csv")),
        (path, "--key", KEY, "--checkpoint", str(tmp_path / "kept")),
    ):
        done = called("verify", *words, "--json", settings={})
        assert (done.returncode, json.loads(done.stdout)["error"]) == (2, "Usage"), (words, done.stdout)
    assert called("verify", path, "--key", KEY, settings={}).returncode == 0
    assert called("verify", path, "--key", str(STRANGER.verifier), settings={}).returncode == 4


def test_nothing_is_parsed_before_its_digest_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reader of a format is replaced; with a wrong digest none of them is called."""
    called_for: list[str] = []
    load, read = manifest.load, segment.read

    def loading(data: bytes, where: str = "manifest.json") -> manifest.Manifest:
        called_for.append(where)
        return load(data, where)

    def reading(data: bytes, where: str) -> tuple[pa.Table, bytes]:
        called_for.append(where)
        return read(data, where)

    monkeypatch.setattr(manifest, "load", loading)
    monkeypatch.setattr(segment, "read", reading)
    assert honest().bundle().keys() == good().keys()
    for name in ("manifest.json", "previous.json", THIRD):
        called_for.clear()
        with pytest.raises(Refuted):
            verify_bundle({**good(), name: good()[name] + b" "}, [SIGNER.verifier])
        assert name not in called_for
    called_for.clear()
    assert verify_bundle(operator().bundle(), [SIGNER.verifier])
    assert {"manifest.json", "previous.json", THIRD} <= set(called_for)


def test_a_mistyped_file_or_key_of_a_witness_is_a_usage_error(tmp_path: Path) -> None:
    folder = str(tmp_path / "witness")
    assert called("witness", "init", folder, "--name", "witness.example", settings={}).returncode == 0
    for words in (
        ("witness", "watch", folder, KEY[:-1]),
        ("witness", "sign", folder, str(tmp_path / "nothing")),
        ("witness", "keep", str(tmp_path / "nothing"), "--store", str(tmp_path / "store.db")),
    ):
        assert called(*words, settings={}).returncode == 2, words
    assert called("witness", "watch", folder, KEY, settings={}).returncode == 0
