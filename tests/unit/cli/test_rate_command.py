"""`integrity rate` reads a battle file and gives a board, coefficients, swaps and files."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipeline.cli.app import out
from pipeline.cli.commands import app
from pipeline.cli.main import main
from pipeline.cli.terminal import Terminal
from pipeline.cli.terminal_tables import board_table, draw_interval
from pipeline.formats import ColumnMapping
from pipeline.formats.battle_tables import read_by_column
from pipeline.formats.record_reader import open_battles
from pipeline.ratings.intervals import few_voters_widening

ROOT = Path(__file__).parents[3]
SMALL = ROOT / "tests/golden/small_votes.csv"
EXPECTED = json.loads((ROOT / "tests/golden/small_votes_expected.json").read_text("utf-8"))
POINTS = 400 / np.log(10)
ROW = {
    "model", "rating", "se", "lower", "upper", "rank", "rank_best", "rank_worst", "rank_best_joint",
    "rank_worst_joint", "votes",
}  # fmt: skip


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["rate", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    return result.stdout


def document(*arguments: str | Path) -> dict:
    found: dict = json.loads(run(*arguments, "--json"))
    return found


def _ratings(found: dict, key: str = "rating") -> np.ndarray:
    by_model = {row["model"]: row[key] for row in found["rows"]}
    return np.array([by_model[model] for model in EXPECTED["models"]])


def test_a_board_as_json() -> None:
    found = document(SMALL)
    how_read = {
        "format",
        "records",
        "level",
        "clustered_by_voter",
        "unrated",
        "unread_columns",
        "left_out",
        "method",
        "repeated_ids",
        "conflicting_ids",
        "notes",
    }
    assert set(found) == {"rows", "votes", "gradient_norm", "converged"} | how_read
    assert (found["format"], found["unread_columns"], found["left_out"]) == ("table", [], {})
    assert [set(row) for row in found["rows"]] == [ROW] * 6
    assert (found["votes"], found["converged"]) == (900, True)
    assert (found["records"], found["level"], found["unrated"]) == (900, 0.95, {"votes": 0, "models": []})
    assert found["notes"][0] == "900 records: 900 rated"
    assert found["gradient_norm"] < 1e-8
    assert _ratings(found) == pytest.approx(1000 + np.array(EXPECTED["theta"]) * POINTS, abs=0.0051)
    assert _ratings(found, "se") == pytest.approx(np.array(EXPECTED["se"]) * POINTS, abs=0.0051)
    assert [row["rank"] for row in found["rows"]] == [1, 2, 3, 4, 5, 6]


def test_voters_and_style_change_what_they_should() -> None:
    by_voter = document(SMALL, "--by-voter")
    assert by_voter["clustered_by_voter"]
    assert by_voter["notes"][1].startswith("few voters cast most votes, as if 4.5 voters had cast all in equal shares ")
    assert _ratings(by_voter).tolist() == _ratings(document(SMALL)).tolist()
    # Few voters: between the clustered errors, widened for 4.5 voters, and their sum with those of independent votes.
    widened = np.array(EXPECTED["clustered_se"]) * POINTS * few_voters_widening(4.5)
    assert (_ratings(by_voter, "se") >= widened * 0.99).all()
    assert (_ratings(by_voter, "se") <= np.hypot(widened * 1.01, _ratings(document(SMALL), "se"))).all()
    style, expected = document(SMALL, "--style"), EXPECTED["style"]
    assert _ratings(style) == pytest.approx(1000 + np.array(expected["theta"]) * POINTS, abs=0.0051)
    assert [c["feature"] for c in style["coefficients"]] == ["tokens", "headers", "lists"]
    assert [c["coefficient"] for c in style["coefficients"]] == pytest.approx(expected["coefficients"], abs=1e-8)
    assert style["features_without_effect"] == ["bold", "emoji"]
    assert style["votes_without_style"] == 0
    for one, se in zip(style["coefficients"], expected["coefficient_se"], strict=True):
        assert one["upper"] - one["lower"] == pytest.approx(2 * 1.959964 * se, rel=1e-5)


def test_bootstrap_intervals_come_with_their_seed() -> None:
    one, again = (document(SMALL, "--bootstrap", "300", "--seed", "4") for _ in range(2))
    assert one == again
    assert one["bootstrap"] == {"rounds": 300, "seed": 4, "redrawn": 0}
    assert _ratings(one).tolist() == _ratings(document(SMALL)).tolist()
    assert _ratings(one, "se") == pytest.approx(_ratings(document(SMALL), "se"), rel=0.15)
    assert all(row["lower"] <= row["rating"] <= row["upper"] for row in one["rows"])


def test_level_anchor_and_weights() -> None:
    plain, narrow = document(SMALL), document(SMALL, "--level", "0.5", "--anchor", "cat=1234.5")
    assert {row["model"]: row["rating"] for row in narrow["rows"]}["cat"] == 1234.5
    assert _ratings(narrow, "se").tolist() == _ratings(plain, "se").tolist()
    assert _ratings(narrow, "upper") - _ratings(narrow, "lower") == pytest.approx(
        1.349 * _ratings(plain, "se"), abs=0.02
    )
    assert _ratings(document(SMALL, "--reweight", "5")).tolist() != _ratings(plain).tolist()


def test_fragility_and_influence() -> None:
    found = document(SMALL, "--fragility", "2", "--influence", "2")
    assert [(s["above"], s["below"]) for s in found["fragility"]] == [("bee", "ant"), ("ant", "dog")]
    assert found["dethroned"]["votes"] <= found["fragility"][0]["votes"]
    assert [v["voter"] for v in found["influence"]] == ["voter-2", "voter-1"]


def test_boards_by_group(tmp_path: Path) -> None:
    rows = list(csv.DictReader(SMALL.read_text("utf-8").splitlines()))
    path = tmp_path / "grouped.csv"
    with path.open("w", newline="") as text:
        writer = csv.DictWriter(text, [*rows[0], "language"])
        writer.writeheader()
        writer.writerows({**row, "language": ("en", "fr", "")[k % 3]} for k, row in enumerate(rows))
    found = document(path, "--group", "language")
    assert [(g["group"], g["votes"], len(g["rows"])) for g in found["groups"]] == [("en", 300, 6), ("fr", 300, 6)]
    assert "fr: 300 votes" in run(path, "--group", "language")
    no_category = document(path, "--group", "category")
    assert no_category["groups"] == []
    why = "no vote has a category: there is no board to add (`--columns category=HEADER` names its column)"
    assert why in no_category["notes"]
    assert not any("there is no board" in note for note in found["notes"])


def test_files_hold_the_same_rows(tmp_path: Path) -> None:
    rows = document(SMALL, "--out", tmp_path / "a.csv", "--out", tmp_path / "a.parquet")["rows"]
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == rows
    read = list(csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines()))
    assert [{k: type(rows[0][k])(v) for k, v in row.items()} for row in read] == rows


def test_a_person_gets_a_table_with_drawn_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "_width", 140)
    text = run(SMALL, "--style", "--by-voter", "--influence", "0")
    assert "900 votes, style control" in text
    assert text.count("●") == 6
    assert "tokens   +0.1517" in text
    assert draw_interval(0, 5, 10, 0, 10, width=11) == "─────●─────"
    assert draw_interval(4, 5, 6, 0, 10, width=11) == "    ─●─    "
    assert "without 4 votes" in run(SMALL, "--fragility", "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "expected a file, a folder, a glob or -, got nowhere.csv"),
        ([SMALL, "--out", "a.txt"], "--out: expected a name that ends in .csv or .parquet, got a.txt"),
        ([SMALL, "--bootstrap", "1"], "at least 2 rounds, got 1"),
        ([SMALL, "--bootstrap", "9", "--style"], "without --style"),
        ([SMALL, "--anchor", "cat"], "ANCHOR: expected MODEL=POINTS"),
        ([SMALL, "--anchor", "owl=3"], "expected the anchor among the 6 rated models, got 'owl'"),
        ([SMALL, "--level", "2"], "level between 0 and 1, got 2.0"),
        ([SMALL, "--style", "--fragility", "1"], "without --style"),
        ([SMALL, "--style", "--group", "language"], "without --style"),
    ],
)
def test_bad_options_and_input_are_named(arguments, message: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["integrity", "rate", *map(str, arguments), "--json"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert message in json.loads(capsys.readouterr().out)["message"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--style", "expected votes with style counts"),
        ("--by-voter", "--by-voter needs voters: bare.csv has no known column of voters; `--columns voter_id=HEADER`"),
        ("--influence=2", "--influence needs voters: bare.csv has no"),
    ],
)
def test_a_file_without_the_needed_columns_is_an_error(
    tmp_path: Path, option: str, message: str, monkeypatch, capsys
) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("model_a,model_b,winner\nant,bee,model_a\nant,bee,model_b\n")
    monkeypatch.setattr("sys.argv", ["integrity", "rate", str(path), option, "--json"])
    with pytest.raises(SystemExit):
        main()
    assert message in json.loads(capsys.readouterr().out)["message"]


def test_voters_that_identify_nobody_are_an_error_without_notes(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "nobody.csv"
    path.write_text("model_a,model_b,winner,judge,mood\nant,bee,model_a,,x\nant,bee,model_b,,y\n")
    monkeypatch.setattr("sys.argv", ["integrity", "rate", str(path), "--by-voter"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--by-voter needs voters: the values of judge identify nobody" in line


def _battles(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_method_leaves_votes_out_and_says_so(tmp_path: Path) -> None:
    row = {"model_a": "ant", "model_b": "bee", "winner": "model_a", "judge": "w", "tstamp": 1.7e9, "anony": True}
    rows = [row, {**row, "winner": "model_b"}, {**row, "anony": False}, {**row, "model_b": "ant"}]
    path = _battles(tmp_path / "a.jsonl", rows)
    found = document(path)
    assert found["votes"] == 2
    assert found["method"] == {"name": "arena", "left_out": {"not_anonymous": 1}}
    assert found["left_out"] == {"self_battle": {"records": 1, "first": 3}}
    assert document(path, "--method", "none")["votes"] == 3
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\n[rules]\nrefusal = true\n')
    assert document(path, "--method", str(mine))["method"] == {"name": "mine", "left_out": {}}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_vote_on_an_answer_that_tells_its_model_is_left_out(tmp_path: Path, suffix: str) -> None:
    def battle(n: int, answer: str) -> dict[str, object]:
        conversation = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": answer}]
        winner = ("model_a", "model_b")[n % 2]
        return {"model_a": "gpt-4", "model_b": "claude-2.1", "winner": winner, "conversation_a": conversation}

    rows = [battle(n, "I am GPT-4." if n in (3, 4, 5) else "The Claude glass is a mirror.") for n in range(20)]
    path = tmp_path / f"battles{suffix}"
    if suffix == ".jsonl":
        _battles(path, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = document(path)
    assert (found["votes"], found["method"]["left_out"]) == (17, {"identity_leak": 3, "frequent_prompt": 0})
    assert any(note.startswith("3 votes on a conversation that gives a model's identity") for note in found["notes"])
    assert document(path, "--method", "none")["votes"] == 20


def test_bad_records_are_left_out_when_asked(tmp_path: Path) -> None:
    row = {"model_a": "ant", "model_b": "bee", "winner": "model_a"}
    path = _battles(tmp_path / "a.jsonl", [row, {**row, "winner": "draw"}, {**row, "winner": "model_b"}])
    found = document(path, "--skip-bad")
    assert found["votes"] == 2
    assert found["left_out"] == {"unknown_outcome": {"records": 1, "first": 1}}


def test_models_without_a_common_battle_are_listed_and_the_others_rated(tmp_path: Path) -> None:
    row = {"model_a": "ant", "model_b": "bee", "winner": "model_a"}
    rows = [row, {**row, "winner": "model_b"}, row, {"model_a": "cat", "model_b": "dog", "winner": "tie"},
            {"model_a": "ant", "model_b": "elk", "winner": "model_a"}]  # fmt: skip
    found = document(_battles(tmp_path / "a.jsonl", rows))
    assert found["votes"] == 3
    assert [one["model"] for one in found["rows"]] == ["ant", "bee"]
    assert found["notes"][0] == "5 records: 3 rated, 2 on models that cannot be compared"
    start = found["notes"].index("3 models cannot be compared with the others; their 2 votes are not rated:")
    assert found["notes"][start + 1 : start + 3] == [
        "  2 models form a group of their own: they met each other (1 vote), but no rated model: cat, dog",
        "  elk: It lost all of its 1 vote against rated models; a rating needs a win or a tie.",
    ]
    assert found["unrated"]["votes"] == 2
    assert [(one["model"], one["votes"]) for one in found["unrated"]["models"]] == [("cat", 1), ("dog", 1), ("elk", 1)]
    assert found["unrated"]["models"][0]["reason"] == "Not rated: it never met a rated model (1 vote)."


def test_a_battle_against_itself_that_the_method_names_is_counted_by_the_method(tmp_path: Path) -> None:
    """By column, and record by record: a conversation in a cell of our own events makes no difference."""
    battles = [
        {"model_a": a, "model_b": b, "winner": winner, "anony": anony, "tstamp": 1_700_000_000 + i}
        for i, (a, b, winner, anony) in enumerate(
            [
                ("ant", "bee", "model_a", True), ("bee", "ant", "model_a", True), ("ant", "ant", "tie", False),
                ("bee", "bee", "model_b", True), ("ant", "bee", "tie", False), ("cat", "cat", "tie", True),
            ]
        )
    ]  # fmt: skip
    events = [
        {"schema": 1, "vote_id": str(i), "cast_at": "2024-01-01T00:00:00Z", "anonymous": battle["anony"],
         **{name: battle[name] for name in ("model_a", "model_b", "winner")}}
        for i, battle in enumerate(battles)
    ]  # fmt: skip
    for name, rows in (("fastchat", battles), ("events", events)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(rows))
        found = document(path)
        assert found["method"]["left_out"]["not_anonymous"] == 2, name
        assert found["left_out"] == {"self_battle": {"records": 2, "first": 3}}, name
        assert found["votes"] == 2
        told = (
            "2 votes cast with the models' names in view were left out by the method arena; --method none counts 1 of "
        )
        assert f"{told}them, 1 is a model against itself" in found["notes"]
        account = "6 records: 2 rated, 2 left out by the method arena, 2 left out (a model against itself)"
        assert (found["records"], found["notes"][0]) == (6, account)
        everything = document(path, "--method", "none")
        assert everything["left_out"] == {"self_battle": {"records": 3, "first": 2}}, name
        assert everything["votes"] == 3


def test_files_of_the_other_command_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, battles = tmp_path / "board.csv", tmp_path / "battles.csv"
    board.write_text("snapshot,model,score,votes\n2024-01-01,ant,1000,10\n")
    battles.write_text("model_a,model_b,winner\nant,bee,tie\n")
    for command, path, hint in (
        ("rate", board, "published boards are read by `integrity history`"),
        ("history", battles, "battles are rated by `integrity rate`"),
    ):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
            patch.setattr("sys.argv", ["integrity", command, str(path)])
            main()
        assert end.value.code == 2
        assert hint in capsys.readouterr().err


def test_votes_that_cannot_be_rated_are_explained_after_how_they_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "few.csv"
    path.write_text("model_a,model_b,winner,mood\nant,bee,model_a,x\ncat,dog,model_b,y\n")
    for words in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["integrity", "rate", str(path), *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
    shown = capsys.readouterr()
    assert "columns that were not read: mood" in shown.err
    told = (
        "2 votes do not connect 4 models: they form 2 islands that never met; the largest group that can be rated has "
        "0 of 2 votes, half are needed. Rate a file with more votes (a folder or a quoted glob joins shards)"
    )
    assert shown.err.count("do not connect") == 2  # once for each run
    assert f"Disconnected: {told}" in shown.err
    assert json.loads(shown.out) == {"error": "Disconnected", "message": told}


def test_votes_that_only_one_side_won_are_told_as_that(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "few.csv"
    path.write_text("model_a,model_b,winner\nant,bee,model_a\nbee,cat,model_a\n")
    monkeypatch.setattr("sys.argv", ["integrity", "rate", str(path), "--json"])
    with pytest.raises(SystemExit):
        main()
    told = json.loads(capsys.readouterr().out)["message"]
    assert told.startswith(
        "2 votes do not connect 3 models: some of them only won or only lost against the others; the largest group "
        "that can be rated has 0 of 2 votes"
    )


def test_a_table_of_no_known_format_says_which_columns_became_which_fields(tmp_path: Path) -> None:
    rows = [
        {"id": f"{n}", "left_model": "ab"[n % 2], "right_model": "ba"[n % 2], "winner": ("model_a", "tie")[n % 2],
         "created_at": "2024-01-01T00:00:00Z"}
        for n in range(8)
    ]  # fmt: skip
    path = _battles(tmp_path / "votes.json", [*rows, {**rows[0], "winner": "model_b"}])
    found = document(path, "--columns", "model_a=left_model,model_b=right_model")
    stated = "fields of the table: model_a from left_model, model_b from right_model, vote_id from id"
    assert found["notes"][2] == f"{stated}, cast_at from created_at"


def _board(name: str) -> list[dict]:
    return [
        {"rank": n + 1, "model": name + str(n), "rating": 1100.25 - n, "lower": 1052.75 - n, "upper": 1147.75 - n,
         "rank_best": 1, "rank_worst": 11, "votes": 2_762}
        for n in range(11)
    ]  # fmt: skip


def _printed(rows: list[dict], width: int) -> str:
    console = Terminal()
    console.width = width
    with console.capture() as capture:
        console.print(board_table(rows, "a board", width, "--json has more"))
    return capture.get()


@pytest.mark.parametrize(("width", "length"), [(80, 5), (80, 30), (80, 33), (80, 70), (100, 40), (120, 20)])
def test_a_board_keeps_its_numbers_in_a_narrow_terminal(width: int, length: int) -> None:
    text = _printed(_board("m" * length), width)
    assert max(map(len, text.splitlines())) <= width
    numbers = ["1", "1–11", "2,762"]
    exact = ["1100.25", "1052.75 … 1147.75"]
    rounded = ["1100", "1053 … 1148"]
    assert all(number in text for number in numbers + (exact if "1100.25" in text else rounded))
    assert ("in whole points" in text) == ("1100.25" not in text)
    assert ("--json has more" in text) == ("●" not in text)
    assert length > 40 or text.count("mmm0 ") == 1  # a name stays on one line


def test_a_very_narrow_terminal_keeps_the_names() -> None:
    text = _printed(_board("m"), 40)
    assert max(map(len, text.splitlines())) <= 40
    assert text.splitlines()[1].split() == ["rank", "model", "rating", "votes"]
    assert text.splitlines()[3].split() == ["1", "m0", "1100", "2,762"]


def test_a_drawn_interval_is_shown_where_there_is_room_and_has_an_axis() -> None:
    headers = {width: [str(column.header) for column in board_table(_board("ant"), "b", width).columns]
               for width in (80, 160)}  # fmt: skip
    assert headers[160][-2].split() == ["1043", "1148"]
    assert len(headers[160][-2]) == 24
    assert [one for one in headers[80] if one[0].isdigit()] in ([], [headers[80][-2]])
    assert headers[80][:5] == ["rank", "rank set", "model", "rating", "interval"]


@pytest.mark.parametrize("voter", ["me", ""])
def test_intervals_by_one_voter_are_never_narrower_than_of_independent_votes_and_a_note_says_so(
    tmp_path: Path, voter: str
) -> None:
    """With an empty `voter` half of the votes name nobody, so that the other half has too much weight."""
    rows = [
        {"voter_id": voter or ("me" if n % 2 else None), "language": "en", "model_a": "abc"[n % 3],
         "model_b": "bca"[n % 3], "winner": ("model_a", "tie", "model_b", "model_b")[n % 4]}
        for n in range(120)
    ]  # fmt: skip
    path = _battles(tmp_path / "votes.jsonl", rows)
    plain, by_voter = document(path), document(path, "--by-voter")
    assert (by_voter["rows"] == plain["rows"]) == (voter == "me")
    assert all(mine["se"] >= other["se"] for mine, other in zip(by_voter["rows"], plain["rows"], strict=True))
    assert (plain["clustered_by_voter"], by_voter["clustered_by_voter"]) == (False, voter == "")
    assert all(row["upper"] - row["lower"] > 40 for row in by_voter["rows"])
    assert by_voter["notes"][1].startswith("few voters cast most votes, as if ")
    assert not any("voters" in note for note in plain["notes"])
    printed = run(path, "--by-voter")
    assert ("95% intervals by voter" in printed) == (voter == "")
    assert "the wider of one by voter and one of independent votes, and may still be too narrow" in " ".join(
        printed.split()
    )


def test_boards_of_groups_say_that_they_are_not_by_voter(tmp_path: Path) -> None:
    rows = [
        {"voter_id": f"v{n % 20}", "language": "en", "model_a": "ab"[n % 2], "model_b": "ba"[n % 2],
         "winner": ("model_a", "tie", "model_a")[n % 3]}
        for n in range(60)
    ]  # fmt: skip
    found = document(_battles(tmp_path / "votes.jsonl", rows), "--by-voter", "--group", "language")
    assert found["clustered_by_voter"]
    assert found["notes"][1] == "the intervals of the boards of groups take votes as independent"


def test_a_rating_loads_neither_kafka_nor_a_database() -> None:
    code = "import sys, pipeline.cli.rate_command; print(*{'kafka', 'sqlalchemy', 'cryptography'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("repeat", [False, True])
def test_a_rating_reads_the_same_votes_whatever_columns_it_needs(tmp_path: Path, repeat: bool) -> None:
    rows = [
        {"vote_id": f"v{n}", "voter_id": f"p{n % 5}", "language": ("en", "fr")[n % 2], "model_a": "ab"[n % 2],
         "model_b": "ba"[n % 2], "winner": ("model_a", "tie", "model_b")[n % 3]}
        for n in range(60)
    ]  # fmt: skip
    path = _battles(tmp_path / "votes.jsonl", [*rows, *([{**rows[0], "voter_id": "another"}] if repeat else [])])
    plain, by_voter = document(path), document(path, "--by-voter")
    assert _columns_of(plain) == _columns_of(by_voter)
    assert (plain["repeated_ids"], plain["conflicting_ids"]) == (int(repeat), int(repeat))
    assert {group["group"]: group["votes"] for group in document(path, "--group", "language")["groups"]} == {
        "en": 30,
        "fr": 30,
    }


def _columns_of(found: dict) -> list[tuple]:
    return [(row["model"], row["rating"], row["votes"]) for row in found["rows"]]


def _on_prompts(kind: str, greetings: int) -> list[dict]:
    """Return votes on 400 different prompts, and some more on one of them, by hash or by text."""
    asked = [f"how many legs have {n} ants and {n} bees?" for n in range(400)]
    asked += ["How many legs have 7 ants, and 7 bees"] * greetings
    rows = []
    for n, text in enumerate(asked):
        vote = {"model_a": "ab"[n % 2], "model_b": "ba"[n % 2], "winner": ("model_a", "tie", "model_b")[n % 3]}
        if kind == "hash":
            rows.append({**vote, "prompt_hash": f"{7 if n >= 400 else n:064x}"})
        else:
            said = [{"role": "user", "content": text}, {"role": "assistant", "content": "Six each."}]
            rows.append({**vote, "conversation_a": said, "conversation_b": said})
    return rows


@pytest.mark.parametrize("kind", ["hash", "text"])
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_votes_on_a_frequent_prompt_beyond_its_sample_are_left_out(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"battles{suffix}"
    rows = _on_prompts(kind, greetings=60)
    if suffix == ".jsonl":
        _battles(path, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = document(path)
    assert (found["votes"], found["method"]["left_out"]["frequent_prompt"]) == (410 - 1, 51)
    assert any(note.startswith("51 votes on a frequent prompt") for note in found["notes"])
    assert document(path, "--method", "none")["votes"] == 460
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\n[rules]\nidentity_leak = true\n')
    assert document(path, "--method", str(mine))["votes"] == 460


@pytest.mark.parametrize("road", ["column", "column of empty texts", "record"])
def test_a_rule_about_prompts_is_not_applied_where_no_vote_has_one(tmp_path: Path, road: str) -> None:
    vote = {"model_a": "a", "model_b": "b", "prompt_hash": "" if road == "column of empty texts" else None}
    rows = [{**vote, "winner": ("model_a", "model_b")[n % 2]} for n in range(4)]
    path = tmp_path / ("battles.json" if road == "record" else "battles.parquet")
    if road == "record":  # our own events in an array are read one by one
        own = {"schema": 1, "voter_id": "v", "cast_at": "2026-01-01T00:00:00Z"}
        path.write_text(json.dumps([{**own, **row, "vote_id": f"{n}"} for n, row in enumerate(rows)]))
    else:
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in rows[0]])), path)
    assert (read_by_column(open_battles(path, ColumnMapping())) is None) == (road == "record")
    found = document(path)
    assert (found["votes"], found["method"]["left_out"]) == (4, {})
    assert any(note.startswith("no rule of the method arena could be applied") for note in found["notes"])


def test_a_method_without_a_rule_that_applies_is_told(tmp_path: Path) -> None:
    vote = {"model_a": "a", "model_b": "b"}
    rows = [{**vote, "winner": ("model_a", "model_b")[n % 2]} for n in range(4)]
    path = _battles(tmp_path / "plain.jsonl", rows)
    told = "no rule of the method arena could be applied, so that every vote counts: no record states any of anonymous"
    assert any(note.startswith(told) for note in document(path)["notes"])
    assert not any("no rule" in note for note in document(path, "--method", "none")["notes"])
    flagged = _battles(tmp_path / "flagged.jsonl", [{**row, "anonymous": True} for row in rows])
    assert not any("no rule" in note for note in document(flagged)["notes"])


def test_repeated_ids_and_empty_outcomes_are_in_the_account(tmp_path: Path) -> None:
    rows = [{"id": f"v{n % 8}", "model_a": "ab"[n % 2], "model_b": "ba"[n % 2], "winner": ("model_a", "", "tie")[n % 3]}
            for n in range(12)]  # fmt: skip
    path = _battles(tmp_path / "votes.jsonl", rows)
    found = document(path)
    left = sum(one["records"] for one in found["left_out"].values())
    assert found["records"] == 12 == found["votes"] + left + found["repeated_ids"]
    assert found["notes"][0].startswith(f"12 records: {found['votes']} rated, ")


def test_a_long_list_of_unread_columns_is_short_in_notes_and_whole_in_json(tmp_path: Path) -> None:
    spare = {f"spare{n}": n for n in range(19)}
    rows = [{"model_a": "a", "model_b": "b", "winner": ("model_a", "model_b")[n % 2], **spare} for n in range(4)]
    found = document(_battles(tmp_path / "votes.jsonl", rows))
    names = "spare0, spare1, spare2, spare3, spare4, spare5"
    assert f"19 of 22 columns were not read: {names}, …" in found["notes"]
    assert found["unread_columns"] == list(spare)


def test_a_rating_names_texts_as_read(tmp_path: Path) -> None:
    vote = {"model_a": "a", "model_b": "b", "response_a": "yes", "response_b": "no", "prompt": "Why?", "spare": 1}
    rows = [{**vote, "vote_id": f"v{n}", "winner": ("model_a", "model_b")[n % 2]} for n in range(4)]
    found = document(_battles(tmp_path / "votes.jsonl", rows))
    assert found["unread_columns"] == ["spare"]
    assert "columns that were not read: spare" in found["notes"]
    unread = document(_battles(tmp_path / "votes.jsonl", rows), "--method", "none")
    assert unread["unread_columns"] == ["response_a", "response_b", "prompt", "spare"]


def test_the_board_never_replaces_the_votes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    votes = tmp_path / "votes.csv"
    votes.write_bytes(SMALL.read_bytes())
    (tmp_path / "link.csv").symlink_to(votes)
    for source, target in ((votes, votes), (votes, tmp_path / "link.csv"), (tmp_path / "*.csv", votes)):
        monkeypatch.setattr("sys.argv", ["integrity", "rate", str(source), "--out", str(target)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code, votes.read_bytes()) == (2, SMALL.read_bytes())
