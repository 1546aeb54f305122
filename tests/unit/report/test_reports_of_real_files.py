"""`integrity report` on real files that may not be shipped: their known figures, and no false finding."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import called

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.beside

FILES = {
    "genai_arena_clean_battle_20240220.json": (1_451, 6, None, "imagenhub_PlayGroundV2_generation"),
    "agent_arena_model_votes_202409.csv": (1_754, 16, None, "open-mixtral-8x7b"),
    "llmfao_crowd_comparisons.csv": (8_931, 59, 124, "GPT 4"),
    "wmt_2015_2016_judgements.parquet": (577_230, 186, 258, "PROMT-Rule-based.4276"),
}
"""File → votes that count, models, voters, the first model."""


def report(name: str, *words: str) -> tuple[int, dict[str, Any]]:
    done = called("report", str(DATA / name), "--seed", "1", "--json", *words, settings={})
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_has_its_figures_and_nobody_is_accused(name: str) -> None:
    status, found = report(name, "--check")
    assert status == 0, found["verdict"][2]
    assert (found["votes"], found["models"], found["voters"], found["rows"][0]["model"]) == FILES[name]


def test_ten_votes_of_fifteen_models_have_no_board() -> None:
    status, found = report("comparia_votes_sample10.parquet")
    assert (status, found["error"]) == (2, "Disconnected")
