"""`integrity report` reads every public format, and small and odd files of votes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.report.vote_period import vote_period
from pipeline.vocabulary.time import DAY
from tests.command import called
from tests.unit.formats.samples import FORMATS, battles

WITHOUT_VOTERS = {"arena-human-preference-55k", "arena-expert-5k"}
WITHOUT_TIMES = {"arena-human-preference-55k", "arena-expert-5k", "MT-bench human judgments"}


def read(words: list[str]) -> dict[str, Any]:
    done = called("report", *words, "--json", "--seed", "1", settings={})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_reported_with_what_it_has(tmp_path: Path, name: str) -> None:
    path = tmp_path / "battles.jsonl"
    path.write_text("".join(json.dumps(FORMATS[name](row)) + "\n" for row in battles(300)))
    found = read([str(path)])
    rated = json.loads(called("rate", str(path), "--json", settings={}).stdout)
    assert found["format"] == name
    assert (found["votes"], found["records"]) == (rated["votes"], rated["records"])
    assert [row["model"] for row in found["rows"]] == [row["model"] for row in rated["rows"]]
    assert [row["rating"] for row in found["rows"]] == [row["rating"] for row in rated["rows"]]
    assert (found["voters"] is None) == (name in WITHOUT_VOTERS)
    assert (found["period"] is None) == (name in WITHOUT_TIMES)
    assert not found["found"], found["verdict"][2]


def test_standard_input_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "battles.jsonl"
    path.write_text("".join(json.dumps(FORMATS["FastChat battles"](row)) + "\n" for row in battles(300)))
    with path.open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        found = read(["-"])
    alone = read([str(path)])
    assert found["rows"] == alone["rows"]
    assert found["recompute"]["files"][0]["sha256"] == alone["recompute"]["files"][0]["sha256"]
    assert found["recompute"]["command"] == "integrity report - --seed 1"


def _rows(votes: int, models: int, more: dict[str, Callable[[int], Any]]) -> list[dict[str, Any]]:
    draw = np.random.default_rng(0)
    a = draw.integers(0, models, votes)
    b = (a + draw.integers(1, models, votes)) % models
    winner = draw.choice(["model_a", "model_b", "tie", "both_bad"], votes)
    return [
        {"model_a": f"m{a[k]}", "model_b": f"m{b[k]}", "winner": str(winner[k]), **{n: f(k) for n, f in more.items()}}
        for k in range(votes)
    ]


def _voter(k: int) -> str:
    return f"v{k * 7 % 20}"


ODD: dict[str, tuple[int, int, dict[str, Callable[[int], Any]]]] = {
    "two models": (50, 2, {"voter": _voter}),
    "few votes": (12, 3, {"voter": _voter}),
    "one time": (300, 4, {"voter": _voter, "timestamp": lambda _: 1.7e9}),
    "no time": (300, 4, {"voter": _voter, "timestamp": lambda k: "then" if k % 2 else None}),
    "days": (300, 4, {"voter": _voter, "timestamp": lambda k: f"2024-01-{1 + k // 30:02d}"}),
    "many models": (1500, 120, {"voter": _voter, "timestamp": lambda k: 1.7e9 + 100 * k}),
    "decades": (200, 4, {"voter": _voter, "timestamp": lambda k: 1e9 + 4e6 * k}),
    "all columns": (
        400, 4,
        {
            "voter": _voter, "timestamp": lambda k: 1.7e9 + 600 * k, "session": lambda k: f"s{k // 3}",
            "network": lambda k: f"n{k % 2}", "prompt_hash": lambda k: f"p{k % 3}", "turn": lambda k: k % 3 + 1,
            "voter_since": lambda k: 1.6e9 + k % 5 * 1e7,
        },
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_reported_without_a_false_finding(tmp_path: Path, name: str) -> None:
    path = tmp_path / "votes.parquet"
    pq.write_table(pa.Table.from_pylist(_rows(*ODD[name])), path)
    found = read([str(path), "--method", "none"])
    assert not found["found"], found["verdict"][2]
    assert len(found["verdict"]) == 5
    if name in ("one time", "days"):
        reasons = {one["id"]: one["unavailable"] for one in found["evidence"]}
        assert "share their time" in reasons["fast_voters"]
        assert "share their time" in reasons["lockstep"]


def _written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_no_model_leads_a_board_of_ties(tmp_path: Path) -> None:
    path = _written(tmp_path / "votes.jsonl", [{**row, "winner": "tie"} for row in _rows(60, 4, {})])
    assert read([str(path)])["verdict"][0].startswith("No model leads: all 4 have 1,000 points (95% interval ")


def test_models_with_one_rating_lead_together(tmp_path: Path) -> None:
    met = [
        ("x", "z", "model_a"),
        ("y", "z", "model_a"),
        ("z", "x", "model_a"),
        ("z", "y", "model_a"),
        ("x", "y", "tie"),
    ]
    rows = [{"model_a": a, "model_b": b, "winner": w} for a, b, w in [*met, *met[:2]] * 20]
    assert read([str(_written(tmp_path / "votes.jsonl", rows))])["verdict"][0].startswith("x and y lead together with ")


def test_votes_of_one_voter_are_not_called_sure(tmp_path: Path) -> None:
    found = read([str(_written(tmp_path / "votes.jsonl", _rows(300, 5, {"voter": lambda _: "me"})))])
    assert (found["voters"], found["clustered_by_voter"]) == (1, False)
    assert all(row["upper"] - row["lower"] > 40 for row in found["rows"])
    assert "Whether other voters would agree with those of the file" in [one["what"] for one in found["unchecked"]]


@pytest.mark.parametrize("voters", [2, 4, 40])
def test_a_report_has_the_intervals_of_a_rating_by_voter_and_says_so_in_the_same_words(
    tmp_path: Path, voters: int
) -> None:
    path = str(_written(tmp_path / "votes.jsonl", _rows(400, 5, {"voter": lambda k: f"v{k * k % 97 % voters}"})))
    found = read([path])
    rated = json.loads(called("rate", path, "--by-voter", "--json", settings={}).stdout)
    columns = ("model", "rating", "se", "lower", "upper", "rank_best", "rank_worst")
    assert [[row[c] for c in columns] for row in found["rows"]] == [[row[c] for c in columns] for row in rated["rows"]]
    assert found["clustered_by_voter"] is rated["clustered_by_voter"] is True
    few = [one["why"] for one in found["unchecked"] if one["what"].startswith("Whether other voters would agree")]
    assert (len(few), found["effective_voters"] < 10) == ((1, True) if voters < 10 else (0, False))
    assert set(few) <= set(rated["notes"])


def test_a_vote_that_is_dated_far_from_the_others_is_named(tmp_path: Path) -> None:
    """One vote of 2042 and one of 2001 make the period of a day 40 years long."""
    strange = {7: "2042-01-01T00:00:00Z", 9: "2001-09-09T00:00:00Z"}
    rows = _rows(300, 5, {"timestamp": lambda k: strange.get(k, f"2024-03-01T{k // 60:02}:{k % 60:02}:00Z")})
    path, page = _written(tmp_path / "votes.jsonl", rows), tmp_path / "page.html"
    found = read([str(path)])
    assert found["period"] == ["2001-09-09", "2042-01-01"]
    assert [(one["votes"], one["side"]) for one in found["dated_apart"]] == [(1, "before"), (1, "after")]
    text = " ".join(called("report", str(path), "--out", str(page), settings={}).stdout.split())
    for said in (text, page.read_text()):
        assert "1 vote is dated 2001-09-09, 22 years before the others." in said
        assert "1 vote is dated 2042-01-01, 18 years after the others." in said


@pytest.mark.parametrize(
    ("days", "early", "late"),
    [
        ([*range(100)], 0, 0),
        ([0, *range(40, 70)], 1, 0),
        ([0, *range(29, 50)], 0, 0),  # less than 30 days
        ([0, *range(40, 200)], 0, 0),  # less than the period of the others
        ([*range(300), 700, 701, 702], 0, 3),
        ([*range(200), 700, 701, 702], 0, 0),  # more than 1% of the votes
        ([0, 0, 0, 900], 0, 0),  # too few votes to say what is usual
    ],
)
def test_votes_are_dated_apart_after_a_gap_longer_than_the_period_of_the_others(
    days: list[int], early: int, late: int
) -> None:
    found = vote_period(np.array(days) * DAY)["dated_apart"]
    assert {one["side"]: one["votes"] for one in found} == {
        side: number for side, number in (("before", early), ("after", late)) if number
    }


def test_times_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    more: dict[str, Callable[[int], Any]] = {
        "voter": _voter,
        "timestamp": lambda k: "soon" if k % 3 == 0 else 1.7e9 + k,
    }
    found = read([str(_written(tmp_path / "votes.jsonl", _rows(60, 3, more)))])
    assert "20 of 60 votes have no time in timestamp that could be read" in found["notes"]


def test_turns_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    more: dict[str, Callable[[int], Any]] = {"voter": _voter, "turn": lambda k: (1, 0, -1, 2.5, "x", "2.0")[k % 6]}
    found = read([str(_written(tmp_path / "votes.jsonl", _rows(60, 3, more)))])
    assert "40 of 60 votes have no turn in turn that could be read" in found["notes"]


@pytest.mark.parametrize(
    ("rows", "words", "message"),
    [
        ([], [], "votes.jsonl: expected at least one vote, found no record"),
        (
            [{"model_a": "x", "model_b": "x", "winner": "tie"}] * 3, [],
            "votes.jsonl: expected at least one vote that counts, found 3 records: 3 left out (a model against itself)",
        ),
        (
            [{"model_a": "x", "model_b": "y", "winner": "nobody"}] * 2, ["--skip-bad"],
            "votes.jsonl: expected at least one vote that counts, found 2 records: 2 left out (unknown_outcome)",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["report", "rate"])
def test_a_file_without_votes_is_named(
    tmp_path: Path, rows: list[dict[str, Any]], words: list[str], message: str, command: str
) -> None:
    path = _written(tmp_path / "votes.jsonl", rows)
    done = called(command, str(path), *words, "--json", settings={})
    assert (done.returncode, json.loads(done.stdout)["message"]) == (2, message)


def test_more_models_than_a_report_can_compare_are_refused(tmp_path: Path) -> None:
    rows = [{"model_a": f"m{k % 3001}", "model_b": f"m{(k + 1) % 3001}", "winner": "tie"} for k in range(3001)]
    path = _written(tmp_path / "votes.jsonl", rows)
    done = called("report", str(path), "--json", settings={})
    message = json.loads(done.stdout)["message"]
    assert (done.returncode, message.split(":")[:2]) == (
        2,
        ["votes.jsonl", " expected at most 3,000 models, got 3,001"],
    )


def test_a_column_that_a_table_has_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner,winner\nx,y,model_a,tie\n")
    done = called("report", str(path), "--json", settings={})
    message = "votes.csv: expected one column 'winner', got 2; rename the others"
    assert (done.returncode, json.loads(done.stdout)["message"]) == (2, message)


def test_sentences_count_one_and_two_as_people_do(tmp_path: Path) -> None:
    two = [{"model_a": "x", "model_b": "y", "winner": winner} for winner in ("model_a", "model_b")] * 30
    found = read([str(_written(tmp_path / "two.jsonl", two))])
    assert found["verdict"][0].startswith("No model leads: both have 1,000 points ")
    won = [("x", "y"), ("x", "y"), ("y", "x"), ("y", "z"), ("z", "y"), ("x", "z"), ("z", "x")]
    rows = [{"model_a": a, "model_b": b, "winner": "model_a"} for a, b in won * 2]
    found = read([str(_written(tmp_path / "four.jsonl", rows))])
    probes = {one["id"]: one["sentence"] for one in found["probes"]}
    assert "; flipping 1 vote or adding 1 vote does the same; " in found["verdict"][3]
    assert "All have fewer than 30 battles." in probes["coverage"]
    assert "no group of three models has three decided pairs" in probes["intransitivity"]
