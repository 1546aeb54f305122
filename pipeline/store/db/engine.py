"""Opens a store: migrates it, checks its voter key, and opens transactions.

One process at a time migrates a store, before the store is used. A store opens only with the voter key with which it
was made. A write transaction of SQLite takes its lock at the beginning (BEGIN IMMEDIATE), so it never fails half-way
because of another writer.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from pipeline.errors import IntegrityError, MissingKey, StoreUnavailable, Usage
from pipeline.events.pseudonym import pseudonym
from pipeline.store.db import dialect, key_files, migrate, schema
from pipeline.store.db.archive_folder import ArchiveFolder
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.db.store_url import parse_url, shown_url


@dataclass(frozen=True)
class Store:
    """Gives access to a store that is open and migrated: its transactions, keys and files.

    Attributes:
        engine: SQLAlchemy's engine of the database.
        url: the store's URL without secrets.
        voter_key: the voter key; b"" if the store was opened without it.
        store_id: 16 random hexadecimal digits that identify the store.
        key_folder: folder of the store's key files.
        files: the files of the store's public ledger.
        archive: the files of its archived votes. Each connection has it as the execution option `archive`.
    """

    engine: Engine
    url: str
    voter_key: bytes
    store_id: str
    key_folder: Path
    files: LedgerFiles
    archive: ArchiveFolder

    @classmethod
    def open(
        cls,
        url: str,
        *,
        key_folder: Path,
        ledger_folder: Path,
        voter_key: bytes | None = None,
        create: bool = True,
        worker: bool = False,
        with_key: bool = True,
        archive: tuple[Path | None, bytes | None] = (None, None),
    ) -> Store:
        """Open a store. A missing store is created and an old one is migrated first.

        Args:
            url: postgresql://…, sqlite:///FILE, or simply a file.
            key_folder: the folder of the key files.
            ledger_folder: the folder of the public ledger; several stores may share one.
            voter_key: the voter key. None reads the key file of the store, and creates the file for a new store.
            create: whether to create a missing store. If False, a missing store is an error.
            worker: whether to limit the time of waiting for locks and of idle transactions (PostgreSQL only).
            with_key: whether to read the voter key. If False, the store must exist, and `pseudonym` raises an error.
            archive: the folder of archived votes, which several stores may share, and the archive key. None stands for
                `<ledger_folder>.archive` and for the key file of the store.

        Raises:
            StoreUnavailable: the database does not answer, the store is missing, or this version cannot use its tables.
            Usage: the URL is not valid, or the SQLite file is not a database.
            MissingKey: the voter key with which the store was made is missing, or another key was given.
        """
        parsed = parse_url(url)
        engine = dialect.create_engine(parsed, worker=worker)
        try:
            dialect.check_encoding(engine)
            if not create and not migrate.exists(engine):
                raise StoreUnavailable(f"expected a store at {shown_url(parsed)}, got none: `integrity work` makes one")
            migrate.upgrade(engine)
            key, store_id = _key_and_id(engine, key_folder, voter_key) if with_key else (b"", _read_id(engine))
        except BaseException as error:
            engine.dispose()
            if isinstance(error, UnicodeError):  # a host such as `..`, which is no name of the internet
                raise Usage(f"expected a store at a host that has a name, got {parsed.host!r}: {error}") from None
            if not isinstance(error, DBAPIError):
                raise
            raise explain(error, shown_url(parsed)) from error
        # In a folder of its own: two stores that share a ledger folder do not overwrite each other's tiles.
        folder = archive[0] or ledger_folder.with_suffix(".archive")
        cold = ArchiveFolder(folder / store_id, key_folder, archive[1])
        engine.update_execution_options(archive=cold)
        return cls(engine, shown_url(parsed), key, store_id, key_folder, LedgerFiles(ledger_folder / store_id), cold)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write, for a `with` block. Commit it at the end, or roll it back on an error."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads, for a `with` block. All its queries see the data of one moment."""
        options = dialect.read_options(self.engine)
        with self.engine.connect().execution_options(**options) as connection:
            yield connection

    def pseudonym(self, voter_id: str) -> int:
        """Return the pseudonym that a voter id has in this store.

        Raises:
            MissingKey: the store was opened without the voter key.
        """
        if not self.voter_key:
            raise MissingKey("expected the voter key, got none: this process works without it")
        return pseudonym(self.voter_key, voter_id)

    def close(self) -> None:
        """Close all connections to the database."""
        self.engine.dispose()


