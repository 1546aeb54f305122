"""The verifier as a wheel of its own: built, installed where nothing of the pipeline is, and right."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.ledger import bundle, strict
from pipeline.store.read import proofs
from tests.integration.board_of_votes import OPTIONS, Board, using

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`leaderboard-verify` in an environment that holds what its wheel asks for, and nothing else."""
    if not UV.exists():
        pytest.skip("expected uv beside the interpreter (`make setup`), got none")
    folder = tmp_path_factory.mktemp("reader")
    for words in (
        (UV, "build", "--wheel", "--out-dir", folder, ROOT / "deploy" / "verifier"),
        (UV, "venv", "--python", sys.executable, folder / "venv"),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    done = run(UV, "pip", "install", "--python", python, "--constraints", ROOT / "requirements.lock", wheel)
    assert done.returncode == 0, done.stderr
    return python.with_name("leaderboard-verify")


def test_a_reader_verifies_bundles_and_receipts_without_the_pipeline(command: Path, tmp_path: Path) -> None:
    for missing in ("sqlalchemy", "kafka", "typer", "pandas", "pipeline.store", "pipeline.settings"):
        assert run(command.with_name("python"), "-I", "-c", f"import {missing}").returncode == 1, missing
    with using(OPTIONS):
        board = Board(str(tmp_path / "store.db"), tmp_path)
        board.vote(200)
        board.refresh()
        folder, packed, slip = tmp_path / "bundle", tmp_path / "bundle.zip", tmp_path / "receipt.json"
        bundle.write(folder, board.bundle())
        with board.store() as store:
            with packed.open("wb") as file:
                proofs.archive(store, file)
            slip.write_bytes(strict.dump(proofs.receipt(store, "vote 7")))
        key = str(board.trusted()[0])
    for what in (folder, packed):
        done = run(command, what, "--key", key, "--json")
        found = json.loads(done.stdout)
        assert (done.returncode, found["verified"], found["key_checked"], found["leaves"]) == (0, True, True, 200)
    assert run(command, "--receipt", slip, "--key", key).returncode == 0
    assert "key not checked" in run(command, folder).stderr
    slip.write_bytes(slip.read_bytes().replace(b'"leaf":7', b'"leaf":8'))
    (folder / "README.txt").write_text("trust me")
    for words, reason in (((folder,), "digest"), (("--receipt", slip), "inclusion"), ((tmp_path / "none",), "missing")):
        done = run(command, *words, "--key", key, "--json")
        assert (done.returncode, json.loads(done.stdout)["reason"]) == (4, reason)
    assert run(command).returncode == 2


def test_its_version_and_what_it_asks_for_are_the_pipelines() -> None:
    ours, theirs = (
        tomllib.loads((ROOT / name / "pyproject.toml").read_text())["project"] for name in (".", "deploy/verifier")
    )
    assert ours["version"] == theirs["version"]
    known = {one.split(">=")[0]: one for one in ours["dependencies"]}
    assert all(known[one.split(">=")[0]] == one for one in theirs["dependencies"])
