"""Results of a notebook: tables, HTML and charts, the account of what was left out, and messages."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import leaderboard_integrity as li
from tests.unit.leaderboard_integrity.test_same_as_commands import VOTES

HOSTILE = '<script>alert("x")</script>\u202e'


def small(**more: Any) -> pd.DataFrame:
    names = ("ant", "bee", "cat")
    frame = pd.DataFrame(
        {
            "model_a": [names[k % 3] for k in range(60)],
            "model_b": [names[(k + 1) % 3] for k in range(60)],
            "winner": ["tie" if k % 7 == 6 else "model_" + "ab"[(k % 3 == 2) ^ (k % 5 == 4)] for k in range(60)],
        }
    )
    return frame.assign(**more)


def odd() -> pd.DataFrame:
    return small().rename(columns={"winner": "choice"}).replace("tie", "perhaps")


def drawn(chart: dict[str, Any]) -> list[dict[str, Any]]:
    """The data of a chart, which Altair keeps beside it."""
    (values,) = chart["datasets"].values()
    return values


def message(call: Any) -> str:
    with pytest.raises(li.IntegrityError) as caught:
        call()
    return str(caught.value)


def test_votes_are_a_table_with_what_the_records_say() -> None:
    votes = li.read(VOTES)
    frame, given = votes.to_pandas(), pd.read_csv(VOTES)
    for name in ("model_a", "model_b", "winner", "voter_id", "category"):
        assert frame[name].tolist() == given[name].tolist()
    assert (frame["cast_at"] == pd.to_datetime(given["cast_at"])).all()
    assert votes.account == "1,518 records: 1,518 votes on 8 models"


def test_lists_of_categories_and_turns_are_in_the_table() -> None:
    frame = small(categories=[["code", "math"] if k % 2 else [] for k in range(60)], turn=[k % 4 for k in range(60)])
    table = li.read(frame).to_arrow()
    assert table["categories"].to_pylist()[:2] == [[], ["code", "math"]]
    assert table["turn"].to_pylist()[:5] == [None, 1, 2, 3, None]


def test_every_record_is_accounted_for() -> None:
    frame = small()
    frame.loc[3, "winner"] = "perhaps"
    frame.loc[5, "model_b"] = frame.loc[5, "model_a"]
    votes, ratings = li.read(frame, skip_bad=True), li.rate(frame, skip_bad=True)
    assert votes.records == 60
    assert len(votes) == 58
    assert len(votes.left_out) == 2
    assert ratings.notes[0].startswith("60 records: 58 rated, ")
    assert "skip_bad" not in " ".join(ratings.document["left_out"])
    report = li.report(votes, seed=1)
    assert report.votes == 58
    assert report.left_out == votes.left_out
    assert all(note in report._repr_html_() for note in votes.left_out)


def test_results_are_tables_of_every_library() -> None:
    ratings = li.rate(VOTES, group="category")
    assert ratings.to_pandas()["model"].tolist() == [row["model"] for row in ratings.rows]
    assert pl.DataFrame(ratings)["rating"].to_list() == [row["rating"] for row in ratings.rows]
    assert pa.table(ratings).equals(ratings.to_arrow())
    assert set(ratings.groups) == {"chat", "code", "facts", "math", "translation", "writing"}
    assert len(ratings.groups["code"].to_pandas()) == 8


def test_a_report_has_its_board_evidence_and_probes_as_tables(tmp_path: Path) -> None:
    report = li.report(VOTES, seed=1)
    assert report.found
    assert report.answer == "not as it stands"
    evidence = report.to_pandas("evidence")
    assert evidence["direction"].tolist() and evidence["votes"].tolist() == [110]
    assert report.to_pandas("probes")["id"].is_unique
    assert len(report.to_pandas()) == 8
    page = report.save(tmp_path / "report.html")
    assert page.read_text() == report.to_html()
    assert report.save(page) == page  # a cell of a notebook that is run again
    other = tmp_path / "mine.html"
    other.write_text("<p>mine</p>")
    assert "overwrite=True" in message(lambda: report.save(other))
    assert other.read_text() == "<p>mine</p>"
    assert report.save(other, overwrite=True).read_text() == report.to_html()
    assert "expected board, evidence or probes" in message(lambda: report.to_arrow("all"))  # type: ignore[arg-type]


def test_a_report_without_findings_has_empty_tables_with_their_columns() -> None:
    report = li.report(small(), seed=1)
    assert report.to_pandas("evidence").columns.tolist()[:2] == ["section", "accuses"]
    assert len(report.to_pandas("evidence")) == 0


def test_what_was_not_checked_is_listed_once_for_each_reason() -> None:
    shown = li.report(small().assign(voter_id="me"), seed=1)._repr_html_()
    assert shown.count("the file names 1 voter only, so that nobody can be compared with others</li>") == 1
    assert "Voters who push a model; Voters faster than anybody reads; " in shown
    assert "for want of enough voters" in shown


def test_foreign_text_is_escaped_in_html_and_visible_in_charts() -> None:
    frame = small().replace("ant", "ant<b>").assign(**{HOSTILE: 1})
    for result in (li.read(frame), li.rate(frame), li.report(frame, seed=1)):
        shown = result._repr_html_()
        assert "ant&lt;b&gt;" in shown
        assert "<script>" not in shown
        assert "<b>" not in shown
        assert "\u202e" not in shown


def test_charts_have_a_mark_for_each_model_and_say_what_they_leave_out() -> None:
    ratings = li.rate(VOTES)
    chart = ratings.plot(top=3).to_dict()
    values = drawn(chart)
    assert [one["model"] for one in values] == [row["model"] for row in ratings.rows[:3]]
    assert chart["title"].endswith("(the first 3 of 8 models)")
    pairs = drawn(li.read(VOTES).plot().to_dict())
    assert sum(cell["votes"] for cell in pairs) == 2 * 1518
    assert len(drawn(li.report(VOTES, seed=1).plot().to_dict())) == 8


def test_without_altair_a_plot_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(li.MissingExtra, match=r"pip install 'leaderboard-integrity\[notebook\]'"):
        li.rate(VOTES).plot()


def test_intervals_by_a_single_voter_are_those_of_independent_votes_and_a_note_says_so() -> None:
    votes = small(voter_id="me")
    found = li.rate(votes, by_voter=True)
    assert found.rows == li.rate(votes).rows
    assert found.notes[1].startswith("few voters cast most votes, as if 1.0 voters had cast all ")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: li.rate(small().drop(columns="winner")), 'name it with columns={"winner": "HEADER"}'),
        (lambda: li.rate(small(winner=["perhaps"] + ["model_a"] * 59)), "the table, record 0: unknown_outcome: "),
        (lambda: li.rate(small(model_a=["ant"] * 59 + [None])), "record 59: missing_field: model_a is empty"),
        (lambda: li.rate(small(voter_id=["v", 5] * 30)), "the table, row 1, column 'voter_id': expected str as in the"),
        (lambda: li.rate(small(voter_id=[None, 5, "v"] * 20)), "row 2, column 'voter_id': expected int as in"),
        (lambda: li.rate(pd.concat([small(), small()[["winner"]]], axis=1)), "each column once, got 'winner' 2 times"),
        (lambda: li.rate(small().rename_axis("winner")), "each column once, got 'winner' in the index too"),
        (lambda: li.rate(small(), by_voter=True), "by_voter=True needs voters: the table has no known column"),
        (lambda: li.rate(small(), style=True), "style counts"),
        (lambda: li.rate(small(), bootstrap=1), "bootstrap: expected at least 2 rounds, got 1"),
        (lambda: li.rate(small(), level=1.0), "level: expected a number between 0 and 1, got 1.0"),
        (lambda: li.rate(small(), fragility=-1), "fragility: expected at least 0, got -1"),
        (lambda: li.rate(small(), group="voter"), "group: expected category or language, got 'voter'"),
        (lambda: li.rate(small(), columns={"user": "x"}), "columns: expected a field of"),
        (lambda: li.rate(small(), outcomes={"x": "y"}), "outcomes: expected one of"),
        (lambda: li.rate(small(), method="mine.toml"), "method: expected arena, none or a file, got mine.toml"),
        (lambda: li.rate(small(), anchor="ant=1000"), "anchor: expected a model and its points"),
        (lambda: li.rate(small(), anchor=("ant", math.nan)), "anchor: expected a model and its points"),
        (lambda: li.rate(small(), anchor=("ant", math.inf)), "anchor: expected a model and its points"),
        (lambda: li.rate(odd(), columns={"winner": "choice"}), "got 'perhaps' (column choice); "),
        (lambda: li.rate(li.read(small()), skip_bad=True), "skip_bad: expected it in the call of read"),
        (lambda: li.rate(small().head(0)), "the table: expected at least one vote, found no record"),
        (lambda: li.report(small().head(2)), "2 votes do not connect 3 models"),
        (lambda: li.report(small(), level=2), "level: expected a number between 0 and 1, got 2"),
        (lambda: li.report(small(), seed=-1), "seed: expected at least 0, got -1"),
        (lambda: li.read("missing.csv"), "expected a file, a folder, a glob or -, got missing.csv"),
        (lambda: li.read([VOTES, VOTES]), "expected each file once"),
        (lambda: li.read([]), "an empty list of paths"),
        (lambda: li.read("-"), "expected files, got standard input"),
        (lambda: li.read({"model_a": []}), "got a dict; pandas.DataFrame(…) makes a table of it"),
        (lambda: li.read(pl.LazyFrame()), "got a LazyFrame: pass its collect()"),
        (lambda: li.read(pd.Series(["ant"], name="winner")), "got a Series, which is one column"),
        (lambda: li.read(pl.Series("winner", ["ant"])), "got a Series, which is one column"),
        (lambda: li.read(pa.array([1])), "expected a table with named columns"),
        (lambda: li.board("missing.db"), "missing.db"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place_and_the_argument_that_helps(call: Any, expected: str) -> None:
    said = message(call)
    assert expected in said
    assert "--" not in said


def test_an_error_about_a_rating_says_what_was_left_out() -> None:
    for call in (li.rate, li.report):
        with pytest.raises(li.RatingError) as caught:
            call(small(winner=None))
        assert any("60 left out (no outcome)" in note for note in caught.value.__notes__)


def test_an_index_is_a_column_or_a_note() -> None:
    named = small().set_axis(pd.Index([f"v{k % 5}" for k in range(60)], name="voter_id"))
    assert li.read(named).battles.voters == ("v0", "v1", "v2", "v3", "v4")
    unnamed = li.rate(named.rename_axis(None))
    assert unnamed.notes[-1].startswith("the index of the data frame was not read")
    assert not any("index" in note for note in li.rate(small()[5:]).notes)


def test_outcomes_may_be_numbers_and_a_column_may_be_left_out() -> None:
    codes = {"model_a": 0, "model_b": 1, "tie": 2}
    frame = small(voter_id="v")
    coded = frame.assign(winner=frame["winner"].map(codes))
    words = {code: name for name, code in codes.items()}
    assert li.rate(coded, outcomes=words).rows == li.rate(frame).rows
    assert not li.read(frame, columns={"voter_id": None}).battles.has_voters


def test_an_unknown_argument_is_named_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"read \(columns, outcomes, winner_is, skip_bad, method\), got colums"):
        li.rate(small(), colums={})


@pytest.mark.parametrize(
    "column",
    [[object()] * 60, pd.Series([1j] * 60), [{}] * 60, pd.arrays.SparseArray([0] * 60)],
    ids=["objects", "complex", "empty structs", "sparse"],
)
def test_a_column_of_a_type_that_no_file_has_is_left_out_with_a_note(column: Any) -> None:
    votes = li.read(small(odd=column))
    assert len(votes) == 60
    assert any(note.startswith("the column odd cannot be read: ") for note in votes.notes)
    with pytest.raises(li.BadInput, match="expected a column for winner") as caught:
        li.rate(small(winner=column))
    assert caught.value.__notes__[0].startswith("the column winner cannot be read: ")


def test_a_duration_in_a_column_that_nobody_reads_does_no_harm() -> None:
    assert li.rate(small(took=pd.Timedelta(3, "s"))).document["unread_columns"] == ["took"]


@pytest.mark.long
def test_the_package_imports_no_store_no_broker_and_no_chart() -> None:
    code = "import sys, leaderboard_integrity; print(*{'kafka', 'sqlalchemy', 'altair', 'typer'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
