"""Every false claim of a manifest, and every false log, is refuted although the operator signed it.

The votes are 900 of a golden file; two honest snapshots come first, and the third one is false.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.ledger import canonical_json, leaf, leaf_encoding, manifest, merkle, published_views, segment
from pipeline.ledger.manifest import Manifest
from pipeline.ratings import UnratedModel
from tests.unit.ledger.board_operator import (
    EXCLUDED,
    FIRST,
    REASONS,
    SECOND,
    SETTINGS,
    STRANGER,
    THIRD,
    WITNESS,
    Change,
    Files,
    changed,
    honest,
    last_seal,
    lying,
    refuted,
    segment_file,
    small_votes,
    with_row,
    with_view,
)


def sealed(*seals: pa.Table, change: Change = lambda it: it, **published: Any) -> Files:
    """The first two snapshots are honest; the third one's votes are these."""
    it = honest()
    del it.manifests[2], it.heads[2], it.stated[2]
    it.seals, it.files = [], []
    for rows in seals:
        it.seal(rows)
    it.publish(change=change, **published)
    return it.bundle()


def parts() -> list[pa.Table]:
    rows = small_votes()
    return [rows.slice(0, 300), rows.slice(300, 400), last_seal(rows)]


def rewritten(row: int, **values: Any) -> Files:
    """The past of the vote log rewritten: everything fits but the root that was published before."""
    first, *others = parts()
    return sealed(changed(first, row, **values), *others)


def file_swapped(rows: Callable[[pa.Table], pa.Table], *, with_hashes: bool) -> Files:
    """A root that is honest, over a third file that is not."""
    it = honest()
    table, hashes = it.seals[2]
    lie = rows(table)
    it.files[2] = segment_file(lie, leaf_encoding.hashes(lie) if with_hashes else hashes)
    del it.manifests[2], it.heads[2], it.stated[2]
    it.publish(EXCLUDED, REASONS)
    return it.bundle()


def excluding(leaves: list[int], reasons: list[int]) -> Files:
    """A list of excluded votes that the manifest's counts do not know."""
    it = honest()
    del it.manifests[2], it.heads[2], it.stated[2]
    it.publish(
        EXCLUDED,
        REASONS,
        excluded_file=segment.write_excluded(pa.array(leaves, pa.int64()), pa.array(reasons, pa.int32())),
    )
    return it.bundle()


def no_such_table() -> Files:
    it = honest()
    del it.manifests[2], it.heads[2], it.stated[2]
    it.publish(EXCLUDED, REASONS, excluded_file=b"no table")
    return it.bundle()


def retracting(*leaves: tuple[str, int], at: int = 900) -> Files:
    """A bundle with retractions that mean nothing; its manifest is honest about all the rest."""
    it, (first, second, _) = honest(), parts()
    rows = small_votes().slice(700, 200)
    lie = leaf.retraction_rows(
        [one[0] for one in leaves], np.array([0] * len(leaves)), [one[1] for one in leaves], ["x"] * len(leaves)
    )
    table = pa.concat_tables([rows, lie])
    honest_files = it.files[:2]
    it.seals, it.files = (
        [
            (first, leaf_encoding.hashes(first)),
            (second, leaf_encoding.hashes(second)),
            (rows, leaf_encoding.hashes(rows)),
        ],
        [],
    )
    it.files = [*honest_files, segment_file(table, leaf_encoding.hashes(table))]
    del it.manifests[2], it.heads[2], it.stated[2]
    whole = b"".join(leaf_encoding.hashes(one) for one in (first, second, table))

    def log(output: Manifest) -> Manifest:
        segments = (*output.segments[:2], replace(output.segments[2], size=len(table)))
        size, root = at + len(leaves), canonical_json.Digest(merkle.root(whole).hex())
        return replace(output, segments=segments, vote_log=manifest.VoteLogHead(size, root))

    it.publish(change=log)
    return it.bundle()


def no_table() -> Files:
    it = honest()
    it.files[2] = b"PAR1 no table PAR1"
    del it.manifests[2], it.heads[2], it.stated[2]
    it.publish(EXCLUDED, REASONS)
    return it.bundle()


