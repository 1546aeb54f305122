"""Files as other programs write them: by content rather than by suffix, and shards each by its own columns."""

import gzip
import io
import json
import os
import re
import shlex
import tarfile
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import BadRecord, UnknownFormat
from pipeline.events import decode_votes
from pipeline.formats import ColumnMapping, read_records
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.battle_tables import read_battles, read_by_column
from pipeline.formats.containers import readable_path
from pipeline.formats.format_notes import format_notes
from pipeline.formats.left_out import LeftOut
from pipeline.formats.record_places import describe_record
from pipeline.formats.row_estimate import estimate_rows
from pipeline.ratings.battle_columns import BattleColumns
from tests.unit.formats.samples import FORMATS, battles

ROWS = [
    {"model_a": "ant", "model_b": "bée", "winner": "model_a", "judge": "v1", "tstamp": 1.7e9, "anony": True},
    {"model_a": "bée", "model_b": "cat", "winner": "tie (bothbad)", "judge": "v2", "tstamp": 1.7e9 + 1, "anony": False},
    {"model_a": "cat", "model_b": "ant", "winner": "model_b", "judge": "v1", "tstamp": 1.7e9 + 2, "anony": True},
]
HEADER = list(ROWS[0])


def _csv(delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(map(str, line)) + end for line in [HEADER, *(row.values() for row in ROWS)])


def _lines() -> str:
    return "".join(json.dumps(row) + "\n" for row in ROWS)


def _parquet(rows: list[dict[str, object]] | None = None) -> bytes:
    target = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS if rows is None else rows), target)
    return bytes(target.getvalue().to_pybytes())


def _zstd(text: str) -> bytes:
    return bytes(pa.compress(text.encode(), codec="zstd", asbytes=True))


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(_csv().encode())
        archive.addfile(member, io.BytesIO(_csv().encode()))
    return target.getvalue()


SHAPES: dict[str, tuple[str, bytes]] = {
    "semicolons": ("a.csv", _csv(";").encode()),
    "bars": ("a.csv", _csv("|").encode()),
    "TSV named .csv": ("a.csv", _csv("\t").encode()),
    "CSV named .tsv": ("a.tsv", _csv().encode()),
    "CSV named .json": ("a.json", _csv().encode()),
    "JSON Lines named .csv": ("a.csv", _lines().encode()),
    "JSON array named .csv": ("a.csv", json.dumps(ROWS).encode()),
    "JSON Lines named .json": ("a.json", _lines().encode()),
    "JSON array named .jsonl": ("a.jsonl", json.dumps(ROWS, indent=2).encode()),
    "Parquet named .csv": ("a.csv", _parquet()),
    "Parquet named .json": ("a.json", _parquet()),
    "gzip without its suffix": ("a.jsonl", gzip.compress(_lines().encode())),
    "Parquet in gzip": ("a.parquet.gz", gzip.compress(_parquet())),
    "no suffix": ("votes", _lines().encode()),
    "byte order mark, lines": ("a.jsonl", b"\xef\xbb\xbf" + _lines().encode()),
    "byte order mark, array": ("a.json", b"\xef\xbb\xbf" + json.dumps(ROWS).encode()),
    "byte order mark, table": ("a.csv", b"\xef\xbb\xbf" + _csv(end="\r\n").encode()),
    "UTF-16 table": ("a.csv", _csv(";", "\r\n").encode("utf-16")),
    "UTF-16 lines in gzip": ("a.jsonl.gz", gzip.compress(_lines().encode("utf-16"))),
    "line sep=;": ("a.csv", b"sep=;\r\n" + _csv(";", "\r\n").encode()),
    "empty lines": ("a.csv", b"\n\n" + _csv(end="\n\n").encode()),
    "old Macintosh lines": ("a.csv", _csv(end="\r").encode()),
    "no last newline": ("a.csv", _csv().rstrip().encode()),
    "UTF-16 without a mark": ("a.csv", _csv(";", "\r\n").encode("utf-16-le")),
    "UTF-16 lines without a mark": ("a.jsonl", _lines().encode("utf-16-be")),
    "UTF-32 table": ("a.csv", _csv().encode("utf-32")),
    "zstd after a frame of other data": ("a.jsonl", b"\x50\x2a\x4d\x18\x02\x00\x00\x00ab" + _zstd(_lines())),
    "CSV named .parquet": ("a.parquet", _csv().encode()),
    "CSV named .jsonl": ("a.jsonl", _csv().encode()),
    "CSV named .txt": ("a.txt", _csv().encode()),
}


