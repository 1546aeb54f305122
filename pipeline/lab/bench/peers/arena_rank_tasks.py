"""Runs one rating task with the package arena-rank, in the way that its documentation describes.

    python arena_rank_tasks.py TASK FILE REPEATS ROUNDS

TASK is `ratings` (sandwich intervals), `bootstrap` (ROUNDS rounds), `style` (with arena-rank's ridge) or
`style-unpenalised` (reg = 0). The script starts processes with spawn, because arena-rank's bootstrap uses fork, which
deadlocks if threads of JAX run.
"""

from __future__ import annotations

import multiprocessing
import sys
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.models.contextual_bradley_terry import ContextualBradleyTerry
from arena_rank.utils.data_utils import ContextualPairDataset, PairDataset
from timed_task import Result, time_calls  # type: ignore[import-not-found]  # in this script's folder

FEATURES = ("tokens", "headers", "lists", "bold")
POINTS = 400 / np.log(10)


def ratings(table: pd.DataFrame, **options: Any) -> Result:
    """Compute ratings with intervals from columns of text.

    Args:
        table: one battle a row, with the text columns model_a, model_b and winner.
        options: options of arena-rank's computation, such as the kind of interval.

    Returns:
        The names of the models, their ratings in logits, and an empty list (no style coefficients). The intervals are
        computed, but not returned.
    """
    dataset = PairDataset.from_pandas(table)
    found = BradleyTerry(len(dataset.competitors)).compute_ratings_and_cis(dataset, **options)
    jax.block_until_ready((found["rating_lower"], found["rating_upper"]))
    return dataset.competitors, (np.asarray(found["ratings"]) - 1000) / POINTS, []


def style(table: pd.DataFrame, reg: float) -> Result:
    """Compute ratings and style coefficients with intervals from text and style counts. All votes have equal weight.

    Args:
        table: one battle a row, with the columns model_a, model_b and winner, and the style counts of both answers.
        reg: weight of the ridge penalty; 0 for none.

    Returns:
        The names of the models, their ratings in logits, and the style coefficients. The intervals are computed, but
        not returned.
    """
    a, b = (table[[f"{name}_{side}" for name in FEATURES]].to_numpy(dtype=np.float64) for side in ("a", "b"))
    contrast = pd.DataFrame((a - b) / (a + b + 1), columns=list(FEATURES), index=table.index)
    votes = pd.concat([table[["model_a", "model_b", "winner"]], contrast], axis=1)
    dataset = ContextualPairDataset.from_pandas(votes, feature_cols=list(FEATURES), reweighted=False)
    model = ContextualBradleyTerry(len(dataset.competitors), len(FEATURES), reg=reg)
    found = model.compute_ratings_and_cis(dataset)
    jax.block_until_ready((found["rating_lower"], found["rating_upper"]))
    return dataset.competitors, (np.asarray(found["ratings"]) - 1000) / POINTS, np.asarray(found["coeffs"]).tolist()


def main() -> None:
    """Run the task that the command line names in this process, and print its times as JSON."""
    task, path, repeats, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    columns = ["model_a", "model_b", "winner"]
    if task.startswith("style"):
        columns += [f"{name}_{side}" for name in FEATURES for side in ("a", "b")]
    table = pd.read_parquet(path, columns=columns)
    tasks = {
        "ratings": lambda: ratings(table),
        "bootstrap": lambda: ratings(table, ci_method="bootstrap", num_bootstrap=rounds),
        "style": lambda: style(table, 1.0),
        "style-unpenalised": lambda: style(table, 0.0),
    }
    time_calls(tasks[task], repeats, version("arena-rank"))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
