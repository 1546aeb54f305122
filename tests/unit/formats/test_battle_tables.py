"""Battle files as columns: reading by column equals reading by record, or leaves the file to it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import BadRecord, UnknownFormat
from pipeline.formats import ColumnMapping
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.battle_tables import read_battles, read_by_column
from pipeline.formats.left_out import LeftOut
from pipeline.formats.vote_collector import ALL_COLUMNS
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.vote_files.vote_input import left_out_notes

ROOT = Path(__file__).parents[3]
PLAIN = ColumnMapping()


def _same(one: BattleColumns, other: BattleColumns) -> None:
    assert one.models == other.models
    assert one.voters == other.voters
    for name in ("a", "b", "outcome", "voter"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
    assert {n: (labels, codes.tolist()) for n, (labels, codes) in one.groups.items()} == {
        n: (labels, codes.tolist()) for n, (labels, codes) in other.groups.items()
    }
    for of_one, of_other in zip(one.style, other.style, strict=True):
        assert of_one.tolist() == of_other.tolist()


def _csv(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _battle(a: str = "ant", b: str = "bee", winner: str = "model_a", **more: object) -> dict[str, object]:
    return {"model_a": a, "model_b": b, "winner": winner, **more}


_NAMES = st.one_of(st.sampled_from(["ant", "bee", "cat, the", 'the "dog"']), st.text(min_size=1, max_size=4))
_CELLS = st.one_of(st.none(), st.sampled_from(["", "en", "Ünïcode", "a\nb", "x" * 300]), st.text(max_size=3))
_ROW = st.fixed_dictionaries(
    {
        "model_a": _NAMES,
        "model_b": _NAMES,
        "winner": st.sampled_from(["model_a", "model_b", "tie", "tie (bothbad)", "both_bad"]),
        "voter_id": _CELLS,
        "language": _CELLS,
        "session": _CELLS,
        "network": _CELLS,
        "prompt_hash": _CELLS,
        "tokens_a": st.one_of(st.none(), st.integers(0, 500)),
        "tokens_b": st.one_of(st.none(), st.integers(0, 500)),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_ROW, min_size=1, max_size=6), st.sampled_from([".csv", ".parquet"]), st.sampled_from([(), ("session",)])
)
def test_reading_by_column_equals_reading_by_record(tmp_path: Path, rows, suffix: str, numbers) -> None:
    path = tmp_path / f"battles{suffix}"
    try:
        if suffix == ".csv":
            _csv(path, rows)
        else:
            pq.write_table(pa.Table.from_pylist(rows), path)
    except (UnicodeEncodeError, pa.ArrowException):
        return  # no file can contain it
    needed = replace(ALL_COLUMNS, numbers=frozenset(numbers))
    found = read_by_column(open_battles(path, PLAIN), needed=needed)
    if found is not None:
        _same(found, read_by_record(open_battles(path, PLAIN), None, needed=needed))


@pytest.mark.parametrize("field", ["session", "network", "prompt_hash", "voter_id", "language", "category"])
@pytest.mark.parametrize("numbers", [(), ("session", "network")], ids=["rated", "reported on"])
def test_a_text_beyond_the_limit_is_refused_with_its_row_on_either_way(
    tmp_path: Path, field: str, numbers: tuple[str, ...]
) -> None:
    needed = replace(ALL_COLUMNS, numbers=frozenset(numbers))
    for name, text in {"long": "x" * 201, "wide": "\u00fc" * 201, "longest": "\u00fc" * 200}.items():
        rows = [_battle(**{field: "short"}), _battle(**{field: text})]
        paths = _csv(tmp_path / f"{name}.csv", rows), tmp_path / f"{name}.parquet", tmp_path / f"{name}.jsonl"
        pq.write_table(pa.Table.from_pylist(rows), paths[1])
        paths[2].write_text("".join(json.dumps(row) + "\n" for row in rows))
        for path in paths:
            if name == "longest":
                assert read_by_column(open_battles(path, PLAIN), needed=needed) is not None
                continue
            left_out = LeftOut(skip_bad=True)
            with pytest.raises(BadRecord, match=rf"(?s)(row|line|record) [123].*{field}"):
                read_battles(open_battles(path, PLAIN), needed=needed)
            assert len(read_battles(open_battles(path, PLAIN), left_out=left_out, needed=needed).outcome) == 1
            assert sum(left_out.counts.values()) == 1


def test_a_plain_table_is_read_by_column(tmp_path: Path) -> None:
    rows = [_battle(voter_id="v1", language="en"), _battle("bee", "cat", "tie (bothbad)", voter_id="", language="fr")]
    for path in (_csv(tmp_path / "a.csv", rows), tmp_path / "a.parquet"):
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        found = read_by_column(open_battles(path, PLAIN))
        assert found is not None
        assert (found.models, found.voters) == (("ant", "bee", "cat"), ("v1",))
        assert (found.a.tolist(), found.b.tolist(), found.outcome.tolist()) == ([0, 1], [1, 2], [0, 3])
        assert found.voter.tolist() == [0, -1]
        assert found.groups["language"][1].tolist() == [0, 1]
        _same(found, read_by_record(open_battles(path, PLAIN), None))


def test_style_comes_from_structs_columns_and_events_alike(tmp_path: Path) -> None:
    style = {"tokens": 9, "headers": 1, "lists": 0, "bold": 2, "emoji": 0}
    nested = [_battle(style_a=style, style_b={**style, "tokens": 3}), _battle(style_a=None, style_b=None)]
    pq.write_table(pa.Table.from_pylist(nested), tmp_path / "nested.parquet")
    flat = [_battle(**{f"{f}_{s}": style[f] for f in style for s in "ab"} | {"tokens_b": 3})]
    _csv(tmp_path / "flat.csv", flat)
    event = {"schema": 1, "vote_id": "1", "cast_at": "2024-08-14T00:00:00Z", **nested[0]}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n")
    nests, flats, events = (
        read_battles(open_battles(tmp_path / name)) for name in ("nested.parquet", "flat.csv", "events.jsonl")
    )
    assert read_by_column(open_battles(tmp_path / "nested.parquet")) is not None
    assert read_by_column(open_battles(tmp_path / "flat.csv")) is not None
    assert nests.has_style.tolist() == [True, False]
    for found in (nests, flats, events):
        assert (found.style[0][0].tolist(), found.style[1][0].tolist()) == ([9, 1, 0, 2, 0], [3, 1, 0, 2, 0])
    assert nests.style[0][1].tolist() == [-1] * 5
    for name in ("nested.parquet", "flat.csv"):
        _same(read_battles(open_battles(tmp_path / name)), read_by_record(open_battles(tmp_path / name), None))


def test_mapped_names_and_spellings_are_read_by_column(tmp_path: Path) -> None:
    rows = [
        {"left": "ant", "right": "bee", "choice": "L", "worker": "w"},
        {"left": "bee", "right": "ant", "choice": "T", "worker": "w"},
    ]
    path = _csv(tmp_path / "a.csv", rows)
    mapping = ColumnMapping.parse("model_a=left,model_b=right,winner=choice", "L=model_a,T=tie")
    found = read_by_column(open_battles(path, mapping))
    assert found is not None
    assert found.outcome.tolist() == [0, 2]
    assert found.voters == ("w",)
    _same(found, read_by_record(open_battles(path, mapping), None))


@pytest.mark.parametrize(
    ("rows", "place", "reason"),
    [
        ([_battle(), _battle(), _battle(winner="draw")], 2, "unknown_outcome"),
        ([_battle(""), _battle()], 0, "missing_field"),
        ([_battle(), _battle("x" * 201)], 1, "wrong_type"),
        ([_battle(), _battle("a\u202eb")], 1, "text"),
        ([_battle(tokens_a=3, tokens_b=4), _battle(tokens_a=-1, tokens_b=4)], 1, "wrong_type"),
        ([_battle(tokens_a="many", tokens_b=4)], 0, "wrong_type"),
    ],
)
def test_what_is_no_battle_is_named_with_its_row(tmp_path: Path, rows, place: int, reason: str) -> None:
    path = _csv(tmp_path / "a.csv", rows)
    assert read_by_column(open_battles(path, PLAIN)) is None
    with pytest.raises(BadRecord) as caught:
        read_battles(open_battles(path))
    assert caught.value.position == place
    assert caught.value.reason == reason


LINES = {
    "a.csv": 'sep=,\nmodel_a,model_b,winner\nant,bee,model_a\n\n,,\n"a\nnt",bee,tie\nant,,tie\n',
    "b.jsonl": '{"model_a": "ant", "model_b": "bee", "winner": "tie"}\n\n{"model_a": "ant", "winner": "tie"}\n',
}


@pytest.mark.parametrize(("name", "record", "line"), [("a.csv", 1, 6), ("b.jsonl", 1, 3)])
def test_a_bad_record_is_named_with_its_line_and_the_next_step(
    tmp_path: Path, name: str, record: int, line: int
) -> None:
    path = tmp_path / name
    path.write_text(LINES[name])
    with pytest.raises(BadRecord, match=rf"{name}, record {record} \(line {line}\): ") as caught:
        read_battles(open_battles(path))
    assert caught.value.detail.endswith("--skip-bad leaves such records out and counts them")


def test_an_empty_cell_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("model_a,model_b,winner\nant,bee,model_a\n\nant,,tie\n")
    with pytest.raises(BadRecord) as caught:
        read_battles(open_battles(path))
    told = "missing_field: model_b is empty; --skip-bad leaves such records out and counts them"
    assert str(caught.value) == f"a.csv, record 1 (line 4): {told}"
    left_out, file = LeftOut(skip_bad=True), open_battles(path)
    read_battles(file, left_out=left_out)
    assert left_out_notes(left_out, file) == [
        "1 record was left out: missing_field: model_b is empty (the first is record 1)"
    ]


def test_a_battle_of_a_model_against_itself_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [_battle(), _battle("bee", "bee"), _battle("cat", "cat"), _battle("bee", "ant")]
    for path in (_csv(tmp_path / "a.csv", rows), tmp_path / "a.json"):
        if path.suffix == ".json":
            path.write_text(json.dumps(rows))
        counted, by_row = LeftOut(), LeftOut()
        found = read_by_column(open_battles(path), None, counted)
        assert found is not None
        _same(found, read_by_record(open_battles(path), None, left_out=by_row))
        assert found.models == ("ant", "bee")
        assert counted.counts == by_row.counts == {"self_battle": 2}
        assert counted.first["self_battle"][0] == by_row.first["self_battle"][0] == 1


def test_a_battle_with_a_missing_or_invalid_time_can_be_rated(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([_battle(), _battle(tstamp="yesterday"), _battle(tstamp=1.7e9)]))
    assert len(read_battles(open_battles(path))) == 3
    path.write_text(json.dumps([_battle(), _battle(winner="draw")]))
    with pytest.raises(BadRecord, match="record 1: unknown_outcome"):
        read_battles(open_battles(path))


def test_progress_counts_every_vote(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(_battle(tstamp=1.7e9)) + "\n" for _ in range(20_500)))
    steps: list[int] = []
    assert len(read_battles(open_battles(path), step=steps.append)) == 20_500
    assert sum(steps) == 20_500
    small = ROOT / "tests/golden/small_votes.csv"
    assert len(read_battles(open_battles(small), step=steps.append)) == 900
    assert sum(steps) == 21_400


def test_progress_counts_records_that_are_no_votes_too(tmp_path: Path) -> None:
    rows = [_battle(), _battle("bee", "bee"), _battle(), _battle(winner="")]
    for reader in (read_by_column, read_by_record):
        steps: list[int] = []
        (tmp_path / "a.json").write_text(json.dumps(rows))
        found = reader(open_battles(tmp_path / "a.json"), steps.append)
        assert found is not None
        assert (len(found), sum(steps)) == (2, 4)


def test_a_file_in_no_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UnknownFormat):
        read_battles(open_battles(tmp_path / "a.txt"))
    (tmp_path / "a.parquet").write_text("x")
    with pytest.raises(UnknownFormat):
        read_battles(open_battles(tmp_path / "a.parquet"))
    (tmp_path / "a.csv").write_text("one,two\n1,2\n")
    with pytest.raises(UnknownFormat, match="column for model_a"):
        read_battles(open_battles(tmp_path / "a.csv"))


def test_a_quoted_line_break_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfprompt,model_a,model_b,winner\n"two\nlines",ant,bee,tie\nx,bee,ant,model_a\n')
    found = read_battles(open_battles(path))
    assert found.models == ("ant", "bee")
    _same(found, read_by_record(open_battles(path, PLAIN), None))


def test_an_empty_table_has_no_votes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("model_a,model_b,winner\n")
    assert len(read_battles(open_battles(tmp_path / "a.csv"))) == 0
    assert np.array_equal(read_battles(open_battles(tmp_path / "a.csv")).has_style, [])
