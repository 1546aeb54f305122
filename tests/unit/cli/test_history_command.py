"""The command history: its document, its exit status, renames in two steps, many boards, what is left out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.cli.terminal import err, out
from tests.unit.formats.published_samples import CATEGORIES, LAST, MODELS, board_rows, write_csv, write_parquet


def history(*words: str | Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        for console in (out, err):  # their width is the one that the environment had when they were made
            patch.setattr(console, "_width", 160)
        return CliRunner().invoke(app, ["history", *map(str, words)])


def document(*words: str | Path) -> dict[str, Any]:
    return json.loads(history(*words, "--json").stdout)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two subsets with both splits; in `text`, one model has another name on the last day."""
    for subset in ("text", "vision"):
        rows = board_rows(seed=len(subset))
        for row in rows:
            if subset == "text" and row["leaderboard_publish_date"] == str(LAST) and row["model_name"] == MODELS[5]:
                row["model_name"] = "renamed [/x]"
        (tmp_path / "arena" / subset).mkdir(parents=True)
        write_parquet(tmp_path / "arena" / subset / "full.parquet", rows)
        latest = [row for row in rows if row["leaderboard_publish_date"] == str(LAST)]
        write_parquet(tmp_path / "arena" / subset / "latest.parquet", latest)
    return tmp_path / "arena"


