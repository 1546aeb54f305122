"""The guides of docs/extend, followed step by step in a copy of the project. Those that need a service: integration."""

import json
import re
import subprocess
import sys

import pytest

from tests.unit.docs.guide_steps import ROOT, Step, followed, run, run_tests, steps

MODULES = [
    step
    for page in sorted((ROOT / "docs" / "extend").glob("add-*.md"))
    for step in steps(page.stem)
    if step.kind == "python"
]


@pytest.mark.parametrize("step", MODULES, ids=lambda step: step.file)
def test_a_module_of_a_guide_keeps_the_rules_of_style(step: Step):
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *words, "--stdin-filename", ROOT / step.file, "-"],
            input=step.body, capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_a_detector_that_follows_the_guide_is_accepted_by_the_law_suite(tmp_path):
    project = followed("add-a-detector", tmp_path)
    run(project, sys.executable, "-m", "tests.unit.detectors.test_golden")
    output = run_tests(project, "tests/unit/detectors", "-k", "side_habit or docstring")
    assert int(re.search(r"(\d+) passed", output)[1]) >= 15
    listed = run(project, sys.executable, "-c", "from pipeline.detectors import VOTER; print(VOTER[-1].name)")
    assert listed.strip() == "side_habit"


@pytest.mark.long
def test_an_expectation_that_follows_the_guide_fires_and_lets_good_votes_pass(tmp_path):
    project = followed("add-an-expectation", tmp_path)
    # The cases about `voter`, one of them the guide's own, and the three frames that must pass without a warning.
    output = run_tests(project, "tests/unit/test_expectation_suites.py", "-k", "voter or good_data")
    assert int(re.search(r"(\d+) passed", output)[1]) == 5


@pytest.mark.long
def test_a_format_that_follows_the_guide_reads_and_breaks_no_other(tmp_path):
    project = followed("add-a-battle-format", tmp_path)
    # A format is recognised by names of columns and fields: one container of each kind of table.
    roads = "tests/unit/formats/test_battle_formats.py::test_a_format_gives_the_same_votes_on_every_road"
    others = ("a.json-", "lines.json-", "repr.csv-", "a.tsv-", "a.jsonl.gz-", "a.csv.zst-", "shards-")
    without = [word for name in others for word in ("--deselect", f"{roads}[{name}")]
    output = run_tests(project, "tests/unit/formats", *without)
    assert int(re.search(r"(\d+) passed", output)[1]) > 5
    duels = tmp_path / "duels.csv"
    names = ("ant", "bee", "cat")
    pairs = [(a, b, preferred) for a in names for b in names if a != b for preferred in ("left", "right")]
    duels.write_text("left,right,preferred,when\n" + "".join(f"{a},{b},{p},1707700514\n" for a, b, p in pairs))
    command = "import sys; from pipeline.cli.main import main; sys.argv[0] = 'integrity'; main()"
    board = json.loads(run(project, sys.executable, "-c", command, "rate", duels, "--json"))
    assert sorted(row["model"] for row in board["rows"]) == list(names)