def _same_votes(found: BattleColumns) -> None:
    assert found.models == ("ant", "bée", "cat")
    assert (found.a.tolist(), found.b.tolist(), found.outcome.tolist()) == ([0, 1, 2], [1, 2, 0], [0, 3, 1])
    assert [found.voters[code] for code in found.voter.tolist()] == ["v1", "v2", "v1"]
    assert found.flags["anonymous"].tolist() == [1, 0, 1]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_content_decides_how_a_file_is_read(shape: str, tmp_path: Path) -> None:
    name, content = SHAPES[shape]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "plain.jsonl").write_text(_lines())
    _same_votes(read_battles(open_battles(tmp_path / name)))
    _same_votes(read_by_record(open_battles(tmp_path / name), None))
    assert list(read_records(tmp_path / name)) == list(read_records(tmp_path / "plain.jsonl"))


def test_a_kind_that_the_suffix_does_not_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(_parquet())
    assert "a.csv contains Parquet, and is read as that" in format_notes(open_battles(tmp_path / "a.csv"))
    (tmp_path / "b.json").write_text(_lines())
    assert format_notes(open_battles(tmp_path / "b.json")) == ["read as FastChat battles"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"PK\x03\x04....", "expected a plain file, gzip or zstd, got a zip archive: unpack it first"),
        ("a.json", b"BZh91AY", "got bzip2"),
        ("a.jsonl.bz2", b"BZh91AY", "got bzip2"),
        ("a.csv.gz", gzip.compress(_tar()), "got a tar archive in gzip"),
        ("a.jsonl.gz", gzip.compress(gzip.compress(_lines().encode())), "got gzip in gzip"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.csv", b"<!DOCTYPE html><html>", "got a web page"),
        ("a.csv", b"SQLite format 3\x00....", "got an SQLite database"),
        ("a.parquet", b"\x80\x04\x95....", "got a Python pickle"),
        ("a.csv", b"ab\x00,c,d\n", "NUL in the first line"),
        ("a.txt", b"Dear reader", "got 'a.txt'"),
        ("a.parquet", b"PAR1....", "expected Parquet"),
        ("a.jsonl.gz", gzip.compress(_lines().encode())[:-9], "expected gzip data: Truncated"),
        ("a.csv.gz", gzip.compress(_csv().encode()) + b"rest", "expected gzip data"),
        ("a.json", json.dumps({k: {"0": v} for k, v in ROWS[0].items()}).encode(), 'to_json(orient="records"'),
        ("a.json", json.dumps({"columns": HEADER, "data": [list(ROWS[0].values())]}).encode(), "with a whole table"),
        ("a.json", json.dumps({"0": ROWS[0], "1": ROWS[1]}).encode(), "with a whole table"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_it_is(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnknownFormat) as caught:
        open_battles(tmp_path / name)
    assert message in str(caught.value)


def _write(folder: Path, **files: bytes) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


def test_a_link_to_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    folder = _write(tmp_path / "shards", a__csv=_csv().encode())
    (folder / "b.csv").symlink_to(tmp_path / "gone.csv")
    for path in (folder, folder / "*.csv"):
        with pytest.raises(UnknownFormat, match="expected a file, got a link to a file that is not there"):
            open_battles(path)


def test_a_pipe_is_read_once_and_whole(tmp_path: Path) -> None:
    pipe = tmp_path / "votes"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[_lines().encode()])
    writer.start()
    with readable_path(pipe) as copy:
        writer.join()
        _same_votes(read_battles(open_battles(copy)))
        assert (copy.name, pipe.is_fifo()) == ("pipe votes", True)
    assert not copy.exists()


def test_each_shard_is_read_by_its_own_columns(tmp_path: Path) -> None:
    anonymous = [{k: v for k, v in ROWS[0].items() if k != "judge"}]
    other = {"model_a": "cat", "model_b": "ant", "winner": "both_bad", "evaluation_session_id": "s", "timestamp": 1.7e9}
    folder = _write(
        tmp_path / "shards",
        a__parquet=_parquet(anonymous),
        b__parquet=_parquet(),
        c__jsonl=json.dumps(other).encode(),
        d__jsonl=b"",
    )
    found = read_battles(open_battles(folder))
    assert [found.voters[v] if v >= 0 else "" for v in found.voter.tolist()] == ["", "v1", "v2", "v1", "s"]
    assert found.outcome.tolist() == [0, 0, 3, 1, 3]
    votes, _, rejects = decode_votes(list(read_records(folder)))
    assert (len(votes), rejects) == (5, [])
    notes = format_notes(open_battles(folder))
    assert notes[0] == "read as table (2 files), FastChat battles (1 file), arena-human-preference-140k (1 file)"


def test_files_that_are_no_shards_are_passed_over_or_named(tmp_path: Path) -> None:
    folder = _write(tmp_path / "shards", a__parquet=_parquet(), __crc__parquet=b"x", _metadata__parquet=b"x")
    _same_votes(read_battles(open_battles(folder)))
    (folder / "dataset_infos.json").write_text('{"default": 1}')  # Hugging Face Datasets describes the shards in it
    _same_votes(read_battles(open_battles(folder)))
    (folder / "notes.json").write_text('{"by": 1}')
    with pytest.raises(UnknownFormat, match=r"notes\.json: expected a column for model_a.* several in .*shards: if it"):
        open_battles(folder)


def test_nan_is_an_absent_value(tmp_path: Path) -> None:
    rows = [{**row, "language": float("nan"), "comment": float("inf")} for row in ROWS]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    for name in ("a.jsonl", "a.json"):
        _same_votes(read_battles(open_battles(tmp_path / name)))
        votes, _, rejects = decode_votes(list(read_records(tmp_path / name)))
        assert ([vote.language for vote in votes], rejects) == ([None] * 3, [])


def test_a_key_that_is_stated_twice_is_no_battle_on_any_road(tmp_path: Path) -> None:
    line = '{"model_a": "ant", "model_b": "bee", "winner": "tie", "winner": "model_a", "tstamp": 1.7e9}\n'
    (tmp_path / "a.jsonl").write_text(line)
    with pytest.raises(BadRecord, match="duplicate_key"):
        read_battles(open_battles(tmp_path / "a.jsonl"))
    assert [reject.reason for reject in decode_votes(list(read_records(tmp_path / "a.jsonl")))[2]] == ["duplicate_key"]
    twice_in_text = line.replace('"winner": "tie", ', '"text": {"x": 1, "x": 2}, ')
    (tmp_path / "b.jsonl").write_text(twice_in_text)
    assert len(decode_votes(list(read_records(tmp_path / "b.jsonl")))[0]) == 1  # text that is not read rejects no vote


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("Model_A", 0), ("MODEL B", 1), ("Tie", 2), ("TIE (BothBad)", 3), ("tie (all bad)", 3), ("both_bad", 3)],
)
def test_the_case_of_an_outcome_does_not_matter(word: str, outcome: int, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"model_a,model_b,winner\nant,bee,{word}\n")
    assert read_battles(open_battles(tmp_path / "a.csv")).outcome.tolist() == [outcome]
    assert read_by_record(open_battles(tmp_path / "a.csv"), None).outcome.tolist() == [outcome]


