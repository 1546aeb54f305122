"""The commands about the ledger, through `main`, with their exit status and output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import jobs
from pipeline.cli.main import main
from pipeline.ledger import canonical_json, receipt
from pipeline.ledger.verifier_command import run
from pipeline.metrics import StoreCollector
from tests.integration.board_of_votes import OPTIONS, Board, using

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with using(OPTIONS.model_copy(update={"store": str(tmp_path / "store.db")})):
        it = Board(str(tmp_path / "store.db"), tmp_path)
        it.vote(200)
        it.refresh()
        yield it


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command line; returns its exit status and its standard output."""

    def called(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["integrity", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), capfd.readouterr().out

    return called


def document(result: tuple[int, str], status: int = 0) -> Any:
    assert result[0] == status, result
    return json.loads(result[1])


@pytest.mark.long
def test_a_written_bundle_verifies_and_a_changed_one_exits_with_4(
    board: Board, command: Command, tmp_path: Path
) -> None:
    folder, packed = tmp_path / "bundle", tmp_path / "bundle.zip"
    key = document(command("bundle", "--out", folder, "--json"))["key"]
    assert document(command("bundle", "--out", packed, "--json"))["key"] == key
    assert command("bundle", "--out", folder)[0] == 2  # the folder is not empty
    for what in (folder, packed):
        assert document(command("verify", what, "--key", key, "--json"))["key_checked"] is True
    assert document(command("verify", folder, "--json"))["key_checked"] is False
    assert command("verify", folder, "--checkpoint", folder / "checkpoint", "--key", key)[0] == 0
    assert command("verify", folder, "--store", board.url)[0] == 2
    (folder / "snapshot.json").write_bytes(b"{}")
    answer = document(command("verify", folder, "--key", key, "--json"), 4)
    assert (answer["error"], answer["reason"], answer["where"]) == ("Refuted", "digest", "snapshot.json")
    assert document(command("verify", "--json"))["votes"] == 200


def test_a_receipt_passes_the_standalone_verifier(board: Board, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    answer = document(command("receipt", "vote 7", "--out", file, "--json"))
    assert canonical_json.to_json(receipt.load(file.read_bytes())) == answer
    assert run(["--receipt", str(file), "--key", str(board.trusted()[0])]) == 0
    assert run(["--receipt", str(file)]) == 2
    assert len(document(command("receipt", "--voter", "voter 7", "--json"))) == 7
    assert command("receipt")[0] == command("receipt", "no vote")[0] == 2


@pytest.mark.long
def test_an_audit_passes_after_retraction_rotation_and_erasure_and_fails_without_the_ledger(
    board: Board, command: Command, tmp_path: Path
) -> None:
    reason = ("--reason", "cast by a test", "--name", "a person", "--json")
    assert document(command("retract", "vote 3", *reason)) == {"vote": "vote 3", "leaf": 3}
    assert command("retract", "vote 3", *reason)[0] == 2
    assert document(command("rotate-key", "--json"))["after"] == 1
    board.refresh()
    assert document(command("erase", "--voter", "voter 9", "--json")) == {"erased": 7}
    assert document(command("erase", "vote 1", "--json")) == {"erased": 1}
    assert command("erase")[0] == 2
    report = document(command("audit", "--json"))
    assert report["passed"]
    assert [part["name"] for part in report["parts"]] == ["votes", "bundle", "heads", "offsets", "tiles"]
    (tmp_path / "store.db.ledger").rename(tmp_path / "away")
    report = document(command("audit", "--json"), 4)
    assert [part["name"] for part in report["parts"] if not part["passed"]] == ["votes", "bundle", "tiles"]


@pytest.mark.long
def test_the_exporter_shows_when_an_audit_last_passed(board: Board, command: Command, tmp_path: Path) -> None:
    name = "integrity_audit_last_success_timestamp_seconds"
    with board.store() as store:
        shown = StoreCollector(lambda: jobs.read_store_status(store)).own_registry()
        assert shown.get_sample_value(name) is None
        before = time.time()
        assert command("audit")[0] == 0
        passed = shown.get_sample_value(name)
        assert passed is not None
        assert before <= passed <= time.time()
        (tmp_path / "store.db.ledger").rename(tmp_path / "away")
        assert command("audit")[0] == 4
        assert shown.get_sample_value(name) == passed


@pytest.mark.long
def test_a_witness_signs_a_watched_log_and_the_board_stores_the_signature(
    board: Board, command: Command, tmp_path: Path
) -> None:
    folder, asked, line = tmp_path / "witness", tmp_path / "request", tmp_path / "line"
    key = command("witness", "init", folder, "--name", "witness.example")[1].strip()
    assert command("witness", "init", folder, "--name", "witness.example")[0] == 2
    with using(OPTIONS.model_copy(update={"store": board.url, "witnesses": key})):
        board.vote(5)
        board.refresh()
        asked.write_text(command("witness", "ask")[1])
        assert command("witness", "sign", folder, asked)[0] == 4  # the witness watches no log yet
        assert command("witness", "watch", folder, board.trusted()[0])[0] == 0
        line.write_text(command("witness", "sign", folder, asked)[1])
        assert document(command("witness", "keep", line, "--json"))["witness"] == "witness.example"
        assert document(command("witness", "logs", folder))[board.trusted()[0].name]["size"] == 2
