"""`integrity report` on real files that may not be shipped: their known figures, and no false finding."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.command import called

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.beside

FILES = {
    "genai_arena_clean_battle_20240220.json": (1_451, 6, None, "imagenhub_PlayGroundV2_generation"),
    "agent_arena_model_votes_202409.csv": (1_754, 16, None, "open-mixtral-8x7b"),
    "wmt_2015_2016_judgements.parquet": (577_230, 186, 258, "PROMT-Rule-based.4276"),
}
"""File → votes that count, models, voters, the first model."""
CROWD = "llmfao_crowd_comparisons.csv"
MOST = "Weaver 12k"
"""The model of CROWD with the most votes."""


def report(name: str, *words: str) -> tuple[int, dict[str, Any]]:
    done = called("report", str(DATA / name), "--seed", "1", "--json", *words, settings={})
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_has_its_figures_and_nobody_is_accused(name: str) -> None:
    status, found = report(name, "--check")
    assert status == 0, found["verdict"][2]
    assert (found["votes"], found["models"], found["voters"], found["rows"][0]["model"]) == FILES[name]


def test_of_124_crowd_workers_those_two_are_named_who_nearly_always_choose_the_same_model() -> None:
    status, found = report(CROWD, "--check")
    assert (found["votes"], found["models"], found["voters"], found["rows"][0]["model"]) == (8_931, 59, 124, "GPT 4")
    named = [one for kind in found["evidence"] if kind["accuses"] for one in kind["findings"]]
    assert status == 1 and all(MOST in one["sentence"] for one in named)
    assert sorted(one["votes"] for one in named) == sorted(_votes_of_workers_who_choose(MOST, share=0.8))


def _votes_of_workers_who_choose(model: str, share: float) -> list[int]:
    """Return the numbers of votes of those workers who choose a model in at least this share of 20 or more battles."""
    votes, battles, chosen = Counter[str](), Counter[str](), Counter[str]()
    with (DATA / CROWD).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            votes[row["worker"]] += 1
            battles[row["worker"]] += model in (row["left"], row["right"])
            chosen[row["worker"]] += row["winner"] != "tie" and row[row["winner"]] == model
    return [votes[one] for one in votes if battles[one] >= 20 and chosen[one] >= share * battles[one]]


def test_ten_votes_of_fifteen_models_have_no_board() -> None:
    status, found = report("comparia_votes_sample10.parquet")
    assert (status, found["error"]) == (2, "Disconnected")
