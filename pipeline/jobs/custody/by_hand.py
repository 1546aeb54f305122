"""What a person does to the ledger by hand: take a vote back, forget who cast it, change the key that signs."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import MissingKey, Usage
from pipeline.jobs.open_store import now, opened
from pipeline.ledger import manifest
from pipeline.ledger.note import Signer
from pipeline.store.boards import erasure
from pipeline.store.db import key_files
from pipeline.store.log import manifests, retractions
from pipeline.store.log.leaf_index import Place
from pipeline.store.votes import ingest


def retract(store: str, vote_id: str, reason: str, name: str) -> dict[str, Any]:
    """Take a vote back: from the next seal on it counts in no view.

    Returns:
        {"vote", "leaf"}: the leaf that will be taken back.

    Raises:
        Usage: no such vote, no reason or name, not sealed yet, or taken back already.
    """
    with opened(store) as it, it.write() as connection:
        leaf = retractions.add(connection, _place(connection, vote_id), vote_id, reason, name, now())
    return {"vote": vote_id, "leaf": leaf}


def erase(store: str, *, vote_id: str | None = None, voter_id: str | None = None) -> dict[str, Any]:
    """Forget who cast a vote, or all sealed votes of a voter, and everything else that is private about them.

    Returns:
        {"erased"}: how many votes.

    Raises:
        Usage: no such vote, or one that is not sealed yet.
    """
    with opened(store) as it, it.write() as connection:
        if voter_id is not None:
            return {"erased": erasure.of_voter(connection, it.pseudonym(voter_id), now())}
        erased = erasure.of_votes(connection, [_place(connection, str(vote_id))])
        if not erased:
            raise Usage(f"expected a vote that is in the log, got {vote_id}: `integrity refresh` seals it")
        return {"erased": erased}


def rotate_key(store: str) -> dict[str, Any]:
    """Make a new key that signs snapshots; the next snapshot is signed by both, those after it by the new one.

    Returns:
        {"key", "after"}: the new public key, and the snapshot that the old one signed last.

    Raises:
        Usage: keys come from the environment, nothing is published yet, or the last rotation is not over.
    """
    if configuration.load().ledger_key:
        raise Usage(
            "expected key files, got INTEGRITY_LEDGER_KEY: set it to a new key and INTEGRITY_LEDGER_KEY_BEFORE to the "
            "one that it had, until a snapshot is signed by both"
        )
    with opened(store) as it:
        with it.read() as connection:
            newest = manifests.newest(connection)
        if newest is None:
            raise Usage("expected a published snapshot, got none: there is no key yet that others know")
        if key_files.read(it.keys, key_files.LEDGER_KEY) is None:
            raise MissingKey(f"expected the key that signs snapshots in {it.keys / key_files.LEDGER_KEY}, got none")
        try:
            seed = key_files.rotate(it.keys)
        except FileExistsError:
            raise Usage("expected a rotation that is over, got one that waits for `integrity refresh`") from None
    origin = manifest.load(newest.body).origin
    return {"key": str(Signer(origin, seed).verifier), "after": newest.sequence}


def _place(connection: Connection, vote_id: str) -> Place:
    key = np.frombuffer(sha256(vote_id.encode()).digest()[:16], dtype="V16")
    found = list(ingest.probe(connection, key).values())
    if not found:
        raise Usage(f"expected the id of a stored vote, got {vote_id!r}")
    part, offset = found[0]
    return int(part), int(offset)
