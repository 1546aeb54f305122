"""The daily audit of the public ledger: everything recomputed, and nothing that was signed taken back.

Laws: every part is looked at, whatever another one found; what is wrong opens a critical alert, which only a person
resolves: a log that is right again was wrong; tiles, which are made of the rest, are made again and told of.

    votes       every leaf, count and root, and every published figure, from the rows of the store
    bundle      the newest snapshot as a stranger checks it, from the ledger's files and the key alone
    heads       what was signed is still what the log says: the heads kept beside the database and those that a witness
                signed are all there, and today's log continues them
    offsets     every offset of every partition is accounted for, and every sealed one is in a segment
    tiles       the hashes that proofs are read from
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import IntegrityError, Refuted, Unavailable, VerificationFailed
from pipeline.jobs.custody.verification import verify
from pipeline.jobs.open_store import now, opened
from pipeline.ledger import manifest, merkle, note
from pipeline.ledger import verify as bundles
from pipeline.ledger.note import VerifierKey
from pipeline.ledger.proofs import check_consistency, consistency_path
from pipeline.scoring.signals import NO_PARTITION, Raised
from pipeline.store import Store
from pipeline.store.alerting import alerts
from pipeline.store.log import manifests, tile_cache
from pipeline.store.read import proofs
from pipeline.store.read import status as figures
from pipeline.vocabulary.time import DAY

DETECTOR = "audit_ledger"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an audit.

    Attributes:
        name: of the part.
        passed: nothing is wrong.
        what: what was looked at, or the first thing that is wrong.
        where: the leaf, segment, snapshot or file that is wrong, "" if nothing is.
    """

    name: str
    passed: bool
    what: str
    where: str = ""


def audit(store: str) -> dict[str, Any]:
    """Audit the ledger; open a critical alert for each part that fails.

    Returns:
        {"passed", "parts": [{"name", "passed", "what", "where"}], "alerts"}

    Raises:
        StoreUnavailable: the store does not answer.
    """
    with opened(store) as it:
        looks: dict[str, Callable[[], str]] = {
            "votes": lambda: _votes(store),
            "bundle": lambda: _bundle(it),
            "heads": lambda: _heads(it),
            "offsets": lambda: _offsets(it),
            "tiles": lambda: _tiles(it),
        }
        parts = [_looked(name, look) for name, look in looks.items()]
        wrong = [part for part in parts if not part.passed]
        with it.write() as connection:
            ids = _tell(connection, wrong, now())
            if not wrong:
                figures.note(connection, "audit_last_success", now())
    shown = [{"name": p.name, "passed": p.passed, "what": p.what, "where": p.where} for p in parts]
    return {"passed": not wrong, "parts": shown, "alerts": ids}


def _looked(name: str, look: Callable[[], str]) -> Part:
    try:
        return Part(name, True, look())
    except Refuted as fault:
        return Part(name, False, str(fault), fault.where)
    except (VerificationFailed, Unavailable) as fault:
        return Part(name, False, str(fault))
    except (IntegrityError, KeyError, ValueError, TypeError, AttributeError) as fault:
        # What stands in the store was changed so that it cannot even be read: that is a finding, not a crash.
        return Part(name, False, f"it cannot be read: {type(fault).__name__}: {fault}")


def _votes(store: str) -> str:
    found = verify(store)
    return f"{found['votes']} leaves in {found['segments']} segments, {found['snapshots']} snapshots"


def _bundle(store: Store) -> str:
    with store.read() as connection:
        newest = manifests.newest(connection)
    if newest is None:
        return "nothing is published"
    keys = [VerifierKey.parse(text) for text in manifest.load(newest.body).keys]
    return str(bundles.verify(proofs.bundle(store), keys[-1:]))


def _heads(store: Store) -> str:
    with store.read() as connection:
        log = manifests.leaves(connection)
        signed = {one.sequence: one for one in manifests.all_of(connection)}
        cosigned = {sequence: manifests.cosigned(connection, sequence) for sequence in signed}
    size = len(log) // merkle.WIDTH
    kept = store.files.heads()
    for sequence, head in kept.items():
        if sequence > size:
            raise Refuted("rollback", f"head {sequence}", f"expected at least {sequence} snapshots, got {size}")
        if head != signed[sequence].checkpoint:
            raise Refuted("fork", f"head {sequence}", "the store has another head than the one that was published")
    tree, root = merkle.Tree(log), merkle.root(log)
    for sequence, lines in cosigned.items():
        if lines:
            _witnessed(signed[sequence], lines, tree, root)
    witnessed = max((sequence for sequence, lines in cosigned.items() if lines), default=0)
    return f"{size} heads, {len(kept)} kept beside the database, the newest that a witness signed is {witnessed}"


def _witnessed(one: manifests.Signed, lines: bytes, tree: merkle.Tree, root: bytes) -> None:
    """A head that a witness signed is the beginning of today's log."""
    where, said = f"head {one.sequence}", manifest.load(one.body)
    parsed = note.parse(one.checkpoint + lines, where)
    keys = [VerifierKey.parse(text, where) for text in (*said.keys, *said.witnesses)]
    note.verify(parsed, keys, where)
    head = note.checkpoint(parsed, where)
    path = consistency_path(head.size, tree.size, tree.node)
    check_consistency(head.size, head.root, tree.size, root, path, where)


def _offsets(store: Store) -> str:
    with store.read() as connection:
        wrong = figures.incomplete(connection)
        partitions = figures.partitions(connection)
    if wrong:
        raise Refuted("offsets", wrong[0].split(":")[0], wrong[0])
    return f"{len(partitions)} partitions, every offset accounted for"


def _tiles(store: Store) -> str:
    with store.read() as connection:
        changed = tile_cache.repair(connection, store.files)
    return "all whole" if not changed else f"{changed} hashes were damaged or away and were made again"


def _tell(connection: Connection, wrong: list[Part], at: int) -> list[str]:
    raised = [
        Raised(
            DETECTOR, "board", "ledger", part.name, "critical", None, 1, NO_PARTITION, at - at % DAY, at,
            {"what": part.what, "where": part.where},
        )
        for part in wrong
    ]  # fmt: skip
    return alerts.write(connection, raised, {}, at)
