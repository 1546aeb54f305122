"""Votes written in another format and read again are the same votes, whatever the format."""

import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadRecord, UnknownFormat
from pipeline.events import Vote, decode_votes
from pipeline.events.strict_checks import find_hidden_character
from pipeline.formats import ColumnMapping, read_records
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_battles
from pipeline.formats.left_out import LeftOut
from pipeline.formats.output_schemas import OUTPUT_SCHEMAS
from pipeline.formats.vote_columns import CODE_COLUMN, VOTE_COLUMNS
from pipeline.formats.vote_reader import REGISTRY_EVENT, VoteReader
from pipeline.formats.vote_writer import open_writer, output_kind
from pipeline.vocabulary.arrays import Int8
from pipeline.vocabulary.outcomes import OUTCOMES
from tests.unit.formats.samples import FORMATS, battles

SUFFIXES = [
    f"{plain}{packed}" for plain in (".jsonl", ".json", ".csv", ".tsv", ".parquet") for packed in ("", ".gz", ".zst")
]
EVENT = {
    "schema": 1,
    "vote_id": "v",
    "cast_at": "2024-07-01T12:00:00Z",
    "model_a": "a",
    "model_b": "b",
    "winner": "tie",
}


def convert(source: Path, target: Path, schema: str = "vote", left_out: LeftOut | None = None) -> VoteReader:
    """Convert a file as the command does."""
    written = OUTPUT_SCHEMAS[schema]
    reader = VoteReader(open_battles(source), left_out or LeftOut())
    kind, codec = output_kind(target)
    with open_writer(target, kind, codec, written.columns, events=written.events) as write:
        for batch in reader.batches():
            write(written.build(batch))
    return reader


def events_file(folder: Path, events: Sequence[object]) -> Path:
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def votes_of(path: Path) -> list[Vote]:
    votes, _, rejects = decode_votes(list(read_records(path)))
    assert not rejects
    return votes


_FORMULAS = ["=1+1", "+1", "-1", "@x", '=HYPERLINK("http://x","y")', "'=1", "-"]
_TEXT = st.one_of(
    st.sampled_from(
        [*_FORMULAS, "a,b", 'say "hi"', "a;b", " space ", "1.0", "007", "1e5", "true", "null", "nan", "NaN"]
    ),
    st.sampled_from(["[1]", '{"a": 1}', "Ünïcode", "N/A", "#N/A", "None", "\\N", "\\", "😀", "x" * 200]),
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=8).filter(
        lambda text: find_hidden_character(text) is None
    ),
)
_TIME = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda time: time.isoformat() + "Z")
_STYLE = st.dictionaries(st.sampled_from(["tokens", "headers", "lists", "bold", "emoji"]), st.integers(0, 2**31 - 1))
_FLAG = st.one_of(st.none(), st.booleans())


@st.composite
def _event(draw: st.DrawFn) -> dict[str, object]:
    models = draw(st.lists(_TEXT, min_size=2, max_size=2, unique=True))
    event = {
        "schema": 1,
        "vote_id": draw(_TEXT),
        "cast_at": draw(_TIME),
        "model_a": models[0],
        "model_b": models[1],
        "winner": draw(st.sampled_from(OUTCOMES)),
        **{name: draw(st.one_of(st.none(), _TEXT)) for name in ("voter_id", "session", "language", "category")},
        **{name: draw(st.one_of(st.none(), _TEXT)) for name in ("prompt_hash", "network")},
        "voter_since": draw(st.one_of(st.none(), _TIME)),
        **{name: draw(st.one_of(st.none(), _STYLE)) for name in ("style_a", "style_b")},
        **{name: draw(_FLAG) for name in ("anonymous", "refusal", "deduplicated", "identity_leak", CODE_COLUMN)},
        "turn": draw(st.one_of(st.none(), st.integers(1, 2**31 - 1))),
        "categories": draw(st.one_of(st.none(), st.lists(_TEXT, max_size=3))),
    }
    return {name: value for name, value in event.items() if value is not None}


_FORMAT = st.tuples(st.sampled_from(SUFFIXES), st.sampled_from(sorted(OUTPUT_SCHEMAS)))


@settings(max_examples=60, deadline=None)
@given(st.lists(_event(), min_size=1, max_size=4), st.lists(_FORMAT, min_size=1, max_size=3))
def test_any_chain_of_conversions_keeps_every_field_of_every_vote(events, chain) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = first = folder / "first.jsonl"
        convert(events_file(folder, events), first)
        assert len(votes_of(first)) == len(events)
        for step, (suffix, schema) in enumerate(chain):
            target = folder / f"{step}{suffix}"
            reader = convert(source, target, schema)
            assert reader.unread == ()
            source = target
        last = folder / "last.jsonl"
        convert(source, last)
        assert last.read_bytes() == first.read_bytes()