def test_numbers_of_a_table_with_gaps_are_true_and_false(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "model_a,model_b,winner_model_a,winner_model_b,winner_tie\nant,bee,1.0,0.0,0.0\nant,bee,0.0,0.0,1.0\n"
    )
    assert read_battles(open_battles(path)).outcome.tolist() == [0, 2]
    path.write_text(path.read_text() + "ant,bee,0,0,0\n")
    with pytest.raises(BadRecord, match=r"record 2 \(line 4\): .*winner_model_a=0, winner_model_b=0, winner_tie=0"):
        read_battles(open_battles(path))


def test_lists_and_maps_are_read_as_numpy_and_pandas_print_them(tmp_path: Path) -> None:
    header = "model_a,model_b,winner,primary_intent,languages,timestamp"
    (tmp_path / "a.csv").write_text(f"{header}\nant,bee,tie,Other,['English' 'French'],1700000000\n")
    assert read_battles(open_battles(tmp_path / "a.csv")).groups["language"][0] == ("English",)
    tags = "\"{'math_v0.1': {'math': True}, 'if_v0.1': {'if': True, 'score': nan}}\""
    (tmp_path / "b.csv").write_text(f"model_a,model_b,winner,judge_hash,category_tag\nant,bee,tie,v,{tags}\n")
    found = read_battles(open_battles(tmp_path / "b.csv"))
    assert (sorted(found.categories[0]), found.categories[1].tolist()) == (["if", "math"], [3])


def test_blank_outcomes_of_a_table_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("model_a,model_b,winner\nant,bee,\nant,bee,  \nant,bee,tie\n")
    for read in (read_by_column, lambda file, step, left_out: read_by_record(file, step, left_out=left_out)):
        left_out = LeftOut()
        found = read(open_battles(tmp_path / "a.csv"), None, left_out)
        assert found is not None
        assert (len(found), left_out.counts) == (1, {"no_outcome": 2})


