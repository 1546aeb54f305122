"""Votes that left the hot tables: every reader answers as before, repeats are found, an erasure reaches them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.devstack.postgres import binary_folder
from pipeline.errors import MissingKey, Refuted, Unavailable, Usage
from pipeline.jobs import restoration
from pipeline.jobs.custody import archiving, backup, operator_actions
from pipeline.jobs.custody.vote_export import ExportOptions, open_export
from pipeline.open_store import key_folder
from pipeline.scoring.vote_processor import PartitionVotes
from pipeline.store import Store
from pipeline.store.alerting import account_records, voter_record
from pipeline.store.boards import audit_queries, erasure, excluded_votes, verdicts, voter_labels
from pipeline.store.cold import archive_file, cold_files, cold_votes, vote_rows
from pipeline.store.db import archive_folder, dialect, key_files, schema
from pipeline.store.log import archive, leaf_index, newest_votes, sealed_boards, seals
from pipeline.store.read import page_queries, store_figures, vote_receipts
from pipeline.store.votes import arrow_reader, backlog_columns, ingest, partitions, voter_states
from pipeline.store.votes.dominant_voter import find_dominant_voter
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.time import to_microseconds
from tests.integration.board_of_votes import OPTIONS, START, Board, event, using

VOTER = "voter 5"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A board with votes of every kind, of which the first two refreshes sealed most, and a retraction."""
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    options = OPTIONS.model_copy(update={"archive": str(tmp_path / "archive"), "ledger": str(tmp_path / "ledger")})
    with using(options):
        made = Board(url, tmp_path)
        made.read(*(_event(n) for n in range(120)))
        made.refresh()
        operator_actions.retract(url, "vote 3", "a test's", "ann")
        made.read(*(_event(n) for n in range(110, 200)))
        made.refresh()
        yield made


def _event(n: int) -> dict[str, Any]:
    """A vote of test_board_of_votes, some with style counts, flags, a session, or several categories."""
    more: dict[str, Any] = {}
    if n % 3 == 0:
        counts = {"tokens": 10 + n, "headers": 1, "lists": 0, "bold": n % 4, "emoji": 0}
        more |= {"style_a": counts, "style_b": {**counts, "tokens": 25}}
    if n % 4 == 0:
        more |= {
            "session": f"s{n % 9}",
            "turn": 2,
            "anonymous": n % 8 == 0,
            "category": "maths",
            "categories": ["a", "b"],
        }
    if n % 5 == 0:
        more |= {"voter_since": "2026-02-01T00:00:00Z"}
    if n % 11 == 0:
        more |= {"voter_id": None}
    return {**event(n), **{k: v for k, v in more.items() if v is not None or k == "voter_id"}}


def archived(board: Board) -> dict[str, Any]:
    return archiving.archive_votes(board.url, 0)


def answers(board: Board) -> dict[str, Any]:
    """What every reader of votes says, in a form that can be compared."""
    with board.store() as store:
        one = store.pseudonym(VOTER)
        found: dict[str, Any] = {"receipts": [asdict(each) for each in _receipts(store, one)]}
        with store.write() as connection:
            found |= {**_by_range(connection), **_by_voter(connection, one), **_by_position(connection)}
            return found | _wholes(connection)


def _receipts(store: Store, voter: int) -> list[Any]:
    return [
        *vote_receipts.receipts_of_voter(store, voter),
        *(vote_receipts.issue_receipt(store, f"vote {n}") for n in (0, 3, 150)),
    ]


def _ranges(connection: Connection) -> list[tuple[int, int, int]]:
    return [(part, 0, end) for part, end in partitions.all_next_offsets(connection).items()]


def _by_range(connection: Connection) -> dict[str, Any]:
    ranges, size = _ranges(connection), seals.head(connection)[0]
    batches = [batch for one in ranges for batch in arrow_reader.read_batches(connection, *one)]
    columns = backlog_columns.read_columns(connection, [(part, 5, end - 5) for part, _, end in ranges])
    replayed = [block for one in ranges for block in voter_states.votes_to_replay(connection, *one)]
    return {
        "batches": pa.Table.from_batches(batches).to_pylist(),
        "backlog": {name: column.tolist() for name, column in vars(columns).items()},
        "replayed": [np.concatenate([vars_of(one)[at] for one in replayed]).tolist() for at in range(8)],
        "newest": [column.tolist() for column in vars(newest_votes.read_newest(connection, size, 10**6)).values()],
        "verdict": {name: sorted(map(str, found)) for name, found in verdicts.read_votes(connection, 0, size).items()},
        "since": partitions.ranges_since(connection, to_microseconds(START) + 10**9),
        "audit": [getattr(audit_queries.read_vote_columns(connection), name).tolist() for name in ("voter", "prompt")],
    }


