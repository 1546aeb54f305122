"""Real files of the field, which are not shipped: each is read by one command without options.

`llmfao_bradley_terry.csv` has the Bradley-Terry scores that evalica (dustalov/evalica, Apache-2.0) publishes for the
LLMFAO comparisons in `llmfao-golden.csv`; they sum to 1, and 400 log10 of a score is a rating in points.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.cli.main import main

pytestmark = pytest.mark.beside

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
GENAI = DATA / "genai_arena_clean_battle_20240220.json"
AGENTS = DATA / "agent_arena_model_votes_202409.csv"
LLMFAO = DATA / "llmfao_crowd_comparisons.csv"
COMPARIA = DATA / "comparia_votes_sample10.parquet"


def run(*words: str | Path, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "140"})
    assert done.exit_code == status, done.output
    return done.stdout


def rated(path: Path, *words: str) -> dict[str, Any]:
    return json.loads(run("rate", path, "--json", *words))


def test_genai_arena_is_rated_without_the_546_votes_on_names_in_view() -> None:
    battles = json.loads(GENAI.read_text())
    in_view = sum(not battle["anony"] for battle in battles)
    assert (len(battles), in_view) == (2061, 546)
    text = run("rate", GENAI)
    assert "546 votes cast with the models' names in view were left out by the method arena" in text
    assert "--method none counts 545 of them, 1 is a model against itself" in text
    assert "2,061 records: 1,451 rated, 546 left out by the method arena, 64 on models that cannot be compared" in text
    assert "7 models form a group of their own: they met each other (64 votes), but no rated model" in text
    assert "read as FastChat battles" in text
    found = rated(GENAI)
    assert found["method"] == {"name": "arena", "left_out": {"not_anonymous": 546}}
    assert found["left_out"] == {}
    assert found["votes"] + found["unrated"]["votes"] == 2061 - 546
    everything = rated(GENAI, "--method", "none")
    assert everything["left_out"] == {"self_battle": {"records": 1, "first": 1819}}


def test_agent_arena_is_rated_without_its_304_self_battles() -> None:
    found = rated(AGENTS)
    assert found["left_out"] == {"self_battle": {"records": 304, "first": 0}}
    with AGENTS.open(newline="") as text:
        rows = [row for row in csv.DictReader(text) if row["model_a"] != row["model_b"]]
    assert found["votes"] == len(rows) == 2058 - 304
    counted = Counter(name for row in rows for name in (row["model_a"], row["model_b"]))
    assert {row["model"]: row["votes"] for row in found["rows"]} == counted
    assert "304 records were left out: a model against itself" in run("rate", AGENTS)


def test_llmfao_equals_the_scores_that_evalica_publishes() -> None:
    with (ROOT / "tests/golden/llmfao_bradley_terry.csv").open(newline="") as text:
        published = {row["model"]: float(row["score"]) for row in csv.DictReader(text)}
    ours = {row["model"]: row["rating"] for row in rated(LLMFAO)["rows"]}
    assert ours.keys() == published.keys()
    points = {model: 400 * np.log10(score) for model, score in published.items()}
    center = np.mean(list(points.values()))
    assert max(abs(ours[model] - 1000 - (points[model] - center)) for model in ours) < 0.005
    strength = {model: 10 ** (rating / 400) for model, rating in ours.items()}
    share = {model: value / sum(strength.values()) for model, value in strength.items()}
    assert share == pytest.approx(published, abs=1e-6)


def test_the_ten_rows_of_comparia_are_read_with_winner_voter_session_and_time(tmp_path: Path) -> None:
    run("convert", COMPARIA, tmp_path / "votes.jsonl")
    votes = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    columns = ["id", "model_a_name", "model_b_name", "chosen_model_name", "both_equal", "visitor_id", "session_hash"]
    rows = pq.read_table(COMPARIA, columns=[*columns, "conv_turns", "timestamp"]).to_pylist()
    assert len(votes) == len(rows) == 10
    for vote, row in zip(votes, rows, strict=True):
        winner = {row["model_a_name"]: "model_a", row["model_b_name"]: "model_b", None: "tie"}
        assert vote["winner"] == winner[row["chosen_model_name"]]
        assert (vote["winner"] == "tie") is bool(row["both_equal"])
        assert (vote["model_a"], vote["model_b"]) == (row["model_a_name"], row["model_b_name"])
        assert (vote["vote_id"], vote.get("voter_id")) == (str(row["id"]), row["visitor_id"])
        assert (vote["session"], vote["turn"]) == (row["session_hash"], row["conv_turns"])
        assert vote["cast_at"] == f"{row['timestamp'].isoformat()}Z"


def test_ten_rows_that_cannot_be_rated_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["integrity", "rate", str(COMPARIA)])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr().err
    assert end.value.code == 2
    assert "read as compar:IA votes" in shown
    assert "10 votes do not connect 15 models: they form 5 islands" in shown
    assert "Disconnected: " in shown
