"""Published snapshots: what the reader refuses, what a made history gives, and a real one against pandas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.audits.board_history import board_history
from pipeline.audits.top_churn import top_churn, top_churn_findings
from pipeline.cli.commands import app
from pipeline.errors import BadRecord, UnknownFormat
from pipeline.formats.published_boards import read_published_boards

REAL = Path(__file__).parents[4] / "shared" / "data" / "lmarena_leaderboard_snapshots_fboulnois.csv"
HEAD = "snapshot,board,rank,rank_stylectrl,model,arena_score,95_pct_ci,votes,organization,license\n"
MADE = HEAD + (
    "2025-01-01,text,1,2,ant,1300,+4/-4,1000,Hill,Proprietary\n"
    "2025-01-01,text,2,1,bee,1290,+4/-4,3000,Hive,MIT\n"
    "2025-01-01,text,3,3,cat,1200,+9/-7,400,House,Propretary\n"
    # cat loses 100 votes; bee overtakes
    "2025-01-04,text,1,1,bee,1301,+3/-3,3100,Hive,MIT\n"
    "2025-01-04,text,2,2,ant,1299,+4/-4,1100,Hill,Proprietary\n"
    "2025-01-04,text,3,3,cat,1201,+9/-7,300,House,Propretary\n"
    # cat is gone; dog, never seen before, is first; the total falls
    "2025-01-20,text,1,,dog,1400,+9/-9,150,Hill,-\n"
    "2025-01-20,text,2,,bee,1301,+3/-3,3100,Hive,MIT\n"
    "2025-01-20,text,3,,ant,1298,+4/-4,1100,Hill,Proprietary\n"
    "2025-01-20,image,1,1,eel,1000,+4/-4,10,Sea,MIT\n"
)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made.csv"
    path.write_text(MADE)
    return path


def test_a_first_place_that_flaps_beyond_its_intervals_is_a_finding(tmp_path: Path) -> None:
    """Two models a hundred points apart that change places every day; and a board where nothing moves."""
    rows = [
        f"2025-01-{day:02},text,1,,{name},{1300 - 100 * ((day + turn) % 2)},+4/-4,{1000 + day},Hill,MIT"
        for day in range(1, 9)
        for turn, name in enumerate(("ant", "bee"))
    ]
    path = tmp_path / "flaps.csv"
    path.write_text(HEAD + "\n".join(rows) + "\n")
    found = top_churn(read_published_boards(path)["text"])
    assert found.overtakings == 7
    (announced,) = top_churn_findings(found)
    assert (announced.direction, announced.evidence["within_week"], announced.evidence["by"]) == (
        "#1 changes too often",
        7,
        ["Hill"],
    )
    still = [row for row in rows if ",ant," in row] + [
        row.replace("ant", "cat").replace("13", "12") for row in rows[:1]
    ]
    path.write_text(HEAD + "\n".join(still) + "\n")
    assert top_churn_findings(top_churn(read_published_boards(path)["text"])) == ()


def reported(path: Path) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["history", str(path), "--json"])
    return result.exit_code, json.loads(result.stdout)["boards"]


def test_a_made_history_gives_its_figures(made: Path) -> None:
    code, boards = reported(made)
    text = boards["text"]
    assert code == 1
    assert (text["snapshots"], text["transitions"], text["transitions_with_falling_votes"]) == (3, 2, 1)
    assert (text["names_seen"], text["names_gone"]) == (4, 1)
    assert text["falls"] == [{"model": "cat", "from": "2025-01-01", "to": "2025-01-04", "before": 400, "after": 300}]
    assert text["total_falls"] == [{"from": "2025-01-04", "to": "2025-01-20", "before": 4500, "after": 4350}]
    assert text["gone"] == [{"model": "cat", "last_seen": "2025-01-04", "votes": 300}]
    assert text["shares"][0]["organizations"] == {"Hill": 1000 / 4400, "Hive": 3000 / 4400, "House": 400 / 4400}
    assert text["shares"][0]["license_groups"] == {"open": 3000 / 4400, "proprietary": 1400 / 4400}
    assert text["shares"][2]["license_groups"]["unknown"] == 150 / 4350
    assert text["shares"][0]["hhi"] == pytest.approx((1000**2 + 3000**2 + 400**2) / 4400**2)
    # Mean absolute difference of all ordered pairs over twice the mean: 2 · (2000 + 600 + 2600) / 9 / (2 · 4400/3).
    assert text["shares"][0]["gini"] == pytest.approx(2 * (2000 + 600 + 2600) / 9 / (2 * 4400 / 3))


def test_ranks_under_style_control_are_set_beside_plain_ones(made: Path) -> None:
    _, boards = reported(made)
    first, second = boards["text"]["style_shifts"]  # the third snapshot gives none
    assert (first["compared"], first["shifted"], first["mean_places"]) == (3, 2, pytest.approx(2 / 3))
    assert first["models"][0] == {"model": "ant", "rank": 1, "style_rank": 2}
    assert (second["shifted"], second["models"]) == (0, [])


def test_a_history_that_takes_nothing_back_exits_0(tmp_path: Path) -> None:
    path = tmp_path / "quiet.csv"
    path.write_text("".join(MADE.splitlines(keepends=True)[:4]))
    code, boards = reported(path)
    assert (code, boards["text"]["transitions"]) == (0, 0)


def test_the_table_for_people_names_what_fell(made: Path) -> None:
    result = CliRunner().invoke(app, ["history", str(made)])
    assert result.exit_code == 1
    assert "vote counts fell in 1 of 2 transitions" in result.stdout
    assert "4,500 on 2025-01-04 to 4,350 on 2025-01-20" in result.stdout.replace("\n", " ")


def test_changes_of_the_first_place_tell_newcomers_from_overtakings(made: Path) -> None:
    found = top_churn(read_published_boards(made)["text"])
    assert [(c.old, c.new, c.newcomer, c.within_week) for c in found.changes] == [
        ("ant", "bee", False, True),
        ("bee", "dog", True, False),
    ]
    assert found.changes[0].gap == 2.0
    assert found.changes[0].overlap is True
    assert found.changes[1].overlap is False
    assert found.overtakings == 1


def test_chance_explains_no_more_changes_than_simulated_boards_show(tmp_path: Path) -> None:
    """Two equal models that gain 10% of their votes a day change places as often as the bound says or less."""
    rng = np.random.default_rng(5)
    rounds, seen, bound = 300, 0, 0.0
    for i in range(rounds):
        votes = np.array([1000, 1100])
        # Standard error 10 at 1,000 votes; the later estimate holds the earlier one's votes.
        early = 1000 + 10 * rng.standard_normal(2)
        late = (early * votes[0] + (1000 + 10 * np.sqrt(10) * rng.standard_normal(2)) * 100) / votes[1]
        rows = [
            f"2025-01-0{day + 1},text,{k},,m{k},{score[k]},+19.6/-19.6,{votes[day]},,MIT"
            for day, score in enumerate((early, late))
            for k in (0, 1)
        ]
        path = tmp_path / f"{i}.csv"
        path.write_text(HEAD + "\n".join(rows) + "\n")
        found = top_churn(read_published_boards(path)["text"])
        seen += found.overtakings
        bound += found.by_chance
    assert seen > 0
    assert bound == pytest.approx(seen, abs=4 * np.sqrt(bound))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2025-13-01,text,1,1,ant,1300,+4/-4,1000,Hill,MIT", "snapshot"),
        ("2025-01-01,text,1,1,,1300,+4/-4,1000,Hill,MIT", "model"),
        ("2025-01-01,text,1,1,ant,,+4/-4,1000,Hill,MIT", "score"),
        ("2025-01-01,text,1,1,ant,nan,+4/-4,1000,Hill,MIT", "score"),
        ("2025-01-01,text,1,1,ant,1300,4,1000,Hill,MIT", "interval"),
        ("2025-01-01,text,1,1,ant,1300,+4/-4,-1,Hill,MIT", "votes"),
        ("2025-01-01,text,1,1,ant,1300,+4/-4,1.5,Hill,MIT", "votes"),
        ("2025-01-01,text,1,1,ant,1300,+4/-4,,Hill,MIT", "votes"),
        ("2025-01-01,text,first,1,ant,1300,+4/-4,1,Hill,MIT", "rank"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(HEAD + "2025-01-01,text,1,1,ok,1300,+4/-4,1000,Hill,MIT\n" + row + "\n")
    with pytest.raises(BadRecord) as error:
        read_published_boards(path)
    assert (error.value.position, error.value.reason) == (1, reason)


def test_a_table_without_snapshots_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner\nx,y,model_a\n")
    with pytest.raises(UnknownFormat, match="expected a column for snapshot"):
        read_published_boards(path)
    path.write_text(HEAD)
    with pytest.raises(UnknownFormat, match="expected rows"):
        read_published_boards(path)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(REAL, keep_default_na=False)


@pytest.fixture(scope="module")
def boards() -> dict:
    code, boards = reported(REAL)
    assert code == 1
    return boards


@pytest.mark.beside
class TestRealHistory:
    """Every figure computed a second time by pandas, from the file alone."""

    def test_the_published_figures_of_the_text_board(self, boards: dict) -> None:
        text = boards["lmsys"]
        assert (text["transitions_with_falling_votes"], text["transitions"]) == (73, 87)
        assert (text["names_gone"], text["names_seen"]) == (91, 309)
        fall = {"from": "2025-02-12", "to": "2025-02-16", "before": 5_113_782, "after": 4_456_091}
        assert fall in text["total_falls"]

    def test_falls_and_names(self, boards: dict, table: pd.DataFrame) -> None:
        assert sorted(boards) == sorted(table.board.unique())
        for name, rows in table.groupby("board"):
            wide = rows.pivot_table(index="snapshot", columns="model", values="votes", aggfunc="max").sort_index()
            fell = wide.diff() < 0
            totals = rows.groupby("snapshot").votes.sum().sort_index()
            one = boards[name]
            assert one["snapshots"] == len(wide)
            assert one["transitions_with_falling_votes"] == int(fell.any(axis=1).sum())
            assert len(one["falls"]) == int(fell.to_numpy().sum())
            assert one["names_seen"] == wide.shape[1]
            assert one["names_gone"] == int(wide.iloc[-1].isna().sum())
            assert [f["to"] for f in one["total_falls"]] == totals.index[totals.diff() < 0].tolist()

    def test_style_shifts(self, boards: dict, table: pd.DataFrame) -> None:
        both = table[table.rank_stylectrl != ""].assign(shift=lambda t: t.rank_stylectrl.astype(float) - t["rank"])
        for name, rows in both.groupby("board"):
            each = rows.groupby("snapshot")["shift"]
            announced = {s["snapshot"]: s for s in boards[name]["style_shifts"]}
            assert sorted(announced) == sorted(each.groups)
            for day, shift in each:
                assert (announced[day]["compared"], announced[day]["shifted"]) == (len(shift), int((shift != 0).sum()))
                assert announced[day]["mean_places"] == pytest.approx(shift.abs().mean())

    def test_shares(self, boards: dict, table: pd.DataFrame) -> None:
        for column, key in (("organization", "organizations"), ("license", "licenses")):
            for name, rows in table.groupby("board"):
                votes = rows.groupby(["snapshot", column]).votes.sum()
                share = votes / rows.groupby("snapshot").votes.sum()
                for announced in boards[name]["shares"]:
                    assert announced[key] == pytest.approx(share[announced["snapshot"]].to_dict())
                    if key == "organizations":
                        assert announced["hhi"] == pytest.approx((share[announced["snapshot"]] ** 2).sum())

    def test_changes_of_the_first_place(self, boards: dict, table: pd.DataFrame) -> None:
        for name, rows in table.groupby("board"):
            ordered = rows.sort_values(["snapshot", "arena_score", "votes"])
            first = ordered.groupby("snapshot").model.last()
            changed = first[1:][first[1:].to_numpy() != first[:-1].to_numpy()]
            announced = boards[name]["top_churn"]["changes"]
            assert [(c["day"], c["new"]) for c in announced] == list(changed.items())


def test_the_oldest_snapshot_comes_first_whatever_the_order_of_the_file(made: Path) -> None:
    head, *rows = MADE.splitlines(keepends=True)
    expected = board_history(read_published_boards(made)["text"])
    made.write_text(head + "".join(reversed(rows)))
    found = board_history(read_published_boards(made)["text"])
    assert (found.falls, found.total_falls, found.gone) == (expected.falls, expected.total_falls, expected.gone)
