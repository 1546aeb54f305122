"""Battle files: record i of a file is row i of what comes out, with the same bytes on every reading."""

import csv
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UnknownFormat
from pipeline.events import Reject, Style, Vote, canonical_record, decode_votes, encode_event
from pipeline.formats import ColumnMapping, is_registry_event, read_records
from pipeline.formats.time_parsing import to_rfc3339

BATTLE = {
    "question_id": "q1",
    "model_a": "ant",
    "model_b": "bee",
    "winner": "model_a",
    "judge": "arena_user_1.2.3.4",
    "anony": True,
    "language": "English",
    "turn": 1,
    "tstamp": 1707700514.3167,
}
OURS = {
    "schema": 1,
    "vote_id": "v1",
    "cast_at": "2024-07-01T12:00:00Z",
    "model_a": "ant",
    "model_b": "bee",
    "winner": "tie",
}


def decoded(path: Path, mapping: ColumnMapping | None = None) -> tuple[list[Vote], list[int], list[Reject]]:
    return decode_votes(list(read_records(path, mapping)))


def votes(path: Path, mapping: ColumnMapping | None = None) -> list[Vote]:
    good, positions, rejects = decoded(path, mapping)
    assert rejects == []
    assert positions == list(range(len(good)))
    return good


def jsonl(path: Path, records: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def table(path: Path, *rows: list[object]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


# -- FastChat ---------------------------------------------------------------------------------


def test_fastchat_gives_the_same_events_as_array_and_as_lines(tmp_path: Path) -> None:
    battles = [BATTLE, {**BATTLE, "question_id": "q2", "winner": "tie (bothbad)"}]
    array = tmp_path / "a.json"
    array.write_text(json.dumps(battles, indent=2))
    lines = jsonl(tmp_path / "a.jsonl", battles)
    assert list(read_records(array)) == list(read_records(lines))
    first, second = votes(array)
    assert (first.vote_id, first.model_a, first.model_b, first.winner) == ("q1", "ant", "bee", "model_a")
    assert first.cast_at == datetime(2024, 2, 12, 1, 15, 14, 316700, tzinfo=UTC)
    assert (first.voter_id, first.language) == ("arena_user_1.2.3.4", "English")
    assert second.winner == "both_bad"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("tie (bothbad)", "both_bad"),
        ("tie(bothbad)", "both_bad"),
        ("bothbad", "both_bad"),
        ("both bad", "both_bad"),
        ("tie", "tie"),
        ("model_b", "model_b"),
    ],
)
def test_every_published_spelling_of_an_outcome_is_known(theirs: str, ours: str, tmp_path: Path) -> None:
    assert votes(jsonl(tmp_path / "a.jsonl", [{**BATTLE, "winner": theirs}]))[0].winner == ours


@pytest.mark.parametrize("judge", ["arena_user", "arena_user_::1", "arena_user_127.0.0.1", None, ""])
def test_the_address_of_a_proxy_is_no_voter(judge: str | None, tmp_path: Path) -> None:
    assert votes(jsonl(tmp_path / "a.jsonl", [{**BATTLE, "judge": judge}]))[0].voter_id is None


def test_an_unknown_outcome_is_passed_on_and_rejected_with_its_row(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [BATTLE, {**BATTLE, "winner": "ant"}, {**BATTLE, "winner": 3}, BATTLE])
    _, positions, rejects = decoded(path)
    assert positions == [0, 3]
    assert [(r.position, r.reason) for r in rejects] == [(1, "unknown_outcome"), (2, "unknown_outcome")]
    assert "'ant'" in rejects[0].detail


def test_a_record_that_cannot_be_mapped_keeps_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        json.dumps(BATTLE),
        "{broken",
        "",
        "[1]",
        "7",
        json.dumps({"question_id": "x"}),
        "\xff",
    ]
    path.write_bytes("\n".join([*lines, json.dumps(BATTLE)]).encode("latin-1"))
    _, positions, rejects = decoded(path)
    assert positions == [0, 6]  # an empty line is no record
    assert [(r.position, r.reason) for r in rejects] == [
        (1, "malformed"),
        (2, "wrong_type"),
        (3, "wrong_type"),
        (4, "missing_field"),
        (5, "bad_utf8"),
    ]


