"""The ledger on both databases: signatures, proofs, retraction, erasure, crashes, races, tampering."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import sqlalchemy as sa

from pipeline import jobs
from pipeline.errors import MissingKey, Refuted, Unavailable, Usage, VerificationFailed
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.custody import operator_actions, witnessing
from pipeline.ledger import bundle_archive, canonical_json, manifest, merkle, receipt, segment, signed_note
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.merkle_proofs import check_consistency, check_inclusion
from pipeline.store import Store
from pipeline.store.boards import exclusion_list, snapshots
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import manifests, seals, segment_builder, tile_cache
from pipeline.store.read import log_proofs, snapshot_bundles, vote_receipts
from tests.integration.board_of_votes import OPTIONS, Board, copied_board, event, using

FIRST, MORE = 300, 40


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """An empty board."""
    sqlite = request.param == "sqlite"
    url = str(tmp_path / "store.db") if sqlite else str(request.getfixturevalue("postgres_store"))
    with using(OPTIONS):
        yield Board(url, tmp_path)


@pytest.fixture
def published(board: Board) -> Board:
    """Two snapshots: 300 votes, then 40 more."""
    if not board.url.startswith("postgresql"):
        return copied_board(Path(board.url), FIRST, MORE)
    board.vote(FIRST)
    board.refresh()
    board.vote(MORE)
    board.refresh()
    return board


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Board]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    with using(OPTIONS):
        yield copied_board(tmp_path / "store.db", FIRST, MORE)


# Bundles and proofs.


def test_a_stranger_verifies_each_snapshot_from_its_bundle_and_the_key(published: Board) -> None:
    with published.store() as store, store.read() as connection:
        chain = snapshots.read_published(connection)
    assert [one.sequence for one in chain] == [1, 2]
    for one in chain:
        files = published.bundle(one.snapshot_id)
        found = verify_bundle(files, published.trusted())
        assert (found.sha256, found.manifest.previous) == (one.digest, one.previous)
        assert manifest.sha256_hex(files["snapshot.json"]) == one.snapshot_id
        assert found.key_checked
    assert jobs.verify_ledger(published.url) == {"segments": 2, "votes": FIRST + MORE, "snapshots": 2, "erased": 0}


def test_both_databases_give_the_same_leaves_for_the_same_blinds(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        segment_builder.secrets, "token_bytes", lambda size: bytes(range(256)) * (size // 256) + bytes(size % 256)
    )
    board.read(
        *(event(n) for n in range(FIRST)),
        event(FIRST, vote_id='a "quoted", id\\', language='de,"at"', voter_id=None),
        event(FIRST + 1, vote_id="ünï 票", style_a=STYLE, style_b=STYLE, voter_since="2026-01-01T00:00:00Z"),
    )
    with board.store() as store:
        with store.write() as connection:
            # The names of a file's source differ with its folder; nothing else may.
            connection.execute(sa.update(schema.source).values(name="file:votes"))
        jobs.seal(board.url)
        with store.read() as connection:
            assert seals.head(connection) == (FIRST + 2, ROOT)
            digest = str(connection.scalar(sa.select(schema.segment.c.sha256)))
            blinds = bytes(connection.scalars(sa.select(schema.blind.c.blinds)).one())
            rows = connection.execute(sa.select(schema.vote).order_by(schema.vote.c.offset)).all()
            terms = {row.term_no: row.text for row in connection.execute(sa.select(schema.term))}
        held = segment.read(store.files.get(digest), "segment")[0]["commitment"].to_pylist()
    for place, row in enumerate(rows):
        private = {
            "appended_at": row.appended_at,
            "cast_at": row.cast_at,
            "category": terms.get(row.category),
            "language": terms.get(row.language),
            "network": terms.get(row.network),
            "offset": row.offset,
            "partition": 0,
            "prompt": f"{row.prompt % 2**64:016x}",
            "source": "file:votes",
            "style": None if row.style is None else bytes(row.style).hex(),
            "voter": format_pseudonym(row.voter) if row.voter else None,
            "voter_since": row.voter_since,
        }
        assert held[place] == sha256(blinds[32 * place : 32 * place + 32] + rfc8785.dumps(private)).digest(), row


def test_a_leaf_commits_to_the_later_fields_that_its_vote_states(board: Board) -> None:
    stated: list[dict[str, Any]] = [
        {}, {"anonymous": False}, {"turn": 2}, {"session": "s"}, {"category": "maths", "categories": ['a "b"', "é"]},
        {"refusal": True, "identity_leak": False, "turn": 1, "session": "s", "categories": ["x"], "category": "y"},
    ]  # fmt: skip
    board.read(*(event(n, **more) for n, more in enumerate(stated)))
    jobs.seal(board.url)
    with board.store() as store, store.read() as connection:
        digest = str(connection.scalar(sa.select(schema.segment.c.sha256)))
        blinds = bytes(connection.scalars(sa.select(schema.blind.c.blinds)).one())
        rows = connection.execute(sa.select(schema.vote).order_by(schema.vote.c.offset)).all()
        terms = {row.term_no: row.text for row in connection.execute(sa.select(schema.term))}
        source = str(connection.scalar(sa.select(schema.source.c.name)))
        held = segment.read(store.files.get(digest), "segment")[0]["commitment"].to_pylist()
    later: list[dict[str, Any]] = [
        {}, {"flags": 1}, {"turn": 2}, {"session": True}, {"categories": ['a "b"', "maths", "é"]},
        {"flags": 2 + 256, "turn": 1, "session": True, "categories": ["x", "y"]},
    ]  # fmt: skip
    for place, (row, more) in enumerate(zip(rows, later, strict=True)):
        private: dict[str, Any] = {
            "appended_at": row.appended_at, "cast_at": row.cast_at, "category": terms.get(row.category),
            "language": terms.get(row.language), "network": terms.get(row.network), "offset": row.offset,
            "partition": 0, "prompt": f"{row.prompt % 2**64:016x}", "source": source, "style": None,
            "voter": format_pseudonym(row.voter), "voter_since": row.voter_since,
        }  # fmt: skip
        private |= more | ({"session": format_pseudonym(row.session)} if "session" in more else {})
        assert held[place] == sha256(blinds[32 * place : 32 * place + 32] + rfc8785.dumps(private)).digest(), row
    jobs.verify_ledger(board.url)


STYLE = {"tokens": 120, "headers": 1, "lists": 2, "bold": 3, "emoji": 0}
ROOT = "925a7755a34b9cb6fadea1abc3d298c775f2fdefa10dc1b8b8aa9df497884c4e"


def test_a_zip_of_a_bundle_is_always_the_same_and_no_byte_of_it_can_be_changed(small: Board, tmp_path: Path) -> None:
    with small.store() as store:
        one, other = io.BytesIO(), io.BytesIO()
        snapshot_bundles.write_archive(store, one)
        snapshot_bundles.write_archive(store, other)
    assert one.getvalue() == other.getvalue()
    packed, path = one.getvalue(), tmp_path / "bundle.zip"
    path.write_bytes(packed)
    verify_bundle(bundle_archive.BundleArchive(path), small.trusted())
    names = [packed.rindex(name.encode()) for name in ("proof.json", "README.txt", "votes/")]
    places = {*range(0, len(packed), len(packed) // 150), *range(30), *names, len(packed) - 1}
    for place in sorted(places):
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :])
        with pytest.raises(Refuted):
            verify_bundle(bundle_archive.BundleArchive(path), small.trusted())
    for odd in (packed + b"x", packed[:-1], b"", b"PK"):
        path.write_bytes(odd)
        with pytest.raises(Refuted):
            verify_bundle(bundle_archive.BundleArchive(path), small.trusted())


def test_no_bit_of_a_store_s_bundle_can_be_changed(small: Board) -> None:
    files = small.bundle()
    for name, data in files.items():
        for place in sorted({0, len(data) // 3, len(data) // 2, len(data) - 1}):
            for bit in (1, 128):
                changed = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
                with pytest.raises(Refuted):
                    verify_bundle({**files, name: changed}, small.trusted())


@pytest.mark.long
def test_proofs_of_votes_and_snapshots_verify_against_the_signed_heads(published: Board) -> None:
    with published.store() as store:
        head = _head(log_proofs.read_checkpoint(store, "votes"))
        for n in (0, 7, FIRST - 1, FIRST, FIRST + MORE - 1):
            got = vote_receipts.issue_receipt(store, f"vote {n}")
            receipt.check(receipt.load(canonical_json.dump(got)), published.trusted())
            assert (got.raw, got.defended, got.reason) == (True, True, "")
            assert json.loads(got.entry)["vote"] == f"vote {n}"
            assert got.tiles_read <= 4  # two levels of tiles
            for changed in (
                replace(got, leaf=got.leaf ^ 1),
                replace(got, entry=got.entry.replace("accepted", "late")),
                replace(got, vote="vote 1000"),
                replace(got, size=got.size + 1),
                replace(got, path=got.path[1:]),
            ):
                with pytest.raises(Refuted):
                    receipt.check(changed, published.trusted())
        proof = log_proofs.prove_snapshot(store, None)
        top = _head(log_proofs.read_checkpoint(store))
        path = [bytes.fromhex(one) for one in proof.path]
        check_inclusion(merkle.leaf_hash(log_proofs.read_manifest(store)), proof.leaf, proof.size, path, top.root)
        grown = [bytes.fromhex(one) for one in log_proofs.prove_growth(store, FIRST, head.size, "votes")]
        with store.read() as connection:
            older = bytes.fromhex(seals.root_at(connection, FIRST))
        check_consistency(FIRST, older, head.size, head.root, grown)
        assert len(vote_receipts.receipts_of_voter(store, store.pseudonym("voter 3"))) == len(
            range(3, FIRST + MORE, 30)
        )
        for unknown in ("no vote", ""):
            with pytest.raises(Usage):
                vote_receipts.issue_receipt(store, unknown)
        published.vote(1)
        jobs.seal(published.url)
        with pytest.raises(Usage, match="which the next"):
            vote_receipts.issue_receipt(store, f"vote {FIRST + MORE}")


def test_tiles_give_the_root_and_only_tiles_of_the_head_are_given(small: Board) -> None:
    size = FIRST + MORE
    with small.store() as store:
        leaves = log_proofs.read_tile(store, "votes", "tile/0/000") + log_proofs.read_tile(
            store, "votes", f"tile/0/001.p/{size - 256}"
        )
        assert merkle.root(leaves) == _head(log_proofs.read_checkpoint(store, "votes")).root
        assert log_proofs.read_tile(store, "votes", "tile/1/000.p/1") == merkle.root(leaves[: 256 * 32])
        assert (
            merkle.root(log_proofs.read_tile(store, "snapshots", "tile/0/000.p/2"))
            == _head(log_proofs.read_checkpoint(store)).root
        )
        for path in ("tile/0/001", "tile/0/002.p/1", "tile/2/000.p/1", "tile/0/1", "../votes/tile/0/000"):
            with pytest.raises(Usage):
                log_proofs.read_tile(store, "votes", path)
        with pytest.raises(Usage):
            log_proofs.read_tile(store, "snapshots", "tile/0/000.p/3")


def _head(data: bytes) -> signed_note.Checkpoint:
    return signed_note.parse_checkpoint(signed_note.parse(data, "checkpoint"), "checkpoint")


# What does not count.


@pytest.mark.long
def test_exclusions_retractions_and_erasure_go_into_the_proofs_and_nothing_breaks(published: Board) -> None:
    with published.store() as store:
        guilty = format_pseudonym(store.pseudonym("voter 5"))
        with store.write() as connection:
            exclusion_list.add_entry(connection, "exclude", "voter", guilty, "asked to", "a person", 1)
            exclusion_list.add_entry(connection, "exclude", "vote", "vote 8", "a test", "a person", 2)
    before = published.refresh()
    taken = len(range(5, FIRST + MORE, 30))
    assert before["votes_excluded"] == taken + 1
    for vote in ("vote 5", "vote 9"):  # one that is excluded, one that is not
        operator_actions.retract(published.url, vote, "cast by a test", "a person")
    with pytest.raises(Usage, match="retracted before"):
        operator_actions.retract(published.url, "vote 9", "again", "a person")
    after = published.refresh()
    assert (after["votes_excluded"], after["votes_counted"]) == (taken, before["votes_counted"] - 1)
    assert after["log_size"] == FIRST + MORE + 2
    reasons = _reasons(published, "vote 5", "vote 8", "vote 9", "vote 35", "vote 1")
    assert reasons == {
        "vote 5": (False, False, "retracted: cast by a test"),
        "vote 8": (True, False, "excluded: a test (a person)"),
        "vote 9": (False, False, "retracted: cast by a test"),
        "vote 35": (True, False, "excluded: asked to (a person)"),
        "vote 1": (True, True, ""),
    }
    assert operator_actions.erase(published.url, voter_id="voter 5") == {"erased": taken}
    assert operator_actions.erase(published.url, vote_id="vote 1") == {"erased": 1}
    assert _reasons(published, "vote 35")["vote 35"] == reasons["vote 35"]
    published.vote(MORE)  # a third of a second voter 5's votes may come again: a pseudonym is no memory of the erased
    final = published.refresh()
    again = len(range(FIRST + MORE + 25, FIRST + 2 * MORE, 30))
    assert final["votes_excluded"] == taken + again
    assert jobs.verify_ledger(published.url)["erased"] == taken + 1
    for sequence in range(1, 6):
        with published.store() as store, store.read() as connection:
            name = snapshots.read_published(connection)[sequence - 1].snapshot_id
        verify_bundle(published.bundle(name), published.trusted())
    with published.store() as store, store.read() as connection:
        v = schema.vote.c
        gone = connection.execute(sa.select(v.voter, v.network, v.prompt).where(v.vote_id == "vote 35")).one()
        assert tuple(gone) == (0, 0, 0)
        blinds = b"".join(bytes(one) for one in connection.scalars(sa.select(schema.blind.c.blinds)))
        assert bytes(32) in blinds


def _reasons(board: Board, *votes: str) -> dict[str, tuple[bool, bool, str]]:
    with board.store() as store:
        found = [vote_receipts.issue_receipt(store, vote) for vote in votes]
    for one in found:
        receipt.check(one, board.trusted())
    return {one.vote: (one.raw, one.defended, one.reason) for one in found}


def test_late_and_quarantined_votes_say_so(board: Board) -> None:
    board.vote(FIRST)
    board.read(event(900), event(901, cast_at="2020-01-01T00:00:00Z"))
    board.refresh()
    assert _reasons(board, "vote 901") == {"vote 901": (True, True, "")}


# A crash at every step.


class Crashed(BaseException):
    """Not an error that anybody catches: the process is gone."""


class Steps:
    """Crashes at the n-th writing statement, commit or file. A crash while reading leaves what the last one left."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crashed

    def statement(self, *given: Any) -> None:
        if given[2].split(None, 1)[0].upper() in ("INSERT", "UPDATE", "DELETE", "COPY"):
            self.step()