def vars_of(votes: PartitionVotes) -> list[Any]:
    return [getattr(votes, one.name) for one in fields(votes)]


def _by_voter(connection: Connection, voter: int) -> dict[str, Any]:
    label = f"{voter % 2**64:016x}"
    entries = [{"kind": "voter", "target": label}, {"kind": "vote", "target": "vote 7"}]
    selection = VoteSelection(to_microseconds(START), to_microseconds(START) + 9 * 10**8, model="bee", network="net 2")
    found = excluded_votes.find_excluded(connection, None, entries)
    return {
        "positions": sorted(erasure.voter_positions(connection, voter)),
        "excluded": {place: tuple(row) for place, row in sorted(found.items())},
        "attributed": sorted(excluded_votes.attribute_to_entries(connection, found, entries).items()),
        "selected": sorted(map(tuple, selection.read_votes(connection))),
        "counted": voter_record.count_selected(connection, selection),
        "record": voter_record.read_record(connection, label, 1, {"likeliest": [{"model": "ant"}]}),
        "accounts": account_records.list_accounts(connection, [label], []),
        "has": [voter_record.has_voter(connection, each) for each in (voter, 12345)],
        "without": len(voter_labels.without_voters(connection, f"{label} and 00000000000000ff")),
    }


def _by_position(connection: Connection) -> dict[str, Any]:
    ids = [f"vote {n}" for n in range(0, 200, 7)]
    places = sorted(ingest.find_by_vote_id(connection, ids))
    boards = sealed_boards.count_votes(connection, places)
    return {
        "places": places,
        "bodies": ingest.stored_bodies(connection, places),
        "votes": {place: tuple(row) for place, row in excluded_votes.read_votes_at(connection, places).items()},
        "leaves": leaf_index.find_leaves(connection, places),
        "boards": {str(label): rows.tolist() for label, rows in boards.items()},
        "erased": erasure.find_erased(connection, places),
    }


def _wholes(connection: Connection) -> dict[str, Any]:
    parts = list(partitions.all_next_offsets(connection))
    return {
        "gaps": store_figures.find_gaps(connection),
        "newest_time": page_queries.newest_vote_time(connection, seals.head(connection)[0]),
        "newest_accepted": audit_queries.newest_cast_at(connection),
        "last": partitions.last_votes(connection, parts),
        "began": [voter_states.began_at(connection, part) for part in parts],
        "carrying": [voter_states.carrying_partitions(connection, part) for part in parts],
        "totals": sealed_boards.totals_match_segments(connection),
    }


def hot_votes(connection: Connection) -> int:
    return sum(
        int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
        for table in (schema.vote, schema.vote_key, schema.blind)
    )


def test_every_reader_answers_as_before(board: Board) -> None:
    before, bundle, replay = answers(board), board.bundle(), jobs.replay_detector(board.url, "voter_bias")
    assert len(before["batches"]) == 200
    assert before["selected"]
    planned = archiving.archive_votes(board.url, 0, dry_run=True)
    assert (planned["votes"], planned["hot"], planned["archived"]) == (200, 200, 0)
    done = archived(board)
    assert (done["votes"], done["hot"], done["archived"], done["space"]) == (200, 0, 200, archiving.GIVEN_BACK)
    with board.store() as store, store.read() as connection:
        assert hot_votes(connection) == 0
    after = answers(board)
    for name, found in before.items():
        assert after[name] == found, name
    assert board.bundle() == bundle
    assert jobs.replay_detector(board.url, "voter_bias") == replay
    assert jobs.verify_ledger(board.url)["votes"] == 201
    assert archived(board)["votes"] == 0


def test_repeats_of_archived_votes_are_found(board: Board) -> None:
    archived(board)
    other = {**_event(8), "winner": "both_bad"}
    board.read(*(_event(n) for n in (0, 5, 150)), other, _event(500))
    with board.store() as store, store.read() as connection:
        same = connection.scalars(sa.select(schema.duplicate.c.same_body)).all()
        assert sorted(same)[-13:].count(True) == 13
        assert same.count(False) == 1
        assert store_figures.count_fates(connection)["duplicate"] == 14
        assert not store_figures.find_gaps(connection)
        assert cold_files.count_archived(connection) == 200
    board.refresh()
    jobs.verify_ledger(board.url)


