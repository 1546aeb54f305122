"""Runs the probes of a report on one CSV file, and prints their time and figures as JSON.

    python -m pipeline.lab.bench.report_tasks FILE ROUNDS REPEATS

The file has the columns of `report_table`; voter_id and item_id may be missing. The time of reading the file is
measured separately. The time of the probes begins with columns in memory and includes the rating.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from pipeline.errors import BadInput
from pipeline.lab.bench.peers.timed_task import peak_mb
from pipeline.report.probe_result import ProbeOptions, ProbeResult
from pipeline.report.probes import run_probes
from pipeline.report.report_board import ReportBoard, rate_report_votes
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Int32, Int64
from pipeline.vocabulary.visible_text import json_text

_OUTCOMES = {"a": 0, "model_a": 0, "b": 1, "model_b": 1, "tie": 2}


def read_votes(path: Path) -> ReportVotes:
    """Read a CSV file with the columns model_a, model_b, winner, and perhaps voter_id and item_id.

    Raises:
        BadInput: a column is missing, or a winner is none of a, b, tie, model_a and model_b.
    """
    table = pc.read_csv(path, convert_options=pc.ConvertOptions(column_types=dict.fromkeys(_TEXTS, pa.string())))
    missing = [name for name in _TEXTS[:3] if name not in table.column_names]
    if missing:
        raise BadInput(f"{path.name}: expected the columns model_a, model_b, winner, got none named {missing[0]}")
    names = sorted({*table["model_a"].unique().to_pylist(), *table["model_b"].unique().to_pylist()})
    winner = table["winner"].combine_chunks().dictionary_encode()
    unknown = [name for name in winner.dictionary.to_pylist() if name not in _OUTCOMES]
    if unknown:
        raise BadInput(f"{path.name}: expected the winners {', '.join(_OUTCOMES)}, got {unknown[0]!r}")
    outcomes = np.array([_OUTCOMES[name] for name in winner.dictionary.to_pylist()], dtype=np.int32)
    return ReportVotes(
        models=tuple(names),
        model_a=_codes(table["model_a"], names),
        model_b=_codes(table["model_b"], names),
        outcome=outcomes[winner.indices.to_numpy()],
        position=np.ones(len(table), dtype=np.int8),
        voter=_numbers(table, "voter_id"),
        prompt=_numbers(table, "item_id"),
    )


_TEXTS = ("model_a", "model_b", "winner", "voter_id", "item_id")


def _codes(column: pa.ChunkedArray, names: list[str]) -> Int32:
    coded = column.combine_chunks().dictionary_encode()
    place = {name: code for code, name in enumerate(names)}
    table = np.array([place[name] for name in coded.dictionary.to_pylist()], dtype=np.int32)
    return np.asarray(table[coded.indices.to_numpy()])


def _numbers(table: pa.Table, name: str) -> Int64 | None:
    if name not in table.column_names:
        return None
    return np.asarray(table[name].combine_chunks().dictionary_encode().indices.to_numpy(), dtype=np.int64)


def figures(results: list[ProbeResult], board: ReportBoard) -> dict[str, Any]:
    """Return name → figure, for the figures that arenakit defines in the same way.

    A figure that was not computed is None.
    """
    by = {one.id: one for one in results}
    detail = {name: one.details for name, one in by.items()}
    clustered = detail["clustering"].get("by", {}).get("voter", {})
    largest = detail["voter_influence"].get("largest", [])
    tie = detail["tie_rule"].get("rules", {}).get("Rao-Kupper", {}).get("parameter")
    return {
        "theta": dict(zip(board.counts.models, board.fitted.theta.tolist(), strict=True)),
        "gini": detail["coverage"].get("gini"),
        "pairs_met": detail["coverage"].get("pairs_met"),
        "separated_each": detail["separation"].get("separated_each"),
        "separated_jointly": detail["separation"].get("separated_among_neighbours"),
        "median_rank_width": by["rank_resolution"].figure,
        "position": by["position_bias"].figure,
        "first_win_rate": detail["position_bias"].get("first_win_rate"),
        "tie_share": detail["tie_rule"].get("tie_share"),
        "rao_kupper": None if tie is None else float(np.exp(tie)),
        "cyclic_triads": detail["intransitivity"].get("cyclic_triads"),
        "decided_triads": detail["intransitivity"].get("decided_triads"),
        "expected_cycles": detail["intransitivity"].get("expected_share"),
        "voter_inflation": clustered.get("ratio"),
        "busiest_share": clustered.get("busiest_share"),
        "voter_influence": max((row["median_gaps"] or 0.0 for row in largest), default=None),
    }


def main() -> None:
    """Run the probes on the file that the command line names, and print their times and figures as JSON."""
    path, rounds, repeats = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    started = time.perf_counter()
    votes = read_votes(path)
    reading, seconds, cpu = time.perf_counter() - started, [], []
    found: dict[str, Any] = {}
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        board = rate_report_votes(votes)
        results = run_probes(votes, board, ProbeOptions(rounds=rounds))
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
        found = figures(results, board)
    document = {"reading": reading, "seconds": seconds, "cpu": cpu, "peak_mb": peak_mb(), "figures": found}
    sys.stdout.write(json_text(document))


if __name__ == "__main__":
    main()
