"""Opens the store that the settings name, with its key files and its ledger files.

The keys of a file store are in `<store>.keys/`, its ledger in `<store>.ledger/`, its archived votes in
`<store>.archive/`. For a PostgreSQL store all are under the user's state directory (XDG_STATE_HOME), which suits one
machine. Processes on several machines share keys through INTEGRITY_VOTER_KEY, INTEGRITY_LEDGER_KEY and
INTEGRITY_ARCHIVE_KEY, the ledger through INTEGRITY_LEDGER, and archived votes through INTEGRITY_ARCHIVE.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import settings as configuration
from pipeline.errors import MissingKey
from pipeline.store import Store
from pipeline.store.db import key_files
from pipeline.store.db.store_url import parse_url, with_parameters


def open_store(
    url: str,
    *,
    voter_key: bytes | None = None,
    create: bool = True,
    worker: bool = False,
    with_key: bool = True,
) -> Store:
    """Open a store with its keys and its ledger; see `Store.open`.

    Args:
        url: postgresql://…, sqlite:///FILE, or simply a file.
        voter_key: the voter key; None for the key in the settings or in the store's key file.
        create: whether to create a missing store. If false, a missing store is an error.
        worker: whether to limit the time that locks and idle transactions may take, as a worker needs.
        with_key: whether to use a voter key. If true and the store exists, its key must exist too. If false,
            `voter_key` is ignored.

    Raises:
        StoreUnavailable: the database does not answer, or there is no store.
        MissingKey: the voter key with which the store was made is missing.
    """
    options = configuration.load()
    with configuration.override(options):  # the settings are read once
        return Store.open(
            complete_url(url),
            key_folder=key_folder(url),
            ledger_folder=ledger_folder(url),
            voter_key=(voter_key or options.key) if with_key else None,
            create=create,
            worker=worker,
            with_key=with_key,
            archive=(archive_folder(url), options.archive_seed),
        )


@contextmanager
def existing_store(url: str, *, with_key: bool = True) -> Iterator[Store]:
    """Open an existing store for the duration of a `with` block.

    Args:
        url: postgresql://…, sqlite:///FILE, or simply a file.
        with_key: whether to read the voter key, which must then exist.

    Raises:
        StoreUnavailable: the database does not answer, or there is no store.
        MissingKey: the voter key with which the store was made is missing.
    """
    store = open_store(url, create=False, with_key=with_key)
    try:
        yield store
    finally:
        store.close()


def complete_url(url: str) -> str:
    """Return a store's URL with the parameters and the password that the settings add to it."""
    options = configuration.load()
    return with_parameters(url, options.postgres_parameters(), options.postgres_password)


def ledger_folder(url: str) -> Path:
    """Return the folder that contains the ledger of a store, and perhaps the ledgers of other stores.

    Each ledger is in a subfolder of the returned folder. The name of the subfolder is the id of the store.
    """
    return Path(configuration.load().ledger or key_folder(url).with_suffix(".ledger"))


def archive_folder(url: str) -> Path:
    """Return the folder that contains the archived votes of a store, and perhaps those of other stores.

    The private files of a store are in a subfolder, whose name is the id of the store.
    """
    return Path(configuration.load().archive or key_folder(url).with_suffix(".archive"))


def key_folder(url: str) -> Path:
    """Return the folder of a store's key files, which need not exist.

    For an SQLite file the folder is beside the file; for PostgreSQL it is under the user's state directory.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Path(f"{parsed.database}.keys")
    place = f"{parsed.host}:{parsed.port}/{parsed.database}?{sorted(parsed.query.items())}"
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "leaderboard-integrity" / f"{name}.keys"


def publish_folder(url: str) -> Path:
    """Return the folder for the state files of `publish --follow`, for a publisher that uses the keys of a store."""
    return Path(configuration.load().publish_state or key_folder(url).with_suffix(".publish"))


def known_voter_key(url: str) -> bytes | None:
    """Return the voter key of a store, from the settings or its key file; None if there is none."""
    return configuration.load().key or key_files.read(key_folder(url))


def voter_key(url: str) -> bytes:
    """Return the voter key of a store, from which a publisher computes pseudonyms.

    The key comes from the settings or the store's key file. If neither has a key, a new key is created and written to
    the key file, unless the store is an SQLite file that exists.

    Raises:
        MissingKey: the SQLite file exists, but its voter key is missing. A PostgreSQL store is not checked for this.
    """
    folder = key_folder(url)
    key = known_voter_key(url)
    if key is not None:
        return key
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and Path(str(parsed.database)).exists():
        raise MissingKey(
            f"expected the voter key of {parsed.database} in INTEGRITY_VOTER_KEY or {folder}, got none: a publisher "
            "needs the key of the workers"
        )
    return key_files.create(folder)


def now() -> int:
    """Return the present time in microseconds since 1970 UTC."""
    return time.time_ns() // 1000