def test_the_next_board_counts_archived_and_new_votes(board: Board) -> None:
    rows = board.bundle()["manifest.json"]
    operator_actions.retract(board.url, "vote 12", "a test's", "ann")
    archived(board)
    board.read(*(_event(n) for n in range(300, 340)))
    board.refresh()
    assert board.bundle()["manifest.json"] != rows
    before = _exported(board)
    assert archived(board)["archived"] == 240
    assert _exported(board) == before
    jobs.verify_ledger(board.url)
    with board.store() as store, store.read() as connection:
        assert sealed_boards.totals_match_segments(connection)


_LABELLED = ("evaluation_session_id", "voter_id", "session")


def _exported(board: Board) -> list[Any]:
    """The votes of an export, without the labels of voters, which are new in every export."""
    with open_export(board.url, ExportOptions()) as exported:
        rows = [row for kept, _ in exported.batches() for row in kept.to_pylist()]
    assert len(rows) > 200
    return [{name: value for name, value in row.items() if name not in _LABELLED} for row in rows]


def test_an_erasure_reaches_archived_votes(board: Board) -> None:
    with board.store() as store:
        voter = store.pseudonym(VOTER)
    archived(board)
    with board.store() as store, store.read() as connection:
        positions = erasure.voter_positions(connection, voter)
        names = cold_files.names(connection)
    erased = operator_actions.erase(board.url, voter_id=VOTER)
    assert erased["erased"] == len(positions) == 7
    with board.store() as store, store.read() as connection:
        assert erasure.voter_positions(connection, voter) == []
        assert erasure.find_erased(connection, positions) == set(positions)
        assert voter not in [v for block in _rows(connection) for v in block["voter"].to_pylist()]
        bodies = ingest.stored_bodies(connection, positions)
        assert {body[0] for body in bodies} == {0}
        assert {body[8] for body in bodies} == {0}
        replaced = names - cold_files.names(connection)
        assert len(replaced) == 1
        keys = connection.scalars(sa.select(schema.cold_file.c.data_key)).all()
    verified = jobs.verify_ledger(board.url)
    assert verified["erased"] == 7
    # Nothing on the disk has the pseudonym, in any form that is stored.
    forms = [f"{voter % 2**64:016x}".encode(), voter.to_bytes(8, "little", signed=True)]
    for path in board.folder.rglob("*"):
        if path.is_file() and path.suffix != ".jsonl":
            assert not any(form in path.read_bytes() for form in forms), path
    # No key that is left opens the file that was replaced.
    with board.store() as store, store.read() as connection:
        folder = store.archive
        one = cold_files.files_of_time(connection)[0]
        for key in keys:
            with pytest.raises(Refuted), one.open(folder) as _, archive_file_with(folder, replaced, key, one) as old:
                old.packed(0)
    board.read(_event(5))
    with board.store() as store, store.read() as connection:
        newest = sa.select(schema.duplicate.c.same_body).order_by(schema.duplicate.c.offset.desc()).limit(1)
        assert connection.scalar(newest) is True


def archive_file_with(folder: Any, names: set[str], key: bytes, one: Any) -> Any:
    from pipeline.store.cold.archive_file import ArchiveFile

    return ArchiveFile.open(folder, next(iter(names)), bytes(key), one.chunks)


def _rows(connection: Connection) -> Iterator[pa.RecordBatch]:
    for part, first, end in _ranges(connection):
        yield cold_votes.read_rows(connection, part, first, end)


