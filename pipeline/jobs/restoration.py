"""Restores a backup as a new store, and verifies the store.

Nothing is written until every file of the backup has been checked and the target has been found empty. The database is
written last, so an interrupted restore leaves no store that looks complete.
"""

import hmac
import os
from pathlib import Path
from typing import Any

from pipeline import settings as configuration
from pipeline.errors import MissingKey, Refuted, Usage
from pipeline.jobs.custody.backup_files import BackupReader, open_backup
from pipeline.jobs.custody.ledger_verification import verify_ledger
from pipeline.jobs.rebuild_windows import rebuild_windows
from pipeline.open_store import archive_folder, complete_url, existing_store, key_folder, ledger_folder, now
from pipeline.store.alerting import operators_log
from pipeline.store.db import database_copy, dialect, key_files, migrate
from pipeline.store.db.archive_folder import ArchiveFolder
from pipeline.store.db.engine import key_check
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.db.store_url import parse_url, shown_url
from pipeline.store.log import tile_cache
from pipeline.store.read import store_figures

_KEYS, _HEADS, _FILES, _ARCHIVE = "keys/", "ledger/heads/", "ledger/files/", "archive/"


def restore(url: str, source: Path) -> dict[str, Any]:
    """Restore a backup as the store at `url`, verify its ledger, and record the restore in the operators' log.

    Args:
        url: address of the new store.
        source: the backup, a folder or a tar file.

    Returns:
        {"store", "made_at", "snapshots", "last_snapshot", "offsets", "verified"}. "offsets" lists for each partition
        the offset at which workers will continue. "verified" is the result of `verify_ledger`.

    Raises:
        Usage: there is no backup at `source`, it was made from the other kind of database, the store exists already, or
            the store's key folder or the store's folder of archived votes is not empty.
        Refuted: a file of the backup is missing or damaged, or the ledger folder of the target is newer than the
            backup.
        MissingKey: the backup, the settings and the key folder have no voter key, or a wrong one.
        StoreUnavailable: this version of the code cannot read tables of the backup's version.
        VerificationFailed: the restored ledger does not follow from the restored votes.
    """
    engine = dialect.create_engine(parse_url(complete_url(url)), worker=False)
    try:
        with open_backup(source) as backup:
            facts, where = backup.facts, shown_url(engine.url)
            if facts.get("database") != engine.dialect.name:
                raise Usage(f"expected a store on {facts.get('database')}, as in the backup, got {where}")
            migrate.expect_upgradable(facts.get("tables"), str(source))
            database_copy.expect_empty(engine)
            database_copy.expect_programs(engine, "pg_restore")
            ledger = LedgerFiles(ledger_folder(url) / str(facts["store_id"]))
            archive = ArchiveFolder(archive_folder(url) / str(facts["store_id"]), key_folder(url))
            _expect_no_archive(archive)
            _check_keys(backup, url, source)
            backup.check()
            _check_heads(backup, ledger)
            _write_files(backup, key_folder(url), ledger)
            for name in backup.listed:
                if name.startswith(_ARCHIVE):
                    archive.put([backup.read(name)])
            with backup.as_file(database_copy.FILE_NAMES[engine.dialect.name]) as copy:
                database_copy.restore(engine, copy)
    finally:
        engine.dispose()
    return _open_restored(url, facts)


def _open_restored(url: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Count the windows of a restored store, log the restoration in the operators' log, and verify the ledger.

    Returns:
        The address of the store, what the backup has, the offsets from which workers continue, and the verified
        figures.
    """
    shown = {name: facts[name] for name in ("made_at", "snapshots", "last_snapshot")}
    with existing_store(url) as store:
        rebuild_windows(store)
        with store.write() as connection:
            operators_log.record(connection, operators_log.process_operator(), "store.restore", "", now(), after=shown)
        with store.read() as connection:
            tile_cache.repair(connection, store.files)
            offsets = [
                {"source": one["source"], "partition": one["number"], "next_offset": one["next_offset"]}
                for one in store_figures.list_partitions(connection)
            ]
    return {"store": store.url, **shown, "offsets": offsets, "verified": verify_ledger(url)}


def _check_keys(backup: BackupReader, url: str, source: Path) -> None:
    """Check that the voter key of the backed-up store is known, and that the target has no key files of its own.

    Raises:
        MissingKey: the voter key is missing, or another store's key was given.
        Usage: the backup has keys, and the key folder of the target is not empty.
    """
    folder = key_folder(url)
    packed = [name for name in backup.listed if name.startswith(_KEYS)]
    if packed:
        _expect_no_files(folder)
    key = configuration.load().key
    if key is None and _KEYS + key_files.VOTER_KEY in packed:
        key = bytes.fromhex(backup.read(_KEYS + key_files.VOTER_KEY).decode("ascii", "replace").strip())
    key = key or key_files.read(folder)
    if key is None:
        raise MissingKey(
            f"expected the voter key of the store in {source} in the backup, in INTEGRITY_VOTER_KEY or in {folder}, "
            "got none: put the key there first"
        )
    if not hmac.compare_digest(key_check(key), str(backup.facts.get("voter_key_check"))):
        raise MissingKey(f"the voter key given is not the one of the store in {source}")


def _expect_no_files(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise Usage(
            f"expected no keys yet in {folder}, got some: a restore overwrites nothing. Remove them if an interrupted "
            "restore left them, else move them"
        )


def _expect_no_archive(archive: ArchiveFolder) -> None:
    """Raise Usage if the archive folder contains archived votes.

    Two stores must not share an archive folder, because each store deletes the files that it replaced.
    """
    if archive.digests():
        raise Usage(
            f"expected no archived votes yet in {archive.folder}, got some: they are of the store of which this is a "
            "backup, or an interrupted restore left them. Set INTEGRITY_ARCHIVE to another folder, or move them away"
        )


def _check_heads(backup: BackupReader, ledger: LedgerFiles) -> None:
    """Check that the backup is not older than the ledger's folder, which may have survived on another disk.

    Raises:
        Refuted: reason `rollback` or `fork`: the folder has a signed head that the backup does not have.
    """
    newest = backup.facts["snapshots"]
    for sequence, head in ledger.heads().items():
        where, name = f"{ledger.folder}: head {sequence}", f"{_HEADS}{sequence:09d}"
        if sequence > newest:
            raise Refuted(
                "rollback",
                where,
                f"expected a backup with at least {sequence} snapshots, got one with {newest}: a store restored from "
                "it must publish nothing. Restore a newer backup; to read this one, move the folder away first",
            )
        if name in backup.listed and backup.read(name) != head:
            raise Refuted("fork", where, "expected the head of the backup, got another one: this is another ledger")


def _write_files(backup: BackupReader, keys: Path, ledger: LedgerFiles) -> None:
    ledger.delete_hashes()  # of a folder that survived: those after the backup may be of other leaves
    for name in backup.listed:
        if name.startswith(_FILES):
            ledger.put(backup.read(name))
        elif name.startswith(_HEADS):
            ledger.put_head(int(name.removeprefix(_HEADS)), backup.read(name))
        elif name.startswith(_KEYS):
            keys.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = keys / name.removeprefix(_KEYS)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(backup.read(name))
                file.flush()
                os.fsync(file.fileno())
