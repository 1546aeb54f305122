"""Our side of each task, and the child process that runs one.

    python -m pipeline.lab.bench.rating_tasks TASK FILE REPEATS [ROUNDS]

prints one JSON document: seconds of each call, peak memory, and θ by model.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.lab.bench.rating_tables import FEATURES
from pipeline.ratings import (
    PairCounts,
    bootstrap_ratings,
    encode_battles,
    fit,
    fit_style,
    marginal_ranks,
    style_contrast,
    wald_intervals,
)
from pipeline.vocabulary.arrays import Float64

Result = tuple[tuple[str, ...], Float64, list[float]]


def ratings(table: pd.DataFrame) -> Result:
    """Strings → ratings with sandwich intervals and rank sets."""
    counts = PairCounts.from_labels(table["model_a"], table["model_b"], table["winner"])
    fitted = fit(counts)
    marginal_ranks(wald_intervals(fitted))
    return counts.models, fitted.theta, []


def bootstraps(table: pd.DataFrame, rounds: int) -> Result:
    """Strings → ratings with bootstrap intervals."""
    counts = PairCounts.from_labels(table["model_a"], table["model_b"], table["winner"])
    fitted = fit(counts)
    bootstrap_ratings(counts, fitted, rounds).percentile_bounds()
    return counts.models, fitted.theta, []


def style(table: pd.DataFrame, *, centred: bool = False) -> Result:
    """Strings and style counts → ratings and coefficients with intervals."""
    models, a, b, outcome = encode_battles(table["model_a"], table["model_b"], table["winner"])
    of_a, of_b = ([table[f"{name}_{side}"].to_numpy() for name in FEATURES] for side in ("a", "b"))
    z = style_contrast(of_a, of_b, FEATURES)
    if centred:
        z -= z.mean(axis=0)
    found = fit_style(models, a, b, outcome, z, features=FEATURES)
    wald_intervals(found.ratings)
    found.coefficient_intervals()
    return models, found.ratings.theta, found.coefficients.tolist()


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
    task, path, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    columns = ["model_a", "model_b", "winner"]
    if task.startswith("style"):
        columns += [f"{name}_{side}" for name in FEATURES for side in ("a", "b")]
    table = pd.read_parquet(path, columns=columns)
    run: Callable[[], Result] = {
        "ratings": lambda: ratings(table),
        "bootstrap": lambda: bootstraps(table, rounds),
        "style": lambda: style(table),
        # What the peers' features, which are centred, have as their exact optimum.
        "style-centred": lambda: style(table, centred=True),
    }[task]
    sys.stdout.write(json.dumps(time_calls(run, repeats)))


def time_calls(run: Callable[[], Result], repeats: int) -> dict[str, Any]:
    """Call it again and again."""
    seconds, cpu = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        models, theta, coefficients = run()
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mb": peak_mb(),
        "theta": dict(zip(models, np.asarray(theta).tolist(), strict=True)),
        "coefficients": coefficients,
        "version": "",
    }


if __name__ == "__main__":
    main()
