"""The key files beside a store: 32 random bytes each, that nobody else may read.

`voter.key` makes the pseudonyms, `ledger.key` signs snapshots, `ledger-before.key` is the one before it until a
snapshot is signed by both. A file store has `<store>.keys/`. For a PostgreSQL store that is given no key in the
environment the folder is under the user's state directory (XDG_STATE_HOME), which suits one machine; processes on
several machines share keys through INTEGRITY_VOTER_KEY and INTEGRITY_LEDGER_KEY.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

import sqlalchemy as sa

VOTER, LEDGER, LEDGER_BEFORE = "voter.key", "ledger.key", "ledger-before.key"


def folder(url: sa.URL) -> Path:
    """Where the keys of a store are."""
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}.keys")
    place = f"{url.host}:{url.port}/{url.database}?{sorted(url.query.items())}"
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "leaderboard-integrity" / f"{name}.keys"


def ledger(url: sa.URL) -> Path:
    """Where the files of a store's public ledger are, unless INTEGRITY_LEDGER says otherwise."""
    return folder(url).with_suffix(".ledger")


def read(home: Path, name: str = VOTER) -> bytes | None:
    """A key of a folder, or None if it has no such file."""
    try:
        return bytes.fromhex((home / name).read_text().strip())
    except FileNotFoundError:
        return None


def make(home: Path, name: str = VOTER) -> bytes:
    """Make a key. Of two processes that try at once, both get the first one's."""
    draft = _draft(home)
    try:
        os.link(draft, home / name)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    key = read(home, name)
    if key is None:
        raise FileNotFoundError(home / name)
    return key


def rotate(home: Path) -> bytes:
    """Make a new key that signs snapshots; the old one stays until both have signed one.

    Raises:
        FileExistsError: the last rotation is not over: no snapshot was signed since.
    """
    os.link(home / LEDGER, home / LEDGER_BEFORE)
    _draft(home).replace(home / LEDGER)
    key = read(home, LEDGER)
    if key is None:
        raise FileNotFoundError(home / LEDGER)
    return key


def forget_before(home: Path) -> None:
    """Both keys have signed: the old one is not needed any more, and must not be found by anybody."""
    (home / LEDGER_BEFORE).unlink(missing_ok=True)


def _draft(home: Path) -> Path:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=home, prefix=".new-", delete=False) as draft:  # made 0600
        draft.write(secrets.token_hex(32) + "\n")
        draft.flush()
        os.fsync(draft.fileno())
    return Path(draft.name)