def test_a_missing_time_is_missing_and_a_wrong_one_is_shown(tmp_path: Path) -> None:
    absent = {k: v for k, v in BATTLE.items() if k != "tstamp"}
    path = jsonl(tmp_path / "a.jsonl", [absent, {**BATTLE, "tstamp": "soon"}, {**BATTLE, "tstamp": True}])
    _, _, rejects = decoded(path)
    assert [r.reason for r in rejects] == ["missing_field", "bad_time", "bad_time"]
    assert rejects[1].detail.endswith("got soon in column tstamp")


# -- the 140k schema --------------------------------------------------------------------------


def preference(**changes: object) -> dict[str, object]:
    metadata = {
        f"{name}_{side}{end}": value
        for side, plus in (("a", 0), ("b", 100))
        for name, end, value in (
            ("sum_assistant", "_tokens", 7 + plus),
            ("header_count", "", {"h1": 1, "h2": 2 + plus, "h3": None}),
            ("list_count", "", {"ordered": 3 + plus, "unordered": 4}),
            ("bold_count", "", {"**": 5 + plus, "__": 1}),
        )
    }
    return {
        "id": "i1",
        "model_a": "ant",
        "model_b": "bee",
        "winner": "both_bad",
        "evaluation_session_id": "s1",
        "evaluation_order": 1,
        "conversation_a": [{"role": "user", "content": "hello"}],
        "full_conversation": [{"role": "user", "content": "hello"}],
        "conv_metadata": metadata,
        "language": "en",
        "timestamp": datetime(2025, 6, 1, 10, 0, 0, 123456),
        **changes,
    }


def test_the_140k_schema_is_read_from_parquet_with_style_and_session(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([preference(), preference(id=None, language=None)]), path)
    first, second = votes(path)
    assert (first.vote_id, first.voter_id, first.winner, first.language) == ("i1", "s1", "both_bad", "en")
    assert first.cast_at == datetime(2025, 6, 1, 10, 0, 0, 123456, tzinfo=UTC)
    # tokens, headers, lists, bold; nobody counts emoji in that schema
    assert first.style_a == Style(7, 3, 7, 6, 0)
    assert first.style_b == Style(107, 103, 107, 106, 0)
    assert (len(second.vote_id), second.language) == (64, None)


def test_the_140k_schema_gives_the_same_events_as_lines(tmp_path: Path) -> None:
    parquet, lines = tmp_path / "a.parquet", tmp_path / "a.jsonl"
    records = [preference(), preference(id="i2", winner="tie", conv_metadata=None)]
    pq.write_table(pa.Table.from_pylist(records), parquet)
    jsonl(lines, [{**r, "timestamp": "2025-06-01T10:00:00.123456"} for r in records])
    assert list(read_records(parquet)) == list(read_records(lines))
    assert votes(lines)[1].style_a is None


# -- tables -----------------------------------------------------------------------------------


def test_a_table_is_read_by_the_usual_names(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        ["id", "created_at", "left_model", "right_model", "outcome", "visitor_id", "lang", "category", "spare"],
        ["7", "2024-09-03T18:55:33.015000", "ant", "bee", "tie", "u1", "fr", "maths", "x"],
        ["8", "2024-09-03 20:55:33+02:00", "ant", "bee", "bothbad", "", "", "", ""],
    )
    first, second = votes(path)
    assert (first.vote_id, first.voter_id, first.language, first.category) == ("7", "u1", "fr", "maths")
    assert first.cast_at == datetime(2024, 9, 3, 18, 55, 33, 15000, tzinfo=UTC)
    assert second.cast_at == datetime(2024, 9, 3, 18, 55, 33, tzinfo=UTC)
    assert (second.winner, second.voter_id, second.language) == ("both_bad", None, None)


