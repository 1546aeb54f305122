"""The verifier as a wheel of its own: small, right without the pipeline, and independent of the pipeline's wheel."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import grimp
import pytest

from pipeline.ledger import bundle, canonical_json
from pipeline.store.read import snapshot_bundles, vote_receipts
from tests.integration.board_of_votes import OPTIONS, Board, using

ROOT = Path(__file__).parents[2]
VERIFIER = ROOT / "deploy" / "verifier"
UV = Path(sys.executable).with_name("uv")
COMMAND = "pipeline.ledger.verifier_command"
LARGEST = 130_000
"""Bytes of the wheel."""


class Published(NamedTuple):
    """What a reader downloads: a bundle as a folder and as a zip, a receipt, and the operator's key."""

    folder: Path
    packed: Path
    receipt: Path
    key: str


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def uv(*words: object) -> None:
    done = run(UV, *words)
    assert done.returncode == 0, done.stderr


def environment(folder: Path) -> Path:
    """A virtual environment without packages; returns its folder of commands."""
    uv("venv", "--quiet", "--python", sys.executable, folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels by the name of their distribution."""
    assert UV.exists(), "expected uv beside the interpreter, got none: run `make setup`"
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, VERIFIER):
        uv("build", "--quiet", "--wheel", "--out-dir", folder, source)
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The snapshot of a board of 200 votes."""
    folder = tmp_path_factory.mktemp("published")
    made = Published(folder / "bundle", folder / "bundle.zip", folder / "receipt.json", "")
    with using(OPTIONS):
        board = Board(str(folder / "store.db"), folder)
        board.vote(200)
        board.refresh()
        bundle.write_folder(made.folder, board.bundle())
        with board.store() as store:
            with made.packed.open("wb") as file:
                snapshot_bundles.write_archive(store, file)
            made.receipt.write_bytes(canonical_json.dump(vote_receipts.issue_receipt(store, "vote 7")))
        return made._replace(key=str(board.trusted()[0]))


@pytest.mark.long
def test_a_reader_verifies_bundles_and_receipts_without_the_pipeline(
    wheels: dict[str, Path], published: Published, tmp_path: Path
) -> None:
    commands = environment(tmp_path / "venv")
    locked = ("--constraints", ROOT / "requirements.lock")
    uv("pip", "install", "--quiet", "--python", commands / "python", *locked, wheels["leaderboard-verify"])
    command = commands / "leaderboard-verify"
    for missing in ("sqlalchemy", "kafka", "typer", "pandas", "pipeline"):
        assert run(commands / "python", "-I", "-c", f"import {missing}").returncode == 1, missing
    for what in (published.folder, published.packed):
        done = run(command, what, "--key", published.key, "--json")
        found = json.loads(done.stdout)
        assert (done.returncode, found["verified"], found["key_checked"], found["leaves"]) == (0, True, True, 200)
    assert run(command, "--receipt", published.receipt, "--key", published.key).returncode == 0
    assert "key not checked" in run(command, published.folder).stderr
    forged, changed = tmp_path / "receipt.json", tmp_path / "bundle"
    forged.write_bytes(published.receipt.read_bytes().replace(b'"leaf":7', b'"leaf":8'))
    bundle.write_folder(changed, dict(bundle.BundleFolder(published.folder)) | {bundle.README: b"trust me"})
    for words, reason in (
        ((changed,), "digest"),
        (("--receipt", forged), "inclusion"),
    ):
        done = run(command, *words, "--key", published.key, "--json")
        assert (done.returncode, json.loads(done.stdout)["reason"]) == (4, reason)
    assert run(command, tmp_path / "no", "--key", published.key).returncode == 2
    assert run(command).returncode == 2


@pytest.mark.long
def test_installing_and_removing_either_wheel_leaves_the_other_working(
    wheels: dict[str, Path], published: Published, tmp_path: Path
) -> None:
    commands = environment(tmp_path / "venv")
    pip = ("--quiet", "--python", commands / "python")
    site = run(commands / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    # The dependencies of both come from the environment of the tests; a .pth file inside of it is not followed, so its
    # editable install of the project does not count.
    Path(site, "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    verifier, project = "leaderboard-verify", "leaderboard-integrity"
    programs = {verifier: (commands / "leaderboard-verify",), project: (commands / "integrity", "verify")}

    def require_working(*names: str) -> None:
        for name in names:
            done = run(*programs[name], published.packed, "--key", published.key)
            assert (done.returncode, "verified" in done.stderr + done.stdout) == (0, True), done.stderr

    uv("pip", "install", *pip, "--no-deps", wheels[project])
    uv("pip", "install", *pip, "--no-deps", wheels[verifier])
    require_working(verifier, project)
    notebooks = run(commands / "python", "-I", "-c", "import leaderboard_integrity as li; print(li.__file__)")
    assert notebooks.stdout.startswith(site), notebooks.stderr
    for removed, kept in ((verifier, project), (project, verifier)):
        uv("pip", "uninstall", *pip, removed)
        require_working(kept)
        assert not programs[removed][0].exists()
        uv("pip", "install", *pip, "--no-deps", wheels[removed])
    require_working(verifier, project)


def test_the_verifier_wheel_has_the_modules_its_command_imports_and_no_others(wheels: dict[str, Path]) -> None:
    imported = grimp.build_graph("pipeline").find_upstream_modules(COMMAND) | {COMMAND}
    expected = {name.replace("pipeline", "leaderboard_verify", 1).replace(".", "/") + ".py" for name in imported}
    wheel = wheels["leaderboard-verify"]
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name for name in names if not name.endswith("/__init__.py")} == expected
    assert wheel.stat().st_size < LARGEST


def test_its_version_and_requirements_are_the_pipelines() -> None:
    ours, theirs = (tomllib.loads((folder / "pyproject.toml").read_text())["project"] for folder in (ROOT, VERIFIER))
    assert ours["version"] == theirs["version"]
    known = {one.split(">=")[0]: one for one in ours["dependencies"]}
    assert all(known[one.split(">=")[0]] == one for one in theirs["dependencies"])