def retracted_as_vote() -> Files:
    """The last leaf is the first vote again."""
    it = honest()
    rows = small_votes()
    table = pa.concat_tables([rows.slice(700, 200), rows.slice(0, 1)])
    it.files[2] = segment_file(table, leaf_encoding.hashes(table))
    whole = b"".join(leaf_encoding.hashes(one) for one in (rows.slice(0, 700), table))
    del it.manifests[2], it.heads[2], it.stated[2]
    it.publish(EXCLUDED, REASONS, with_log(root=canonical_json.Digest(merkle.root(whole).hex())))
    return it.bundle()


def vote_id(row: int) -> str:
    return str(small_votes()["vote"][row].as_py())


def bad_leaf(row: int, **values: Any) -> Files:
    """A vote that is none, sealed as such; the honest code would not count it, so the manifest is of an honest file."""
    return file_swapped(lambda it: changed(it, row, **values), with_hashes=True)


def settings_of(**values: Any) -> Change:
    given = published_views.with_digest({**SETTINGS, **values})
    return lambda it: replace(it, configuration=given)


def settings_without(name: str) -> Change:
    given = published_views.with_digest({key: value for key, value in SETTINGS.items() if key != name})
    return lambda it: replace(it, configuration=given)


def with_log(**values: Any) -> Change:
    return lambda it: replace(it, vote_log=replace(it.vote_log, **values))


def with_segment(place: int, **values: Any) -> Change:
    def change(it: Manifest) -> Manifest:
        segments = list(it.segments)
        segments[place] = replace(segments[place], **values)
        return replace(it, segments=tuple(segments))

    return change


def with_exclusion(**values: Any) -> Change:
    return lambda it: replace(it, exclusions=(replace(it.exclusions[0], **values), *it.exclusions[1:]))


def rows_as(choose: Callable[[tuple[manifest.BoardRow, ...]], tuple[manifest.BoardRow, ...]]) -> Change:
    return lambda it: with_view("raw", rows=choose(it.views.raw.rows))(it)


