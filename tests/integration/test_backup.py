"""A backup is taken while a worker writes, the machine is lost, and the restored board goes on publishing."""

from __future__ import annotations

import contextvars
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from pipeline import jobs
from pipeline.detectors import VOTER
from pipeline.devstack.postgres import PostgresServer, binary_folder
from pipeline.open_store import existing_store, open_store
from pipeline.settings import Settings
from pipeline.store.alerting import operators_log
from pipeline.store.read import store_figures
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from tests.command import called
from tests.integration.board_of_votes import Board, using

# The keys are files: they are part of a backup.
OPTIONS = Settings(anchor="", lateness_minutes=60)
VOTES = 120


def integrity(*words: object, expect: int = 0) -> CompletedProcess[str]:
    done = called(*map(str, words), settings={"INTEGRITY_ANCHOR": ""})
    assert done.returncode == expect, (words, done.stdout, done.stderr)
    return done


@dataclass
class Machines:
    """The URL of the board before its machine is lost, and where it is restored; `lose` loses the machine."""

    old: str
    new: str
    lose: Callable[[], None]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def machines(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    with using(OPTIONS):
        if request.param == "sqlite":
            old = tmp_path / "old machine"
            yield Machines(str(old / "board.db"), str(tmp_path / "new/board.db"), lambda: shutil.rmtree(old))
            return
        server: PostgresServer = request.getfixturevalue("postgres_server")
        # pg_dump is not older than the server.
        monkeypatch.setenv("PATH", str(binary_folder()), prepend=os.pathsep)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        names = [f"backup_{os.getpid()}_{place}" for place in ("old", "new")]
        old_url, new_url = map(server.create_database, names)
        yield Machines(old_url, new_url, lambda: shutil.rmtree(tmp_path / "state"))
        for name in names:
            server.drop_database(name)


def published(url: str) -> tuple[int, int]:
    """How many snapshots are published, and how many votes are stored and counted."""
    with existing_store(url) as store, store.read() as connection:
        fates = store_figures.count_fates(connection)
        return len(store.files.heads()), fates["accepted"]


def actions(url: str) -> list[str]:
    with existing_store(url) as store, store.read() as connection:
        return [row["action"] for row in operators_log.list_entries(connection, 100)]


def back_up_while_votes_arrive(board: Board, to: Path) -> None:
    """Votes are stored before the backup begins and after it ends."""
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        while not done.is_set():
            board.vote(20)
            started.set()
        board.vote(20)

    worker = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    worker.start()
    try:
        assert started.wait(60)
        integrity("backup", "--out", to, "--store", board.url)
    finally:
        done.set()
        worker.join(60)
    assert not worker.is_alive()


@pytest.mark.long
@pytest.mark.parametrize("form", ["backup", "backup.tar"])
def test_a_restored_board_goes_on_publishing(machines: Machines, form: str, tmp_path: Path) -> None:
    board, saved = Board(machines.old, tmp_path, OPTIONS), tmp_path / "elsewhere" / form
    board.vote(VOTES)
    board.refresh()
    integrity("bundle", "--out", tmp_path / "kept", "--store", board.url)
    back_up_while_votes_arrive(board, saved)
    board.vote(VOTES)  # these are lost with the machine, and the board's files still have them
    assert published(board.url) == (1, board.votes)
    machines.lose()

    told = integrity("restore", saved, "--store", machines.new)
    assert "verified" in told.stdout
    assert "publish nothing from this store" in told.stderr
    assert actions(machines.new) == ["store.restore", "export.backup", "export.bundle"]
    snapshots, stored = published(machines.new)
    assert snapshots == 1
    assert VOTES <= stored < board.votes
    restored = Board(machines.new, tmp_path, OPTIONS)
    for number in range(board.files):
        with closing(open_store(machines.new, worker=True)) as store:
            Worker(FileSource(tmp_path / f"part-{number}.jsonl"), store, OPTIONS, VOTER, "test").run(until_end=True)
    assert published(machines.new) == (1, board.votes)  # each once
    restored.refresh()

    for verb in ("verify", "audit"):
        integrity(verb, "--store", machines.new)
    answer = json.loads(integrity("bundle", "--out", tmp_path / "next", "--store", machines.new, "--json").stdout)
    kept = tmp_path / "kept" / "checkpoint"
    integrity("verify", tmp_path / "next", "--key", answer["key"], "--checkpoint", kept)


# What is refused.


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    with using(OPTIONS):
        board = Board(str(folder / "board.db"), folder, OPTIONS)
        board.vote(VOTES)
        board.refresh()
        for form in ("backup", "backup.tar"):
            integrity("backup", "--out", folder / form, "--store", board.url)
    return folder


@pytest.fixture
def made(original: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder with a board, `board.db`, and two backups of it, `backup` and `backup.tar`."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    with using(OPTIONS):
        yield tmp_path


def names(backup: Path) -> list[str]:
    found: list[str] = list(json.loads((backup / "backup.json").read_text())["files"])
    return found


def nothing_restored(folder: Path) -> bool:
    return not list(folder.glob("new.db*"))


def test_a_backup_is_for_its_owner_alone_and_names_every_file(made: Path) -> None:
    backup = made / "backup"
    files = sorted(str(path.relative_to(backup)) for path in backup.rglob("*") if path.is_file())
    assert sorted([*names(backup), "backup.json"]) == files
    assert {"database.sqlite", "keys/voter.key", "keys/ledger.key", "ledger/heads/000000001"} < set(files)
    every = (*map(backup.joinpath, files), backup, made / "backup.tar")
    assert [path for path in every if path.stat().st_mode & 0o077] == []
    with tarfile.open(made / "backup.tar") as tar:
        packed = tar.getnames()
    assert sorted(packed) == files
    assert packed[-1] == "backup.json"


def test_a_damaged_file_is_refused_by_name_before_anything_is_written(made: Path) -> None:
    for name in names(made / "backup"):
        path = made / "backup" / name
        before = path.read_bytes()
        for damaged in (before[:-1] + bytes([before[-1] ^ 1]), before[:-1], None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            told = integrity("restore", made / "backup", "--store", made / "new.db", expect=4).stderr
            assert name in told
            assert nothing_restored(made)
            path.write_bytes(before)
    integrity("restore", made / "backup", "--store", made / "new.db")


def test_a_damaged_or_cut_tar_is_refused(made: Path) -> None:
    tar = made / "backup.tar"
    whole = tar.read_bytes()
    with tarfile.open(tar) as opened:
        database = opened.getmember("database.sqlite")
    at = database.offset_data + database.size // 2
    tar.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert "database.sqlite" in integrity("restore", tar, "--store", made / "new.db", expect=4).stderr
    for size in (0, 100, at, len(whole) // 2):
        tar.write_bytes(whole[:size])
        assert "backup.tar" in integrity("restore", tar, "--store", made / "new.db", expect=2).stderr
    assert nothing_restored(made)
    tar.write_bytes(whole)
    integrity("restore", tar, "--store", made / "new.db")


@pytest.mark.parametrize("name", ["keys/../../stolen.key", "/etc/x", "ledger/files/ab/x", "database.sqlite/x", "x"])
def test_a_name_that_leads_elsewhere_is_refused(made: Path, name: str) -> None:
    path = made / "backup" / "backup.json"
    document = json.loads(path.read_text())
    document["files"][name] = {"sha256": "0" * 64, "bytes": 0}
    path.write_text(json.dumps(document))
    assert name in integrity("restore", made / "backup", "--store", made / "new.db", expect=4).stderr
    assert nothing_restored(made)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"files": 1}', "[" * 100_000, "\udcff"])
def test_a_list_that_cannot_be_read_is_refused(made: Path, text: str) -> None:
    (made / "backup" / "backup.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "backup.json" in integrity("restore", made / "backup", "--store", made / "new.db", expect=4).stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("store_id", "../../elsewhere"), ("store_id", None), ("snapshots", "1"), ("snapshots", -1), ("tables", 7),
     ("made_at", "now\n"), ("database", "oracle"), ("voter_key_check", ""), ("last_snapshot", 1), ("files", {})],
)  # fmt: skip
def test_a_fact_that_cannot_be_is_refused(made: Path, name: str, value: object) -> None:
    path = made / "backup" / "backup.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    assert name in integrity("restore", made / "backup", "--store", made / "new.db", expect=4).stderr
    assert nothing_restored(made)


def test_what_is_no_finished_backup_is_refused(made: Path) -> None:
    (made / "backup" / "backup.json").unlink()
    for source in ("backup", "board.db", "no such folder"):
        told = integrity("restore", made / source, "--store", made / "new.db", expect=2).stderr
        assert source in told
    assert nothing_restored(made)


def test_a_place_that_is_not_empty_is_refused(made: Path) -> None:
    before = (made / "board.db").read_bytes()
    told = integrity("restore", made / "backup", "--store", made / "board.db", expect=2).stderr
    assert "board.db, got one" in told
    assert (made / "board.db").read_bytes() == before
    for kind, inside, status in (("keys", "voter.key", 2), ("ledger", "heads/000000001", 4)):
        here = next((made / f"board.db.{kind}").glob(f"**/{inside}"))
        left = made / f"new.db.{kind}" / here.relative_to(made / f"board.db.{kind}")
        left.parent.mkdir(parents=True)
        left.write_text("mine")
        told = integrity("restore", made / "backup", "--store", made / "new.db", expect=status).stderr
        assert f"new.db.{kind}" in told
        assert left.read_text() == "mine"
        shutil.rmtree(made / f"new.db.{kind}")
        assert nothing_restored(made)
    (made / "file").write_text("mine")
    for out in ("backup", "backup.tar", "file", "file/x", "file/x.tar"):
        integrity("backup", "--out", made / out, "--store", made / "board.db", expect=2)
    integrity("restore", made / "backup", "--store", "postgresql://localhost:1/x", expect=2)


def test_a_damaged_ledger_is_not_backed_up_in_silence(made: Path) -> None:
    path = next(path for path in (made / "board.db.ledger").rglob("*") if len(path.name) == 64)
    before = path.read_bytes()
    path.write_bytes(before + b"x")
    assert path.name in integrity("backup", "--out", made / "b1", "--store", made / "board.db", expect=4).stderr
    path.unlink()
    assert path.name in integrity("backup", "--out", made / "b2", "--store", made / "board.db", expect=4).stderr
    for out in ("b1", "b2"):
        assert not (made / out / "backup.json").exists()


def test_without_keys_a_restore_asks_for_the_right_key(made: Path) -> None:
    integrity("backup", "--out", made / "bare", "--without-keys", "--store", made / "board.db")
    assert not (made / "bare" / "keys").exists()
    keys = made / "new.db.keys"
    assert str(keys) in integrity("restore", made / "bare", "--store", made / "new.db", expect=3).stderr
    keys.mkdir(mode=0o700)
    (keys / "voter.key").write_text("00" * 32)
    (keys / "voter.key").chmod(0o600)
    told = integrity("restore", made / "bare", "--store", made / "new.db", expect=3).stderr
    assert "not the one of the store" in told
    assert not (made / "new.db").exists()
    shutil.copy(made / "board.db.keys" / "voter.key", keys / "voter.key")
    integrity("restore", made / "bare", "--store", made / "new.db")


def test_the_audit_finds_that_a_restored_store_is_older_than_what_was_published(made: Path) -> None:
    board = Board(str(made / "board.db"), made, OPTIONS)
    board.votes, board.files = VOTES, 1
    board.vote(VOTES)
    board.refresh()
    integrity("restore", made / "backup", "--store", made / "new.db")
    integrity("audit", "--store", made / "new.db")
    kept = next((made / "board.db.ledger").glob("*/heads/000000002"))  # the ledger's folder is on another disk
    shutil.copy(kept, made / "new.db.ledger" / kept.relative_to(made / "board.db.ledger"))
    assert "rollback" in integrity("audit", "--store", made / "new.db", expect=4).stdout


@pytest.mark.long
def test_a_ledger_that_survived_refuses_a_backup_from_before_its_last_head(tmp_path: Path) -> None:
    options = Settings(anchor="", lateness_minutes=60, ledger=str(tmp_path / "other disk"))
    with using(options):
        board = Board(str(tmp_path / "board.db"), tmp_path, options)
        for number in (1, 2):
            board.vote(VOTES)
            board.refresh()
            integrity("backup", "--out", tmp_path / f"backup {number}", "--store", board.url)
        board.vote(VOTES)
        jobs.seal(board.url)  # the folder has hashes that no backup has
        told = integrity("restore", tmp_path / "backup 1", "--store", tmp_path / "new.db", expect=4).stderr
        assert "at least 2 snapshots, got one with 1" in told
        assert nothing_restored(tmp_path)
        restored = Board(str(tmp_path / "new.db"), tmp_path, options)
        integrity("restore", tmp_path / "backup 2", "--store", restored.url)
        assert published(restored.url) == (2, 2 * VOTES)
        restored.votes, restored.files = 4 * VOTES, 9  # other votes than those that were sealed before
        restored.vote(VOTES)
        restored.refresh()
        for verb in ("verify", "audit"):
            integrity(verb, "--store", restored.url)
        assert published(restored.url) == (3, 3 * VOTES)


def test_tables_of_later_code_are_refused(made: Path) -> None:
    path = made / "backup" / "backup.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tables": "9999"}))
    assert "9999" in integrity("restore", made / "backup", "--store", made / "new.db", expect=3).stderr
    assert nothing_restored(made)


@pytest.mark.postgres
def test_a_missing_pg_dump_is_named(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with using(OPTIONS):
        integrity("migrate", "--store", postgres_url)
        monkeypatch.setenv("PATH", str(tmp_path))
        told = integrity("backup", "--out", tmp_path / "backup", "--store", postgres_url, expect=3).stderr
    assert "pg_dump" in told
    assert not (tmp_path / "backup").exists()
