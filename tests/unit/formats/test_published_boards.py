"""Published boards: the same boards from every kind of file, merged splits, conflicts, our own exports, bad rows."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import BadInput, BadRecord, UnknownFormat
from pipeline.formats.published_boards import PublishedBoard, read_published_boards, read_published_history
from tests.unit.formats.published_samples import (
    CONTAINERS,
    LAST,
    agent_rows,
    board_rows,
    write_csv,
    write_dated_parquet,
    write_json,
    write_lines,
    write_parquet,
)

Boards = dict[str, tuple[PublishedBoard, ...]]


def plain(boards: Boards) -> dict[str, list[tuple[Any, ...]]]:
    """Return boards as values that compare equal, NaN included."""
    return {
        name: [
            tuple(np.nan_to_num(part, nan=-1e9).tolist() if isinstance(part, np.ndarray) else part for part in one)
            for one in (astuple(board) for board in of_board)
        ]
        for name, of_board in boards.items()
    }


def read(*paths: Path) -> Boards:
    return read_published_history(paths).boards


@pytest.fixture
def expected(tmp_path: Path) -> Boards:
    path = tmp_path / "text.parquet"
    write_parquet(path, board_rows())
    found = read(path)
    path.unlink()
    return found


def test_a_subset_of_the_arena_gives_its_boards_days_and_figures(expected: Boards) -> None:
    assert list(expected) == ["text/math", "text/overall"]
    assert [len(of_board) for of_board in expected.values()] == [12, 12]
    last = expected["text/overall"][-1]
    rows = [
        row for row in board_rows() if row["category"] == "overall" and row["leaderboard_publish_date"] == str(LAST)
    ]
    assert last.day == LAST
    assert last.models == tuple(row["model_name"] for row in rows)
    for name, column in (
        ("score", "rating"), ("lower", "rating_lower"), ("upper", "rating_upper"), ("votes", "vote_count"),
        ("rank", "rank"),
    ):  # fmt: skip
        assert getattr(last, name).tolist() == [row[column] for row in rows]
    assert last.organizations == tuple(row["organization"] for row in rows)
    assert last.licenses == tuple(row["license"] for row in rows)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_kind_of_file_gives_the_same_boards(tmp_path: Path, expected: Boards, suffix: str) -> None:
    CONTAINERS[suffix](tmp_path / f"text.{suffix}", board_rows())
    assert plain(read(tmp_path / f"text.{suffix}")) == plain(expected)


def test_days_as_times_counts_as_floats_and_coded_names_are_read_alike(tmp_path: Path, expected: Boards) -> None:
    write_dated_parquet(tmp_path / "text.parquet", board_rows())
    assert plain(read(tmp_path / "text.parquet")) == plain(expected)
    milliseconds = [
        {**row, "leaderboard_publish_date": int(np.datetime64(row["leaderboard_publish_date"], "ms").astype(int))}
        for row in board_rows()
    ]
    write_json(tmp_path / "text.json", milliseconds)
    assert plain(read(tmp_path / "text.json")) == plain(expected)


@pytest.mark.parametrize("layout", ["shards", "split folder", "split file", "glob"])
def test_shards_splits_and_globs_give_the_same_boards(tmp_path: Path, expected: Boards, layout: str) -> None:
    rows, root = board_rows(), tmp_path / "dataset"
    parts = [rows[:200], rows[200:450], rows[450:]]
    names = {
        "shards": [f"text/full-{i:05}-of-00003.parquet" for i in range(3)],
        "split folder": [f"text/full/{i:04}.parquet" for i in range(3)],
        "split file": [f"text-full-{i:05}-of-00003.parquet" for i in range(3)],
        "glob": [f"text/part-{i}.parquet" for i in range(3)],
    }[layout]
    for name, part in zip(names, parts, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(root / name, part)
    assert plain(read(root / "*" / "*.parquet" if layout == "glob" else root)) == plain(expected)
    assert plain(read(*(root / name for name in names))) == plain(expected)


def test_subsets_are_told_apart_and_the_latest_split_counts_once(tmp_path: Path) -> None:
    for subset, seed in (("text", 0), ("vision", 1), ("webdev", 2)):
        (tmp_path / subset).mkdir()
        rows = board_rows(seed=seed)
        write_parquet(tmp_path / subset / "full-00000-of-00001.parquet", rows)
        last = [row for row in rows if row["leaderboard_publish_date"] == str(LAST)]
        write_parquet(tmp_path / subset / "latest-00000-of-00001.parquet", last)
    (tmp_path / "agent").mkdir()
    write_parquet(tmp_path / "agent" / "full-00000-of-00001.parquet", agent_rows())
    found = read_published_history([tmp_path])
    categories = [f"{subset}/{category}" for subset in ("text", "vision", "webdev") for category in ("math", "overall")]
    assert list(found.boards) == ["agent/overall", *categories]
    assert {len(board.models) for of_board in found.boards.values() for board in of_board} == {25}
    assert (found.merged.repeated, found.merged.conflicting, found.merged.conflicts) == (150, 0, ())
    assert found.files[0].unread == ("session_count",)
    agent = found.boards["agent/overall"][-1]
    assert agent.votes.sum() == sum(
        r["observation_count"] for r in agent_rows() if r["leaderboard_publish_date"] == str(LAST)
    )
    assert np.all((agent.lower < agent.score) & (agent.score < agent.upper) & (agent.score < 1))


def test_a_single_file_takes_its_board_from_its_place(tmp_path: Path) -> None:
    for name, board in (
        ("agent/full.parquet", "agent"), ("webdev-latest.parquet", "webdev"), ("vision.parquet", "vision"),
        ("odd/full-00000-of-00001.parquet", "odd"), ("text-to-image/full/0000.parquet", "text-to-image"),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(tmp_path / name, board_rows(days=1))
        assert list(read(tmp_path / name)) == [f"{board}/math", f"{board}/overall"]
    write_parquet(tmp_path / "downloaded.parquet", board_rows(days=1))
    assert list(read(tmp_path / "downloaded.parquet")) == ["math", "overall"]


def test_a_column_names_the_board_before_the_place_does(tmp_path: Path) -> None:
    write_parquet(tmp_path / "vision.parquet", [{**row, "subset": "text"} for row in board_rows(days=1)])
    assert list(read(tmp_path / "vision.parquet")) == ["text/math", "text/overall"]


def test_files_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    rows = board_rows()
    (tmp_path / "text").mkdir()
    write_parquet(tmp_path / "text" / "full.parquet", rows)
    changed = [dict(row) for row in rows if row["leaderboard_publish_date"] == str(LAST)]
    changed[3]["rating"] += 5
    changed[7]["vote_count"] += 1
    write_csv(tmp_path / "text" / "latest.csv", changed)
    found = read_published_history([tmp_path / "text"])
    assert (found.merged.repeated, found.merged.conflicting) == (48, 2)
    rating, votes = sorted(found.merged.conflicts, key=lambda one: one.column)
    assert (rating.board, rating.day, rating.model) == ("text/overall", LAST, changed[3]["model_name"])
    assert (rating.column, rating.first_file, rating.other_file) == ("score", "full.parquet", "latest.csv")
    assert float(rating.other) == pytest.approx(float(rating.first) + 5)
    assert (votes.column, votes.other_record, int(votes.other)) == ("votes", 7, int(votes.first) + 1)
    last = found.boards["text/overall"][-1]
    assert len(last.models) == 25
    assert last.score.tolist() == [r["rating"] for r in rows if r["category"] == "overall"][-25:]


def test_two_models_under_one_name_in_one_file_stay_two_rows(tmp_path: Path) -> None:
    rows = board_rows(days=1, categories=["overall"])
    write_csv(tmp_path / "text.csv", [*rows, {**rows[0], "rating": 900.0}, rows[1]])
    found = read_published_history([tmp_path / "text.csv"])
    assert (found.merged.repeated, found.merged.within_file, found.merged.conflicting) == (1, 1, 0)
    assert found.boards["text/overall"][0].models.count(rows[0]["model_name"]) == 2
    assert not found.merged.conflicts[0].between_files


def test_of_several_snapshots_a_day_the_last_one_counts(tmp_path: Path) -> None:
    rows = [
        {"published_at": f"2026-03-01T{hour:02}:00:00Z", "model": model, "rating": 1000 + hour + i, "votes": 10 * hour}
        for hour in (17, 9, 12)
        for i, model in enumerate("abc")
    ]
    write_lines(tmp_path / "day.jsonl", rows)
    found = read_published_history([tmp_path / "day.jsonl"])
    (board,) = found.boards["board"]
    assert (board.votes.tolist(), found.merged.earlier_of_day) == ([170, 170, 170], 6)


# --- our own exports


def exported(day: str, shift: float = 0.0) -> dict[str, Any]:
    rows = [
        {
            "model": model, "rating": 1000.5 + i + shift, "lower": 990.0 + i, "upper": 1010.0 + i, "rank": 3 - i,
            "rank_best": 1, "rank_worst": 3, "votes": 100 + i,
        }
        for i, model in enumerate(["ant", "bee", "cat [x]"])
    ]  # fmt: skip
    return {"snapshot": "ab" * 32, "published_at": f"{day}T10:00:00Z", "view": "defended", "rows": rows}


def test_boards_as_json_are_joined_by_their_view_whatever_their_file_is_called(tmp_path: Path) -> None:
    (tmp_path / "monday.json").write_text(json.dumps(exported("2026-03-02")))
    (tmp_path / "tuesday.json").write_text(json.dumps(exported("2026-03-03", 2.0), indent=2))
    found = read_published_history([tmp_path])
    (defended,) = found.boards.values()
    assert list(found.boards) == ["defended"]
    assert [str(one.day) for one in defended] == ["2026-03-02", "2026-03-03"]
    assert defended[1].score.tolist() == [1002.5, 1003.5, 1004.5]
    assert defended[1].models[2] == "cat [x]"
    assert found.files[0].unread == ("rank_best", "rank_worst")


def test_a_board_by_category_has_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "math.json").write_text(json.dumps({**exported("2026-03-02"), "board": "category/math"}))
    (tmp_path / "all.json").write_text(json.dumps({**exported("2026-03-02"), "board": None}))
    assert list(read(tmp_path)) == ["category/math", "defended"]


def test_a_board_without_a_time_takes_the_day_in_its_name(tmp_path: Path) -> None:
    document = {key: value for key, value in exported("2026-03-02").items() if key not in ("published_at", "snapshot")}
    path = tmp_path / "board.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UnknownFormat, match="may have the day in its name, such as board-2026-03-01"):
        read(path)
    path.rename(tmp_path / "board-2026-03-02.json")
    assert str(read(tmp_path / "board-2026-03-02.json")["defended"][0].day) == "2026-03-02"


def test_the_history_of_a_model_is_read(tmp_path: Path) -> None:
    rows = [
        {"sequence": i, "snapshot": "cd" * 32, "published_at": f"2026-03-0{i}T10:00:00Z", "rating": 1000.0 + i,
         "lower": 990.0, "upper": 1010.0, "rank": 1, "votes": 10 * i, "share": 0.5}
        for i in (1, 2, 3)
    ]  # fmt: skip
    (tmp_path / "ant.json").write_text(json.dumps({"model": "ant", "view": "raw", "rows": rows, "next": None}))
    history = read(tmp_path / "ant.json")["raw"]
    assert [(one.models, one.votes.tolist()) for one in history] == [
        (("ant",), [10]),
        (("ant",), [20]),
        (("ant",), [30]),
    ]


def manifest(day: str) -> bytes:
    rows = exported(day)["rows"]
    views = {view: {"votes": 300, "rows": rows, "unrated": []} for view in ("raw", "defended")}
    boards = {"category/math": {"votes": 30, "rows": rows, "unrated": []}}
    return json.dumps(
        {"schema": 1, "board": "arena", "at": f"{day}T10:00:00Z", "views": views, "boards": boards}
    ).encode()


@pytest.mark.parametrize("kind", ["folder", "zip", "folder of both"])
def test_a_bundle_gives_its_boards_and_those_of_the_manifest_before(tmp_path: Path, kind: str) -> None:
    files = {
        "manifest.json": manifest("2026-03-03"), "previous.json": manifest("2026-03-02"), "proof.json": b"{}",
        "snapshot.json": b"{}", "votes/000000000000.parquet": b"not read",
    }  # fmt: skip
    if kind != "zip":
        for name, data in files.items():
            (tmp_path / "bundle" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "bundle" / name).write_bytes(data)
    if kind != "folder":
        with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as out:
            for name, data in files.items():
                out.writestr(name, data)
    given = {"folder": tmp_path / "bundle", "zip": tmp_path / "bundle.zip"}.get(kind, tmp_path)
    found = read_published_history([given])
    assert list(found.boards) == ["arena/category/math", "arena/defended", "arena/raw"]
    assert [str(one.day) for one in found.boards["arena/raw"]] == ["2026-03-02", "2026-03-03"]
    assert found.merged.repeated == (18 if kind == "folder of both" else 0)


# --- what cannot be read


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "csv.gz"])
@pytest.mark.parametrize(
    ("column", "value", "reason", "message"),
    [
        ("vote_count", "many", "votes", "expected a number, got 'many' in column vote_count"),
        ("vote_count", "-3", "votes", "expected a whole number of at least 0, got '-3' in column vote_count"),
        ("rating", "", "score", "expected a number, got '' in column rating"),
        ("rating_upper", "1e300", "upper", "expected a number up to 1,000,000,000,000, got '1e300'"),
        ("model_name", " ", "model", "expected a name, got '' in column model_name"),
        ("leaderboard_publish_date", "soon", "snapshot", "expected a day as YYYY-MM-DD, got 'soon'"),
        ("leaderboard_publish_date", "1999-01-01", "snapshot", "expected a day from 2000 to 2099, got '1999-01-01'"),
    ],
)
def test_a_bad_cell_is_named_with_file_row_column_and_value(
    tmp_path: Path, suffix: str, column: str, value: str, reason: str, message: str
) -> None:
    rows = [{key: str(cell) for key, cell in row.items()} for row in board_rows()]
    rows[517][column] = value
    path = tmp_path / f"text.{suffix}"
    CONTAINERS[suffix](path, rows)
    with pytest.raises(BadRecord) as error:
        read(path)
    assert (error.value.source, error.value.position, error.value.reason) == (path.name, 517, reason)
    assert message in str(error.value)
    found = read_published_history([path], skip_bad=True)
    assert found.left_out == {reason: (1, str(error.value))}
    assert sum(len(board.models) for of_board in found.boards.values() for board in of_board) == 599


def test_numbers_of_parquet_are_checked_as_those_of_text(tmp_path: Path) -> None:
    for column, value, reason in (
        ("vote_count", 1.5, "votes"), ("vote_count", None, "votes"), ("rating", float("nan"), "score"),
        ("rating", 1e300, "score"), ("rank", float("inf"), "rank"),
    ):  # fmt: skip
        rows = board_rows()
        rows[44][column] = value
        table = pa.Table.from_pydict({name: [row[name] for row in rows] for name in rows[0] if name != column})
        kind = pa.float64() if column != "rank" else pa.float32()
        table = table.append_column(column, pa.array([row[column] for row in rows], kind))
        pq.write_table(table, tmp_path / "text.parquet")
        with pytest.raises(BadRecord) as error:
            read(tmp_path / "text.parquet")
        assert (error.value.position, error.value.reason) == (44, reason)


def test_a_missing_bound_is_missing_in_every_kind_of_file(tmp_path: Path) -> None:
    rows = board_rows(days=1, categories=["overall"])
    rows[2]["rating_lower"] = rows[2]["rating_upper"] = None
    for suffix, write in CONTAINERS.items():
        write(tmp_path / f"text.{suffix}", rows)
        board = read(tmp_path / f"text.{suffix}")["text/overall"][0]
        assert np.flatnonzero(np.isnan(board.lower)).tolist() == [2], suffix


def test_files_that_are_no_boards_are_refused_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "votes.json").write_text('[{"model_a": "x", "model_b": "y", "winner": "model_a"}]')
    with pytest.raises(UnknownFormat, match=r"votes\.json: expected a column for snapshot"):
        read(tmp_path / "votes.json")
    (tmp_path / "lines.jsonl").write_text('{"model": "a"}\nnot json\n')
    with pytest.raises(BadInput, match="expected"):
        read(tmp_path / "lines.jsonl")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(UnknownFormat):
        read(tmp_path / "empty.csv")
    (tmp_path / "bad.zip").write_bytes(b"PK no zip")
    with pytest.raises(UnknownFormat, match="expected the zip of a bundle"):
        read(tmp_path / "bad.zip")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(UnknownFormat, match="expected Parquet"):
        read(tmp_path / "bad.parquet")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UnknownFormat, match="found none"):
        read(tmp_path / "nothing")
    names = ["leaderboard_publish_date", "model_name", "rating", "vote_count", "rating"]
    pq.write_table(
        pa.table([pa.array(["2026-01-01"]), ["a"], [1.0], [1], [2.0]], names=names), tmp_path / "two.parquet"
    )
    with pytest.raises(UnknownFormat, match="expected one column 'rating', got 2"):
        read(tmp_path / "two.parquet")


def test_a_cell_of_another_kind_is_named(tmp_path: Path) -> None:
    base = {"snapshot": "2026-01-01", "model": "a", "score": 1.0, "votes": 1}
    for column, value in (
        ("model", ["a"]), ("score", True), ("score", {"x": 1}), ("votes", [1]), ("snapshot", True),
        ("model", "x" * 1_001),
    ):  # fmt: skip
        write_lines(tmp_path / "odd.jsonl", [base, {**base, column: value}])
        with pytest.raises(BadRecord) as error:
            read(tmp_path / "odd.jsonl")
        assert (error.value.position, error.value.reason) == (1, column)


def test_text_that_parquet_stores_as_bytes_is_text(tmp_path: Path, expected: Boards) -> None:
    write_parquet(tmp_path / "text.parquet", board_rows())
    table = pq.read_table(tmp_path / "text.parquet")
    at = table.column_names.index("model_name")
    pq.write_table(table.set_column(at, "model_name", table["model_name"].cast(pa.binary())), tmp_path / "text.parquet")
    assert plain(read(tmp_path / "text.parquet")) == plain(expected)


def test_a_row_with_more_cells_than_headers_is_named(tmp_path: Path) -> None:
    rows = ["model,votes,snapshot,score", "a,1,2024-06-01,1200", "b,1,2024-06-01,1200,more"]
    (tmp_path / "board.csv").write_text("\n".join(rows))
    with pytest.raises(BadRecord, match=r"record 1: malformed: .* got a row of 5 cells under a header of 4"):
        read(tmp_path / "board.csv")


def test_names_that_are_not_utf_8_are_shown_with_escapes(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"snapshot,model,score,votes\n2026-01-01,caf\xe9,1,1\n")
    assert read_published_boards(tmp_path / "x.csv")["board"][0].models == ("caf\\xe9",)
    name = pa.array([b"caf\xe9"], pa.binary()).view(pa.string())
    table = pa.table({"snapshot": ["2026-01-01"], "model": name, "score": [1.0], "votes": [1]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert read_published_boards(tmp_path / "x.parquet")["board"][0].models == ("caf\\xe9",)


def test_many_rows_are_read_in_columns(tmp_path: Path) -> None:
    """A row is eleven numbers and codes; the read holds few copies of them, and no Python object for a row."""
    rows, models, categories = 200_000, 200, 25
    place = np.arange(rows)
    table = pa.table(
        {
            "model_name": pa.array([f"m{i}" for i in range(models)]).take(pa.array(place % models)),
            "rating": 1000.0 + place % models,
            "vote_count": 100 + place // 1000,
            "category": pa.array([f"c{i}" for i in range(categories)]).take(pa.array(place // models % categories)),
            "leaderboard_publish_date": pa.array(np.datetime64("2023-05-01") + place // (models * categories)),
        }
    )
    pq.write_table(table, tmp_path / "text.parquet")
    read_published_boards(tmp_path / "text.parquet")
    tracemalloc.start()
    found = read_published_boards(tmp_path / "text.parquet")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(found), sum(len(board.models) for of_board in found.values() for board in of_board)) == (25, rows)
    assert peak < 400 * rows


@pytest.mark.parametrize(
    "day",
    ["2026-03-01", "20260301", 20260301, 20260301.0, "2026-03-01T05:00:00Z", "2026-03-01 05:00:00", 1772323200000,
     1772323200, "2026-03-02T01:00:00+08:00"],
)  # fmt: skip
def test_a_day_is_read_in_every_spelling(tmp_path: Path, day: str | float) -> None:
    row = {"date": day, "model": "a", "score": 1.0, "votes": 1}
    write_lines(tmp_path / "day.jsonl", [row])
    assert str(read(tmp_path / "day.jsonl")["board"][0].day) == "2026-03-01"
    write_parquet(tmp_path / "day.parquet", [row])
    assert str(read(tmp_path / "day.parquet")["board"][0].day) == "2026-03-01"
    if not isinstance(day, float):
        write_csv(tmp_path / "day.csv", [row])
        assert str(read(tmp_path / "day.csv")["board"][0].day) == "2026-03-01"


@pytest.mark.parametrize("day", ["20260230", 20260230, 20261301, 0, -1, 1e300, "2026", 2026, "01.03.2026"])
def test_what_is_no_day_is_refused(tmp_path: Path, day: str | float) -> None:
    write_lines(tmp_path / "day.jsonl", [{"date": day, "model": "a", "score": 1.0, "votes": 1}])
    with pytest.raises(BadRecord, match="record 0: snapshot: expected a day"):
        read(tmp_path / "day.jsonl")
