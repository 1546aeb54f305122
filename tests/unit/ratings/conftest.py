"""Fixtures of the rating tests: the real counts, and a small table with voters and style."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.ratings import PairCounts
from pipeline.ratings.encoding import encode_battles
from pipeline.ratings.style_control import style_contrast

ROOT = Path(__file__).parents[3]
SMALL_FEATURES = ("tokens", "headers", "lists")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def golden() -> dict[str, dict[str, str]]:
    return {row["model"]: row for row in rows(ROOT / "tests/golden/golden_bt_exact_20240814.csv")}


@pytest.fixture(scope="session")
def real() -> PairCounts:
    table = rows(ROOT / "pipeline/data/chatbot_arena_20240814_pair_counts.csv")
    names = sorted({row[side] for row in table for side in ("model_a", "model_b")})
    code = {name: place for place, name in enumerate(names)}
    return PairCounts.from_rows(
        names,
        [code[row["model_a"]] for row in table],
        [code[row["model_b"]] for row in table],
        [[int(row[column]) for column in ("win_a", "win_b", "tie", "tie_bothbad")] for row in table],
    )


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    """900 votes of 70 voters and some without, and what statsmodels makes of them (tests/golden/)."""
    table = rows(ROOT / "tests/golden/small_votes.csv")
    column: Callable[[str], list[str]] = lambda name: [row[name] for row in table]  # noqa: E731
    models, a, b, outcome = encode_battles(column("model_a"), column("model_b"), column("winner"))
    voters = {name: number for number, name in enumerate(sorted(set(column("voter")) - {""}))}
    style = {
        side: [np.array(column(f"{name}_{side}"), dtype=np.int64) for name in SMALL_FEATURES] for side in ("a", "b")
    }
    expected: dict[str, Any] = json.loads((ROOT / "tests/golden/small_votes_expected.json").read_text("utf-8"))
    return SimpleNamespace(
        models=models,
        a=a,
        b=b,
        outcome=outcome,
        voter=np.array([voters.get(name, -1) for name in column("voter")]),
        z=style_contrast(style["a"], style["b"], SMALL_FEATURES),
        style=style,
        features=SMALL_FEATURES,
        counts=PairCounts.from_codes(models, a, b, outcome),
        expected=expected,
    )
