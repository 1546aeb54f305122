"""A method and boards in a manifest: honest ones pass; false ones that the operator signed are refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785

from pipeline.events import vote
from pipeline.ledger import bundle, label_verification, leaf_labels, manifest, segment, snapshot_body
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.manifest import Manifest
from pipeline.vocabulary.method_rules import RULE_BITS, count_by_first_rule, rule_mask
from tests.unit.ledger.board_operator import (
    SIGNER,
    Change,
    Files,
    Operator,
    good,
    last_seal,
    refuted,
    small_votes,
)

RULES = ("not_anonymous", "refusal", "frequent_prompt")
FIRST, SECOND, THIRD = (leaf_labels.path(at) for at in (0, 300, 700))
EXCLUDED, REASONS = {10: 0, 640: 1}, ("voted against the board", "asked for by a person")


def label_rows(first: int, end: int) -> dict[str, Any]:
    """Labels of leaves: two rules for some, two categories that overlap, a language for most."""
    leaf = np.array([one for one in range(first, end) if one % 5], dtype=np.int64)
    rules = np.where(leaf % 11 == 3, 1, 0) | np.where(leaf % 7 == 2, 2, 0) | np.where(leaf % 13 == 4, 8, 0)
    return {
        "leaf": leaf,
        "rules": rules.astype(np.int32),
        "categories": [["coding"] * (one % 2) + ["math"] * (one % 3 == 0) for one in leaf.tolist()],
        "language": [None if one % 4 == 0 else "en" if one % 4 < 3 else "fr" for one in leaf.tolist()],
    }


def labels_file(rows: Mapping[str, Any]) -> bytes:
    texts = pa.array(rows["categories"], pa.list_(pa.string())), pa.array(rows["language"], pa.string())
    return leaf_labels.write(rows["leaf"], rows["rules"], *texts)


def labelled() -> Operator:
    """Two snapshots, the first without labels; the votes of the first seal have none."""
    it, rows = Operator(), small_votes()
    it.seal(rows.slice(0, 300))
    it.publish()
    it.seal(rows.slice(300, 400))
    it.labels[300] = labels_file(label_rows(300, 700))
    it.method, it.boards = RULES, ("category/coding", "language/en")
    it.publish({10: 0}, REASONS[:1])
    it.seal(last_seal(rows))
    it.labels[700] = labels_file(label_rows(700, 900))
    return it


def snapshot(change: Change = lambda it: it, labels: Mapping[int, bytes] = {}, **options: Any) -> Files:
    """The bundle of a third snapshot, made from these labels, with a changed manifest."""
    it = labelled()
    it.labels |= labels
    for name, value in options.items():
        setattr(it, name, value)
    it.publish(EXCLUDED, REASONS, change)
    return it.bundle()


@cache
def honest() -> Files:
    return snapshot()


def third() -> Manifest:
    return manifest.load(honest()[bundle.MANIFEST])


def method_of(**values: Any) -> Change:
    return lambda it: replace(it, method=replace(it.method, **values))  # type: ignore[type-var]


def left_out(**votes: int) -> Change:
    return lambda it: method_of(left_out={**it.method.left_out, **votes})(it)  # type: ignore[union-attr]


def board_of(name: str, **values: Any) -> Change:
    return lambda it: replace(it, boards={**(it.boards or {}), name: replace((it.boards or {})[name], **values)})


def with_file(name: str, data: bytes) -> Files:
    """Another file in the place of one that the manifest states, with its digest."""

    def change(it: Manifest) -> Manifest:
        return replace(it, files={**it.files, name: manifest.sha256_hex(data)})

    return {**snapshot(change), name: data}


def third_labels(**columns: Any) -> Files:
    return with_file(THIRD, labels_file({**label_rows(700, 900), **columns}))


def table_file(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def one_label(leaf: int, rules: int = 0, category: str = "coding") -> bytes:
    row = {"leaf": np.array([leaf]), "rules": np.array([rules], np.int32), "categories": [[category]]}
    return labels_file({**row, "language": [None]})


def without_label_file() -> Files:
    """The manifest leaves out a file of labels that the one before it lists."""
    files = snapshot(lambda it: replace(it, files={k: v for k, v in it.files.items() if k != SECOND}))
    return {name: data for name, data in files.items() if name != SECOND}


def with_body(change: Callable[[dict[str, Any]], Any]) -> Files:
    value = snapshot_body._expected(third())
    change(value)
    return with_file(bundle.SNAPSHOT, rfc8785.dumps(value))


def rows_as(name: str, change: Callable[[Any], Any]) -> Change:
    def make(it: Manifest) -> Manifest:
        rows = (it.boards or {})[name].rows
        return board_of(name, rows=(change(rows[0]), *rows[1:]))(it)

    return make


CODING, ENGLISH = "category/coding", "language/en"
LIES: dict[str, tuple[Callable[[], Files], str, str]] = {
    "a rule's count one higher": (lambda: snapshot(left_out(refusal=1_000)), "method", "left_out.refusal"),
    "a rule's count of nothing": (lambda: snapshot(left_out(not_anonymous=0)), "method", "left_out.not_anonymous"),
    "a rule that is not applied": (
        lambda: snapshot(lambda it: replace(it, method=labelled_method(RULES, it))), "counts", "view defended"
    ),
    "a rule that is not stated": (
        lambda: snapshot(lambda it: replace(it, method=labelled_method(RULES[:1], it))), "counts", "view defended"
    ),
    "an unknown rule": (lambda: snapshot(method_of(rules=("dislike",))), "method", "method.rules"),
    "rules in another order": (lambda: snapshot(method_of(rules=RULES[::-1])), "method", "method.rules"),
    "a rule twice": (lambda: snapshot(method_of(rules=(RULES[0], *RULES))), "method", "method.rules"),
    "no count for a rule": (lambda: snapshot(method_of(left_out={})), "method", "method.left_out"),
    "a count for another rule": (lambda: snapshot(left_out(identity_leak=3)), "method", "method.left_out"),
    "a method without a name": (lambda: snapshot(method_of(name="")), "method", "method.name"),
    "a method of two lines": (lambda: snapshot(method_of(name="a\nb")), "method", "method.name"),
    "no method under the boards": (lambda: snapshot(lambda it: replace(it, method=None)), "boards", "boards"),
    "no boards in the field": (lambda: snapshot(lambda it: replace(it, boards={})), "boards", "boards"),
    "a board of another kind": (
        lambda: snapshot(lambda it: replace(it, boards={"voter/x": (it.boards or {})[CODING]})), "boards", "voter/x"
    ),
    "a board without a label": (
        lambda: snapshot(lambda it: replace(it, boards={"category/": (it.boards or {})[CODING]})), "boards", "category/"
    ),
    "a board under another's name": (
        lambda: snapshot(lambda it: replace(it, boards={"category/math": (it.boards or {})[CODING]})),
        "counts",
        "board category/math",
    ),
    "a board of a label that no vote has": (
        lambda: snapshot(lambda it: replace(it, boards={"category/law": (it.boards or {})[CODING]})),
        "counts",
        "board category/law",
    ),
    "a board's total": (lambda: snapshot(board_of(CODING, votes=7)), "counts", f"board {CODING}"),
    "a board's rating": (
        lambda: snapshot(rows_as(CODING, lambda row: replace(row, rating=round(row.rating + 0.02, 2)))),
        "rating",
        f"board {CODING}",
    ),
    "a board's votes of a model": (
        lambda: snapshot(rows_as(ENGLISH, lambda row: replace(row, votes=row.votes + 1))), "counts", f"board {ENGLISH}"
    ),
    "a board's row left out": (
        lambda: snapshot(lambda it: board_of(CODING, rows=(it.boards or {})[CODING].rows[1:])(it)),
        "rows",
        f"board {CODING}",
    ),
    "labels that the manifest does not list": (
        lambda: {**honest(), FIRST: one_label(3)}, "unlisted", FIRST
    ),
    "labels that are missing": (
        lambda: {name: data for name, data in honest().items() if name != THIRD}, "missing", THIRD
    ),
    "labels that were published before, left out": (without_label_file, "labels", SECOND),
    "labels that were published before, changed": (lambda: with_file(SECOND, one_label(301)), "labels", SECOND),
    "labels of a segment that was published without": (lambda: snapshot(labels={0: one_label(3)}), "labels", FIRST),
    "labels of no segment": (lambda: snapshot(labels={1: one_label(5)}), "labels", leaf_labels.path(1)),
    "the label of a leaf that does not exist": (lambda: with_file(THIRD, one_label(901)), "labels", THIRD),
    "the label of a leaf of another segment": (lambda: with_file(THIRD, one_label(699)), "labels", THIRD),
    "the label of a retraction": (lambda: with_file(THIRD, one_label(900)), "labels", "leaf 900"),
    "the label of a negative leaf": (lambda: with_file(THIRD, one_label(-1)), "labels", THIRD),
    "leaves out of order": (
        lambda: third_labels(leaf=label_rows(700, 900)["leaf"][::-1]), "labels", THIRD
    ),
    "bits of no rule": (lambda: with_file(THIRD, one_label(701, 64)), "labels", "leaf 701"),
    "an empty category": (lambda: with_file(THIRD, one_label(701, category="")), "labels", THIRD),
    "a category of 201 characters": (lambda: with_file(THIRD, one_label(701, category="x" * 201)), "labels", THIRD),
    "other rules than were applied": (
        lambda: third_labels(rules=np.zeros(160, np.int32)), "method", "left_out"
    ),
    "other languages than were counted": (lambda: third_labels(language=[None] * 160), "counts", f"board {ENGLISH}"),
    "no file of labels": (lambda: with_file(THIRD, b"PAR1 no labels PAR1"), "labels", THIRD),
    "labels of other columns": (lambda: with_file(THIRD, table_file(pa.table({"leaf": [701]}))), "labels", THIRD),
    "labels of another type": (
        lambda: with_file(
            THIRD, table_file(pa.table({"leaf": [701], "rules": [1], "categories": ["coding"], "language": ["en"]}))
        ),
        "labels",
        THIRD,
    ),
    "a vote of a hundred categories": (
        lambda: with_file(THIRD, labels_file({
            "leaf": np.array([701]), "rules": np.array([0], np.int32),
            "categories": [["coding"] * 100], "language": ["en"],
        })),
        "limit",
        THIRD,
    ),
    "a large file of labels": (lambda: with_file(THIRD, bytes(5 * 2**20)), "limit", THIRD),
    "an excluded vote that a rule leaves out": (lambda: excluding(333), "exclusion", "leaf 333"),
    "body: another method": (lambda: with_body(lambda it: it["method"].update(name="x")), "snapshot", "method.name"),
    "body: another count": (
        lambda: with_body(lambda it: it["method"]["left_out"].update(refusal=0)), "snapshot", "method.left_out.refusal"
    ),
    "body: other rows of a board": (
        lambda: with_body(lambda it: it["rows"].update({CODING: "0" * 64})), "snapshot", f"rows.{CODING}"
    ),
    "body: another total of a board": (
        lambda: with_body(lambda it: it["boards"][CODING].update(votes=1)), "snapshot", f"boards.{CODING}.votes"
    ),
    "body: a board more": (
        lambda: with_body(lambda it: it["boards"].update({"category/law": {}})), "snapshot", "boards"
    ),
}  # fmt: skip


def labelled_method(rules: tuple[str, ...], it: Manifest) -> manifest.PublishedMethod:
    """A method with other rules, whose counts are right, over views of the honest method."""
    assert it.method is not None
    others = ("identity_leak",) if rules == RULES else ()
    bits = np.concatenate([label_rows(first, end)["rules"] for first, end in ((300, 700), (700, 900))])
    fate = small_votes()["fate"].to_pylist()
    leaves = np.concatenate([label_rows(first, end)["leaf"] for first, end in ((300, 700), (700, 900))])
    counted = np.array([fate[leaf] != "quarantined" for leaf in leaves.tolist()])
    named = tuple(rule for rule in RULE_BITS if rule in {*rules, *others})
    votes = count_by_first_rule(bits[counted].astype(np.int64), np.ones(counted.sum(), np.int64), named)
    return manifest.PublishedMethod("arena", named, votes)


def excluding(leaf: int) -> Files:
    """Excludes a vote that a rule leaves out already."""
    assert label_rows(300, 700)["rules"][label_rows(300, 700)["leaf"].tolist().index(leaf)] & rule_mask(RULES)
    it = labelled()
    data = leaf_file([leaf])
    it.publish({10: 0}, REASONS[:1], excluded_file=data)
    return it.bundle()


def leaf_file(leaves: list[int]) -> bytes:

    return segment.write_excluded(pa.array(leaves, pa.int64()), pa.array([0] * len(leaves), pa.int32()))


def test_labels_of_several_row_groups_are_read_as_one() -> None:
    rows = [
        pa.table(
            {"leaf": [2 * i, 2 * i + 1], "rules": [1, 0], "categories": [[f"c{i}"], ["a", f"c{i}"]],
             "language": ["en", f"l{i}"]},
            schema=leaf_labels.SCHEMA,
        )
        for i in range(3)
    ]  # fmt: skip
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, leaf_labels.SCHEMA, store_schema=False) as writer:
        for table in rows:
            writer.write_table(table)
    found = leaf_labels.LogLabels(6)
    found.extend(leaf_labels.read(bytes(sink.getvalue()), "labels", 0, 6))
    assert found.rules.tolist() == [1, 0] * 3
    assert np.flatnonzero(found.selects("category/a")).tolist() == [1, 3, 5]
    assert np.flatnonzero(found.selects("category/c1")).tolist() == [2, 3]
    assert np.flatnonzero(found.selects("language/en")).tolist() == [0, 2, 4]


def random_label(leaf: int, number: int) -> str:
    return "".join(sha256(b"%d %d %d" % (leaf, number, part)).hexdigest() for part in range(3))


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "lists"),
    [
        (200_000, [[f"label {n}" for n in range(63)]]),  # all votes have the same labels, which take no room
        (6_000, [[random_label(leaf, n) for n in range(10)] for leaf in range(6_000)]),
    ],
    ids=["the same of all", "others of each"],
)
def test_labels_that_votes_may_have_pass_the_limits(size: int, lists: list[list[str]]) -> None:
    code = np.arange(size) % len(lists)
    categories = pa.array(lists, pa.list_(pa.string())).take(pa.array(code))
    language = pa.array(["en"]).take(pa.array(code * 0))
    data = leaf_labels.write(np.arange(size), np.zeros(size, np.int32), categories, language)
    assert len(leaf_labels.read(data, "labels", 0, size)) == size
    assert len(data) <= label_verification._FREE_BYTES + label_verification._LEAF_BYTES * size


def test_limits_of_labels_are_those_of_events() -> None:
    assert leaf_labels.MAX_LABELS_BYTES == vote.MAX_LABELS_BYTES
    assert leaf_labels.MAX_TEXT == vote.MAX_NAME


def test_the_file_of_labels_does_not_depend_on_the_codes_of_its_texts() -> None:
    numbers, bits = np.array([3, 5, 7]), np.array([0, 1, 16], np.int32)
    lists = pa.array([["a", "b"], [], ["b"]])
    coded = pa.ListArray.from_arrays([0, 2, 2, 3], pa.array(["a", "b", "b"]).dictionary_encode())
    language = pa.array(["en", None, "fr"])
    expected = leaf_labels.write(numbers, bits, lists, language)
    assert leaf_labels.write(numbers, bits, coded, language.dictionary_encode()) == expected


def test_a_bundle_with_a_method_boards_and_labels_passes() -> None:
    found = verify_bundle(honest(), [SIGNER.verifier]).manifest
    assert found.method is not None
    assert found.method.rules == RULES
    assert found.method.left_out["not_anonymous"] > 0 < found.method.left_out["refusal"]
    assert found.method.left_out["frequent_prompt"] == 0
    assert set(found.boards or {}) == {CODING, ENGLISH}
    out = sum(found.method.left_out.values())
    assert found.views.defended.votes == found.views.raw.votes - out - sum(one.votes for one in found.exclusions)


def test_the_boards_count_the_defended_votes_of_their_label() -> None:
    rows = small_votes().to_pylist()
    for name in (CODING, ENGLISH):
        kind, _, text = name.partition("/")
        expected = 0
        for first, end in ((300, 700), (700, 900)):
            labels = label_rows(first, end)
            for at, leaf in enumerate(labels["leaf"].tolist()):
                has = text in labels["categories"][at] if kind == "category" else labels["language"][at] == text
                named = labels["rules"][at] & rule_mask(RULES)
                counted = rows[leaf]["fate"] != "quarantined" and leaf not in EXCLUDED and leaf != 33
                expected += bool(has and counted and not named)
        assert (third().boards or {})[name].votes == expected


def test_an_earlier_manifest_has_no_method_and_passes() -> None:
    it = labelled()
    assert b'"method"' not in it.manifests[0]
    assert manifest.load(it.manifests[0]).method is None
    assert verify_bundle(it.bundle(1), [SIGNER.verifier]).manifest.boards is None
    assert verify_bundle(good(), [SIGNER.verifier])


def test_a_changed_method_passes_over_the_same_labels() -> None:
    for rules in ((), ("identity_leak",), tuple(RULE_BITS)):
        files = snapshot(method=rules)
        found = verify_bundle(files, [SIGNER.verifier]).manifest
        assert found.method is not None
        assert found.method.rules == rules


def test_a_body_with_method_and_boards_passes() -> None:
    assert verify_bundle(with_body(lambda _: None), [SIGNER.verifier])


@pytest.mark.parametrize("what", LIES)
def test_a_signed_lie_about_a_method_is_refused(what: str) -> None:
    make, reason, where = LIES[what]
    found = refuted(make())
    assert (found.reason, where in found.where) == (reason, True), found
