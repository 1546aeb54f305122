"""Measures what each stage of the pipeline costs with boards of several sizes: processor time, peak memory and bytes.

A stage is a command that a user runs, in a process of its own. Processor time is compared, not wall time, so that other
programs on the machine distort the figures little. The store is SQLite: its work is counted in the process.

    work      reads the votes from a file, evaluates them with all detectors of voters, and stores them
    refresh   seals the votes, runs a backfill, rates, and publishes a snapshot
    sweep     runs all audits over the board
    bundle    writes the snapshot with all that a reader needs
    verify    checks the bundle offline
    report    reads the file without a store, and says whether its board can be trusted
    later work, later refresh
              the same as work and refresh, for NEW_VOTES more votes: what a nightly refresh costs
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.lab.bench.startup_costs import INTEGRITY, measure_command
from pipeline.lab.simulate import HonestSpec, simulate_stream

STAGES = ("work", "refresh", "sweep", "bundle", "verify", "report", "later work", "later refresh")
NEW_VOTES = 10_000
STORED = ("vote file", "database", "ledger", "bundle")
"""The kinds of data that take space on disk."""

_MODELS = 100
# A sweep that finds something in the simulated votes ends with 1.
_FINE = (0, 1)


@dataclass(frozen=True, slots=True)
class StageCost:
    """The cost of one stage with a board of one size.

    Attributes:
        stage: one of STAGES.
        votes: number of votes.
        seconds: processor time of the process, user and system, in seconds.
        peak_mb: largest resident set of the process, in MB.
    """

    stage: str
    votes: int
    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class BoardCosts:
    """The costs of all stages with a board of one size.

    Attributes:
        votes: number of votes.
        stages: the cost of each stage, in the order of STAGES.
        sizes: kind of data (STORED) → number of bytes on disk.
    """

    votes: int
    stages: tuple[StageCost, ...]
    sizes: Mapping[str, int]


def measure(folder: Path, sizes: Sequence[int], report: Callable[[str], None]) -> list[BoardCosts]:
    """Measure all stages with boards of several sizes, from the smallest to the largest.

    Args:
        folder: an empty folder, with room for 2 KB a vote.
        sizes: numbers of votes.
        report: receives a line before each stage.

    Raises:
        Unavailable: a command failed.
    """
    return [_measure_board(folder / str(votes), votes, report) for votes in sorted(set(sizes))]


def _measure_board(folder: Path, votes: int, report: Callable[[str], None]) -> BoardCosts:
    folder.mkdir()
    file, later = folder / "votes.jsonl", folder / "later.jsonl"
    store, bundle = folder / "board.db", folder / "bundle.zip"
    report(f"{votes:,} votes: simulating")
    stream = simulate_stream(HonestSpec(votes=votes + NEW_VOTES, models=_MODELS, seed=1))
    stream.take(slice(0, votes)).write_jsonl(file)
    stream.take(slice(votes, None)).write_jsonl(later)
    del stream
    variables = {
        **os.environ, "INTEGRITY_STORE": str(store), "INTEGRITY_LEDGER": str(folder / "ledger"),
        "INTEGRITY_VOTER_KEY": "00" * 32, "INTEGRITY_LEDGER_KEY": "11" * 32, "INTEGRITY_ANCHOR": "",
        "INTEGRITY_COMPUTE": "local", "INTEGRITY_COMPUTE_LEDGER": "",
    }  # fmt: skip
    words = {
        "work": ("work", "--source", str(file), "--until-end"),
        "refresh": ("refresh",),
        "sweep": ("sweep",),
        "bundle": ("bundle", "--out", str(bundle)),
        "verify": ("verify", str(bundle)),
        "report": ("report", str(file), "--json"),
        "later work": ("work", "--source", str(later), "--until-end"),
        "later refresh": ("refresh",),
    }

    places = zip(STORED, (file, store, folder / "ledger", bundle), strict=True)
    sizes: dict[str, int] = {}

    def costs() -> Iterator[StageCost]:
        for stage in STAGES:
            if stage == "later work":  # what follows leaves more on disk
                sizes.update({name: _bytes(path) for name, path in places})
            report(f"{votes:,} votes: {stage}")
            command = f"integrity {words[stage][0]}"
            yield StageCost(stage, votes, *measure_command(command, (*INTEGRITY, *words[stage]), variables, _FINE))

    return BoardCosts(votes, tuple(costs()), sizes)


def _bytes(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)