def _stepped(steps: Steps, written: Callable[..., None]) -> Callable[..., None]:
    """A step before a file is written, and one after it."""

    def write(*given: Any) -> None:
        steps.step()
        written(*given)
        steps.step()

    return write


@pytest.mark.long
@pytest.mark.timeout(900)  # some dozen refreshes, each of which dies one step later
def test_a_crash_at_every_write_and_file_shows_nothing_unsigned_or_half(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the seal to the signature, and on: each attempt dies one step later, with something new to seal."""
    board.vote(FIRST)
    board.refresh()
    steps = Steps(0)
    for name in ("_write", "put_hashes"):
        monkeypatch.setattr(LedgerFiles, name, _stepped(steps, getattr(LedgerFiles, name)))
    listeners = [("before_cursor_execute", steps.statement), ("commit", steps.step)]
    for name, listener in listeners:
        sa.event.listen(sa.Engine, name, listener)
    seen: Counter[int] = Counter()
    try:
        for at in range(1, 3000):
            if _sealed(board) == board.votes:
                board.vote(1)
            steps.left = at
            try:
                board.refresh()
            except Crashed:
                steps.left = 0
                seen[_nothing_half(board)] += 1
            else:
                break
    finally:
        steps.left = 0
        for name, listener in listeners:
            sa.event.remove(sa.Engine, name, listener)
    assert at > 20
    assert len(seen) >= 2  # some died before the snapshot was there, some after
    assert board.refresh()["log_size"] == board.votes
    assert jobs.verify_ledger(board.url)["votes"] == board.votes
    assert jobs.audit_ledger(board.url)["passed"]


def _sealed(board: Board) -> int:
    with board.store() as store, store.read() as connection:
        return seals.head(connection)[0]


def _nothing_half(board: Board) -> int:
    """What is visible is signed and whole.

    Returns:
        How many snapshots are.
    """
    with board.store() as store:
        with store.read() as connection:
            chain, signed = snapshots.read_published(connection), list(manifests.read_all(connection))
            assert [one.digest for one in chain] == [one.sha256 for one in signed]
            assert [one.sequence for one in chain] == list(range(1, len(chain) + 1))
        verify_bundle(
            snapshot_bundles.read_bundle(store), [signed_note.VerifierKey.parse(log_proofs.read_keys(store)[-1])]
        )
    return len(chain)


@pytest.mark.long
def test_two_refreshes_at_once_give_one_snapshot(board: Board) -> None:
    board.vote(FIRST)
    for number in range(1, 6):
        board.vote(5)
        ready = threading.Barrier(3)

        def refresh(ready: threading.Barrier = ready) -> dict[str, Any]:
            with using(OPTIONS):
                ready.wait()
                return board.refresh()

        with ThreadPoolExecutor(3) as threads:
            results = [one.result() for one in [threads.submit(refresh) for _ in range(3)]]
        assert [one["sequence"] for one in results] == [number] * 3
        assert len({one["snapshot"] for one in results}) == 1
    assert jobs.verify_ledger(board.url)["snapshots"] == 5


def test_a_candidate_that_was_overtaken_is_not_published(published: Board) -> None:
    published.vote(3)
    slow = jobs.rate(published.url, jobs.seal(published.url))
    published.vote(3)
    quick = published.refresh()
    assert quick["sequence"] == 3
    assert jobs.publish(published.url, slow) == quick
    with published.store() as store, store.read() as connection:
        assert len(snapshots.read_published(connection)) == 3


def test_a_long_log_is_cut_into_segments(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_builder, "MAX_VOTES", 128)
    monkeypatch.setattr("pipeline.store.votes.arrow_reader.BATCH_ROWS", 50)
    board.vote(FIRST)
    board.read(event(0), event(1), *(event(n) for n in range(1000, 1060)))
    assert board.refresh()["log_size"] == FIRST + 60
    with board.store() as store, store.read() as connection:
        sizes = list(connection.scalars(sa.select(schema.segment.c.leaves).order_by(schema.segment.c.log_size)))
    assert sizes == [150, 150, 60]
    verify_bundle(board.bundle(), board.trusted())
    assert jobs.verify_ledger(board.url)["segments"] == 3
    assert _reasons(board, "vote 1059", "vote 299")["vote 1059"] == (True, True, "")


def test_offsets_without_votes_are_passed_over(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.votes.arrow_reader.BATCH_ROWS", 3)
    board.vote(FIRST)
    again = [event(0)] * 14
    board.read(*again, event(1000), *again, event(1001), event(1002), *again)
    assert board.refresh()["log_size"] == FIRST + 3
    assert jobs.verify_ledger(board.url)["votes"] == FIRST + 3
    assert _reasons(board, "vote 1001", "vote 299")["vote 1001"] == (True, True, "")


def test_a_snapshot_without_a_signed_manifest_fails_verification(small: Board) -> None:
    with small.store() as store, store.write() as connection:
        connection.execute(sa.delete(schema.manifest).where(schema.manifest.c.sequence == 2))
        newest = snapshots.find(connection).snapshot_id
    with pytest.raises(VerificationFailed, match="expected one signed manifest per snapshot, got 1 for 2"):
        jobs.verify_ledger(small.url)
    with small.store() as store, pytest.raises(VerificationFailed, match=f"manifest of snapshot {newest}"):
        log_proofs.read_manifest(store)


# Tampering, as somebody who may.


def _changed(**values: Any) -> Callable[[sa.Connection], None]:
    def change(connection: sa.Connection) -> None:
        connection.execute(sa.update(schema.vote).where(schema.vote.c.vote_id == "vote 77").values(**values))

    return change


def _deleted(connection: sa.Connection) -> None:
    connection.execute(sa.delete(schema.vote).where(schema.vote.c.vote_id == "vote 77"))


def _swapped(connection: sa.Connection) -> None:
    v = schema.vote.c
    for vote, name in (("vote 77", "x"), ("vote 78", "vote 77"), ("x", "vote 78")):
        connection.execute(sa.update(schema.vote).where(v.vote_id == vote).values(vote_id=name))


TAMPERING: dict[str, Callable[[sa.Connection], None]] = {
    "outcome": _changed(outcome=3),
    "fate": _changed(fate=1),
    "voter": _changed(voter=12345),
    "time within the hour": _changed(cast_at=1_772_323_971_000_000),
    "network": _changed(network=0),
    "deleted": _deleted,
    "two ids swapped": _swapped,
}


@pytest.mark.long
def test_a_row_changed_by_a_superuser_is_named_with_its_leaf_and_is_a_critical_alert(published: Board) -> None:
    assert jobs.audit_ledger(published.url)["passed"]
    with published.store() as store:
        for what, change in TAMPERING.items():
            report = _audited(published, store, change)
            part = report["parts"][0]
            assert (part["name"], part["passed"], part["where"]) == ("votes", False, "leaf 77"), (what, part)
            assert "vote 77" in part["what"]
            assert len(report["alerts"]) >= 1
            assert part["name"] in {one["direction"] for one in report["opened"]}
            assert {one["severity"] for one in report["opened"]} == {"critical"}
    assert jobs.audit_ledger(published.url)["passed"]


def _audited(board: Board, store: Store, change: Callable[[sa.Connection], None]) -> dict[str, Any]:
    """Change the store, audit it, put the votes back."""
    v = schema.vote.c
    with store.read() as connection:
        rows = [
            dict(row)
            for row in connection.execute(
                sa.select(schema.vote).where(v.vote_id.in_(("vote 77", "vote 78")))
            ).mappings()
        ]
    with store.write() as connection:
        change(connection)
    report = jobs.audit_ledger(board.url)
    with store.write() as connection:
        opened = connection.execute(sa.select(schema.alert).where(schema.alert.c.detector == "audit_ledger")).mappings()
        report["opened"] = [dict(row) for row in opened]
        for row in rows:
            connection.execute(
                sa.delete(schema.vote).where(v.partition_no == row["partition_no"], v.offset == row["offset"])
            )
        connection.execute(schema.vote.insert(), rows)
    return report


def test_a_published_figure_that_was_changed_is_found(small: Board) -> None:
    r, m = schema.snapshot_row.c, schema.manifest.c
    with small.store() as store:
        with store.write() as connection:
            connection.execute(sa.update(schema.snapshot_row).where(r.model == "ant").values(rating=r.rating + 0.02))
        with pytest.raises(VerificationFailed, match="its rows do not have the digest"):
            jobs.verify_ledger(small.url)
        with store.write() as connection:
            connection.execute(sa.update(schema.snapshot_row).where(r.model == "ant").values(rating=r.rating - 0.02))
            connection.execute(sa.update(schema.manifest).where(m.sequence == 1).values(checkpoint=b"x"))
        report = jobs.audit_ledger(small.url)
        assert {part["name"] for part in report["parts"] if not part["passed"]} >= {"votes", "heads"}


def test_a_database_set_back_is_a_rollback_and_a_file_changed_is_named(small: Board, tmp_path: Path) -> None:
    shutil.copy(small.url, tmp_path / "old.db")
    small.vote(5)
    small.refresh()
    now = Path(small.url).read_bytes()
    for name in ("", "-wal", "-shm"):
        Path(small.url + name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old.db", small.url)
    report = {part["name"]: part for part in jobs.audit_ledger(small.url)["parts"]}
    assert report["heads"]["where"] == "head 3"
    assert "rollback" in report["heads"]["what"]
    small.vote(4)
    small.refresh()  # another third snapshot: a fork
    report = {part["name"]: part for part in jobs.audit_ledger(small.url)["parts"]}
    assert "[fork]" in report["heads"]["what"]
    assert len(now) > 0
    with small.store() as store:
        with store.read() as connection:
            digest = connection.scalar(sa.select(schema.segment.c.sha256).limit(1))
        path = store.files.path(str(digest))
        data = path.read_bytes()
        path.write_bytes(data[:3000] + bytes([data[3000] ^ 1]) + data[3001:])
        failed = {part["name"] for part in jobs.audit_ledger(small.url)["parts"] if not part["passed"]}
        assert failed >= {"votes", "bundle"}


def test_tiles_are_made_again_from_the_segments(small: Board) -> None:
    with small.store() as store:
        shutil.rmtree(store.files.folder / "votes")
        with store.read() as connection:
            assert tile_cache.catch_up(connection, store.files) > 0
        for level in (0, 1):
            path = store.files.level_path(level)
            whole = path.read_bytes()
            path.write_bytes(whole[:10] + b"damaged" + whole[17:])
            part = jobs.audit_ledger(small.url)["parts"][-1]
            assert part["passed"]
            assert "were rebuilt" in part["what"]
            assert path.read_bytes() == whole
        shutil.rmtree(store.files.folder / "votes")
    small.vote(7)
    small.refresh()
    assert _reasons(small, "vote 0")["vote 0"] == (True, True, "")


def test_a_ledger_that_cannot_be_written_leaves_the_log_as_it_was(small: Board) -> None:
    small.vote(5)
    with small.store() as store, store.read() as connection:
        before = seals.head(connection)
    with (
        using(OPTIONS.model_copy(update={"ledger": "/dev/null/ledger"})),
        pytest.raises(Unavailable, match="cannot be written"),
    ):
        jobs.seal(small.url)
    with small.store() as store, store.read() as connection:
        assert seals.head(connection) == before
    assert small.refresh()["log_size"] == FIRST + MORE + 5


# Keys and witnesses.


def test_a_key_is_rotated_by_signing_once_together_with_the_new_one(published: Board) -> None:
    old = published.trusted()[0]
    made = operator_actions.rotate_key(published.url)
    with pytest.raises(Usage, match="expected no rotation under way"):
        operator_actions.rotate_key(published.url)
    published.vote(5)
    published.refresh()
    new = published.trusted()[1]
    assert (str(new), len(published.trusted())) == (made["key"], 2)
    handover = published.bundle()
    for keys in ([old], [new], [old, new]):
        verify_bundle(handover, keys)
    published.vote(5)
    published.refresh()
    with published.store() as store:
        assert not (store.key_folder / "ledger-before.key").exists()
        got = vote_receipts.issue_receipt(store, "vote 1")
    later = published.bundle()
    verify_bundle(later, [new])
    with pytest.raises(Refuted) as refused:
        verify_bundle(later, [old])
    assert refused.value.reason == "unsigned"
    receipt.check(got, [new])
    assert jobs.verify_ledger(published.url)["snapshots"] == 4


def test_without_its_key_or_with_a_stranger_s_a_board_publishes_nothing(published: Board) -> None:
    with published.store() as store:
        path = store.key_folder / "ledger.key"
        seed = path.read_text()
        path.unlink()
    published.vote(5)
    with pytest.raises(MissingKey, match=r"ledger\.key"):
        published.refresh()
    path.write_text("77" * 32 + "\n")
    with pytest.raises(MissingKey, match="which signed the previous snapshot"):
        published.refresh()
    assert _nothing_half(published) == 2
    path.write_text(seed)
    assert published.refresh()["sequence"] == 3
    with (
        using(OPTIONS.model_copy(update={"board": "another"})),
        pytest.raises(Usage, match="as its checkpoints call it"),
    ):
        published.vote(5)
        published.refresh()


def test_a_key_of_the_environment_is_rotated_too(board: Board) -> None:
    one, other = (
        OPTIONS.model_copy(update={"ledger_key": "01" * 32, "board": "arena.example/text"}),
        OPTIONS.model_copy(update={"ledger_key": "02" * 32}),
    )
    board.vote(FIRST)
    with using(one):
        board.refresh()
        board.vote(5)
    with using(other), pytest.raises(MissingKey):
        board.refresh()
    with using(other.model_copy(update={"ledger_key_before": "01" * 32})):
        assert board.refresh()["sequence"] == 2
        with pytest.raises(Usage, match="INTEGRITY_LEDGER_KEY_BEFORE"):
            operator_actions.rotate_key(board.url)
    board.vote(5)
    with using(other):
        assert board.refresh()["sequence"] == 3
    assert [key.name for key in board.trusted()] == ["arena.example/text/snapshots"] * 2
    verify_bundle(board.bundle(), board.trusted()[1:])


@pytest.mark.long
def test_a_witness_signs_what_grows_and_refuses_what_does_not(board: Board, tmp_path: Path) -> None:
    folder = tmp_path / "witness"
    key = witnessing.create_witness(folder, "witness.example")
    with using(OPTIONS.model_copy(update={"witnesses": key})):
        board.vote(FIRST)
        board.refresh()
        witnessing.watch_log(folder, str(board.trusted()[0]))
        first = witnessing.witness_request(board.url, 0)
        line = witnessing.sign_head(folder, first)
        assert witnessing.add_cosignature(board.url, line) == {"sequence": 1, "witness": "witness.example"}
        assert verify_bundle(board.bundle(), board.trusted()).witnesses == ("witness.example",)
        with pytest.raises(Refuted) as refused:  # the witness knows more than an empty log by now
            witnessing.sign_head(folder, first)
        assert refused.value.reason == "stale"
        board.vote(MORE)
        board.refresh()
        with pytest.raises(Refuted):  # a line of another head
            witnessing.add_cosignature(board.url, line)
        witnessing.add_cosignature(board.url, witnessing.sign_head(folder, witnessing.witness_request(board.url, 1)))
        part = next(one for one in jobs.audit_ledger(board.url)["parts"] if one["name"] == "heads")
        assert part["passed"]
        assert part["what"].endswith("a witness signed is 2")
        # Another operator with the same key and another history: a fork.
        with board.store() as store:
            seed = (store.key_folder / "ledger.key").read_text().strip()
            name = manifest.load(log_proofs.read_manifest(store)).board
        fork = Board(str(tmp_path / "fork.db"), tmp_path / "fork")
        fork.folder.mkdir()
        with using(OPTIONS.model_copy(update={"witnesses": key, "ledger_key": seed, "board": name})):
            for votes in (FIRST, MORE, 5):
                fork.vote(votes)
                fork.refresh()
            with pytest.raises(Refuted) as refused:
                witnessing.sign_head(folder, witnessing.witness_request(fork.url, 2))
            assert refused.value.reason == "consistency"
    assert witnessing.watched_logs(folder)[f"{name}/snapshots"]["size"] == 2


def test_a_retraction_leaf_is_canonical_and_points_back(published: Board) -> None:
    operator_actions.retract(published.url, "vote 3", "published by mistake", "a person")
    published.refresh()
    with published.store() as store, store.read() as connection:
        output = manifest.load(log_proofs.read_manifest(store))
        row = connection.execute(sa.select(schema.retraction)).one()
    assert (row.retracts, row.leaf) == (3, FIRST + MORE)
    assert output.vote_log.size == FIRST + MORE + 1