def test_named_columns_adjust_a_format_that_is_recognised(tmp_path: Path) -> None:
    row = {**ROWS[0], "judge_hash": "h", "dedup_tag": {"high_freq": True, "sampled": False}, "person": "p", "v": "bée"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    file = open_battles(tmp_path / "a.jsonl", ColumnMapping.parse("voter_id=person,winner=v", "", "name"))
    found = read_battles(file)
    assert (file.form.name, found.voters, found.outcome.tolist()) == ("arena-human-preference-100k", ("p",), [1])
    assert found.flags["deduplicated"].tolist() == [1]
    assert "judge_hash" in file.unread


def test_a_column_for_each_outcome_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,first,second,equal\nant,bee,0,1,0\nant,bee,0,0,1\n")
    mapping = ColumnMapping.parse("model_a=x,model_b=y,winner_model_a=first,winner_model_b=second,winner_tie=equal")
    file = open_battles(tmp_path / "a.csv", mapping)
    for found in (read_by_column(file), read_by_record(file, None)):
        assert found is not None
        assert found.outcome.tolist() == [1, 2]


def test_the_columns_of_a_log_are_not_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"type": "leftvote", "models": ["", ""], "states": [{}, {}], "ip": ""}\n')
    with pytest.raises(UnknownFormat, match="is a FastChat log, whose columns have fixed names"):
        open_battles(tmp_path / "a.json", ColumnMapping.parse("voter_id=ip"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet", "a.jsonl.gz"])
def test_the_number_of_rows_is_estimated_from_the_first_of_them(name: str, tmp_path: Path) -> None:
    rows = [{**ROWS[0], "judge": f"v{n % 1000:03}"} for n in range(3_000)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    table = "".join(",".join(map(str, line)) + "\n" for line in [HEADER, *(row.values() for row in rows)])
    content = {
        "a.jsonl": lines.encode(),
        "a.json": json.dumps(rows).encode(),
        "a.csv": table.encode(),
        "a.parquet": _parquet(rows),
        "a.jsonl.gz": gzip.compress(lines.encode()),
    }
    (tmp_path / name).write_bytes(content[name])
    found = estimate_rows(open_battles(tmp_path / name))
    assert found == pytest.approx(0 if name.endswith(".gz") else 3_000, rel=0.05)


def test_a_record_of_a_shard_is_named_with_its_file(tmp_path: Path) -> None:
    good = ",".join(map(str, ROWS[0].values()))
    header = ",".join(HEADER)
    folder = _write(
        tmp_path / "shards",
        a__parquet=_parquet(),
        b__csv=f"{header}\n{good}\n".encode(),
        c__csv=f"{header}\n{good}\n{good.replace('model_a', 'yes')}\n".encode(),
    )
    with pytest.raises(BadRecord) as caught:
        read_battles(open_battles(folder))
    assert (caught.value.source, caught.value.position, caught.value.reason) == ("c.csv", 1, "unknown_outcome")
    assert "`--outcomes 1=model_a,2=model_b,…`" in caught.value.detail
    assert "`--winner-is name`" in caught.value.detail
    left_out = LeftOut(skip_bad=True)
    assert len(read_battles(open_battles(folder), left_out=left_out)) == 5
    assert describe_record(open_battles(folder), left_out.first["unknown_outcome"][0]) == "record 1 of c.csv"


def test_maps_of_parquet_are_read_as_structs_are(tmp_path: Path) -> None:
    tags = pa.array([[("Legal", True), ("Writing", False)], [("Writing", True)]], pa.map_(pa.string(), pa.bool_()))
    table = pa.table({"model_a": ["ant"] * 2, "model_b": ["bee"] * 2, "winner": ["tie"] * 2, "occupational_tags": tags})
    pq.write_table(table, tmp_path / "a.parquet")
    file = open_battles(tmp_path / "a.parquet")
    assert file.form.name == "arena-expert-5k"
    for found in (read_by_column(file), read_by_record(file, None)):
        assert found is not None
        labels, bits = found.categories
        assert [{labels[k] for k in range(2) if row >> k & 1} for row in bits.tolist()] == [{"Legal"}, {"Writing"}]


@pytest.mark.parametrize("form", ["arena-human-preference-140k", "arena-human-preference-100k", "search-arena-24k"])
def test_a_published_set_without_its_voters_keeps_the_rest(form: str, tmp_path: Path) -> None:
    voters = {"evaluation_session_id", "judge_hash", "primary_intent"}
    rows = [FORMATS[form](row) for row in battles(40)]
    parts = [{k: v for k, v in row.items() if k not in voters} for row in rows]
    for name, written in (("whole", rows), ("part", parts)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written))
    whole, part = (read_battles(open_battles(tmp_path / f"{name}.jsonl")) for name in ("whole", "part"))
    assert part.style[0].tolist() == whole.style[0].tolist()
    assert part.groups["language"][0] == whole.groups["language"][0]
    assert {name: part.flags[name].tolist() for name in part.flags} == {
        name: values.tolist() for name, values in whole.flags.items()
    }
    assert set(part.categories[0]) == set(whole.categories[0])


def test_a_zone_by_name_is_a_zone(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "tstamp": f"2024-02-12 01:15:14{zone}"} for zone in (" UTC", " GMT", "Z", "+00:00", "")]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    votes, _, _ = decode_votes(list(read_records(tmp_path / "a.jsonl")))
    assert {vote.cast_at.isoformat() for vote in votes} == {"2024-02-12T01:15:14+00:00"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", json.dumps({key: [row[key] for row in ROWS] for key in HEADER}), "with a whole table"),
        ("a.json", json.dumps({"votes": ROWS, "made": "today"}), "got one object with the records under 'votes'"),
        ("a.json", json.dumps(ROWS[0], indent=2), "got a record over several lines: `jq -c .`"),
        ("a.jsonl", "\n".join(json.dumps(row, indent=2) for row in ROWS), "got a record over several lines"),
        ("a.csv", _csv().replace("model_a", "Model A", 1).replace("winner", "WINNER", 1),
         "name it with --columns 'model_a=Model A,winner=WINNER'"),
        ("a.csv", "model_1,model_2,winner\nx,y,1\n", "name it with --columns model_a=model_1,model_b=model_2"),
        ("a.csv", "left,Right,result\nx,y,left\n",
         "name it with --columns model_a=left,model_b=Right,winner=result"),
        ("a.csv", "model_a,model_b,score\nx,y,1\n", "name it with --columns winner=score"),
        ("a.csv", "winner,loser\nx,y\n",
         "name it with --columns model_a=winner,model_b=loser,winner=winner --winner-is name"),
    ],
)  # fmt: skip
def test_records_in_another_shape_are_refused_with_what_to_do(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UnknownFormat) as caught:
        open_battles(tmp_path / name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("A", "B"), "A=model_a,B=model_b"),
        (("left", "right"), "left=model_a,right=model_b"),
        (("1", "2"), "1=model_a,2=model_b"),
        (("A>B", "B>A"), "A>B=model_a,B>A=model_b"),
    ],
)
def test_usual_words_for_the_sides_are_refused_with_an_option_that_reads_them(
    words: tuple[str, str], option: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("model_a,model_b,winner\n" + "".join(f"x,y,{words[n % 3 == 0]}\n" for n in range(9)))
    with pytest.raises(BadRecord, match=re.escape(f"`--outcomes {shlex.quote(option)}`")):
        read_battles(open_battles(path))
    read = read_battles(open_battles(path, ColumnMapping.parse(outcomes=option)))
    assert read.outcome.tolist() == [1, 0, 0] * 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(ROWS)[:-1] + ",]", "record 3: expected it after the comma, got the end of the array"),
        (json.dumps(ROWS)[:-1], "record 2: expected a comma or the end of the array after it, got the end of the file"),
        (json.dumps(ROWS) + json.dumps(ROWS), "after the JSON array, got the next array"),
    ],
)
def test_an_array_that_ends_wrongly_is_refused_with_the_place(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UnknownFormat) as caught:
        list(read_records(tmp_path / "a.json"))
    assert message in str(caught.value)


def test_spaces_around_the_names_of_columns_are_not_read(tmp_path: Path) -> None:
    first, *rest = _csv().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([first.replace(",", " , "), *rest]))
    _same_votes(read_battles(open_battles(tmp_path / "a.csv")))


def test_files_that_may_be_copies_are_told(tmp_path: Path) -> None:
    folder = _write(
        tmp_path / "shards",
        a__csv=_csv().encode(),
        a__csv__gz=gzip.compress(_csv().encode()),
        b__csv=_csv().encode(),
        c__2024__jsonl=_lines().encode(),
        c__2025__jsonl=_lines().replace("v1", "v3").encode(),
    )
    notes = format_notes(open_battles(folder))
    assert [note for note in notes if "votes without an id" in note] == [
        "a.csv, b.csv have the same bytes: votes without an id count 2 times",
        "a.csv, a.csv.gz have the same name: if they are copies, votes without an id count 2 times",
    ]