def test_the_dataset_gives_a_board_for_each_subset_and_category(dataset: Path) -> None:
    done = history(dataset, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1  # the old name is gone
    assert list(found["boards"]) == [f"{subset}/{name}" for subset in ("text", "vision") for name in sorted(CATEGORIES)]
    text = found["boards"]["text/overall"]
    assert (text["snapshots"], text["transitions"], text["names_seen"], text["names_gone"]) == (12, 11, 26, 1)
    assert (text["transitions_with_falling_votes"], text["total_falls"], text["conflicts"]) == (0, [], [])
    assert (text["transitions_compared"], text["method_changes"], text["single_moves"]) == (11, [], [])
    assert found["merged"] == {"repeated": 100, "conflicting": 0, "listed_twice": 0, "earlier_of_day": 0}
    assert [one["rows"] for one in found["files"]] == [600, 50, 600, 50]
    assert {column for one in found["files"] for column in one["unread_columns"]} == {"variance"}
    assert "100 rows repeat another row and count once" in found["notes"]
    assert found["boards"]["vision/overall"]["rename_suggestions"] == []


def test_renames_are_suggested_reviewed_and_then_applied(dataset: Path, tmp_path: Path) -> None:
    (suggested,) = document(dataset, "--board", "text/overall")["boards"]["text/overall"]["rename_suggestions"]
    assert (suggested["old"], suggested["new"], suggested["first_seen"]) == (MODELS[5], "renamed [/x]", str(LAST))
    shown = history(dataset, "--board", "text/*", "--suggest", tmp_path / "renames.csv")
    assert f"possible rename: {MODELS[5]} (last" in shown.stdout
    assert "→ renamed [/x] (first 2026-09-01" in shown.stdout
    again = history(dataset, "--suggest", tmp_path / "renames.csv")
    assert "expected a new file, got" in str(again.exception)
    assert history(dataset, "--suggest", tmp_path / "renames.csv", "--force", "--board", "text/*").exit_code == 1
    with (tmp_path / "renames.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [(row["board"], row["old"]) for row in rows] == [(f"text/{name}", MODELS[5]) for name in sorted(CATEGORIES)]
    done = history(dataset, "--renames", tmp_path / "renames.csv", "--json")
    applied = json.loads(done.stdout)
    assert done.exit_code == 0
    assert applied["renames"] == {MODELS[5]: "renamed [/x]"}
    assert {board["names_gone"] for board in applied["boards"].values()} == {0}


def test_a_stated_rename_that_no_snapshot_has_is_said(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"nobody": "somebody"}')
    assert (
        f"no snapshot has the name nobody of {tmp_path / 'r.json'}"
        in document(dataset, "--renames", tmp_path / "r.json")["notes"]
    )


def test_a_shift_of_all_ratings_is_said_and_is_no_finding(tmp_path: Path) -> None:
    rows = board_rows(categories=["overall"])
    for row in rows:
        if row["leaderboard_publish_date"] >= "2026-08-01":
            for name in ("rating", "rating_lower", "rating_upper"):
                row[name] += 25
    write_csv(tmp_path / "text.csv", rows)
    done = history(tmp_path / "text.csv")
    assert done.exit_code == 0
    assert "method change (shift) between 2026-07-28 and 2026-08-04: the ratings of 25 of 25 models" in done.stdout
    (change,) = document(tmp_path / "text.csv")["boards"]["text/overall"]["method_changes"]
    assert (change["kind"], change["from"], change["to"]) == ("shift", "2026-07-28", "2026-08-04")
    assert change["shift"] == pytest.approx(25, abs=1)


def test_files_that_contradict_each_other_are_a_finding(tmp_path: Path) -> None:
    rows = board_rows(categories=["overall"])
    write_csv(tmp_path / "text-full.csv", rows)
    rows[-1] = {**rows[-1], "rating": 1.0}
    write_csv(tmp_path / "text-latest.csv", rows[-25:])
    done = history(tmp_path)
    assert done.exit_code == 1
    assert f"conflict: {rows[-1]['model_name']} on 2026-09-01: score = " in done.stdout
    assert ", 1 in text-latest.csv, record 24" in done.stdout
    assert "1 rows contradict a row of an earlier file" in done.stdout


def test_many_boards_are_one_table(tmp_path: Path) -> None:
    write_parquet(tmp_path / "text.parquet", board_rows(days=2, categories=[f"category [{i}]" for i in range(9)]))
    done = history(tmp_path / "text.parquet")
    assert "9 boards; --board NAME shows one in detail" in done.stdout
    assert "text/category [8]" in done.stdout
    assert history(tmp_path / "text.parquet", "--board", "text/category [8]").stdout.count("snapshots, ") == 1


def test_bad_rows_stop_or_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = board_rows(categories=["overall"])
    rows[7]["vote_count"], rows[9]["vote_count"] = "\x1b[31mmany", ""
    write_csv(tmp_path / "text.csv", rows)
    stopped = history(tmp_path / "text.csv")
    assert stopped.exit_code == 2 or "record 7: votes: expected a number" in str(stopped.exception)
    done = history(tmp_path / "text.csv", "--skip-bad")
    assert "2 rows were left out for their votes; the first: text.csv, record 7" in done.stdout
    assert "\x1b[31mmany" not in done.stdout
    left_out = document(tmp_path / "text.csv", "--skip-bad")["left_out"]
    assert left_out["votes"]["rows"] == 2


def test_unknown_boards_and_files_are_usage_errors(dataset: Path, tmp_path: Path) -> None:
    for words, message in (
        ((dataset, "--board", "nothing"), "--board: expected one of 4 boards (text/math, "),
        ((tmp_path / "absent.csv",), "expected a file, got"),
        ((dataset, "--renames", tmp_path / "absent.csv"), "expected a file, got"),
    ):
        done = history(*words)
        assert message in str(done.exception) + done.output


def test_a_board_of_a_store_is_read_from_its_export(tmp_path: Path) -> None:
    """What `leaderboard --json` prints is a history of one snapshot, with its day."""
    exported = {"snapshot": "ab" * 32, "published_at": "2026-03-02T10:00:00Z", "view": "defended"}
    rows = [{"model": name, "rating": 1000.0, "lower": 990.0, "upper": 1010.0, "rank": 1, "votes": 10} for name in "ab"]
    (tmp_path / "board.json").write_text(json.dumps({**exported, "rows": rows}))
    found = document(tmp_path / "board.json")["boards"]["defended"]
    assert (found["snapshots"], found["first"], found["names_seen"]) == (1, "2026-03-02", 2)


def test_standard_input_and_nan_in_json_are_read() -> None:
    rows = board_rows(days=1, categories=["overall"])
    rows[3]["rating_lower"] = float("nan")
    text = json.dumps(rows)
    done = CliRunner().invoke(app, ["history", "-", "--json"], input=text)
    assert json.loads(done.stdout)["boards"]["overall"]["names_seen"] == len(MODELS)


def test_a_name_that_a_file_lists_twice_is_shown_with_both_values(tmp_path: Path) -> None:
    rows = board_rows(days=1, categories=["overall"])
    write_csv(tmp_path / "text.csv", [*rows, {**rows[4], "vote_count": 17}])
    done = history(tmp_path / "text.csv")
    votes, model = rows[4]["vote_count"], rows[4]["model_name"]
    assert f"{model} is listed twice on 2026-09-01: votes = {votes} in record 4, 17 in record 25" in done.stdout
    (conflict,) = document(tmp_path / "text.csv")["boards"]["text/overall"]["conflicts"]
    assert (conflict["first"], conflict["other"], conflict["other_record"]) == (str(votes), "17", 25)
