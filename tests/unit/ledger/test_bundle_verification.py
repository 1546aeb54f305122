"""A bundle is verified or its first fault is named: tampering without the key.

The votes are 900 of a golden file. False claims that the operator signs are in test_false_claims.py.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Refuted
from pipeline.ledger import (
    bundle,
    canonical_json,
    leaf_encoding,
    manifest,
    merkle,
    published_views,
    segment,
    signed_note,
)
from pipeline.ledger.bundle_verification import VerifiedBundle, verify_bundle
from pipeline.ledger.manifest import Manifest
from pipeline.ratings import PairCounts
from tests.unit.ledger import slow_merkle
from tests.unit.ledger.board_operator import (
    BOARD,
    EXCLUDED,
    FIRST,
    REASONS,
    SECOND,
    SIGNER,
    STRANGER,
    THIRD,
    WITNESS,
    Files,
    changed,
    good,
    honest,
    lying,
    operator,
    published_view,
    refuted,
    segment_file,
    small_votes,
)


@pytest.mark.parametrize("sequence", [1, 2, 3])
def test_a_good_bundle_passes(sequence: int) -> None:
    found = verify_bundle(operator().bundle(sequence), [SIGNER.verifier])
    assert found.manifest.sequence == found.checkpoint.size == sequence
    assert found.signer == SIGNER.verifier
    assert found.key_checked
    assert "verified" in str(found)


def test_a_good_bundle_counts_what_it_should() -> None:
    output = verify_bundle(good(), [SIGNER.verifier]).manifest
    fate = np.array(small_votes()["fate"].to_pylist())
    # Leaf 33 was taken back; leaves 10, 20, 640 and 641 are excluded; a quarantined vote counts nowhere.
    assert output.vote_log.size == 901
    assert output.views.raw.votes == np.isin(fate, ["accepted", "late"]).sum() - 1
    assert output.views.defended.votes == output.views.raw.votes - 4
    assert output.coverage is not None
    assert output.coverage.late == (fate == "late").sum() > 0
    assert [one.votes for one in output.exclusions] == [3, 1]
    assert [one.model for one in output.views.raw.unrated] == ["yak"]


def test_a_snapshot_by_the_earlier_late_rule_verifies_by_it_and_a_later_one_states_its_own() -> None:
    it = honest(late_counts=False)
    fate = np.array(small_votes()["fate"].to_pylist())
    before = verify_bundle(it.bundle(), [SIGNER.verifier]).manifest
    assert before.coverage is None
    assert b"coverage" not in before.dump()
    assert before.views.defended.votes == (fate == "accepted").sum() - 1 - 4
    it.late_counts = True
    it.publish(EXCLUDED, REASONS)
    after = verify_bundle(it.bundle(), [SIGNER.verifier]).manifest
    assert after.views.defended.votes == before.views.defended.votes + (fate == "late").sum()


def test_a_late_rule_is_neither_dropped_nor_unknown_nor_stated_with_wrong_numbers() -> None:
    rule = manifest.LATE_COUNT
    for coverage in (
        None,
        manifest.VoteCoverage("some count", 0, 0),
        manifest.VoteCoverage(rule, 1_000, 0),
        manifest.VoteCoverage(rule, (np.array(small_votes()["fate"].to_pylist()) == "late").sum().item(), 901),
    ):
        change = lambda it, coverage=coverage: replace(it, coverage=coverage)  # noqa: E731
        found = refuted(lying(change))
        assert found.reason in {"late_rule", "counts", "exclusion"}, coverage
    assert refuted(lying(lambda it: replace(it, coverage=None))).reason in {"late_rule", "exclusion"}


def test_null_is_no_value_of_an_optional_field() -> None:
    raw = json.loads(good()["manifest.json"])
    with pytest.raises(Refuted, match="coverage"):
        canonical_json.load(Manifest, canonical_json.dump({**raw, "coverage": None}), "manifest.json")


def test_without_a_key_the_verdict_says_that_the_key_was_not_checked() -> None:
    found = verify_bundle(good())
    assert not found.key_checked
    assert "key not checked" in str(found)
    assert found.signer.key_id.hex() in str(found)


def test_a_bundle_by_another_key_is_consistent_and_refuted_by_the_key() -> None:
    forged = honest(STRANGER).bundle()
    assert not verify_bundle(forged).key_checked
    assert refuted(forged).reason == "unsigned"


def test_a_witness_that_the_manifest_names_is_reported() -> None:
    files = {**good(), "checkpoint": good()["checkpoint"] + WITNESS.sign(head().text, 1_723_700_000)}
    assert verify_bundle(files, [SIGNER.verifier]).witnesses == (WITNESS.name,)


def head() -> signed_note.Checkpoint:
    return signed_note.parse_checkpoint(signed_note.parse(good()["checkpoint"], "x"), "x")


def test_a_bundle_in_a_folder_passes_and_links_are_refused(tmp_path: Path) -> None:
    bundle.write_folder(tmp_path / "bundle", good())
    folder = bundle.BundleFolder(tmp_path / "bundle")
    assert len(folder) == len(good())
    assert isinstance(verify_bundle(folder, [SIGNER.verifier]), VerifiedBundle)
    (tmp_path / "bundle/votes/link").symlink_to(tmp_path)
    with pytest.raises(Refuted, match="not_a_file"):
        verify_bundle(folder)
    with pytest.raises(Refuted, match="missing"):
        bundle.BundleFolder(tmp_path / "nothing")


# --- somebody who cannot sign ---------------------------------------------------------------------------------------


def without(name: str) -> Files:
    return {key: value for key, value in good().items() if key != name}


def put(name: str, data: bytes) -> Files:
    return {**good(), name: data}


def swap(name: str, old: str, new: str) -> Files:
    assert old.encode() in good()[name], f"{old!r} is not in {name}"
    return put(name, good()[name].replace(old.encode(), new.encode(), 1))


def reorder(name: str) -> Files:
    value = json.loads(good()[name])
    return put(name, json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode())


def proof(**paths: Any) -> Files:
    value = json.loads(good()["proof.json"])
    value.update({name: change(value[name]) for name, change in paths.items()})
    return put("proof.json", canonical_json.dump(value))


def flip(path: list[str]) -> list[str]:
    return [("0" if path[0][0] != "0" else "1") + path[0][1:], *path[1:]]


def vote(name: str, row: int, **values: Any) -> Files:
    rows, hashes = segment.read(good()[name], name)
    return put(name, segment_file(changed(rows, row, **values), hashes))


def rows_of(name: str, choose: Callable[[pa.Table], pa.Table]) -> Files:
    rows = choose(segment.read(good()[name], name)[0])
    return put(name, segment_file(rows, leaf_encoding.hashes(rows)))


def own_digest(name: str, data: bytes) -> Files:
    """A changed file, and its digest in the manifest put right."""
    old, new = manifest.sha256_hex(good()[name]), manifest.sha256_hex(data)
    return {**swap("manifest.json", old, new), name: data}


def resigned(size: int | None = None, root: bytes | None = None, signer: signed_note.Signer = SIGNER) -> bytes:
    it = head()
    text = signed_note.Checkpoint(it.origin, it.size if size is None else size, root or it.root).text
    return signed_note.sign(text, [signer])


def spare_bit() -> Files:
    """The same signature in other letters: the last symbol has bits that a decoder ignores."""
    text = good()["checkpoint"].decode()
    assert text.endswith("=\n") and not text.endswith("==\n")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return put("checkpoint", (text[:-3] + alphabet[alphabet.index(text[-3]) ^ 1] + "=\n").encode())


def by_stranger() -> Files:
    files = put("checkpoint", resigned(signer=STRANGER))
    return {**files, "key.txt": f"{STRANGER.verifier}\n".encode()}


def bad_witness() -> Files:
    line = WITNESS.sign(b"another text\n", 1)
    return put("checkpoint", good()["checkpoint"] + line)


def unknown_witness() -> Files:
    other = signed_note.Signer("other.example", bytes(32), signed_note.COSIGNATURE)
    return put("checkpoint", good()["checkpoint"] + other.sign(head().text, 1))


def ahead() -> bytes:
    """A head of four leaves, as the operator would sign it."""
    tree = slow_merkle.leaf_hashes([*operator().manifests, b"{}"])
    return signed_note.sign(signed_note.Checkpoint(head().origin, 4, merkle.root(tree)).text, [SIGNER])


def fork() -> bytes:
    tree = slow_merkle.leaf_hashes([*operator().manifests[:2], b"{}"])
    return signed_note.sign(signed_note.Checkpoint(head().origin, 3, merkle.root(tree)).text, [SIGNER])


def past() -> bytes:
    """Another past of one leaf."""
    return signed_note.sign(signed_note.Checkpoint(head().origin, 2, bytes(32)).text, [SIGNER])


OTHER = {"model_a": "model_b", "model_b": "model_a", "tie": "model_a", "both_bad": "model_a"}
VANDALISM: dict[str, tuple[Callable[[], Files], str, str]] = {
    "a vote's outcome changed": (lambda: vote(SECOND, 7, outcome="both_bad"), "digest", SECOND),
    "a vote's model changed": (lambda: vote(FIRST, 0, model_a="yak"), "digest", FIRST),
    "a vote's fate changed": (lambda: vote(THIRD, 2, fate="quarantined"), "digest", THIRD),
    "a vote's hour changed": (lambda: vote(THIRD, 2, at="2020-01-01T00:00:00Z"), "digest", THIRD),
    "a vote's commitment changed": (lambda: vote(THIRD, 2, commitment=bytes(32)), "digest", THIRD),
    "a vote dropped": (lambda: rows_of(SECOND, lambda it: it.slice(1)), "digest", SECOND),
    "a vote added": (lambda: rows_of(SECOND, lambda it: pa.concat_tables([it, it.slice(0, 1)])), "digest", SECOND),
    "votes reordered": (lambda: rows_of(SECOND, lambda it: it.take(list(range(399, -1, -1)))), "digest", SECOND),
    "a vote changed and its digest put right": (
        lambda: own_digest(SECOND, vote(SECOND, 7, outcome="both_bad")[SECOND]),
        "inclusion",
        "manifest.json",
    ),
    "a segment truncated": (lambda: put(SECOND, good()[SECOND][:-9]), "digest", SECOND),
    "a segment emptied": (lambda: put(SECOND, b""), "digest", SECOND),
    "a segment missing": (lambda: without(SECOND), "missing", SECOND),
    "two segments swapped": (lambda: {**good(), FIRST: good()[SECOND], SECOND: good()[FIRST]}, "digest", FIRST),
    "a segment twice": (lambda: put("votes/000000000901.parquet", good()[FIRST]), "unlisted", "000000000901"),
    "a file that nobody listed": (lambda: put("notes.txt", b""), "unlisted", "notes.txt"),
    "the words of the README changed": (lambda: swap("README.txt", "--key KEY", ""), "digest", "README.txt"),
    "the README missing": (lambda: without("README.txt"), "missing", "README.txt"),
    "the key missing": (lambda: without("key.txt"), "missing", "key.txt"),
    "an excluded vote put back": (
        lambda: put("excluded.parquet", segment.write_excluded(pa.array([10, 20, 640]), pa.array([0, 0, 0]))),
        "digest",
        "excluded.parquet",
    ),
    "the manifest missing": (lambda: without("manifest.json"), "missing", "manifest.json"),
    "the manifest reordered": (lambda: reorder("manifest.json"), "inclusion", "manifest.json"),
    "the manifest with spaces": (lambda: swap("manifest.json", '":"', '": "'), "inclusion", "manifest.json"),
    "the manifest with a line end": (
        lambda: put("manifest.json", good()["manifest.json"] + b"\n"),
        "inclusion",
        "manifest.json",
    ),
    "a number spelt otherwise": (
        lambda: swap("manifest.json", '"sequence":3', '"sequence":3.0'),
        "inclusion",
        "manifest.json",
    ),
    "a key twice": (
        lambda: swap("manifest.json", '"sequence":3', '"sequence":3,"sequence":3'),
        "inclusion",
        "manifest.json",
    ),
    "no number": (lambda: swap("manifest.json", '"sequence":3', '"sequence":NaN'), "inclusion", "manifest.json"),
    "the manifest as UTF-16": (
        lambda: put("manifest.json", good()["manifest.json"].decode().encode("utf-16")),
        "inclusion",
        "manifest.json",
    ),
    "no JSON": (lambda: put("manifest.json", b"{" * 100_000), "inclusion", "manifest.json"),
    "a negative number": (lambda: swap("manifest.json", '"sequence":3', '"sequence":-3'), "inclusion", "manifest.json"),
    "a field that nobody declared": (
        lambda: swap("manifest.json", '"alerts":', '"agreed":1,"alerts":'),
        "inclusion",
        "manifest.json",
    ),
    "a field less": (lambda: swap("manifest.json", f'"board":"{BOARD}",', ""), "inclusion", "manifest.json"),
    "a rating 0.02 higher": (
        lambda: swap("manifest.json", f'"rating":{top().rating}', f'"rating":{round(top().rating + 0.02, 2)}'),
        "inclusion",
        "manifest.json",
    ),
    "a count changed": (lambda: swap("manifest.json", '"votes":1', '"votes":2'), "inclusion", "manifest.json"),
    "the name of an excluder changed": (lambda: swap("manifest.json", "auto-voter/1", "auto-voter/2"), "inclusion", ""),
    "the vote log's root changed": (lambda: swap("manifest.json", root(), "0" * 64), "inclusion", "manifest.json"),
    "a digest in upper case": (lambda: swap("manifest.json", root(), root().upper()), "inclusion", "manifest.json"),
    "the checkpoint missing": (lambda: without("checkpoint"), "missing", "checkpoint"),
    "the checkpoint's size changed": (lambda: swap("checkpoint", "\n3\n", "\n4\n"), "signature", "checkpoint"),
    "the checkpoint's root changed": (
        lambda: put("checkpoint", resigned(root=bytes(32)).split(b"\n\n")[0] + b"\n\n" + lines()),
        "signature",
        "checkpoint",
    ),
    "the checkpoint's line ends changed": (
        lambda: put("checkpoint", good()["checkpoint"].replace(b"\n", b"\r\n")),
        "note",
        "checkpoint",
    ),
    "the signature of another text": (lambda: put("checkpoint", body() + b"\n" + SIGNER.sign(b"x\n")), "signature", ""),
    "the signature spelt otherwise": (spare_bit, "note", "checkpoint"),
    "no signature": (lambda: put("checkpoint", body()), "note", "checkpoint"),
    "the signature twice": (lambda: put("checkpoint", good()["checkpoint"] + lines()), "note", "checkpoint"),
    "another key": (by_stranger, "unsigned", "checkpoint"),
    "an older checkpoint": (lambda: put("checkpoint", good()["previous-checkpoint"]), "inclusion", "manifest.json"),
    "a witness who signed something else": (bad_witness, "signature", "checkpoint"),
    "only a witness": (lambda: put("checkpoint", body() + b"\n" + WITNESS.sign(body(), 1)), "unsigned", "checkpoint"),
    "the proof missing": (lambda: without("proof.json"), "missing", "proof.json"),
    "the proof reordered": (lambda: reorder("proof.json"), "canonical", "proof.json"),
    "the proof in upper case": (
        lambda: proof(inclusion=lambda it: [it[0].upper(), *it[1:]]),
        "fields",
        "proof.json.inclusion[0]",
    ),
    "a hash of the inclusion changed": (lambda: proof(inclusion=flip), "inclusion", "manifest.json"),
    "a hash of the inclusion missing": (lambda: proof(inclusion=lambda it: it[1:]), "inclusion", "manifest.json"),
    "a hash of the inclusion too many": (lambda: proof(inclusion=lambda it: it * 2), "inclusion", "manifest.json"),
    "a hash of the consistency changed": (lambda: proof(consistency=flip), "consistency", "previous-checkpoint"),
    "a hash of the consistency missing": (lambda: proof(consistency=lambda it: it[1:]), "consistency", ""),
    "a hash of the consistency too many": (lambda: proof(consistency=lambda it: it * 2), "consistency", ""),
    "the place of the manifest before changed": (lambda: proof(previous_inclusion=flip), "inclusion", "previous.json"),
    "the manifest before missing": (lambda: without("previous.json"), "missing", "previous.json"),
    "the manifest before is another": (lambda: put("previous.json", operator().manifests[0]), "previous", ""),
    "the manifest before changed": (lambda: swap("previous.json", "auto-voter/1", "auto-voter/2"), "previous", ""),
    "the checkpoint before missing": (lambda: without("previous-checkpoint"), "missing", "previous-checkpoint"),
    "the checkpoint before by a stranger": (
        lambda: put("previous-checkpoint", honest(STRANGER).heads[1]),
        "unsigned",
        "previous-checkpoint",
    ),
    "a rollback": (lambda: put("previous-checkpoint", ahead()), "rollback", "previous-checkpoint"),
    "a fork": (lambda: put("previous-checkpoint", fork()), "fork", "previous-checkpoint"),
    "another past": (lambda: put("previous-checkpoint", past()), "consistency", "previous-checkpoint"),
    "a checkpoint from before the manifest before": (
        lambda: {
            **proof(consistency=lambda _: [one.hex() for one in merkle_consistency(1, 3)]),
            "previous-checkpoint": operator().heads[0],
        },
        "previous",
        "previous-checkpoint",
    ),
}


def merkle_consistency(old: int, new: int) -> list[bytes]:
    from pipeline.ledger.merkle_proofs import consistency_path

    return consistency_path(old, new, merkle.MerkleTree(slow_merkle.leaf_hashes(operator().manifests)).node)


def top() -> manifest.BoardRow:
    return canonical_json.load(Manifest, good()["manifest.json"], "x").views.defended.rows[0]


def root() -> str:
    return canonical_json.load(Manifest, good()["manifest.json"], "x").vote_log.root


def body() -> bytes:
    return good()["checkpoint"].partition(b"\n\n")[0] + b"\n"


def lines() -> bytes:
    return good()["checkpoint"].partition(b"\n\n")[2]


@pytest.mark.parametrize("what", VANDALISM)
def test_tampering_is_named(what: str) -> None:
    tamper, reason, where = VANDALISM[what]
    files = tamper()
    assert files != good()
    found = refuted(files)
    assert found.reason == reason, found
    assert where in found.where, found


def test_a_line_by_an_unknown_signer_is_ignored() -> None:
    """C2SP signed-note: a reader knows the signers that it trusts and passes over the others."""
    found = verify_bundle(unknown_witness(), [SIGNER.verifier])
    assert (found.signer, found.witnesses) == (SIGNER.verifier, ())
    twice = put(
        "checkpoint", unknown_witness()["checkpoint"] + unknown_witness()["checkpoint"].split(b"\n")[-2] + b"\n"
    )
    assert verify_bundle(twice, [SIGNER.verifier]).key_checked


def test_a_file_that_was_not_signed_is_not_parsed() -> None:
    """The digest of a file is all that is said of it: a leaf is named only in a file that the operator signed."""
    found = refuted(vote(SECOND, 7, outcome="both_bad"))
    assert (found.reason, found.where) == ("digest", SECOND)
    assert "leaf" not in str(found)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_a_flipped_bit_anywhere_in_a_bundle_never_passes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(good())))
    bit = data.draw(st.integers(0, len(good()[name]) * 8 - 1))
    spoilt = bytearray(good()[name])
    spoilt[bit // 8] ^= 1 << bit % 8
    keys = data.draw(st.sampled_from([[], [SIGNER.verifier]]))
    assert refuted(put(name, bytes(spoilt)), keys=keys).where


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(good())), st.data())
def test_a_cut_or_longer_file_never_passes(name: str, data: st.DataObject) -> None:
    whole = good()[name]
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert refuted(put(name, whole[:cut])).where
    assert refuted(put(name, whole + data.draw(st.binary(min_size=1, max_size=9)))).where


def test_the_tampering_table_is_long() -> None:
    assert len(VANDALISM) >= 40


def test_a_checkpoint_that_the_reader_kept_shows_a_rollback_and_a_fork() -> None:
    assert verify_bundle(good(), [SIGNER.verifier], good()["checkpoint"])
    assert verify_bundle(good(), [SIGNER.verifier], operator().heads[0])
    assert refuted(good(), remembered=ahead()).reason == "rollback"
    assert refuted(good(), remembered=fork()).reason == "fork"
    assert refuted(good(), remembered=resigned(signer=STRANGER)).reason == "unsigned"
    assert refuted(operator().bundle(2), remembered=good()["checkpoint"]).reason == "rollback"


@pytest.mark.parametrize(
    ("reason", "accepted"),
    [
        ("Not rated: it never met a rated model (2 votes).", True),
        ("None of its 2 votes is a battle with a rated model.", True),
        ("None of its 3 votes is a battle with a rated model.", False),
    ],
)
def test_the_reason_of_an_unrated_model_is_checked_in_its_earlier_wording_too(reason: str, accepted: bool) -> None:
    rated = [[0, 1, 30, 30, 0, 0], [1, 2, 30, 30, 0, 0], [3, 4, 1, 1, 0, 0]]
    table = np.array(rated)
    counts = PairCounts.from_rows(("ant", "bee", "cat", "far", "fox"), table[:, 0], table[:, 1], table[:, 2:])
    settings = published_views.with_digest({"anchor": "", "least_share": 0.95})
    view = published_view(counts, settings)
    changed = replace(view, unrated=tuple(replace(one, reason=reason) for one in view.unrated))
    if accepted:
        published_views.check_view(changed, counts, settings, "view raw")
    else:
        with pytest.raises(Refuted, match="unrated models with their reasons"):
            published_views.check_view(changed, counts, settings, "view raw")
