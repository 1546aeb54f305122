"""The ledger's verbs as a person types them."""

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

Verb = Callable[..., tuple[int, str]]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with using(OPTIONS.model_copy(update={"store": str(tmp_path / "store.db")})):
        it = Board(str(tmp_path / "store.db"), tmp_path)
        it.vote(200)
        it.refresh()
        yield it


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Verb:
    """Run a verb: its exit status and what it prints on standard output."""

    def called(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["integrity", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), capfd.readouterr().out

    return called


def document(told: tuple[int, str], status: int = 0) -> Any:
    assert told[0] == status, told
    return json.loads(told[1])


def test_a_bundle_goes_out_and_is_verified_and_a_changed_one_exits_with_4(
    board: Board, verb: Verb, tmp_path: Path
) -> None:
    folder, packed = tmp_path / "bundle", tmp_path / "bundle.zip"
    key = document(verb("bundle", "--out", folder, "--json"))["key"]
    assert document(verb("bundle", "--out", packed, "--json"))["key"] == key
    assert verb("bundle", "--out", folder)[0] == 2  # it is there already
    for what in (folder, packed):
        assert document(verb("verify", what, "--key", key, "--json"))["key_checked"] is True
    assert document(verb("verify", folder, "--json"))["key_checked"] is False
    assert verb("verify", folder, "--checkpoint", folder / "checkpoint", "--key", key)[0] == 0
    assert verb("verify", folder, "--store", board.url)[0] == 2
    (folder / "snapshot.json").write_bytes(b"{}")
    told = document(verb("verify", folder, "--key", key, "--json"), 4)
    assert (told["error"], told["reason"], told["where"]) == ("Refuted", "digest", "snapshot.json")
    assert document(verb("verify", "--json"))["votes"] == 200


def test_a_receipt_is_checked_by_the_small_verifier(board: Board, verb: Verb, tmp_path: Path) -> None:
    slip = tmp_path / "receipt.json"
    told = document(verb("receipt", "vote 7", "--out", slip, "--json"))
    assert canonical_json.to_json(receipt.load(slip.read_bytes())) == told
    assert run(["--receipt", str(slip), "--key", str(board.trusted()[0])]) == 0
    assert run(["--receipt", str(slip)]) == 4
    assert len(document(verb("receipt", "--voter", "voter 7", "--json"))) == 7
    assert verb("receipt")[0] == verb("receipt", "no vote")[0] == 2


def test_what_is_done_by_hand_shows_in_the_next_audit(board: Board, verb: Verb, tmp_path: Path) -> None:
    reason = ("--reason", "cast by a test", "--name", "a person", "--json")
    assert document(verb("retract", "vote 3", *reason)) == {"vote": "vote 3", "leaf": 3}
    assert verb("retract", "vote 3", *reason)[0] == 2
    assert document(verb("rotate-key", "--json"))["after"] == 1
    board.refresh()
    assert document(verb("erase", "--voter", "voter 9", "--json")) == {"erased": 7}
    assert document(verb("erase", "vote 1", "--json")) == {"erased": 1}
    assert verb("erase")[0] == 2
    report = document(verb("audit", "--json"))
    assert report["passed"]
    assert [part["name"] for part in report["parts"]] == ["votes", "bundle", "heads", "offsets", "tiles"]
    (tmp_path / "store.db.ledger").rename(tmp_path / "away")
    report = document(verb("audit", "--json"), 4)
    assert [part["name"] for part in report["parts"] if not part["passed"]] == ["votes", "bundle", "tiles"]


def test_the_exporter_tells_when_an_audit_passed_last(board: Board, verb: Verb, tmp_path: Path) -> None:
    name = "integrity_audit_last_success_timestamp_seconds"
    with board.store() as store:
        shown = StoreCollector(lambda: jobs.read_store_status(store)).own_registry()
        assert shown.get_sample_value(name) is None
        before = time.time()
        assert verb("audit")[0] == 0
        passed = shown.get_sample_value(name)
        assert passed is not None
        assert before <= passed <= time.time()
        (tmp_path / "store.db.ledger").rename(tmp_path / "away")
        assert verb("audit")[0] == 4
        assert shown.get_sample_value(name) == passed


def test_a_witness_is_made_asked_and_kept(board: Board, verb: Verb, tmp_path: Path) -> None:
    folder, asked, line = tmp_path / "witness", tmp_path / "request", tmp_path / "line"
    key = verb("witness", "init", folder, "--name", "witness.example")[1].strip()
    assert verb("witness", "init", folder, "--name", "witness.example")[0] == 2
    with using(OPTIONS.model_copy(update={"store": board.url, "witnesses": key})):
        board.vote(5)
        board.refresh()
        asked.write_text(verb("witness", "ask")[1])
        assert verb("witness", "sign", folder, asked)[0] == 4  # it watches no log yet
        assert verb("witness", "watch", folder, board.trusted()[0])[0] == 0
        line.write_text(verb("witness", "sign", folder, asked)[1])
        assert document(verb("witness", "keep", line, "--json"))["witness"] == "witness.example"
        assert document(verb("witness", "logs", folder))[board.trusted()[0].name]["size"] == 2
