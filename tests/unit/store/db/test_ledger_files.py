"""Files of the ledger are complete or absent, and drafts that killed processes left are deleted."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from pipeline.errors import Unavailable
from pipeline.store.db.ledger_files import LedgerFiles


def test_a_draft_is_found_by_its_digest_once_it_is_complete_and_not_before(tmp_path: Path) -> None:
    files = LedgerFiles(tmp_path / "ledger")
    draft = files.draft()
    for piece in (b"some ", b"leaves"):
        draft.write(piece)
    digest = hashlib.sha256(b"some leaves").hexdigest()
    assert not files.path(digest).exists()
    assert draft.keep() == digest
    draft.discard()
    assert files.get(digest) == b"some leaves"
    assert not list(files.folder.glob(".new-*"))


def test_a_draft_that_is_discarded_leaves_nothing_and_one_never_written_no_folder(tmp_path: Path) -> None:
    files = LedgerFiles(tmp_path / "ledger")
    files.draft().discard()
    assert not files.folder.exists()
    draft = files.draft()
    draft.write(b"half a segm")
    draft.discard()
    assert not list(files.folder.iterdir())


def test_old_drafts_are_deleted_and_those_being_written_stay(tmp_path: Path) -> None:
    files = LedgerFiles(tmp_path / "ledger")
    living = files.draft()
    living.write(b"x")
    dead = files.folder / ".new-1-2-abcd"
    dead.write_bytes(b"half a segm")
    os.utime(dead, (time.time() - 7200,) * 2)
    files.delete_old_drafts()
    assert not dead.exists()
    assert living.keep() == hashlib.sha256(b"x").hexdigest()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_bytes(b"a file stands in its place")
    with pytest.raises(Unavailable, match="ledger"):
        LedgerFiles(tmp_path / "ledger").put(b"x")
