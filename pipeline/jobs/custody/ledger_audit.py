"""Runs the daily audit of the public ledger: recomputes everything that is published, and checks all checkpoints.

Five checks are made:
    votes       recomputes every leaf, count, root and published figure from the rows of the store
    bundle      verifies the newest snapshot in the way a reader does, from the ledger's files and the public key only
    heads       checks that the log continues every signed head (checkpoint): the heads stored as files, and those that
                a witness signed
    offsets     checks that every offset of every partition has a fate, and that every sealed offset is in a segment
    tiles       checks the stored hashes from which proofs are made

Every check runs, even if another fails. A failed check opens a critical alert that only a person can resolve: even if a
later audit passes, the log was wrong once. Damaged tiles are no failure. They are reported and rebuilt, because they
can be computed from the log.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import IntegrityError, Refuted, Unavailable, VerificationFailed
from pipeline.jobs.custody.ledger_verification import verify_ledger
from pipeline.ledger import bundle_verification as bundles
from pipeline.ledger import manifest, merkle, signed_note
from pipeline.ledger.merkle_proofs import check_consistency, consistency_path
from pipeline.ledger.signed_note import VerifierKey
from pipeline.open_store import existing_store, now
from pipeline.scoring.signals import NO_PARTITION, AlertSignal
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle
from pipeline.store.log import manifests, tile_cache
from pipeline.store.read import snapshot_bundles, store_figures
from pipeline.vocabulary.time import DAY

DETECTOR = "audit_ledger"


@dataclass(frozen=True, slots=True)
class AuditPart:
    """The result of one check of the audit.

    Attributes:
        name: name of the check.
        passed: whether the check passed.
        what: what was checked, or the first fault that was found.
        where: the leaf, segment, snapshot or file of the fault; empty if the check passed.
    """

    name: str
    passed: bool
    what: str
    where: str = ""


def audit_ledger(url: str) -> dict[str, Any]:
    """Audit the ledger, and open a critical alert for each check that fails.

    If none fails, the time of the audit is stored.

    Returns:
        {"passed", "parts": [{"name", "passed", "what", "where"}], "alerts"}. "passed" states whether all checks passed.
        "parts" has the result of each check (see `AuditPart`), "alerts" the ids of the alerts that were opened or
        escalated.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    with existing_store(url) as store:
        checks: dict[str, Callable[[], str]] = {
            "votes": lambda: _check_votes(url),
            "bundle": lambda: _check_bundle(store),
            "heads": lambda: _check_heads(store),
            "offsets": lambda: _check_offsets(store),
            "tiles": lambda: _repair_tiles(store),
        }
        parts = [_run(name, check) for name, check in checks.items()]
        failed = [part for part in parts if not part.passed]
        with store.write() as connection:
            ids = _open_alerts(connection, failed, now())
            if not failed:
                store_figures.set_time(connection, "audit_last_success", now())
    return {"passed": not failed, "parts": [asdict(part) for part in parts], "alerts": ids}


def _run(name: str, check: Callable[[], str]) -> AuditPart:
    try:
        return AuditPart(name, True, check())
    except Refuted as fault:
        return AuditPart(name, False, str(fault), fault.where)
    except (VerificationFailed, Unavailable) as fault:
        return AuditPart(name, False, str(fault))
    except (IntegrityError, KeyError, ValueError, TypeError, AttributeError) as fault:
        # Stored data that cannot be parsed was tampered with: a finding, not a crash.
        return AuditPart(name, False, f"it cannot be read: {type(fault).__name__}: {fault}")


def _check_votes(url: str) -> str:
    found = verify_ledger(url)
    return f"{found['votes']} leaves in {found['segments']} segments, {found['snapshots']} snapshots"


def _check_bundle(store: Store) -> str:
    with store.read() as connection:
        newest = manifests.newest(connection)
    if newest is None:
        return "nothing is published"
    keys = [VerifierKey.parse(text) for text in manifest.load(newest.body).keys]
    return str(bundles.verify_bundle(snapshot_bundles.read_bundle(store), keys[-1:]))


def _check_heads(store: Store) -> str:
    with store.read() as connection:
        log = manifests.leaf_hashes(connection)
        signed = {one.sequence: one for one in manifests.read_all(connection)}
        cosigned = {sequence: manifests.read_cosignatures(connection, sequence) for sequence in signed}
    size = len(log) // merkle.WIDTH
    kept = store.files.heads()
    for sequence, head in kept.items():
        if sequence > size:
            raise Refuted("rollback", f"head {sequence}", f"expected at least {sequence} snapshots, got {size}")
        if head != signed[sequence].checkpoint:
            raise Refuted("fork", f"head {sequence}", "the head in the store differs from the published one")
    tree, root = merkle.MerkleTree(log), merkle.root(log)
    for sequence, lines in cosigned.items():
        if lines:
            _check_witnessed(signed[sequence], lines, tree, root)
    witnessed = max((sequence for sequence, lines in cosigned.items() if lines), default=0)
    return f"{size} heads, {len(kept)} kept beside the database, the newest that a witness signed is {witnessed}"


def _check_witnessed(one: manifests.SignedManifest, lines: bytes, tree: merkle.MerkleTree, root: bytes) -> None:
    """Check that today's log begins with the log whose head a witness signed."""
    where, document = f"head {one.sequence}", manifest.load(one.body)
    parsed = signed_note.parse(one.checkpoint + lines, where)
    keys = [VerifierKey.parse(text, where) for text in (*document.keys, *document.witnesses)]
    signed_note.verify(parsed, keys, where)
    head = signed_note.parse_checkpoint(parsed, where)
    path = consistency_path(head.size, tree.size, tree.node)
    check_consistency(head.size, head.root, tree.size, root, path, where)


def _check_offsets(store: Store) -> str:
    with store.read() as connection:
        wrong = store_figures.find_gaps(connection)
        partitions = store_figures.list_partitions(connection)
    if wrong:
        raise Refuted("offsets", wrong[0].split(":")[0], wrong[0])
    return f"{len(partitions)} partitions, every offset accounted for"


def _repair_tiles(store: Store) -> str:
    with store.read() as connection:
        changed = tile_cache.repair(connection, store.files)
    return "all intact" if not changed else f"{changed} damaged or missing hashes were rebuilt"


def _open_alerts(connection: Connection, failed: list[AuditPart], at: int) -> list[str]:
    raised = []
    for part in failed:
        evidence, place = {"what": part.what, "where": part.where}, (NO_PARTITION, at - at % DAY, at)
        raised.append(AlertSignal(DETECTOR, "board", "ledger", part.name, "critical", None, 1, *place, evidence))
    return alert_lifecycle.open_alerts(connection, raised, {}, at)
