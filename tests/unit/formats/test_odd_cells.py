"""Cells that another program wrote in an odd way: bytes, another encoding, too many, decimals, hidden characters."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import BadRecord
from pipeline.events import decode_votes
from pipeline.formats import ColumnMapping, read_records
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.battle_tables import read_battles, read_by_column
from pipeline.formats.identity_leaks import shipped_leak_check
from pipeline.formats.left_out import LeftOut
from pipeline.formats.vote_collector import ALL_COLUMNS
from pipeline.ratings.battle_columns import BattleColumns

NAMES = ("ant", "bee", "cat", "ant")
ROWS: list[dict[str, Any]] = [
    {"question_id": f"q{i}", "model_a": NAMES[i], "model_b": NAMES[i + 1], "winner": "tie", "judge": f"v{i}",
     "tstamp": 1.7e9 + i}
    for i in range(3)
]  # fmt: skip


def _csv(path: Path, *changes: tuple[str, str], encoding: str = "utf-8") -> Path:
    text = "".join(",".join(map(str, line)) + "\n" for line in [list(ROWS[0]), *(row.values() for row in ROWS)])
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path.write_bytes(text.encode(encoding))
    return path


def _parquet(path: Path, name: str, values: pa.Array) -> Path:
    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, values), path)
    return path


def _read(path: Path, **how: Any) -> tuple[BattleColumns, LeftOut]:
    left_out = LeftOut(skip_bad=True)
    return read_battles(open_battles(path, ColumnMapping.parse(**how)), left_out=left_out), left_out


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())], ids=str)
@pytest.mark.parametrize("name", ["model_a", "winner", "judge"])
def test_text_that_is_stored_as_bytes_is_text(name: str, kind: pa.DataType, tmp_path: Path) -> None:
    values = pa.array([row[name].encode() for row in ROWS], pa.binary())
    odd = _parquet(tmp_path / "a.parquet", name, values.dictionary_encode() if "dictionary" in str(kind) else values)
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "b.parquet")
    found, plain = (read_by_column(open_battles(path)) for path in (odd, tmp_path / "b.parquet"))
    assert found is not None and plain is not None
    assert (found.models, list(found.voters)) == (plain.models, list(plain.voters))
    assert list(read_records(odd)) == list(read_records(tmp_path / "b.parquet"))


def test_a_digest_of_a_fixed_length_is_an_id_in_hexadecimal(tmp_path: Path) -> None:
    digests = [bytes([255, i]) * 8 for i in range(3)]
    path = _parquet(tmp_path / "a.parquet", "question_id", pa.array(digests, pa.binary(16)))
    votes, _, rejects = decode_votes(list(read_records(path)))
    assert ([vote.vote_id for vote in votes], rejects) == ([one.hex() for one in digests], [])


@pytest.mark.parametrize("kind", ["csv", "bytes", "text", "large text"])
def test_a_name_in_another_encoding_is_refused_with_its_place_and_field(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.csv" if kind == "csv" else "a.parquet")
    names = pa.array([b"b\xe9e", b"cat", b"ant"], pa.large_binary() if "large" in kind else pa.binary())
    if kind == "csv":
        _csv(path, ("bee", "b\xe9e"), encoding="latin-1")
    else:
        # Not every program that writes Parquet checks the text that it declares.
        _parquet(
            path,
            "model_b",
            names if kind == "bytes" else names.view({"text": pa.string()}.get(kind, pa.large_string())),
        )
    with pytest.raises(BadRecord, match=r"record 0.*bad_utf8: expected UTF-8, got byte 0xe9 at \d+ in 'model_b'"):
        read_battles(open_battles(path))
    found, left_out = _read(path)
    assert (len(found), left_out.counts) == (2, {"bad_utf8": 1})
    assert [reject.reason for reject in decode_votes(list(read_records(path)))[2]] == ["bad_utf8"]


def test_the_column_of_a_wrong_voter_is_named(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ("v1", "\xfc"), encoding="latin-1")
    with pytest.raises(BadRecord, match=r"record 1 \(line 3\).* in 'voter_id' \(column judge\); "):
        read_battles(open_battles(path))


def test_a_text_that_is_not_read_may_have_another_encoding(tmp_path: Path) -> None:
    changes = [("tstamp\n", "tstamp,conversation_a\n"), ("1700000000.0\n", "1700000000.0,b\xe9e\n")]
    found, left_out = _read(_csv(tmp_path / "a.csv", *changes, encoding="latin-1"))
    assert (len(found), left_out.counts) == (3, {})
    texts = pa.array([b"b\xe9e"] * 3, pa.binary()).view(pa.string())
    pq.write_table(pa.Table.from_pylist(ROWS).append_column("conversation_a", texts), tmp_path / "b.parquet")
    votes = read_battles(open_battles(tmp_path / "b.parquet"), check=shipped_leak_check())
    assert (len(votes), votes.flags) == (3, {})


def test_a_row_with_more_cells_than_headers_is_no_vote(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ("v1", "v1, the second"))
    with pytest.raises(BadRecord, match=r"record 1 \(line 3\).* got 'a row of 7 cells under a header of 6'"):
        read_battles(open_battles(path))
    found, left_out = _read(path)
    assert (len(found), left_out.counts) == (2, {"unknown_outcome": 1})
    empty = _csv(tmp_path / "b.csv", ("1700000000.0\n", "1700000000.0,,\n"))
    assert len(_read(empty)[0]) == 3


def test_decimals_are_numbers(tmp_path: Path) -> None:
    values = pa.array([Decimal("1.0"), Decimal("0.0"), Decimal("0.5")])
    path = _parquet(tmp_path / "a.parquet", "winner", values)
    found, _ = _read(path, outcomes="1=model_a,0=model_b,.5=tie")
    assert found.outcome.tolist() == [0, 1, 2]
    voters = _parquet(tmp_path / "b.parquet", "judge", pa.array([Decimal("7.00"), Decimal("7.00"), Decimal("8.50")]))
    assert [list(_read(voters)[0].voters)] == [["7", "8.5"]]


def test_whole_numbers_with_a_point_are_turns_and_counts(tmp_path: Path) -> None:
    changes = [("tstamp\n", "tstamp,turn\n"), ("1700000000.0\n", "1700000000.0,2.0\n")]
    found = decode_votes(list(read_records(_csv(tmp_path / "a.csv", *changes))))[0]
    assert [vote.turn for vote in found] == [2, None, None]


@pytest.mark.parametrize("name", [" ", "\t", "\u00a0"])
def test_a_name_of_spaces_is_no_name(name: str, tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ("bee", name))
    with pytest.raises(BadRecord, match=r"record 0.* missing_field: model_b is empty"):
        read_battles(open_battles(path))


@pytest.mark.parametrize("time", ["so\x07on", "de\u0301but", "\u200b", "1.7e9\x00"])
def test_a_wrong_time_with_hidden_characters_loses_no_vote(time: str, tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ("1700000001.0", time))
    file = open_battles(path)
    assert [len(read_by_record(file, None)), len(read_by_column(file, needed=ALL_COLUMNS) or ())] == [3, 3]
    assert [reject.reason for reject in decode_votes(list(read_records(path)))[2]] == ["bad_time"]