def test_a_backup_has_the_archive_and_is_restored_with_it(
    board: Board, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pg_dump is not older than the server.
    monkeypatch.setenv("PATH", str(binary_folder()), prepend=os.pathsep)
    archived(board)
    before = answers(board)
    made = backup.back_up(board.url, tmp_path / "backup.tar")
    assert key_files.ARCHIVE_KEY in made["keys"]
    if board.url.startswith("postgresql"):
        server = request.getfixturevalue("postgres_server")
        url = str(server.create_database("restored_archive"))
    else:
        url = str(tmp_path / "elsewhere" / "store.db")
    with pytest.raises(Usage, match="expected no archived votes yet"):
        restoration.restore(url, tmp_path / "backup.tar")
    options = {"archive": str(tmp_path / "restored archive"), "ledger": str(tmp_path / "restored ledger")}
    with configuration.override(configuration.load().model_copy(update=options)):
        (tmp_path / "restored archive").mkdir()
        if key_folder(url).exists():
            pytest.fail("the keys of another store are in the way")
        restoration.restore(url, tmp_path / "backup.tar")
        again = Board(url, tmp_path)
        assert answers(again)["batches"] == before["batches"]
        again.read(_event(5))
        with again.store() as store, store.read() as connection:
            assert store_figures.count_fates(connection)["duplicate"] == 11


def test_what_is_missing_is_named(board: Board) -> None:
    archived(board)
    (key_folder(board.url) / key_files.ARCHIVE_KEY).rename(board.folder / "kept.key")
    with pytest.raises(MissingKey, match="INTEGRITY_ARCHIVE_KEY"):
        jobs.verify_ledger(board.url)
    (board.folder / "kept.key").rename(key_folder(board.url) / key_files.ARCHIVE_KEY)
    with board.store() as store, store.read() as connection:
        path = store.archive.path(connection.scalars(sa.select(schema.cold_file.c.sha256)).one())
    raw = bytearray(path.read_bytes())
    raw[50] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(Refuted, match=str(path)):
        jobs.verify_ledger(board.url)
    path.unlink()
    with pytest.raises(Unavailable, match="INTEGRITY_ARCHIVE"):
        jobs.verify_ledger(board.url)


def test_a_changed_vote_is_not_archived(board: Board) -> None:
    with board.store() as store, store.write() as connection:
        v = schema.vote.c
        connection.execute(sa.delete(schema.vote).where(v.vote_id == "vote 20"))
    with pytest.raises(Refuted, match="expected 200 votes, as the log has, found 199"):
        archived(board)
    with board.store() as store, store.read() as connection:
        assert not cold_files.any_archived(connection)


@pytest.mark.parametrize("step", ["put", "add", "_delete", "commit"])
def test_a_run_that_dies_at_any_step_loses_nothing(board: Board, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(board)

    class Died(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        targets: dict[str, Callable[[], None]] = {
            "put": lambda: patch.setattr(archive_folder, "_flush", die),
            "add": lambda: patch.setattr("pipeline.store.cold.cold_ids.add", die),
            "_delete": lambda: patch.setattr(archive, "_delete", die),
            "commit": lambda: patch.setattr(archive, "count_votes", _after(archive._delete, patch, die)),
        }
        targets[step]()
        with pytest.raises(Died):
            archived(board)
    assert answers(board) == before
    with board.store() as store:
        for path in store.archive.folder.rglob("*"):
            os.utime(path, (0, 0))
    assert archived(board)["votes"] == 200
    assert answers(board) == before
    with board.store() as store, store.read() as connection:
        assert set(store.archive.digests()) == cold_files.names(connection)
    jobs.verify_ledger(board.url)


def _after(original: Callable[..., None], patch: pytest.MonkeyPatch, die: Callable[..., None]) -> Callable[..., int]:
    """Let everything be written and deleted, and die before the commit."""
    counting = archive.count_votes

    def delete(*given: Any) -> None:
        original(*given)
        die()

    patch.setattr(archive, "_delete", delete)
    return counting


def test_a_voter_of_hot_votes_alone_is_dominant(board: Board) -> None:
    archived(board)
    with board.store() as store, store.read() as connection:
        assert find_dominant_voter(connection) is None
    board.read(*({**event(n), "voter_id": "many"} for n in range(400, 460)))
    with board.store() as store, store.read() as connection:
        found = find_dominant_voter(connection)
    assert found is not None
    assert (found.votes, found.total) == (60, 60)


def test_a_worker_that_reads_many_chunks_does_not_idle(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(archive_file, "CHUNK_VOTES", 1)
        patch.setattr(archive, "CHUNK_VOTES", 1)
        archived(board)
    unpack = vote_rows.PackedRows.__init__

    def slowly(rows: Any, raw: bytes) -> None:
        time.sleep(0.01)
        unpack(rows, raw)

    monkeypatch.setattr(vote_rows.PackedRows, "__init__", slowly)
    with board.store() as store, store.write() as connection:
        # A worker's limit is 3 s; all chunks together take 2 s, and sixteen of them .16 s.
        dialect.execute_on_server(connection, "SET LOCAL idle_in_transaction_session_timeout = '800ms'")
        positions = ingest.find_by_vote_id(connection, [f"vote {n}" for n in range(200)])
        assert len(ingest.stored_bodies(connection, sorted(positions))) == 200
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.cold_file)) == 1
