"""Measures time and memory of reading battle files, compared with bare readers that do the least work possible.

    Parquet      the bare reader reads the same columns with pyarrow and encodes their texts as dictionaries
    JSON Lines   the bare reader decodes every line with msgspec

Each reader runs in a separate process. The files are synthetic: FastChat battles on 129 models without conversations,
with as many voters per vote as a real board, and with vote ids of 32 characters.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import Unavailable

LEAST_PARQUET, LEAST_LINES, MOST_MB = 0.5, 0.3, 500.0
_MODELS = 129
_VOTES_A_VOTER = 4.05
_CHUNK = 200_000
_OUTCOMES = np.array(["model_a", "model_b", "tie", "tie (bothbad)"])
_LANGUAGES = np.array(["English", "French", "German", "Polish", "unknown"])
_TASK = "pipeline.lab.bench.battle_file_task"


@dataclass(frozen=True, slots=True)
class FormatSpeed:
    """Time and memory of reading one kind of file, with this project's reader and with the bare reader.

    Attributes:
        kind: Parquet or JSON Lines.
        votes: number of votes in the file.
        seconds: median time of this project's reader, in seconds.
        cpu: median CPU time of this project's reader, in seconds.
        bare_seconds: median time of the bare reader, in seconds.
        bare_cpu: median CPU time of the bare reader, in seconds.
        peak_mb: peak memory of the process of this project's reader, in MB.
        least: the target for `ratio`, the speed of this project's reader divided by the bare reader's speed.
    """

    kind: str
    votes: int
    seconds: float
    cpu: float
    bare_seconds: float
    bare_cpu: float
    peak_mb: float
    least: float

    @property
    def ratio(self) -> float:
        """Speed of this project's reader divided by the bare reader's speed."""
        return self.bare_seconds / self.seconds

    @property
    def ratio_cpu(self) -> float:
        """CPU time of the bare reader divided by the CPU time of this project's reader.

        Other processes affect this figure less than `ratio`.
        """
        return self.bare_cpu / self.cpu

    @property
    def passed(self) -> bool:
        """Whether the targets for speed and memory are met."""
        return self.ratio >= self.least and self.peak_mb < MOST_MB


@dataclass(frozen=True, slots=True)
class _Reading:
    votes: int
    seconds: float
    cpu: float
    peak_mb: float


def measure(folder: Path, votes: int, repeats: int, report: Callable[[str], None]) -> tuple[FormatSpeed, ...]:
    """Write the files, and measure time and memory of reading each kind.

    Args:
        folder: folder for the files, which take about 300 bytes per vote.
        votes: number of votes in each file.
        repeats: number of readings by each reader.
        report: called with a line of text for each step.

    Raises:
        Unavailable: a reader failed. The message has the last line of its output.
    """
    parquet, lines = folder / "battles.parquet", folder / "battles.jsonl"
    report(f"writing {votes:,} votes as Parquet and as JSON Lines …")
    write_battles(parquet, lines, votes)
    found = []
    for kind, path, bare, least in (
        ("Parquet", parquet, "bare_parquet", LEAST_PARQUET),
        ("JSON Lines", lines, "bare_lines", LEAST_LINES),
    ):
        report(f"reading {kind} …")
        least_work, reading = _run(bare, path, repeats), _run("ours", path, repeats)
        if not reading.votes == least_work.votes == votes:
            raise Unavailable(f"{path.name}: expected {votes} votes, got {reading.votes}; {bare}: {least_work.votes}")
        found.append(
            FormatSpeed(
                kind, votes, reading.seconds, reading.cpu, least_work.seconds, least_work.cpu, reading.peak_mb, least
            )
        )
    return tuple(found)


def write_battles(parquet: Path, lines: Path, votes: int, seed: int = 0) -> None:
    """Write the same simulated FastChat battles to a Parquet file and to a JSON Lines file.

    Args:
        parquet, lines: paths of the two files.
        votes: number of votes.
        seed: seed of the simulation.
    """
    encode = msgspec.json.Encoder().encode_lines
    with lines.open("wb") as text, pq.ParquetWriter(parquet, next(_battles(1, seed)).schema) as writer:
        for chunk in _battles(votes, seed):
            writer.write_table(chunk)
            text.write(encode(chunk.to_pylist()))


def _battles(votes: int, seed: int) -> Iterator[pa.Table]:
    rng = np.random.default_rng(seed)
    models = np.array([f"provider-{k % 17}/model-{k:03}" for k in range(_MODELS)])
    voters = max(1, int(votes / _VOTES_A_VOTER))
    for first in range(0, votes, _CHUNK):
        size = min(_CHUNK, votes - first)
        a = rng.integers(0, _MODELS, size)
        b = (a + 1 + rng.integers(0, _MODELS - 1, size)) % _MODELS
        ids = rng.bytes(16 * size).hex()
        yield pa.table(
            {
                "question_id": pa.array([ids[at : at + 32] for at in range(0, len(ids), 32)]),
                "model_a": models[a],
                "model_b": models[b],
                "winner": _OUTCOMES[rng.integers(0, len(_OUTCOMES), size)],
                "judge": np.char.add("v", rng.integers(0, voters, size).astype(str)),
                "turn": rng.integers(1, 5, size),
                "anony": rng.random(size) < 0.9,
                "language": _LANGUAGES[rng.integers(0, len(_LANGUAGES), size)],
                "tstamp": 1.7e9 + 0.5 * np.arange(first, first + size),
            }
        )


def _run(reader: str, path: Path, repeats: int) -> _Reading:
    command = [sys.executable, "-m", _TASK, reader, str(path), str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"signal {-done.returncode}"])[-1]
        raise Unavailable(f"expected {reader} to read {path.name}, got: {last}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return _Reading(found["votes"], median(found["seconds"]), median(found["cpu"]), found["peak_mb"])
