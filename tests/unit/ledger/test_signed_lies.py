"""More than a hundred claims that are false in one respect, each signed by the operator, and the reason for each."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785

from pipeline.ledger import leaf_encoding, manifest, published_views, segment
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import Manifest, OpenAlert, SourcePosition
from pipeline.ratings import UnratedModel
from tests.unit.ledger.board_operator import (
    EXCLUDED,
    SETTINGS,
    SIGNER,
    STRANGER,
    THIRD,
    WITNESS,
    Change,
    Files,
    changed,
    good,
    last_seal,
    refuted,
    segment_file,
    small_votes,
    with_row,
    with_view,
)
from tests.unit.ledger.signed_lies import lie, signed, third, with_body, with_files

ZERO = Digest("0" * 64)
VIEWS = ("raw", "defended")
Lie = tuple[str, Callable[[], Files], str, str]


def claims(name: str, change: Change, reason: str, where: str) -> Lie:
    return name, partial(lie, change), reason, where


def figures() -> Iterator[Lie]:
    for view in VIEWS:
        rows = len(getattr(third().views, view).rows)
        for row in (0, rows // 2, rows - 1):
            for field in ("rating", "lower", "upper"):
                for move in (0.02, -0.02, 100.0):
                    change = with_row(view, row, **{field: lambda x, move=move: round(x + move, 2)})
                    yield claims(f"{view} {row} {field} {move:+}", change, "rating", f"view {view}, ")
            yield claims(f"{view} {row} votes", with_row(view, row, votes=lambda x: x + 1), "counts", f"view {view}, ")
        for field, row in (("rank", 1), ("rank_best", rows - 1), ("rank_worst", 0)):
            step = -1 if field != "rank_worst" else 1
            change = with_row(view, row, **{field: lambda x, step=step: max(1, x + step)})
            yield claims(f"{view} {field}", change, "rank", f"view {view}, ")
        for move in (1, -1, 900):
            change = with_view(view, votes=getattr(third().views, view).votes + move)
            yield claims(f"{view} total {move:+}", change, "counts", f"view {view}")
        other = getattr(third().views, VIEWS[view == "raw"]).counts_sha256
        yield claims(f"{view} counts of the other view", with_view(view, counts_sha256=other), "counts", f"view {view}")
        for norm in (-1e-9, 1e-3, 1e300):
            yield claims(f"{view} gradient {norm:g}", with_view(view, gradient_norm=norm), "gradient", f"view {view}")
        yield claims(f"{view} no row", with_view(view, rows=()), "rows", f"view {view}")
        unrated = getattr(third().views, view).unrated
        for name, told in (
            ("another reason", (replace(unrated[0], reason="No counted vote yet!"),)),
            ("a model more", (UnratedModel("aaa", "No counted vote today."), *unrated)),
            (
                "a rated one",
                tuple(sorted((UnratedModel("ant", "No counted vote yet."), *unrated), key=lambda m: m.model)),
            ),
        ):
            yield claims(f"{view} unrated: {name}", with_view(view, unrated=told), "unrated", f"view {view}")
        twice = with_view(view, unrated=(*unrated, *unrated))
        yield claims(f"{view} unrated twice", twice, "unrated", f"manifest.json.views.{view}")


def exclusion(place: int, **values: Any) -> Change:
    def change(it: Manifest) -> Manifest:
        listed = list(it.exclusions)
        listed[place] = replace(listed[place], **values)
        return replace(it, exclusions=tuple(listed))

    return change


def exclusions() -> Iterator[Lie]:
    for place in (0, 1):
        where = f"manifest.json.exclusions[{place}]"
        for votes in (0, third().exclusions[place].votes + 1, 900):
            yield claims(f"exclusion {place} of {votes}", exclusion(place, votes=votes), "exclusion", where)
        for field in ("kind", "target", "reason", "name"):
            yield claims(f"exclusion {place} without {field}", exclusion(place, **{field: ""}), "exclusion", where)
    change: Change = lambda it: replace(it, exclusions=it.exclusions[::-1])  # noqa: E731
    yield claims("exclusions in another order", change, "exclusion", "exclusions[0]")
    leaves = sorted(EXCLUDED)
    for name, listed, where in (
        ("nobody", [], "exclusions[0]"),
        ("one less", leaves[:-1], "exclusions[1]"),
        ("one more", sorted([*leaves, 21]), "exclusions[0]"),
        ("the retraction", [*leaves[:-1], 900], "leaf 900"),
        ("a leaf beyond the log", [*leaves, 901], "excluded.parquet"),
    ):
        entries = [EXCLUDED.get(one, int(one >= 900)) for one in listed]
        file = segment.write_excluded(pa.array(listed, pa.int64()), pa.array(entries, pa.int32()))
        yield f"excluded: {name}", partial(with_files, {"excluded.parquet": file}), "exclusion", where


def configured(**values: Any) -> Change:
    given = published_views.with_digest({**SETTINGS, **values})
    return lambda it: replace(it, configuration=given)


def field(name: str, change: Change, reason: str, where: str) -> Lie:
    return claims(name, change, reason, f"manifest.json{where}")


def sizes() -> Iterator[Lie]:
    for at in (
        "",
        "yesterday",
        "2024-08-15",
        "2024-13-15T07:00:00Z",
        "2024-08-15T07:00:00+00:00",
        "2024-08-15t07:00:00z",
    ):
        yield field(f"a time {at!r}", lambda it, at=at: replace(it, at=at), "fields", ".at")
    yield field(
        "a time before the previous snapshot", lambda it: replace(it, at="2024-08-15T06:59:59Z"), "previous", ".at"
    )
    for size in (0, 1, 399, 700):
        head = manifest.VoteLogHead(size, ZERO)
        reason = "rollback" if size < 700 else "size"
        where = ".vote_log" if size < 700 else ""
        yield claims(f"a log of {size}", lambda it, head=head: replace(it, vote_log=head), reason, where or "votes")
    for size in (900, 902, 2**40):
        head = manifest.VoteLogHead(size, third().vote_log.root)
        yield claims(f"a log of {size}", lambda it, head=head: replace(it, vote_log=head), "size", "votes")
    for root in (ZERO, manifest.load(good()["previous.json"], "x").vote_log.root):
        head = manifest.VoteLogHead(901, root)
        yield claims(f"a root {root[:6]}", lambda it, head=head: replace(it, vote_log=head), "root", "votes")
    for place in range(3):
        for name, move in (("first", 1), ("size", -1), ("size", 1)):

            def shifted(it: Manifest, place: int = place, name: str = name, move: int = move) -> Manifest:
                listed = list(it.segments)
                listed[place] = replace(listed[place], **{name: getattr(listed[place], name) + move})
                return replace(it, segments=tuple(listed))

            reason = "missing" if name == "first" else "size"
            yield claims(f"segment {place} {name} {move:+}", shifted, reason, "votes")
    yield claims("segments twice", lambda it: replace(it, segments=it.segments * 2), "size", "votes")
    yield claims("no segments", lambda it: replace(it, segments=()), "unlisted", "votes")


def records() -> Iterator[Lie]:
    for lock in ("x", "A" * 64, "0" * 63):
        code = replace(third().code, lock_sha256=lock)
        yield field(
            f"a lock file {lock[:3]}", lambda it, code=code: replace(it, code=code), "fields", ".code.lock_sha256"
        )
    one, other = OpenAlert("a", "voter_bias", "warning"), OpenAlert("b", "voter_bias", "critical")
    for name, alerts in (
        ("twice", (one, one)),
        ("out of order", (other, one)),
        ("of no severity", (replace(one, severity="mild"),)),
    ):
        yield field(f"alerts {name}", lambda it, alerts=alerts: replace(it, alerts=alerts), "alerts", ".alerts")
    position = SourcePosition("kafka:arena.votes", 0, 1)
    yield field("a partition twice", lambda it: replace(it, watermark=(position, position)), "watermark", ".watermark")
    keys = str(SIGNER.verifier), str(STRANGER.verifier), str(WITNESS.verifier)
    for name, given, reason in (
        ("twice", (keys[0], keys[0]), "key"),
        ("of a stranger first", (keys[1], keys[0]), "key"),
        ("of a witness", (keys[2],), "key"),
        ("none", ("",), "key"),
        ("another spelling", (keys[0] + "=",), "key"),
    ):
        yield field(f"keys {name}", lambda it, given=given: replace(it, keys=given), reason, ".keys")
    for name, given in (("twice", (keys[2], keys[2])), ("of a log", (keys[0],)), ("none", ("",))):
        yield field(f"witnesses {name}", lambda it, given=given: replace(it, witnesses=given), "key", ".witnesses")
    for board, reason, where in (("", "fields", ".board"), ("x" * 201, "fields", ".board"), ("other", "key", ".keys")):
        yield field(f"board {board[:5]!r}", lambda it, board=board: replace(it, board=board), reason, where)


def settings() -> Iterator[Lie]:
    for values in ({"anchor": "ant=1101"}, {"anchor": "bee=1100"}, {"anchor": ""}):
        yield claims(f"settings {values}", configured(**values), "rating", "view raw, ")
    for values in (
        {"least_share": "0.95"},
        {"least_share": None},
        {"anchor": None},
        {"anchor": "ant"},
        {"anchor": "=5"},
    ):
        yield claims(f"settings {values}", configured(**values), "configuration", "configuration")
    for name in ("key.txt", "README.txt", "excluded.parquet"):
        files = {**third().files, name: ZERO}
        yield claims(f"another {name}", lambda it, files=files: replace(it, files=files), "digest", name)
    for name in ("notes.txt", "../notes.txt", "votes/000000000901.parquet", "x" * 201):
        files = {**third().files, name: ZERO}
        yield claims(f"a file {name[:20]} more", lambda it, files=files: replace(it, files=files), "missing", name[:20])
    for previous in (ZERO, Digest("1" * 64), manifest.sha256_hex(good()["manifest.json"])):
        where = "manifest.json" if previous == ZERO else "previous.json"
        change: Change = lambda it, previous=previous: replace(it, previous=previous)  # noqa: E731
        yield claims(f"previous {previous[:4]}", change, "previous", where)


def spelled(old: str, new: str) -> Callable[[], Files]:
    raw = third().dump()
    assert old.encode() in raw
    return lambda: signed(raw.replace(old.encode(), new.encode(), 1))


def spellings() -> Iterator[Lie]:
    raw = third().dump()
    yield "spaces", spelled('":"', '": "'), "canonical", "manifest.json"
    yield "a number as a float", spelled('"votes":3', '"votes":3.0'), "canonical", "manifest.json"
    yield "an exponent", spelled('"next_offset":900', '"next_offset":9e2'), "canonical", "manifest.json"
    yield "a field twice", spelled('"alerts":', '"alerts":[],"alerts":'), "canonical", "manifest.json"
    yield "no number", spelled('"next_offset":900', '"next_offset":NaN'), "canonical", "manifest.json"
    yield "an escape", spelled("voter_bias", "voter_bi\\u0061s"), "canonical", "manifest.json"
    yield "a field more", spelled('"alerts":', '"agreed":1,"alerts":'), "fields", "agreed"
    yield "a field less", spelled('"success":true', '"succes":true'), "fields", "succes"
    yield "a negative number", spelled('"next_offset":900', '"next_offset":-900'), "fields", "next_offset"
    yield "a text for a number", spelled('"next_offset":900', '"next_offset":"900"'), "fields", "next_offset"
    yield "a digest in upper case", spelled(third().vote_log.root, third().vote_log.root.upper()), "fields", "root"
    yield "a field of no content", spelled('"views":', '"unregistered":[],"views":'), "unregistered", "unregistered"
    for name, data, reason in (
        ("a line end", raw + b"\n", "canonical"),
        ("CRLF", raw + b"\r\n", "canonical"),
        ("UTF-16", raw.decode().encode("utf-16"), "canonical"),
        ("nothing", b"", "canonical"),
        ("a list", b"[]", "fields"),
        ("nesting", b"[" * 100_000, "canonical"),
        ("a million values", b"[" + b"1," * 1_100_000 + b"1]", "limit"),
        ("17 MiB", b'"' + b"x" * 17 * 2**20 + b'"', "limit"),
    ):
        yield name, partial(signed, data), reason, "manifest.json"


def leaves(row: int, **values: Any) -> Callable[[], Files]:
    """A leaf that is none, with the hashes of the leaves as they are."""

    def make() -> Files:
        rows = changed(last_seal(small_votes()), row, **values)
        return with_files({THIRD: segment_file(rows, leaf_encoding.hashes(rows))})

    return make


def logs() -> Iterator[Lie]:
    for name, values in {
        "an empty id": {"vote": ""},
        "a long id": {"vote": "x" * 201},
        "a long name": {"model_a": "x" * 201},
        "an empty name": {"model_b": ""},
        "a duel with itself": {"model_a": "ant", "model_b": "ant"},
        "another outcome": {"outcome": "draw"},
        "another fate": {"fate": "excluded"},
        "a vote with a reason": {"reason": "why not"},
        "no fate": {"fate": None},
        "no commitment": {"commitment": None},
        "a minute": {"at": "2024-08-14T12:01:00Z"},
        "no time": {"at": ""},
    }.items():
        yield f"a vote of {name}", leaves(3, **values), "leaf", "leaf 703"
    for name, values in {
        "no reason": {"reason": None},
        "a long reason": {"reason": "x" * 201},
        "a negative leaf": {"retracts": -1},
        "itself": {"retracts": 200 + 700},
        "an outcome": {"outcome": "tie"},
        "models": {"model_a": "ant", "model_b": "bee"},
        "a commitment": {"commitment": bytes(32)},
        "no id": {"vote": ""},
    }.items():
        yield f"a retraction of {name}", leaves(200, **values), "leaf", "leaf 900"
    yield "a giant text", leaves(200, reason="x" * 10_000), "leaf", "leaf 900"
    for name, table in {
        "a column less": last_seal(small_votes()).drop_columns(["fate"]),
        "a column more": last_seal(small_votes()).append_column("voter", pa.array(["me"] * 201)),
    }.items():
        yield f"a table of {name}", partial(with_files, {THIRD: _parquet(table)}), "segment", THIRD
    yield "another vote", leaves(4, outcome="both_bad"), "root", "votes"
    yield "a vote's other hour", leaves(4, at="2024-08-14T13:00:00Z"), "root", "votes"


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table.append_column("leaf_hash", pa.array([bytes(32)] * len(table), pa.binary(32))), sink)
    return bytes(sink.getvalue())


def bodies() -> Iterator[Lie]:
    for place, value in (
        ("log_size", 900),
        ("log_root", "0" * 64),
        ("settings", {**SETTINGS, "anchor": "bee=1100"}),
        ("code", "9.9"),
        ("verdict", None),
        ("votes_counted", 1),
        ("votes_excluded", 0),
        ("excluded", {"sha256": "0" * 64}),
        ("alerts", []),
        ("watermark", []),
        ("views", {"raw": {"votes": 1}}),
        ("views", {"defended": {"counts_sha256": "0" * 64}}),
        ("views", {"raw": {"models": 99}}),
        ("rows", {"raw": "0" * 64}),
        ("rows", {"defended": "1" * 64}),
    ):
        change = lambda it, place=place, value=value: it.update({place: value})  # noqa: E731
        yield f"body: {place} {str(value)[:30]}", partial(with_body, change), "snapshot", f"snapshot.json.{place}"
    for name, data in (("no JSON", b"{"), ("a list", b"[]"), ("spaces", json.dumps({"log_size": 901}).encode())):
        yield f"body: {name}", partial(with_files, {"snapshot.json": data}), "snapshot", "snapshot.json"


LIES: dict[str, Lie] = {
    f"{part.__name__}: {one[0]}": one
    for part in (figures, exclusions, sizes, records, settings, spellings, logs, bodies)
    for one in part()
}


def test_the_honest_bundle_passes_with_and_without_a_body() -> None:
    assert verify_bundle(lie(lambda it: it), [SIGNER.verifier]).manifest == third()
    assert verify_bundle(with_body(lambda _: None), [SIGNER.verifier]).key_checked
    assert verify_bundle(with_files({"snapshot.json": rfc8785.dumps({"log_size": 901})}), [SIGNER.verifier])


def test_there_are_many_lies() -> None:
    assert len(LIES) > 170


@pytest.mark.parametrize("what", LIES)
def test_a_signed_lie_is_refused_with_its_reason(what: str) -> None:
    _, make, reason, where = LIES[what]
    found = refuted(make())
    assert found.reason == reason, found
    assert where in found.where, found