def test_a_column_map_names_columns_and_spellings(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        ["id", "left", "model_b", "worker", "winner", "cast_at"],
        ["1", "ant", "bee", "w1", "left", "1707700511"],
        ["2", "ant", "bee", "w1", "right", "1707700512"],
        ["3", "ant", "bee", "w1", "nobody", "1707700513"],
    )
    mapping = ColumnMapping.parse("model_a = left,vote_id=", "left=model_a, right=model_b")
    good, positions, rejects = decoded(path, mapping)
    assert [v.winner for v in good] == ["model_a", "model_b"]
    assert [v.model_a for v in good] == ["ant", "ant"]
    assert {len(v.vote_id) for v in good} == {64}  # vote_id= leaves the column id out
    assert positions == [0, 1]
    assert (rejects[0].position, rejects[0].reason) == (2, "unknown_outcome")


def test_a_column_map_applies_to_json(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"x": "ant", "y": "bee", "winner": "L", "time": 1707700514, "judge": "w"}])
    (vote,) = votes(path, ColumnMapping.parse("model_a=x,model_b=y", "L=model_a"))
    assert (vote.model_a, vote.model_b, vote.winner, vote.voter_id) == ("ant", "bee", "model_a", "w")


def test_a_cell_of_bad_utf_8_is_rejected_as_in_json(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"\xef\xbb\xbfmodel_a,model_b,winner,time\nant\xff,bee,tie,1707700514\nant,bee,ti\xe9,1707700514\n"
    )
    good, _, rejects = decoded(path)
    assert good == []
    assert [(reject.position, reject.reason) for reject in rejects] == [(0, "bad_utf8"), (1, "bad_utf8")]
    assert [reject.detail.split(" in ")[1] for reject in rejects] == ["'model_a'", "'winner'"]


def test_a_row_with_too_few_or_too_many_cells_is_rejected(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        ["model_a", "model_b", "time", "winner"],
        ["ant", "bee", "1707700514"],
        ["ant", "bee", "1707700514", "tie", "more", "more"],
    )
    good, _, rejects = decoded(path)
    assert good == []
    assert [reject.reason for reject in rejects] == ["missing_field", "unknown_outcome"]
    assert rejects[1].detail.endswith("got 'a row of 6 cells under a header of 4'")


# -- our own ----------------------------------------------------------------------------------


def test_our_own_lines_are_passed_on_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        json.dumps(OURS).encode(),
        b'{"schema" : 1,   "vote_id":"x"}',
        b"{broken",
        json.dumps({**OURS, "schema": 9}).encode(),
        json.dumps({**OURS, "vote_id": "\u00e9"}, ensure_ascii=False).encode(),
        b'{"schema":1,"event_id":"e","type":"model.retracted"}',
        json.dumps(OURS)[:-1].encode() + b',"winner":"tie"}',
    ]
    path.write_bytes(b"\r\n".join(lines))
    assert list(read_records(path)) == lines
    _, positions, rejects = decoded(path)
    assert positions == [0, 4]
    assert [(r.position, r.reason) for r in rejects] == [
        (1, "missing_field"),
        (2, "malformed"),
        (3, "unknown_schema"),
        (5, "missing_field"),
        (6, "duplicate_key"),
    ]


def test_our_own_lines_without_an_id_get_one(tmp_path: Path) -> None:
    record = {k: v for k, v in OURS.items() if k != "vote_id"}
    path = jsonl(tmp_path / "a.jsonl", [record, {**record, "new": 1, "voter_id": "u"}])
    first, second = list(read_records(path))
    assert {k: v for k, v in json.loads(first).items() if k != "vote_id"} == record
    assert json.loads(second)["new"] == 1
    assert json.loads(first)["vote_id"] != json.loads(second)["vote_id"]


def test_our_own_parquet_gives_the_votes_that_our_own_lines_give(tmp_path: Path) -> None:
    style = {"tokens": 1, "headers": 2, "lists": 3, "bold": 4, "emoji": 5}
    records = [
        {
            **OURS,
            "voter_id": "u",
            "language": "de",
            "category": "maths",
            "prompt_hash": "p",
            "network": "n",
            "voter_since": "2024-06-01T00:00:00.000001Z",
            "style_a": style,
            "style_b": {**style, "emoji": 0},
        },
        {**OURS, "vote_id": "v2", "winner": "both_bad"},
    ]
    stamped = [
        {k: datetime.fromisoformat(v) if k in {"cast_at", "voter_since"} else v for k, v in r.items()} for r in records
    ]
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(stamped), parquet)
    assert votes(parquet) == votes(jsonl(tmp_path / "a.jsonl", records))


