"""A command whose output nobody reads any more ends with its own exit status, not with that of a finding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

VOTES = Path(__file__).parents[3] / "docs" / "assets" / "example-votes.csv"


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "stream"),
    [
        (["--help"], "stdout"),  # printed by Typer
        (["rate", str(VOTES)], "stdout"),  # by rich
        (["rate", str(VOTES), "--json"], "stdout"),  # by neither
        (["bench"], "stderr"),
    ],
)
def test_a_command_whose_reader_has_ended_exits_with_141(words: list[str], stream: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, stream: writer}
    try:
        command = [sys.executable, "-c", "from pipeline.cli.main import main; main()", *words]
        done = subprocess.run(command, text=True, check=False, **streams)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr or "") == (141, "")


@pytest.mark.long
@pytest.mark.parametrize("words", [["rate", str(VOTES)], ["rate", str(VOTES), "--json"], ["--help"]], ids=str)
def test_a_full_disk_is_said_and_is_no_finding(words: list[str]) -> None:
    command = [sys.executable, "-c", "from pipeline.cli.main import main; main()", *words]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, text=True, check=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3
    assert done.stderr.endswith("No space left on device\n") and "Traceback" not in done.stderr
