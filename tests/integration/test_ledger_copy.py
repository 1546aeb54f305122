"""A copy of the public ledger grows with the ledger, and is refused where it belongs to another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import Refuted, Unavailable, Usage
from pipeline.jobs.custody.copy_place import CopyPlace
from pipeline.jobs.custody.ledger_copy import copy_ledger
from pipeline.ledger import bundle_archive, signed_note
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.merkle_proofs import subtree_root
from pipeline.ledger.signed_note import Checkpoint
from pipeline.ledger.tiles import Tile, TileReader
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, copied_board, event, using

FIRST, MORE = 300, 400


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board with one snapshot of 300 votes."""
    with using(OPTIONS):
        yield copied_board(tmp_path / "board" / "store.db", FIRST)


def head(copy: Path, log: str) -> Checkpoint:
    return signed_note.parse_checkpoint(signed_note.parse((copy / f"log/{log}/checkpoint").read_bytes(), log), log)


def root(copy: Path, log: str, size: int) -> bytes:
    """The root of a log, from the tiles of a copy alone."""

    def read(tile: Tile) -> bytes:
        return (copy / "log" / log / tile.path).read_bytes()

    return subtree_root(0, size, TileReader(size, read).node)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_has_the_logs_and_only_what_is_new_is_copied(board: Board, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    first = copy_ledger(board.url, str(copy))
    assert (first["votes"], first["snapshots"]) == (FIRST, 1)
    before = files_of(copy)
    assert copy_ledger(board.url, str(copy)) == {**first, "files": 0, "tiles": 0, "bytes": 0}
    board.vote(MORE)
    board.refresh()
    more = copy_ledger(board.url, str(copy), bundle=True)
    assert 0 < more["files"] < len(files_of(copy))
    for log, size in (("votes", FIRST + MORE), ("snapshots", 2)):
        found = head(copy, log)
        assert (found.size, found.root) == (size, root(copy, log, size))
    after = files_of(copy)
    assert {name for name, data in before.items() if after.get(name) != data} == {
        "log/votes/checkpoint", "log/snapshots/checkpoint",
    }  # fmt: skip
    with board.store() as store:
        source = {name: data for name, data in files_of(store.files.folder).items() if not name.startswith("votes/")}
    assert {name: after[name] for name in source} == source
    bundle = bundle_archive.open_bundle(copy / more["bundle"])
    assert verify_bundle(bundle, board.trusted()).key_checked


def test_an_interrupted_copy_is_continued(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, written = tmp_path / "copy", []
    whole = CopyPlace.write

    def write(place: CopyPlace, path: str, *content: object) -> int:
        written.append(path)
        if len(written) > 3:
            raise Unavailable("the network is gone")
        return whole(place, path, *content)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(CopyPlace, "write", write)
        with pytest.raises(Unavailable, match="the network is gone"):
            copy_ledger(board.url, str(copy))
    assert not (copy / "log/votes/checkpoint").exists(), "a head comes after all that it covers"
    copy_ledger(board.url, str(copy))
    assert root(copy, "votes", FIRST) == head(copy, "votes").root


def test_a_cut_file_of_a_copy_is_written_again(board: Board, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_ledger(board.url, str(copy))
    path = next((copy / "files").rglob("*/*"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert copy_ledger(board.url, str(copy))["files"] == 1
    assert path.read_bytes() == whole


def test_a_copy_of_another_ledger_or_of_a_longer_log_is_refused(board: Board, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with using(OPTIONS):
        longer = copied_board(tmp_path / "longer" / "store.db", FIRST)
        longer.vote(MORE)
        longer.refresh()
        copy_ledger(longer.url, str(copy))
    kept = files_of(copy)
    with pytest.raises(Refuted, match=f"expected at most {FIRST} leaves, got {FIRST + MORE}"):
        copy_ledger(board.url, str(copy))
    board.read(event(100_000))
    board.vote(MORE)
    board.refresh()
    with pytest.raises(Refuted, match=r"\[consistency\]|\[fork\]"):
        copy_ledger(board.url, str(copy))
    assert files_of(copy) == kept


def test_a_changed_file_of_the_ledger_is_not_copied(board: Board, tmp_path: Path) -> None:
    with board.store() as store:
        path = next((store.files.folder / "files").rglob("*/*"))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Refuted, match="its content has another SHA-256 than its name"):
        copy_ledger(board.url, str(tmp_path / "copy"))


def test_the_command_says_what_the_copy_has_and_refuses_other_places(board: Board, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    command = ("mirror", str(copy), "--store", board.url)
    assert json.loads(called(*command, "--json", settings={}).stdout)["votes"] == FIRST
    assert "has 300 votes and 1 snapshot; nothing is new" in called(*command, settings={"COLUMNS": "200"}).stderr
    with pytest.raises(Usage, match="expected a folder or an address such as s3://BUCKET/PATH, got ftp://a/b"):
        copy_ledger(board.url, "ftp://a/b")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be read or written"):
        copy_ledger(board.url, str(tmp_path / "file"))
