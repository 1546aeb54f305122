"""Writes a backup of a store: the database, the files of the ledger and of the archive, and the keys.

The database is copied first, as one transaction sees it. The files are copied afterwards. This order is
safe, because each file is written before the database row that names it, and files never change. The backup leaves out
the hashes of the log, because a restore computes them again. It also leaves out checkpoints that are newer than the
copy of the database.
"""

from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import Refuted
from pipeline.jobs.custody.backup_files import BackupWriter
from pipeline.ledger import manifest
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from pipeline.store.cold import cold_files
from pipeline.store.db import database_copy, key_files
from pipeline.store.db.archive_folder import ArchiveFolder
from pipeline.store.db.engine import read_key_check
from pipeline.store.db.migrate import NEWEST
from pipeline.store.log import manifests, sealed_labels, seals
from pipeline.store.read import store_figures
from pipeline.vocabulary.time import format_rfc3339


def back_up(url: str, to: Path, *, with_keys: bool = True) -> dict[str, Any]:
    """Write a backup of a store, and record it in the operators' log. Workers may write to the store meanwhile.

    Args:
        url: address of the store.
        to: the backup to create: a tar file if the name ends in .tar, otherwise a folder.
        with_keys: whether to include the store's key files. Keys that are set in the environment are not included.

    Returns:
        {"backup", "made_at", "votes", "log_size", "snapshots", "last_snapshot", "files", "bytes", "keys"}. "backup" is
        the path of the backup. "votes" is the number of records in the store, whatever their fate. "snapshots" is the
        number of snapshots, "last_snapshot" the id of the newest. "files" and "bytes" are the number and the total size
        of the files in the backup. "keys" lists the names of the key files.

    Raises:
        Usage: `to` exists already.
        Unavailable: PostgreSQL's pg_dump is missing or fails.
        Refuted: a file of the ledger or of the archive was changed or is missing.
    """
    with existing_store(url, with_key=False) as store:
        database_copy.expect_programs(store.engine, "pg_dump")
        with closing(BackupWriter(to)) as writer:
            with store.write() as connection:
                operators_log.record_export(connection, "backup", "", now(), {"keys": with_keys})
            with store.read() as connection:
                facts = _describe(connection, store)
                named, archived = _named_files(connection), cold_files.names(connection)
                database_copy.dump(connection, writer.draft)
            writer.add(database_copy.FILE_NAMES[facts["database"]], writer.draft, take=True)
            _add_ledger(writer, store, named, facts["snapshots"])
            _add_archive(writer, store.archive, archived)
            keys = _add_keys(writer, store.key_folder) if with_keys else []
            writer.finish({**facts, "keys": keys})
    shown = {name: facts[name] for name in ("made_at", "votes", "log_size", "snapshots", "last_snapshot")}
    size = sum(one["bytes"] for one in writer.listed.values())
    return {"backup": str(to), **shown, "files": len(writer.listed), "bytes": size, "keys": keys}


def _describe(connection: Connection, store: Store) -> dict[str, Any]:
    newest = manifests.newest(connection)
    return {
        "made_at": format_rfc3339(now()),
        "program": version("leaderboard-integrity"),
        "database": store.engine.dialect.name,
        "tables": NEWEST,
        "store_id": store.store_id,
        "voter_key_check": read_key_check(connection),
        "votes": sum(store_figures.count_fates(connection).values()),
        "log_size": seals.head(connection)[0],
        "snapshots": newest.sequence if newest else 0,
        "last_snapshot": newest.snapshot_id if newest else None,
    }


def _named_files(connection: Connection) -> set[str]:
    """Return the SHA-256 of every file of the ledger that this database names."""
    named: set[str] = {one.sha256 for one in seals.segment_files(connection, seals.head(connection)[0])}
    named |= {digest for _, digest in sealed_labels.files(connection, seals.head(connection)[0])}
    for one in manifests.read_all(connection):
        document = manifest.load(one.body)
        named |= set(document.files.values())  # its segments are those of the log
    return named


def _add_ledger(writer: BackupWriter, store: Store, named: set[str], snapshots: int) -> None:
    """Add every file of the ledger, and the heads (signed checkpoints) of the first `snapshots` snapshots.

    Files that only a candidate names are included. A candidate is a snapshot before its publication.

    Raises:
        Refuted: a file does not have its digest, or a file in `named`, which the database names, is missing.
    """
    for path in sorted((store.files.folder / "files").glob("*/*")):
        found = writer.add(f"ledger/files/{path.parent.name}/{path.name}", path)
        if found != path.name:
            raise Refuted("digest", str(path), f"expected the SHA-256 of its name, got {found}: run `integrity audit`")
        named.discard(found)
    for digest in sorted(named):
        where = str(store.files.path(digest))
        raise Refuted("missing", where, "expected this file, which the database names, got none: run `integrity audit`")
    for path in sorted((store.files.folder / "heads").glob("[0-9]*")):
        if int(path.name) <= snapshots:
            writer.add(f"ledger/heads/{path.name}", path)


def _add_archive(writer: BackupWriter, archive: ArchiveFolder, named: set[str]) -> None:
    """Add the files of the archive that the database names. They stay encrypted."""
    for digest in sorted(named):
        path = archive.path(digest)
        if not path.exists():
            raise Refuted(
                "missing", str(path), "expected this file of archived votes, which the database names, got none"
            )
        found = writer.add(f"archive/{digest[:2]}/{digest}", path)
        if found != digest:
            raise Refuted("digest", str(path), f"expected the SHA-256 of its name, got {found}")


def _add_keys(writer: BackupWriter, folder: Path) -> list[str]:
    """Add the key files that exist. Keys that are given by environment variables are not saved."""
    names = (key_files.VOTER_KEY, key_files.LEDGER_KEY, key_files.PREVIOUS_LEDGER_KEY, key_files.ARCHIVE_KEY)
    found = [name for name in names if (folder / name).exists()]
    for name in found:
        writer.add(f"keys/{name}", folder / name)
    return found