def test_registry_events_are_recognised() -> None:
    assert is_registry_event(b'{"schema":1,"event_id":"e","at":"2024-01-01T00:00:00Z","type":"model.retracted"}')
    assert not is_registry_event(json.dumps(OURS).encode())
    assert not is_registry_event(json.dumps({**OURS, "event_id": 1, "type": 2}).encode())


# -- ids --------------------------------------------------------------------------------------


@given(rows=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["tie", "model_a"])), max_size=12))
def test_identical_rows_get_different_ids_and_every_reading_the_same(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    header = ["model_a", "model_b", "winner", "time"]
    path = table(tmp_path_factory.mktemp("ids") / "a.csv", header, *[[a, "z", w, "5"] for a, w in rows])
    records = list(read_records(path))
    assert list(read_records(path)) == records
    ids = [json.loads(r)["vote_id"] for r in records]
    assert len(set(ids)) == len(rows)
    # The id says what the row says and how many like it stood before it: not where it stands.
    other = table(path.with_name("b.csv"), header, *[[a, "z", w, "5"] for a, w in reversed(rows)])
    assert {json.loads(r)["vote_id"] for r in read_records(other)} == set(ids)


def test_the_same_battle_has_the_same_id_in_every_kind_of_file(tmp_path: Path) -> None:
    battle = {"model_a": "ant", "model_b": "bee", "winner": "tie", "tstamp": 5.25}
    array, parquet = tmp_path / "a.json", tmp_path / "a.parquet"
    array.write_text(json.dumps([battle, battle]))
    pq.write_table(pa.Table.from_pylist([battle, battle]), parquet)
    paths = [array, parquet, jsonl(tmp_path / "a.jsonl", [battle] * 2), jsonl(tmp_path / "a.NDJSON", [battle] * 2)]
    paths.append(table(tmp_path / "a.csv", list(battle), list(battle.values()), list(battle.values())))
    (records,) = {tuple(read_records(path)) for path in paths}
    assert canonical_record(json.loads(records[0])) == canonical_record(json.loads(records[1]))
    assert records[0] != records[1]
    assert [encode_event(json.loads(r)) for r in records] == list(records)


# -- what is no battle file -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "culprit"),
    [
        ("a.txt", b"", r"\.parquet, got 'a\.txt'"),
        ("a", b"", r"a: expected records, got ''"),
        ("a.json", b"7", r"a\.json: expected a JSON array of battles, or JSON Lines, got '7'"),
        ("a.json", b'{"foo": 1}', r"a\.json: expected a column for model_a .* got \['foo'\]"),
        ("a.json", b"[{]", r"a\.json: expected a JSON array"),
        ("a.json", b"", r"a\.json: expected a JSON array"),
        ("a.parquet", b"PAR1", r"a\.parquet: expected Parquet"),
        ("a.csv", b"", r"a\.csv: expected a column for model_a"),
        ("a.csv", b"model_a,winner\n", r"a\.csv: expected a column for model_b \(.*\), got .*--columns model_b=HEADER"),
        ("a.csv", b"model_a,model_b\n", r"a\.csv: expected a column for winner"),
        (
            "a.csv",
            b"model_a,model_b,win_a,win_b,tie,tie_bothbad\na,b,1,2,3,4\n",
            r"a\.csv: expected a row for each vote, .*: a file of counts cannot be read, expected the votes that were ",
        ),
    ],
)
def test_a_file_in_no_format_is_named_with_what_it_lacks(
    name: str, content: bytes, culprit: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnknownFormat, match=culprit):
        list(read_records(tmp_path / name))


def test_a_parquet_file_without_battles_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"model_a": ["ant"], "chosen": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(UnknownFormat, match=r"a\.parquet: expected a column for model_b"):
        list(read_records(tmp_path / "a.parquet"))