def is_transient(error: DBAPIError) -> bool:
    """Return whether a failed transaction may succeed if the caller runs it again.

    The transaction may succeed if the error was a lost connection, a timeout of a lock, or a conflict with another
    transaction.
    """
    code = getattr(error.orig, "sqlstate", None)
    if dialect.is_read_only(error):
        return False
    if code is None:
        return error.connection_invalidated or isinstance(error, OperationalError)
    return code[:2] in {"08", "40", "53", "55", "57"} or code in {"23505", "25P03"}


def explain(error: DBAPIError, store: str) -> IntegrityError:
    """Convert an error of the database to an error whose message says what a person can do.

    Args:
        error: the error of the database.
        store: the store's URL without secrets.

    Returns:
        `Usage` if the store's file is not a database, `StoreUnavailable` otherwise.
    """
    said = str(error.orig).strip()
    if dialect.is_read_only(error):
        return StoreUnavailable(
            f"{store} is read-only: {said}. Expected a database (a file) that this user may write; on a standby, "
            "use the primary"
        )
    if dialect.is_no_database(error):
        return Usage(
            f"expected a store at {store}, got a file that is no SQLite database: --store names the store, and "
            "votes are read with `integrity work --source FILE`"
        )
    if is_transient(error):
        return StoreUnavailable(f"{store} does not answer: {said}")
    return StoreUnavailable(f"{store} refused a statement: {said}")


def _key_and_id(engine: Engine, folder: Path, given: bytes | None) -> tuple[bytes, str]:
    """Return the key of the store's pseudonyms, checked, and the store's id; a new store gets both."""
    with engine.begin() as connection:
        if read_key_check(connection) is None:
            # A new store: of two processes that make it, one waits. The role that owns the tables makes it.
            dialect.execute_on_server(connection, "LOCK TABLE meta IN EXCLUSIVE MODE")
        known = {row.name: row.value for row in connection.execute(sa.select(schema.meta))}
        check = known.get("voter_key_check")
        key = given or key_files.read(folder) or (key_files.create(folder) if check is None else None)
        if key is None:
            raise MissingKey(
                f"expected the voter key of {shown_url(engine.url)} in INTEGRITY_VOTER_KEY or {folder}, "
                "got none: without it known voters would get new pseudonyms"
            )
        if check is not None:
            if not hmac.compare_digest(check, key_check(key)):
                raise MissingKey(f"the voter key given is not the one that {shown_url(engine.url)} was made with")
            return key, known["store_id"]
        store_id = secrets.token_hex(8)
        facts = {"voter_key_check": key_check(key), "store_id": store_id}
        connection.execute(schema.meta.insert(), [{"name": name, "value": value} for name, value in facts.items()])
        return key, store_id


def read_key_check(connection: Connection) -> str | None:
    """Return the `key_check` of the voter key with which the store was made. None for a new store."""
    m = schema.meta.c
    found: str | None = connection.scalar(sa.select(m.value).where(m.name == "voter_key_check"))
    return found


def _read_id(engine: Engine) -> str:
    """Return the id of a store that already exists.

    Raises:
        StoreUnavailable: nobody has opened the store with its key yet.
    """
    m = schema.meta.c
    with engine.connect().execution_options(**dialect.read_options(engine)) as connection:
        found: str | None = connection.scalar(sa.select(m.value).where(m.name == "store_id"))
    if found is None:
        raise StoreUnavailable(
            f"expected a store at {shown_url(engine.url)}, got empty tables: run `integrity migrate`"
        )
    return found


def key_check(key: bytes) -> str:
    """Return a SHA-256 by which the store recognises the voter key without storing the key."""
    return hashlib.sha256(b"leaderboard-integrity voter key\0" + key).hexdigest()
