"""`leaderboard-verify`: its exit statuses, its verdict and its JSON document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger import bundle, canonical_json, verifier_command
from tests.unit.ledger.board_operator import SIGNER, STRANGER, WITNESS, good, operator
from tests.unit.ledger.test_receipt import receipt

KEY = str(SIGNER.verifier)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle.write_folder(tmp_path / "bundle", good())
    return tmp_path / "bundle"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    """Exit status, the JSON document on standard output (None without one), standard error."""
    status = verifier_command.run([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else None, err


def test_a_good_bundle_is_verified_and_the_verdict_is_on_standard_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document, err = run(capsys, folder, "--key", KEY)
    assert (status, document) == (0, None)
    assert err.startswith("snapshot 3 of arena.example/text: 901 leaves, verified, signed by")


def test_the_document_names_the_snapshot_and_the_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document, err = run(capsys, folder, "--key", KEY, "--json")
    assert (status, err) == (0, "")
    assert document.pop("verdict").startswith("snapshot 3 of arena.example/text")
    assert document == {
        "verified": True,
        "snapshot": bundle.sha256_hex(good()["manifest.json"]),
        "sequence": 3,
        "board": "arena.example/text",
        "leaves": 901,
        "signer": KEY,
        "key_checked": True,
        "witnesses": [],
        "statements": [],
    }
    assert run(capsys, folder, "--json")[1]["key_checked"] is False


def test_another_key_refutes_and_says_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document, err = run(capsys, folder, "--key", STRANGER.verifier, "--json")
    assert status == 4
    assert (document["verified"], document["reason"], document["where"]) == (False, "unsigned", "checkpoint")
    assert err == f"NOT verified: {document['message']}\n"
    assert run(capsys, folder, "--key", STRANGER.verifier)[:2] == (4, None)


def test_a_mistyped_path_or_key_is_a_usage_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "votes.csv"
    table.write_text("model_a,model_b,winner\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    for words, named in (
        (("--receipt", tmp_path / "nothing", "--key", KEY), "--receipt"),
        (("--receipt", table), "--key"),
        ((tmp_path / "nothing", "--key", KEY), "nothing"),
        ((table, "--key", KEY), "votes.csv"),
        ((empty, "--key", KEY), "empty"),
        ((folder, "--key", KEY[:-2]), "--key"),
        ((folder, "--key", KEY.replace("+", "-")), "--key"),
        ((folder, "--key", str(WITNESS.verifier)), "--key"),
        ((folder, "--key", KEY, "--checkpoint", tmp_path / "nothing"), "--checkpoint"),
        ((folder, "--key", KEY, "--checkpoint", table), "--checkpoint"),
    ):
        status, document, err = run(capsys, *words, "--json")
        assert (status, document["verified"], document["error"]) == (2, False, "Usage"), words
        assert named in document["message"], document
        assert "NOT verified" not in err


def test_a_kept_checkpoint_is_compared(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = tmp_path / "kept"
    older.write_bytes(operator().heads[0])
    assert run(capsys, folder, "--key", KEY, "--checkpoint", older)[0] == 0
    bundle.write_folder(tmp_path / "first", operator().bundle(1))
    older.write_bytes(operator().heads[2])
    status, document, _ = run(capsys, tmp_path / "first", "--key", KEY, "--checkpoint", older, "--json")
    assert (status, document["reason"]) == (4, "rollback")


def test_a_receipt_is_checked_with_the_operator_s_key_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(canonical_json.dump(receipt()))
    status, document, _ = run(capsys, "--receipt", file, "--key", KEY, "--json")
    assert status == 0
    assert document == {
        "verified": True,
        "vote": receipt().vote,
        "leaf": 5,
        "leaves": 13,
        "verdict": f"vote {receipt().vote} is leaf 5 of the 13 leaves of arena.example/text/votes",
    }
    status, document, _ = run(capsys, "--receipt", file, "--json")
    assert (status, document["error"]) == (2, "Usage")


@pytest.mark.parametrize("arguments", [[], ["bundle", "--receipt", "file"]])
def test_either_a_bundle_or_a_receipt_is_expected(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        verifier_command.main(arguments)
    assert stopped.value.code == 2


def test_the_command_exits_with_its_status(folder: Path) -> None:
    for key, status in ((KEY, 0), (str(STRANGER.verifier), 4)):
        with pytest.raises(SystemExit) as stopped:
            verifier_command.main([str(folder), "--key", key])
        assert stopped.value.code == status