def test_a_column_map_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match="got 'modle_a'"):
        ColumnMapping.parse("modle_a=left")
    with pytest.raises(UnknownFormat, match="expected NAME=VALUE, got 'left'"):
        ColumnMapping.parse("", "left")
    with pytest.raises(UnknownFormat, match=r"--outcomes: expected one of model_a, .* for 'left', got 'first'"):
        ColumnMapping.parse("", "left=first")
    path = table(tmp_path / "a.csv", ["model_a", "model_b", "winner"])
    with pytest.raises(UnknownFormat, match=r"a\.csv: expected columns \['when'\]"):
        list(read_records(path, ColumnMapping.parse("cast_at=when")))


# -- times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (946684800, "2000-01-01T00:00:00Z"),
        (4102444799, "2099-12-31T23:59:59Z"),
        (4102444800, "4102444800"),
        (1715000000123456789, "1715000000123456789: nanoseconds?"),
        ("2024", "2024: a year?"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-14:00"),
        ("06/05/2024 12:53", "06/05/2024 12:53"),
        (1707700514.3167, "2024-02-12T01:15:14.316700Z"),
        (1707700514316, "2024-02-12T01:15:14.316000Z"),
        (1707700514316701, "2024-02-12T01:15:14.316701Z"),
        ("1707700514", "2024-02-12T01:15:14Z"),
        ("2024-02-12", "2024-02-12T00:00:00Z"),
        (" 2024-02-12 01:15:14 ", "2024-02-12T01:15:14Z"),
        ("2024-02-12T01:15:14+05:30", "2024-02-11T19:45:14Z"),
        (datetime(2024, 2, 12, 1, 15, 14, 1, tzinfo=UTC), "2024-02-12T01:15:14.000001Z"),
        (datetime(2024, 2, 12, 1, 15, 14), "2024-02-12T01:15:14Z"),
        (date(2024, 2, 12), "2024-02-12T00:00:00Z"),
        (None, None),
        ("", None),
        (float("nan"), None),
        (float("inf"), "inf"),
        (-1, "-1"),
        ("yesterday", "yesterday"),
    ],
)
def test_every_way_of_writing_a_time_is_read_and_a_naive_one_is_utc(value: object, text: str | None) -> None:
    assert to_rfc3339(value) == text


def test_a_number_of_thousands_of_digits_is_no_time() -> None:
    assert to_rfc3339(10**5000, "tstamp") == "a number of thousands of digits in column tstamp"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_text_numbers_and_datetimes_mean_the_same_instant(time: datetime) -> None:
    micros = (time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6
    expected = time.replace(tzinfo=None).isoformat() + "Z"
    assert to_rfc3339(time) == to_rfc3339(time.isoformat()) == to_rfc3339(expected) == expected
    if micros >= 1e14:  # smaller numbers are read as milliseconds
        assert to_rfc3339(round(micros)) == expected


# -- files as they are published --------------------------------------------------------------


def test_a_fastchat_file_behind_a_proxy_is_votes_without_voters_and_one_reject(tmp_path: Path) -> None:
    battles = [{**BATTLE, "question_id": f"q{i}", "judge": "arena_user_127.0.0.1"} for i in range(6)]
    battles[4]["winner"] = "model_c"
    good, _, rejects = decoded(jsonl(tmp_path / "a.jsonl", battles))
    assert [r.position for r in rejects] == [4]
    assert [v.vote_id for v in good] == ["q0", "q1", "q2", "q3", "q5"]
    assert {v.voter_id for v in good} == {None}


def test_a_table_is_rejected_exactly_where_a_model_meets_itself(tmp_path: Path) -> None:
    names = ["ant", "bee", "cat"]
    rows = [[f"v{i}", names[i % 3], names[i // 3 % 3], "tie", "2024-09-01 10:00:00"] for i in range(9)]
    path = table(tmp_path / "a.csv", ["id", "model_a", "model_b", "winner", "timestamp"], *rows)
    good, positions, rejects = decoded(path)
    assert [(r.position, r.reason) for r in rejects] == [(i, "self_battle") for i in (0, 4, 8)]
    assert [v.vote_id for v in good] == [rows[i][0] for i in positions]
    assert len(good) == 6
