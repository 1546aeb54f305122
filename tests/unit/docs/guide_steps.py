"""The steps of a guide, followed: a copy of the project, and its code blocks applied to it.

A block with a title is a file. ```python title="FILE"``` and the like create it; ```diff title="FILE"``` changes one
that is there: lines with `+` are added, with `-` removed, and all others must be found as they stand, once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PARTS = ("pipeline", "dags", "deploy", "expectations", "tests", "pyproject.toml")

_BLOCK = re.compile(
    r'^(?P<fence>`{3,})(?P<kind>\w+) title="(?P<file>[^"]+)"\n(?P<body>.*?)^(?P=fence)$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Step:
    """One titled block of a guide."""

    kind: str
    file: str
    body: str


def steps(guide: str) -> list[Step]:
    """The titled blocks of docs/extend/GUIDE.md, in their order."""
    text = (ROOT / "docs" / "extend" / f"{guide}.md").read_text(encoding="utf-8")
    return [Step(found["kind"], found["file"], found["body"]) for found in _BLOCK.finditer(text)]


def followed(guide: str, folder: Path) -> Path:
    """A copy of the project in which the steps of a guide were taken."""
    copy = folder / "project"
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / part)
    taken = steps(guide)
    assert taken, f"docs/extend/{guide}.md has no titled block"
    for step in taken:
        take(step, copy)
    return copy


def take(step: Step, project: Path) -> None:
    """Create a file, or change one."""
    path = project / step.file
    if step.kind != "diff":
        assert not path.exists(), f"{step.file} is there already: the guide must show a difference"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.body, encoding="utf-8")
        return
    lines = step.body.splitlines()
    before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{step.file}: expected these lines once, got {text.count(before)}:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


def run(project: Path, *command: str | Path) -> str:
    """What a command of the copy prints; everything that it prints if it fails."""
    private = ("PYTEST_", "COV_", "COVERAGE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    environment |= {"PYTHONPATH": str(project), "GX_ANALYTICS_ENABLED": "false"}
    done = subprocess.run(
        [str(word) for word in command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def run_tests(project: Path, *words: str) -> str:
    """Run tests of the copy; at least one must run."""
    output = run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *words)
    assert re.search(r"\b[1-9]\d* passed", output), output
    return output
