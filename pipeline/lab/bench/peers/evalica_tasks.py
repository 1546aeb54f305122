"""evalica's side of each task, in the fastest way to call it: lists, not columns.

    python evalica_tasks.py TASK FILE REPEATS ROUNDS

Tasks: ratings (it has no intervals but by bootstrap), bootstrap (ROUNDS, percentile: its default needs a refit a vote).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import evalica
import numpy as np
import pandas as pd
from evalica import Winner

WINNERS = {"model_a": Winner.X, "model_b": Winner.Y, "tie": Winner.Draw, "both_bad": Winner.Draw}


def battles(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Columns as lists."""
    return {
        "xs": table["model_a"].tolist(),
        "ys": table["model_b"].tolist(),
        "winners": [WINNERS[name] for name in table["winner"].tolist()],
    }


def ratings(table: pd.DataFrame) -> Any:
    """Strings → ratings."""
    return evalica.bradley_terry(**battles(table)).scores


def bootstrap(table: pd.DataFrame, rounds: int) -> Any:
    """Strings → ratings with percentile intervals."""
    found = evalica.bootstrap(
        method=evalica.bradley_terry,
        n_resamples=rounds,
        bootstrap_method="percentile",
        random_state=0,
        **battles(table),
    )
    return found.result.scores


def peak_mb() -> float:
    """The largest resident set of this process, MB.

    Not `ru_maxrss` where /proc is there: Linux hands that down from the parent through exec.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run one task in this process."""
    task, path, repeats, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    table = pd.read_parquet(path, columns=["model_a", "model_b", "winner"])
    tasks: dict[str, Callable[[], Any]] = {
        "ratings": lambda: ratings(table),
        "bootstrap": lambda: bootstrap(table, rounds),
    }
    seconds, cpu = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        scores = tasks[task]()
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    result = {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mb": peak_mb(),
        "theta": {str(name): float(np.log(score)) for name, score in scores.items()},
        "coefficients": [],
        "version": version("evalica"),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
