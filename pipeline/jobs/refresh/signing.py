"""Whose signature stands under a board's checkpoints, and how one key takes over from another.

Laws: the public name of a board is settled with its first snapshot; the key that signs is the one that signed before,
or one that the key before introduces by signing once beside it; a store whose key is away publishes nothing, for a
reader could not tell a new key from a stranger's.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import settings as configuration
from pipeline.errors import MissingKey, Usage
from pipeline.ledger.manifest import Manifest
from pipeline.ledger.signed_note import Signer, VerifierKey
from pipeline.store import Store
from pipeline.store.db import key_files
from pipeline.store.log import manifests


@dataclass(frozen=True, slots=True)
class Signers:
    """Who signs.

    Attributes:
        now: seed of the key.
        before: seed of the key before it, until both have signed.
    """

    now: bytes
    before: bytes | None

    def log(self, origin: str) -> Signer:
        """The key, as the log of this name knows it."""
        return Signer(origin, self.now)

    def older(self, origin: str) -> Signer | None:
        """The key before it, as the log of this name knows it."""
        return None if self.before is None else Signer(origin, self.before)


def signers(store: Store) -> Signers:
    """The keys of a store: of the settings, else its key files; a board without a snapshot gets a key.

    Raises:
        MissingKey: snapshots were signed, and the key is not here.
    """
    given, before = configuration.load().ledger_seeds
    if given is None:
        given = key_files.read(store.keys, key_files.LEDGER_KEY)
        before = key_files.read(store.keys, key_files.PREVIOUS_LEDGER_KEY)
    if given is None:
        with store.read() as connection:
            signed = manifests.newest(connection)
        if signed is not None:
            raise MissingKey(
                "expected the key that signs snapshots in INTEGRITY_LEDGER_KEY or "
                f"{store.keys / key_files.LEDGER_KEY}, got none: readers could not tell a new key "
                "from a stranger's; bring it back from your copy"
            )
        given = key_files.create(store.keys, key_files.LEDGER_KEY)
    return Signers(given, None if before == given else before)


def handed_over(store: Store, used: Signers) -> None:
    """Both keys have signed: the file of the old one goes."""
    if used.before is not None and not configuration.load().ledger_key:
        key_files.delete_previous(store.keys)


def board_name(store: Store, before: Manifest | None) -> str:
    """The public name of the board; settled by its first manifest.

    Raises:
        Usage: another name is set than the one that stands under the board's checkpoints, or one that cannot be.
    """
    wanted = configuration.load().board
    if before is None:
        name = wanted or f"board-{store.store_id}"
        try:
            Signer(name, bytes(32))
        except ValueError:
            raise Usage(f"INTEGRITY_BOARD: expected a name without white space and '+', got {name!r}") from None
        return name
    if wanted not in ("", before.board):
        raise Usage(f"INTEGRITY_BOARD: expected {before.board!r}, as its checkpoints call it, got {wanted!r}")
    return before.board


def key_chain(before: tuple[str, ...], used: Signers, origin: str) -> tuple[tuple[str, ...], list[Signer]]:
    """The keys that a manifest names, and who signs it.

    Args:
        before: the keys of the manifest before, none for the first.
        used: the keys at hand.
        origin: the name of the log.

    Raises:
        MissingKey: the key is new, and the one before it is not here to introduce it.
    """
    signer, older = used.log(origin), used.older(origin)
    mine = str(signer.verifier)
    if not before or before[-1] == mine:
        return before or (mine,), [signer]
    if older is None or str(older.verifier) != before[-1] or mine in before:
        known, got = VerifierKey.parse(before[-1]).key_id.hex(), signer.verifier.key_id.hex()
        raise MissingKey(
            f"expected the key {known}, which signed the snapshot before, got {got}: "
            "a new key is made by `integrity rotate-key`, and is introduced by the old one's signature"
        )
    return (*before, mine), [older, signer]
