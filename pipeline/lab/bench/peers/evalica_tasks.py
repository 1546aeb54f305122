"""Runs one rating task with the package evalica. Votes are passed as lists, the input that evalica reads fastest.

    python evalica_tasks.py TASK FILE REPEATS ROUNDS

TASK is `ratings` or `bootstrap`. `ratings` has no intervals, because evalica computes them by bootstrap only.
`bootstrap` runs ROUNDS rounds with percentile intervals, because evalica's default method would refit once for each
vote.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

import evalica
import numpy as np
import pandas as pd
from evalica import Winner
from timed_task import Result, time_calls  # type: ignore[import-not-found]  # in this script's folder

WINNERS = {"model_a": Winner.X, "model_b": Winner.Y, "tie": Winner.Draw, "both_bad": Winner.Draw}


def ratings(table: pd.DataFrame) -> Result:
    """Compute ratings with evalica, without intervals.

    Args:
        table: one battle a row, with the text columns model_a, model_b and winner.

    Returns:
        The names of the models, their scores, and an empty list (no style coefficients).
    """
    return _result(evalica.bradley_terry(**_battles(table)).scores)


def bootstrap(table: pd.DataFrame, rounds: int) -> Result:
    """Compute ratings with evalica from `rounds` bootstrap resamples.

    The time of the call includes the percentile intervals, which evalica computes too.

    Args:
        table: one battle a row, with the text columns model_a, model_b and winner.
        rounds: number of resamples.

    Returns:
        The names of the models, their scores, and an empty list (no style coefficients). The intervals are not
        returned.
    """
    found = evalica.bootstrap(
        method=evalica.bradley_terry,
        n_resamples=rounds,
        bootstrap_method="percentile",
        random_state=0,
        **_battles(table),
    )
    return _result(found.result.scores)


def _battles(table: pd.DataFrame) -> dict[str, list[Any]]:
    winners = [WINNERS[name] for name in table["winner"].tolist()]
    return {"xs": table["model_a"].tolist(), "ys": table["model_b"].tolist(), "winners": winners}


def _result(scores: Any) -> Result:
    return [str(name) for name, _ in scores.items()], [np.log(score) for _, score in scores.items()], []


def main() -> None:
    """Run the task that the command line names in this process, and print its times as JSON."""
    task, path, repeats, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    table = pd.read_parquet(path, columns=["model_a", "model_b", "winner"])
    tasks = {"ratings": lambda: ratings(table), "bootstrap": lambda: bootstrap(table, rounds)}
    time_calls(tasks[task], repeats, version("evalica"))


if __name__ == "__main__":
    main()
