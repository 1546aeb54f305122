"""Runs one rating task with this project's code in a child process, and times it.

    python -m pipeline.lab.bench.rating_tasks TASK FILE REPEATS [ROUNDS]

The command prints one JSON document with the time of each call, the peak memory, and the strength θ of each model in
logits.
"""

import sys
from collections.abc import Callable

import pandas as pd

from pipeline.lab.bench.peers.timed_task import Result, time_calls
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


def fit_with_intervals(table: pd.DataFrame) -> Result:
    """Compute ratings with sandwich intervals and rank sets.

    Args:
        table: one battle a row, with the text columns model_a, model_b and winner.

    Returns:
        The names of the models, their ratings θ in logits, and an empty list (no style coefficients). Intervals and
        ranks are computed, but not returned.
    """
    counts = PairCounts.from_labels(table["model_a"], table["model_b"], table["winner"])
    fitted = fit(counts)
    marginal_ranks(wald_intervals(fitted))
    return counts.models, fitted.theta, []


def fit_with_bootstrap(table: pd.DataFrame, rounds: int) -> Result:
    """Compute ratings with bootstrap intervals.

    Args:
        table: one battle a row, with the text columns model_a, model_b and winner.
        rounds: number of bootstrap rounds.

    Returns:
        The names of the models, their ratings θ in logits, and an empty list (no style coefficients). Intervals are
        computed, but not returned.
    """
    counts = PairCounts.from_labels(table["model_a"], table["model_b"], table["winner"])
    fitted = fit(counts)
    bootstrap_ratings(counts, fitted, rounds).percentile_bounds()
    return counts.models, fitted.theta, []


def fit_with_style(table: pd.DataFrame, *, centred: bool = False) -> Result:
    """Compute ratings and style coefficients with intervals.

    Args:
        table: one battle a row, with the text columns model_a, model_b and winner, and the style counts of both
            answers.
        centred: whether to subtract the mean of each style feature first, as the peers do.

    Returns:
        The names of the models, their ratings θ in logits, and the style coefficients. Intervals are computed, but not
        returned.
    """
    models, a, b, outcome = encode_battles(table["model_a"], table["model_b"], table["winner"])
    of_a, of_b = ([table[f"{name}_{side}"].to_numpy() for name in FEATURES] for side in ("a", "b"))
    z = style_contrast(of_a, of_b, FEATURES)
    if centred:
        z -= z.mean(axis=0)
    found = fit_style(models, a, b, outcome, z, features=FEATURES)
    wald_intervals(found.ratings)
    found.coefficient_intervals()
    return models, found.ratings.theta, found.coefficients.tolist()


def main() -> None:
    """Run the task that the command line names in this process, and print its times as JSON."""
    task, path, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    columns = ["model_a", "model_b", "winner"]
    if task.startswith("style"):
        columns += [f"{name}_{side}" for name in FEATURES for side in ("a", "b")]
    table = pd.read_parquet(path, columns=columns)
    tasks: dict[str, Callable[[], Result]] = {
        "ratings": lambda: fit_with_intervals(table),
        "bootstrap": lambda: fit_with_bootstrap(table, rounds),
        "style": lambda: fit_with_style(table),
        # The exact optimum for the peers' features, which are centred.
        "style-centred": lambda: fit_with_style(table, centred=True),
    }
    time_calls(tasks[task], repeats, "")


if __name__ == "__main__":
    main()