@pytest.mark.parametrize("schema", sorted(OUTPUT_SCHEMAS))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_format_holds_what_a_preference_set_says(tmp_path: Path, suffix: str, schema: str) -> None:
    source = tmp_path / "set.jsonl"
    source.write_text("".join(json.dumps(FORMATS["arena-human-preference-100k"](row)) + "\n" for row in battles(60)))
    convert(source, tmp_path / f"there{suffix}", schema)
    convert(tmp_path / f"there{suffix}", tmp_path / "back.jsonl")
    convert(source, tmp_path / "straight.jsonl")
    assert (tmp_path / "back.jsonl").read_bytes() == (tmp_path / "straight.jsonl").read_bytes()


@pytest.mark.parametrize("suffix", [".jsonl", ".json.gz", ".csv", ".tsv.zst", ".parquet"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_converted_file_is_rated_as_the_file_itself(tmp_path: Path, name: str, suffix: str) -> None:
    source, target = tmp_path / "set.jsonl", tmp_path / f"votes{suffix}"
    source.write_text("".join(json.dumps(FORMATS[name](row)) + "\n" for row in battles(300)))
    convert(source, target)
    one, other = read_battles(open_battles(source)), read_battles(open_battles(target))
    assert (one.models, one.voters) == (other.models, other.voters)
    for column in ("a", "b", "outcome", "voter"):
        assert getattr(one, column).tolist() == getattr(other, column).tolist(), column
    assert one.has_style.tolist() == other.has_style.tolist()
    for of_one, of_other in zip(one.style, other.style, strict=True):
        assert of_one.clip(0).tolist() == of_other.clip(0).tolist()
    assert _stated(one.flags) == _stated(other.flags)
    assert _labels(one.categories) == _labels(other.categories)


def _stated(flags: Mapping[str, Int8]) -> dict[str, list[int]]:
    return {flag: found.tolist() for flag, found in flags.items() if (found >= 0).any()}


def _labels(categories: tuple[tuple[str, ...], object]) -> list[set[str]]:
    names, bits = categories
    return [{name for k, name in enumerate(names) if of_vote >> k & 1} for of_vote in bits.tolist()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["FastChat battles", "arena-human-preference-140k", "compar:IA votes"])
def test_a_converted_file_gives_work_the_votes_and_ids_of_the_file_itself(tmp_path: Path, name: str) -> None:
    rows = [FORMATS[name](row) for row in battles(200)]
    ids = {"question_id", "id"}
    rows += [{key: value for key, value in row.items() if key not in ids} for row in [*rows[:20], *rows[:20]]]
    source = tmp_path / "set.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = votes_of(source)
    assert len({vote.vote_id for vote in expected}) == len(expected) == 240
    for suffix in (".jsonl", ".csv", ".parquet"):
        convert(source, tmp_path / f"votes{suffix}")
        assert votes_of(tmp_path / f"votes{suffix}") == expected
    if name != "arena-human-preference-140k":  # the same bytes, without is_code: `work` sees that it has read this file
        assert (tmp_path / "votes.jsonl").read_bytes().splitlines() == list(read_records(source))


def test_the_columns_are_the_fields_of_a_vote() -> None:
    assert {*VOTE_COLUMNS.names} == {*Vote.__struct_fields__, CODE_COLUMN}


def test_a_cell_that_begins_like_a_formula_is_quoted_and_not_changed(tmp_path: Path) -> None:
    events = [{**EVENT, "model_a": text, "vote_id": text} for text in _FORMULAS]
    convert(events_file(tmp_path, events), tmp_path / "votes.csv")
    lines = (tmp_path / "votes.csv").read_text().splitlines()
    assert '"+1"' in lines[2]
    with (tmp_path / "votes.csv").open(newline="") as text:
        assert [row["model_a"] for row in csv.DictReader(text)] == _FORMULAS


def test_what_is_no_vote_is_named_or_left_out_and_counted(tmp_path: Path) -> None:
    bad = {**EVENT, "winner": "nobody"}
    registry = {"schema": 1, "event_id": "e", "at": EVENT["cast_at"], "type": "model.released", "model": "a"}
    source = events_file(
        tmp_path,
        [EVENT, bad, {**EVENT, "model_b": "a", "vote_id": "of one model"}, registry, {**EVENT, "vote_id": "w"}],
    )
    with pytest.raises(BadRecord, match=r"events\.jsonl, record 1 \(line 2\): unknown_outcome: expected one of"):
        convert(source, tmp_path / "votes.csv")
    left_out = LeftOut(skip_bad=True)
    convert(source, tmp_path / "votes.csv", left_out=left_out)
    assert left_out.counts == {"unknown_outcome": 1, REGISTRY_EVENT: 1}
    assert [left_out.first[reason][0] for reason in left_out.counts] == [1, 3]
    ids = [json.loads(raw)["vote_id"] for raw in read_records(tmp_path / "votes.csv")]
    assert ids == ["v", "of one model", "w"]


def test_a_battle_of_a_model_against_itself_stays_what_it_is(tmp_path: Path) -> None:
    untimed = {"schema": 1, "vote_id": "u", "model_a": "a", "model_b": "a", "winner": "tie", "anonymous": False}
    events = [EVENT, {**untimed, "comment": "half a pair \ud83d"}, {**EVENT, "model_b": "a", "vote_id": "w"}]
    source = events_file(tmp_path, events)
    for suffix in (".jsonl", ".csv", ".parquet"):
        reader = convert(source, tmp_path / f"votes{suffix}")
        assert reader.self_battles == 2
        assert convert(tmp_path / f"votes{suffix}", tmp_path / "back.jsonl").self_battles == 2
        _, _, rejects = decode_votes(list(read_records(tmp_path / f"votes{suffix}")))
        assert [reject.reason for reject in rejects] == ["missing_field", "self_battle"]
        left_out = LeftOut()
        assert len(read_battles(open_battles(tmp_path / f"votes{suffix}"), left_out=left_out)) == 1
        assert left_out.counts == {"self_battle": 2}


def test_a_time_that_is_none_is_an_error_that_says_how_to_leave_it_out(tmp_path: Path) -> None:
    source = tmp_path / "set.csv"
    source.write_text("model_a,model_b,winner,tstamp\na,b,tie,yesterday\n")
    with pytest.raises(BadRecord, match=r"record 0 \(line 2\): bad_time: .*yesterday.*--columns cast_at="):
        convert(source, tmp_path / "votes.csv")
    reader = VoteReader(open_battles(source, ColumnMapping.parse("cast_at=")), LeftOut())
    assert [batch["cast_at"].to_pylist() for batch in reader.batches()] == [[None]]


def test_with_skip_bad_a_vote_is_kept_without_a_time_that_is_none(tmp_path: Path) -> None:
    source = tmp_path / "set.csv"
    rows = ["a,b,tie,yesterday,2020-01-01", "b,a,model_a,2024-01-01,1850-01-01", "a,b,model_b,never,now", "b,a,tie,,"]
    source.write_text("\n".join(["model_a,model_b,winner,tstamp,voter_since", *rows, "a,b,draw,x,y", ""]))
    left_out = LeftOut(skip_bad=True)
    reader = convert(source, tmp_path / "votes.parquet", left_out=left_out)
    assert (reader.bad_times.counts, left_out.counts) == ({"bad_time": 4}, {"unknown_outcome": 1})
    assert reader.bad_times.first["bad_time"][0] == 0
    table = pq.read_table(tmp_path / "votes.parquet")
    assert [time and time.year for time in table["cast_at"].to_pylist()] == [None, 2024, None, None]
    assert [time and time.year for time in table["voter_since"].to_pylist()] == [2020, None, None, None]
    one = read_battles(open_battles(source), left_out=LeftOut(skip_bad=True))
    other = read_battles(open_battles(tmp_path / "votes.parquet"))
    assert (one.models, one.outcome.tolist()) == (other.models, other.outcome.tolist())


def test_unread_keys_are_named_wherever_they_are(tmp_path: Path) -> None:
    events = [EVENT] * 3_000 + [{**EVENT, "late_key": 1}]
    reader = convert(events_file(tmp_path, events), tmp_path / "votes.parquet")
    assert reader.unread == ("late_key",)
    pq.write_table(pa.Table.from_pylist([{**EVENT, "comment": "x"}]), tmp_path / "own.parquet")
    assert convert(tmp_path / "own.parquet", tmp_path / "votes.csv").unread == ("comment",)


def test_a_file_without_votes_is_a_file_of_its_format(tmp_path: Path) -> None:
    source = tmp_path / "none.csv"
    source.write_text("model_a,model_b,winner\n")
    for suffix in SUFFIXES:
        for schema in OUTPUT_SCHEMAS:
            target = tmp_path / f"{schema}{suffix}"
            convert(source, target, schema)
            assert list(read_records(target)) == []


@pytest.mark.parametrize("name", ["votes", "votes.txt", "votes.gz", "votes.xlsx", ".csv.zip"])
def test_a_name_without_a_known_suffix_is_refused(name: str) -> None:
    with pytest.raises(UnknownFormat, match="expected a name that ends in"):
        output_kind(Path(name))


def test_a_row_group_is_bounded_and_the_batches_are_pieces(tmp_path: Path) -> None:
    events = [{**EVENT, "vote_id": str(n)} for n in range(25_000)]
    reader = VoteReader(open_battles(events_file(tmp_path, events)), LeftOut())
    assert [len(batch) for batch in reader.batches()] == [10_000, 10_000, 5_000]
