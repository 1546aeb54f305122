"""The key file beside a store: 32 random bytes that nobody else may read.

A file store has `<store>.keys/`. For a PostgreSQL store that is given no key in the environment the
folder is under the user's state directory, which suits one machine; workers on several machines share
the key through INTEGRITY_VOTER_KEY.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

import sqlalchemy as sa


def folder(url: sa.URL) -> Path:
    """Where the keys of a store are."""
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}.keys")
    place = f"{url.host}:{url.port}/{url.database}?{sorted(url.query.items())}"
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    return Path.home() / ".local" / "state" / "leaderboard-integrity" / f"{name}.keys"


def read(url: sa.URL) -> bytes | None:
    """The voter key of a store, or None if it has no key file."""
    try:
        return bytes.fromhex((folder(url) / "voter.key").read_text().strip())
    except FileNotFoundError:
        return None


def make(url: sa.URL) -> bytes:
    """Make the voter key of a new store. Of two processes that try at once, both get the first one's."""
    home = folder(url)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=home, prefix=".new-", delete=False) as draft:  # made 0600
        draft.write(secrets.token_hex(32) + "\n")
    try:
        os.link(draft.name, home / "voter.key")
    except FileExistsError:
        pass
    finally:
        Path(draft.name).unlink()
    key = read(url)
    if key is None:
        raise FileNotFoundError(home / "voter.key")
    return key
