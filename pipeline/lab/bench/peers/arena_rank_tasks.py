"""arena-rank's side of each task, as its documentation calls it.

    python arena_rank_tasks.py TASK FILE REPEATS ROUNDS

Tasks: ratings (sandwich intervals), bootstrap (ROUNDS of them), style (its own ridge), style-unpenalised (reg = 0).
Its bootstrap forks a process that already runs JAX's threads, which deadlocks here; it is started by spawn instead.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.models.contextual_bradley_terry import ContextualBradleyTerry
from arena_rank.utils.data_utils import ContextualPairDataset, PairDataset

FEATURES = ("tokens", "headers", "lists", "bold")
POINTS = 400 / np.log(10)


def ratings(table: pd.DataFrame, **options: Any) -> tuple[list[str], Any, list[float]]:
    """Strings → ratings with intervals."""
    dataset = PairDataset.from_pandas(table)
    found = BradleyTerry(len(dataset.competitors)).compute_ratings_and_cis(dataset, **options)
    jax.block_until_ready((found["rating_lower"], found["rating_upper"]))
    return dataset.competitors, (np.asarray(found["ratings"]) - 1000) / POINTS, []


def style(table: pd.DataFrame, reg: float) -> tuple[list[str], Any, list[float]]:
    """Strings and style counts → ratings and coefficients with intervals, every vote alike."""
    a, b = (table[[f"{name}_{side}" for name in FEATURES]].to_numpy(dtype=np.float64) for side in ("a", "b"))
    contrast = pd.DataFrame((a - b) / (a + b + 1), columns=list(FEATURES), index=table.index)
    votes = pd.concat([table[["model_a", "model_b", "winner"]], contrast], axis=1)
    dataset = ContextualPairDataset.from_pandas(votes, feature_cols=list(FEATURES), reweighted=False)
    model = ContextualBradleyTerry(len(dataset.competitors), len(FEATURES), reg=reg)
    found = model.compute_ratings_and_cis(dataset)
    jax.block_until_ready((found["rating_lower"], found["rating_upper"]))
    return dataset.competitors, (np.asarray(found["ratings"]) - 1000) / POINTS, np.asarray(found["coeffs"]).tolist()


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
    columns = ["model_a", "model_b", "winner"]
    if task.startswith("style"):
        columns += [f"{name}_{side}" for name in FEATURES for side in ("a", "b")]
    table = pd.read_parquet(path, columns=columns)
    tasks: dict[str, Callable[[], tuple[list[str], Any, list[float]]]] = {
        "ratings": lambda: ratings(table),
        "bootstrap": lambda: ratings(table, ci_method="bootstrap", num_bootstrap=rounds),
        "style": lambda: style(table, 1.0),
        "style-unpenalised": lambda: style(table, 0.0),
    }
    seconds, cpu = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        models, theta, coefficients = tasks[task]()
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    result = {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mb": peak_mb(),
        "theta": dict(zip(models, np.asarray(theta).tolist(), strict=True)),
        "coefficients": coefficients,
        "version": version("arena-rank"),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
