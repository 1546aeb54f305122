"""Reads the keys that sign a board's checkpoints, and decides how a new key follows an old one (rotation).

The public name of a board is fixed by its first snapshot. A snapshot is signed by the key of the previous snapshot;
during a rotation, that key and the new key both sign. A store whose key is missing publishes nothing, because readers
could not distinguish a new key that signs alone from a forger's key.
"""

from dataclasses import dataclass

from pipeline import settings as configuration
from pipeline.errors import MissingKey, Usage
from pipeline.ledger.signed_note import Signer, VerifierKey
from pipeline.store import Store
from pipeline.store.db import key_files
from pipeline.store.log import manifests
from pipeline.store.log.manifests import PreviousManifest


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The secret keys with which a board signs: one, or two during a rotation.

    Attributes:
        current: seed of the current signing key.
        previous: seed of the previous key during a rotation, otherwise None. A rotation ends when both keys have signed
            a snapshot.
    """

    current: bytes
    previous: bytes | None

    def signer(self, origin: str) -> Signer:
        """Return the signer that signs with the current key; `origin` is the name of the log."""
        return Signer(origin, self.current)


def load_signing_keys(store: Store) -> SigningKeys:
    """Read the signing keys from the settings. If the settings have none, read them from the key files of the store.

    If there is no key and the board has no snapshot yet, a new key is created.

    Raises:
        MissingKey: the key is missing, although the board has snapshots.
    """
    given, before = configuration.load().ledger_seeds
    if given is None:
        given = key_files.read(store.key_folder, key_files.LEDGER_KEY)
        before = key_files.read(store.key_folder, key_files.PREVIOUS_LEDGER_KEY)
    if given is None:
        with store.read() as connection:
            signed = manifests.newest(connection)
        if signed is not None:
            raise MissingKey(
                "expected the key that signs snapshots in INTEGRITY_LEDGER_KEY or "
                f"{store.key_folder / key_files.LEDGER_KEY}, got none: readers could not distinguish a new key "
                "from a forger's; restore it from your backup"
            )
        given = key_files.create(store.key_folder, key_files.LEDGER_KEY)
    return SigningKeys(given, None if before == given else before)


def end_rotation(store: Store, keys: SigningKeys) -> None:
    """End a rotation by deleting the file of the previous key, if there is one.

    This is called after both keys have signed a snapshot. Keys from the settings are not changed.
    """
    if keys.previous is not None and not configuration.load().ledger_key:
        key_files.delete_previous(store.key_folder)


def board_name(store: Store, before: PreviousManifest | None) -> str:
    """Return the public name of the board.

    Args:
        store: the store.
        before: the newest manifest, which fixes the name; None before the first snapshot.

    Raises:
        Usage: the name in the settings is not valid, or differs from the name in the manifest.
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


def key_chain(before: tuple[str, ...], keys: SigningKeys, origin: str) -> tuple[tuple[str, ...], list[Signer]]:
    """Return the public keys that the next manifest names, and the signers that must sign it.

    Args:
        before: the public keys that the previous manifest names; empty before the first manifest.
        keys: the signing keys.
        origin: name of the log.

    Returns:
        Two values: the public keys, oldest first, and the signers. There are two signers if the current key is new.

    Raises:
        MissingKey: the current key is new and the previous key, which must sign too, is missing; or the current key is
            an older key of the board.
    """
    signer, older = keys.signer(origin), None if keys.previous is None else Signer(origin, keys.previous)
    mine = str(signer.verifier)
    if not before or before[-1] == mine:
        return before or (mine,), [signer]
    if older is None or str(older.verifier) != before[-1] or mine in before:
        known, got = VerifierKey.parse(before[-1]).key_id.hex(), signer.verifier.key_id.hex()
        raise MissingKey(
            f"expected the key {known}, which signed the previous snapshot, got {got}: "
            "`integrity rotate-key` creates a new key, and the old key must sign one snapshot with it"
        )
    return (*before, mine), [older, signer]