ZERO = canonical_json.Digest("0" * 64)
CLAIMS: dict[str, tuple[Change, str, str]] = {
    "another schema": (lambda it: replace(it, schema=2), "schema", "manifest.json"),
    "no sequence": (lambda it: replace(it, sequence=0), "fields", "manifest.json.sequence"),
    "a sequence left out": (lambda it: replace(it, sequence=4), "inclusion", "manifest.json"),
    "a first snapshot again": (lambda it: replace(it, sequence=1, previous=ZERO), "inclusion", "manifest.json"),
    "no manifest before": (lambda it: replace(it, previous=ZERO), "previous", "manifest.json"),
    "another manifest before": (
        lambda it: replace(it, previous=canonical_json.Digest("1" * 64)),
        "previous",
        "previous.json",
    ),
    "another board": (lambda it: replace(it, board="other.example"), "unsigned", "checkpoint"),
    "no key": (lambda it: replace(it, keys=()), "key", "manifest.json.keys"),
    "a key that nobody introduced": (
        lambda it: replace(it, keys=(*it.keys, str(STRANGER.verifier))),
        "unsigned",
        "checkpoint",
    ),
    "a key that takes the place of the one before": (
        lambda it: replace(it, keys=(str(STRANGER.verifier),)),
        "key",
        "manifest.json.keys",
    ),
    "two keys at once": (
        lambda it: replace(it, keys=(*it.keys, str(STRANGER.verifier), *it.keys)),
        "key",
        "manifest.json.keys",
    ),
    "a witness as a key": (
        lambda it: replace(it, keys=(*it.keys, str(WITNESS.verifier))),
        "key",
        "manifest.json.keys",
    ),
    "a witness that is no key": (lambda it: replace(it, witnesses=("somebody",)), "key", "manifest.json.witnesses"),
    "no list of excluded votes": (
        lambda it: replace(it, files={**it.files, "excluded.parquet": ZERO}),
        "digest",
        "excluded",
    ),
    "excluded votes not listed as a file": (
        lambda it: replace(it, files={k: v for k, v in it.files.items() if k != "excluded.parquet"}),
        "fields",
        "manifest.json.files",
    ),
    "a vote log one leaf longer": (with_log(size=902), "size", "votes"),
    "a vote log that shrank": (with_log(size=300), "rollback", "vote_log"),
    "another root": (with_log(root=ZERO), "root", "votes"),
    "a segment one leaf longer": (with_segment(1, size=401), "size", SECOND),
    "segments with a gap": (with_segment(0, size=299), "size", FIRST),
    "segments in another order": (lambda it: replace(it, segments=it.segments[::-1]), "size", THIRD),
    "a segment left out": (lambda it: replace(it, segments=it.segments[:2]), "size", "votes"),
    "the digest of another file": (with_segment(1, sha256=ZERO), "digest", SECOND),
    "a wrong configuration digest": (
        lambda it: replace(it, configuration=replace(it.configuration, sha256=ZERO)),
        "configuration",
        "configuration",
    ),
    "a setting changed beside its digest": (
        lambda it: replace(it, configuration=replace(it.configuration, values={**SETTINGS, "least_share": 0.5})),
        "configuration",
        "configuration",
    ),
    "another anchor": (settings_of(anchor="ant=1200"), "rating", "view raw, "),
    "an anchor that is none": (settings_of(anchor="ant"), "configuration", "configuration"),
    "an anchor at infinity": (settings_of(anchor="ant=inf"), "configuration", "configuration"),
    "no least share": (settings_without("least_share"), "configuration", "configuration"),
    "raw votes made up": (with_view("raw", votes=1000), "counts", "view raw"),
    "raw counts of other votes": (with_view("raw", counts_sha256=ZERO), "counts", "view raw"),
    "defended counts of other votes": (with_view("defended", counts_sha256=ZERO), "counts", "view defended"),
    "the views swapped": (
        lambda it: replace(it, views=manifest.PublishedViews(it.views.defended, it.views.raw)),
        "counts",
        "view raw",
    ),
    "a gradient that is no maximum": (with_view("raw", gradient_norm=0.5), "gradient", "view raw"),
    "a negative gradient": (with_view("defended", gradient_norm=-1.0), "gradient", "view defended"),
    "a rating 0.02 higher": (with_row("raw", 0, rating=lambda x: round(x + 0.02, 2)), "rating", "view raw, "),
    "a rating 0.02 lower": (with_row("defended", 5, rating=lambda x: round(x - 0.02, 2)), "rating", "view defended, "),
    "a lower end 0.02 higher": (with_row("raw", 2, lower=lambda x: round(x + 0.02, 2)), "rating", "view raw, "),
    "an upper end 0.02 lower": (with_row("raw", 2, upper=lambda x: round(x - 0.02, 2)), "rating", "view raw, "),
    "a rating with hidden digits": (with_row("raw", 1, rating=lambda x: x + 0.001), "rating", "view raw, "),
    "a better rank": (with_row("raw", 1, rank=lambda x: x - 1), "rank", "view raw, "),
    "a better best rank": (with_row("raw", 5, rank_best=lambda _: 1), "rank", "view raw, "),
    "a better worst rank": (with_row("raw", 1, rank_worst=lambda x: x - 1), "rank", "view raw, "),
    "a model's votes made up": (with_row("raw", 1, votes=lambda x: x + 1), "counts", "view raw, "),
    "a model left out": (rows_as(lambda rows: rows[1:]), "rows", "view raw"),
    "a model twice": (rows_as(lambda rows: (*rows, rows[-1])), "rows", "view raw"),
    "a model made up": (rows_as(lambda rows: (*rows, replace(rows[-1], model="zebra"))), "rows", "view raw"),
    "rows in another order": (rows_as(lambda rows: rows[::-1]), "rows", "view raw"),
    "a reason made up": (with_view("raw", unrated=(UnratedModel("yak", "It is late."),)), "unrated", "view raw"),
    "a rated model named as unrated": (
        lambda it: with_view("raw", unrated=(UnratedModel("ant", "It is late."), *it.views.raw.unrated))(it),
        "unrated",
        "view raw",
    ),
    "an exclusion added": (
        lambda it: replace(it, exclusions=(*it.exclusions, replace(it.exclusions[0], votes=1))),
        "exclusion",
        "manifest.json.exclusions[2]",
    ),
    "an exclusion left out": (lambda it: replace(it, exclusions=it.exclusions[:1]), "exclusion", "leaf 641"),
    "an exclusion of fewer votes": (with_exclusion(votes=2), "exclusion", "manifest.json.exclusions[0]"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", CLAIMS)
def test_a_signed_claim_that_is_false_is_named(what: str) -> None:
    change, reason, where = CLAIMS[what]
    found = refuted(lying(change))
    assert found.reason == reason, found
    assert where in found.where, found


LOGS: dict[str, tuple[Callable[[], Files], str, str]] = {
    "a past vote changed": (lambda: rewritten(0, outcome="both_bad"), "consistency", "votes"),
    "a past vote's time changed": (lambda: rewritten(299, at="2020-01-01T00:00:00Z"), "consistency", "votes"),
    "past votes reordered": (
        lambda: sealed(parts()[0].take(list(range(299, -1, -1))), parts()[1], parts()[2].slice(0, 200)),
        "consistency",
        "votes",
    ),
    "a past vote left out": (
        lambda: sealed(parts()[0].slice(1), *parts()[1:2], parts()[2].slice(0, 200)),
        "consistency",
        "",
    ),
    "the newest votes left out": (lambda: sealed(parts()[0], parts()[1].slice(0, 390)), "rollback", "vote_log"),
    "a row that is not its leaf": (
        lambda: file_swapped(lambda it: changed(it, 5, outcome="both_bad"), with_hashes=False),
        "leaf",
        "leaf 705",
    ),
    "a leaf that is not in the root": (lambda: bad_leaf(5, outcome="both_bad"), "root", "votes"),
    "a vote of a model against itself": (lambda: bad_leaf(5, model_a="ant", model_b="ant"), "leaf", "leaf 705"),
    "a vote without a commitment": (lambda: bad_leaf(5, commitment=None), "leaf", "leaf 705"),
    "a vote without an id": (lambda: bad_leaf(5, vote=""), "leaf", "leaf 705"),
    "an outcome that is none": (lambda: bad_leaf(6, outcome="model_c"), "leaf", "leaf 706"),
    "a fate that is none": (lambda: bad_leaf(6, fate="lost"), "leaf", "leaf 706"),
    "a time to the second": (lambda: bad_leaf(6, at="2024-08-14T12:00:01Z"), "leaf", "leaf 706"),
    "a retraction that is a vote too": (lambda: bad_leaf(200, outcome="tie"), "leaf", "leaf 900"),
    "a retraction of a later leaf": (lambda: bad_leaf(200, retracts=900), "leaf", "leaf 900"),
    "a file that is no table": (no_table, "segment", THIRD),
    "a vote in the log twice": (retracted_as_vote, "duplicate_vote", "leaf 900"),
    "a retraction of another vote": (lambda: retracting((vote_id(34), 33)), "retraction", "leaf 900"),
    "a retraction of a retraction": (
        lambda: retracting((vote_id(33), 33), (vote_id(33), 900)),
        "retraction",
        "leaf 901",
    ),
    "a retraction twice": (lambda: retracting((vote_id(33), 33), (vote_id(33), 33)), "retraction", "leaf 901"),
    "one vote more excluded": (
        lambda: excluding([10, 20, 21, 640, 641], [0, 0, 0, 0, 1]),
        "exclusion",
        "exclusions[0]",
    ),
    "another vote excluded": (lambda: excluding([10, 21, 640, 641], [0, 0, 0, 1]), "counts", "view defended"),
    "a quarantined vote excluded": (lambda: excluding([7, 10, 20, 641], [0, 0, 0, 1]), "exclusion", "leaf 7"),
    "a retracted vote excluded": (lambda: excluding([10, 20, 33, 641], [0, 0, 0, 1]), "exclusion", "leaf 33"),
    "a vote excluded twice": (lambda: excluding([10, 10, 20, 641], [0, 0, 0, 1]), "exclusion", "excluded.parquet"),
    "excluded votes out of order": (
        lambda: excluding([20, 10, 640, 641], [0, 0, 0, 1]),
        "exclusion",
        "excluded.parquet",
    ),
    "a vote excluded that is not there": (lambda: excluding([10, 20, 640, 901], [0, 0, 0, 1]), "exclusion", "excluded"),
    "a vote excluded without a reason": (lambda: excluding([10, 20, 640, 641], [0, 0, 0, 2]), "exclusion", "leaf 641"),
    "excluded votes that are no table": (no_such_table, "exclusion", "excluded.parquet"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", LOGS)
def test_a_signed_log_that_is_false_is_named(what: str) -> None:
    tamper, reason, where = LOGS[what]
    found = refuted(tamper())
    assert found.reason == reason, found
    assert where in found.where, found
