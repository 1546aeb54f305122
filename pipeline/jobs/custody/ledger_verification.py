"""Recomputes everything that is published from the stored votes, and compares it with the ledger.

The log is compared with the votes, the manifests with the log, and the boards with both. The first difference raises an
error that names it. Unlike `ledger.bundle_verification`, which needs no store, this module also checks the rows of the
store.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.compute import engine as engines
from pipeline.compute.open_runner import open_runner
from pipeline.compute.runner import Runner
from pipeline.errors import Refuted, VerificationFailed
from pipeline.jobs.refresh.board_method import stated_method
from pipeline.jobs.refresh.board_rows import board_rows, rate_view, sort_rows
from pipeline.jobs.refresh.label_boards import board_counts
from pipeline.jobs.refresh.rating_input import VIEWS, RatingInput, counted_fates, read_rating_input, without_rules
from pipeline.jobs.refresh.style_view import published_view, rate_style_view, same_coefficients
from pipeline.ledger import bundle, manifest, merkle, segment, signed_note
from pipeline.ledger.manifest import Manifest
from pipeline.ledger.manifest_notices import check_notices
from pipeline.ledger.signed_note import VerifierKey
from pipeline.open_store import existing_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.boards import erasure, excluded_votes, snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import (
    board_recount,
    leaf_index,
    manifests,
    reverification,
    sealed_boards,
    sealed_counts,
    seals,
)
from pipeline.store.log.manifests import SignedManifest

# Half of the last published digit, and a little for conversion between points and logits.
_ROUNDING = 0.0051


def verify_ledger(url: str) -> dict[str, Any]:
    """Recompute everything that is published from the stored votes, and compare it with the ledger.

    Returns:
        {"segments", "votes", "snapshots", "erased"}: the number of each that was checked. "votes" is the number of
        leaves, "erased" the number of erased votes.

    Raises:
        VerificationFailed: the ledger differs from the votes. The message names the first difference. Its subclass
            Refuted also names the place.
        Unavailable: a file of the ledger is missing, or the engine of INTEGRITY_COMPUTE does not answer.
    """
    options = configuration.load()
    with open_runner(options.engine) as runner, existing_store(url) as store, store.read() as connection:
        # A cluster is not given the store, which has private votes.
        near = runner if options.engine.kind == engines.PROCESSES else None
        checked = reverification.reverify_log(connection, store.files, near, partial(_read_store, url, options))
        if not sealed_counts.total_matches_segments(connection):
            raise VerificationFailed("expected the stored total of all segments to be their sum, got another total")
        if not sealed_boards.totals_match_segments(connection):
            raise VerificationFailed("expected the stored totals of all boards to be sums of segments, got others")
        board_recount.compare_counts(connection, store.files, runner, options.compute_ledger)
        published = snapshots.read_published(connection)
        stored = list(manifests.read_all(connection))
        if [one.snapshot_id for one in published] != [one.snapshot_id for one in stored]:
            count = f"{len(stored)} for {len(published)}"
            raise VerificationFailed(f"expected one signed manifest per snapshot, got {count}")
        log, previous = b"", None
        for snapshot, one in zip(published, stored, strict=True):
            signed = _check_signatures(one, previous, log)
            log += merkle.leaf_hash(one.body)
            if snapshot.sequence != signed.sequence:
                raise VerificationFailed(f"manifest {signed.sequence} is of snapshot {snapshot.sequence}")
            _verify_snapshot(connection, store, snapshot, signed, runner)
            previous = signed
    return {
        "segments": checked.segments,
        "votes": checked.leaves,
        "snapshots": len(published),
        "erased": checked.erased,
    }


@contextmanager
def _read_store(url: str, options: Settings) -> Iterator[tuple[Connection, LedgerFiles]]:
    """Open a store for reading, in a process that was started to verify segments."""
    with (
        configuration.override(options),
        existing_store(url, with_key=False) as store,
        store.read() as connection,
    ):
        yield connection, store.files


def _check_signatures(one: SignedManifest, previous: Manifest | None, log: bytes) -> Manifest:
    """Check that a manifest continues `previous`, and that its keys signed its two heads; return the manifest.

    The heads are the checkpoints of the snapshot log and of the vote log.
    """
    where = f"manifest {one.sequence}"
    signed = manifest.load(one.body, where)
    digest = manifest.sha256_hex(previous.dump()) if previous else manifest.NO_PREVIOUS
    if signed.sequence != one.sequence or signed.previous != digest:
        raise Refuted("previous", where, f"expected sequence {one.sequence} after {digest[:12]}")
    if manifest.sha256_hex(one.body) != one.sha256:
        raise Refuted("digest", where, "its content does not have the stored digest")
    check_notices(signed.notices, previous.notices if previous else None, where)
    keys = [VerifierKey.parse(text, where) for text in signed.keys]
    tree = log + merkle.leaf_hash(one.body)
    head = signed_note.Checkpoint(signed.origin, signed.sequence, merkle.root(tree))
    _check_head(one.checkpoint, head, keys, f"checkpoint {one.sequence}")
    votes = signed_note.Checkpoint(signed.votes_origin, signed.vote_log.size, bytes.fromhex(signed.vote_log.root))
    of_votes = [VerifierKey(signed.votes_origin, key.kind, key.public) for key in keys]
    _check_head(one.votes_checkpoint, votes, of_votes, f"checkpoint {one.sequence} of the vote log")
    return signed


def _check_head(data: bytes, expected: signed_note.Checkpoint, keys: list[VerifierKey], where: str) -> None:
    parsed = signed_note.parse(data, where)
    if keys[-1] not in signed_note.verify(parsed, keys, where):
        raise Refuted("unsigned", where, "expected the signature of the newest key")
    if signed_note.parse_checkpoint(parsed, where) != expected:
        raise Refuted("root", where, f"expected {expected.size} leaves with root {expected.root.hex()}")


def _verify_snapshot(
    connection: Connection, store: Store, snapshot: PublishedSnapshot, signed: Manifest, runner: Runner
) -> None:
    where = f"snapshot {snapshot.sequence} ({snapshot.snapshot_id[:12]})"
    if (snapshot.digest, snapshot.previous) != (manifest.sha256_hex(signed.dump()), signed.previous):
        raise VerificationFailed(f"{where}: its row does not match its manifest")
    if not snapshot.snapshot_id == snapshots.canonical_digest(snapshot.body) == signed.files.get("snapshot.json"):
        raise VerificationFailed(f"{where}: its body does not have the digest in its manifest")
    size = snapshot.log_size
    if (size, seals.root_at(connection, size)) != (signed.vote_log.size, signed.vote_log.root):
        raise VerificationFailed(f"{where}: the log at {size} leaves does not have the root in its manifest")
    found = _inputs(connection, store, snapshot, signed, where)
    _verify_boards(connection, snapshot, found, where, runner)
    stated = snapshot.body.get("method")
    if stated is not None and found.by_rule != stated["left_out"]:
        raise VerificationFailed(f"{where}: the votes give {found.by_rule} left out by rule, not {stated['left_out']}")
    boards = signed.boards or {}
    if boards.keys() != snapshot.body.get("boards", {}).keys():
        raise VerificationFailed(f"{where}: its boards by category and language are not those of its manifest")
    for view, published in (("raw", signed.views.raw), ("defended", signed.views.defended), *boards.items()):
        shown = sort_rows(snapshots.read_rows(connection, snapshot.snapshot_id, view))
        if shown != sort_rows([{name: getattr(row, name) for name in shown[0]} for row in published.rows]):
            raise VerificationFailed(f"{where}, {view}: its rows differ from its manifest")


def _verify_boards(
    connection: Connection, snapshot: PublishedSnapshot, found: RatingInput, where: str, runner: Runner
) -> None:
    """Check the published rows of each view against ratings recomputed from its votes."""
    options = Settings(**snapshot.body["settings"])
    tie_only = "coverage" in snapshot.body  # snapshots before that had the standard error of the formula
    boards = {view: rate_view(found.views[view], options, found.waiting[view], tie_only=tie_only) for view in VIEWS}
    if "style" in snapshot.body["views"]:
        numbers = {number: name for name, number in found.model_no.items()}
        # The fit starts at the published figures: if they are right, it needs fewer passes over the votes.
        published = published_view(connection, snapshot)
        style = rate_style_view(found.styled, numbers, options, tie_only=tie_only, before=published, runner=runner)
        if style.board is None or not same_coefficients(style.coefficients, snapshot.body["style"]["coefficients"]):
            raise VerificationFailed(f"{where}, style: its coefficients differ from those recomputed from its votes")
        boards["style"] = style.board
    for name in snapshot.body.get("boards", {}):
        if name not in found.boards:
            raise VerificationFailed(f"{where}, {name}: the votes of the store give no such board")
        boards[name] = rate_view(board_counts(found, name), options, found.waiting[name])
    for view, again in boards.items():
        _verify_view(connection, snapshot, f"{where}, {view}", view, {row["model"]: row for row in board_rows(again)})


def _inputs(
    connection: Connection, store: Store, snapshot: PublishedSnapshot, signed: Manifest, where: str
) -> RatingInput:
    """Check that a snapshot leaves out the votes that its exclusions name and no others, and return the votes it rates.

    Raises:
        VerificationFailed: another vote is left out, or a named vote is not.
    """
    data = store.files.get(signed.files[bundle.EXCLUDED])
    if manifest.sha256_hex(data) != signed.files[bundle.EXCLUDED]:
        raise Refuted("digest", f"{where}, {bundle.EXCLUDED}", "its content does not have the digest in the manifest")
    leaves = segment.read_excluded(data, where)["leaf"].to_pylist()
    place = leaf_index.find_votes(connection, leaves)
    listed = snapshot.body["exclusions"]
    fates = counted_fates(snapshot.body)
    method = stated_method(snapshot.body)
    named = without_rules(excluded_votes.find_excluded(connection, snapshot.log_size, listed, fates), method)
    # An erased vote has no voter any more, but stays left out.
    odd = (named.keys() ^ set(place.values())) - erasure.find_erased(connection, set(place.values()))
    if odd:
        part, offset = min(odd)
        raise VerificationFailed(
            f"{where}: expected exactly the votes that its exclusions name to be left out; "
            f"the one at partition {part}, offset {offset} differs"
        )
    left_out = excluded_votes.read_votes_at(connection, place.values())
    waiting = signed.unregistered or ()
    return read_rating_input(connection, snapshot.log_size, listed, left_out, fates, waiting, method)


def _verify_view(
    connection: Connection, snapshot: PublishedSnapshot, where: str, view: str, recomputed: Mapping[str, Any]
) -> None:
    shown = snapshots.read_rows(connection, snapshot.snapshot_id, view)
    if snapshots.canonical_digest({"rows": sort_rows(shown)}) != snapshot.body["rows"][view]:
        raise VerificationFailed(f"{where}: its rows do not have the digest in its body")
    for row in shown:
        again = recomputed.get(row["model"])
        if again is None or any(abs(row[k] - again[k]) > _ROUNDING for k in ("rating", "lower", "upper", "votes")):
            raise VerificationFailed(f"{where}: {row['model']} differs from the rating recomputed from its votes")
