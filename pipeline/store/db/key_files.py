"""Reads and writes the key files of a store.

A key file has 32 random bytes in hexadecimal digits, and only its owner can read it. `voter.key` is the key from which
pseudonyms are computed. `ledger.key` is the key that signs snapshots. After a rotation, `ledger-before.key` has the
previous key until a snapshot is signed by both keys. `archive.key` encrypts the keys of the files of archived votes.
"""

import os
import secrets
import tempfile
from pathlib import Path

from pipeline.private_files import warn_if_open

VOTER_KEY, LEDGER_KEY, PREVIOUS_LEDGER_KEY = "voter.key", "ledger.key", "ledger-before.key"
ARCHIVE_KEY = "archive.key"


def read(folder: Path, name: str = VOTER_KEY) -> bytes | None:
    """Return the key in a key file, or None if the folder has no such file. Warn if others may read the file."""
    try:
        text = (folder / name).read_text()
    except FileNotFoundError:
        return None
    warn_if_open(folder / name)
    return bytes.fromhex(text.strip())


def create(folder: Path, name: str = VOTER_KEY) -> bytes:
    """Create a key file unless it exists, and return its key.

    The folder is created if it is missing. Two processes that create the same file at the same time get the same key.
    """
    draft = _draft(folder)
    try:
        os.link(draft, folder / name)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    key = read(folder, name)
    if key is None:
        raise FileNotFoundError(folder / name)
    return key


def rotate(folder: Path) -> bytes:
    """Replace the key that signs snapshots by a new key, and return the new key.

    The previous key stays in `ledger-before.key` until a snapshot is signed by both keys.

    Raises:
        FileExistsError: no snapshot was signed since the last rotation.
        FileNotFoundError: the folder has no key that signs snapshots.
    """
    os.link(folder / LEDGER_KEY, folder / PREVIOUS_LEDGER_KEY)
    _draft(folder).replace(folder / LEDGER_KEY)
    key = read(folder, LEDGER_KEY)
    if key is None:
        raise FileNotFoundError(folder / LEDGER_KEY)
    return key


def delete_previous(folder: Path) -> None:
    """Delete the signing key from before the last rotation. Call this after a snapshot was signed by both keys."""
    (folder / PREVIOUS_LEDGER_KEY).unlink(missing_ok=True)


def _draft(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".new-", delete=False) as draft:  # made 0600
        draft.write(secrets.token_hex(32) + "\n")
        draft.flush()
        os.fsync(draft.fileno())
    return Path(draft.name)
