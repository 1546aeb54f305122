"""Inputs that once went wrong, each kept as it was found."""

import json
from datetime import UTC, datetime

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UnknownFormat, Usage
from pipeline.events import Vote, decode_votes, registry_events, to_columns
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.formats import ColumnMapping, read_records
from pipeline.settings import load
from pipeline.stream.decoding import PseudonymCache
from pipeline.vocabulary.time import to_microseconds

EVENT = {
    "schema": 1,
    "vote_id": "v",
    "cast_at": "2024-07-01T12:00:00Z",
    "model_a": "ant",
    "model_b": "bee",
    "winner": "tie",
}


def ending(t):
    return json.dumps(EVENT)[:-1].encode() + t.encode() + b"}"


B = '{"model_a":"ant","model_b":"bee","winner":"tie","tstamp":%s}\n'


@pytest.mark.parametrize(
    "raw", [b'{"winner":"x",', b'{"winner":"x" oops}', b'{"winner":"x","z":' + b"[" * 30000 + b"]" * 30000 + b"}"]
)
def test_a_bad_winner_before_broken_json_is_a_reject(raw):
    assert len(decode_votes([raw])[2]) == 1


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "[1e999]"])
@pytest.mark.parametrize("winner", ["tie", "draw"])
def test_a_number_beyond_64_bits_is_a_reject_also_behind_a_bad_winner(winner, number):
    """Of two readers one took it, and the other ended the worker when it was to say what the winner was."""
    raw = ending(f',"more":{number}').replace(b'"tie"', f'"{winner}"'.encode())
    assert [r.reason for r in decode_votes([raw])[2]] == ["malformed"]


@pytest.mark.parametrize(
    "text",
    [
        ',"style_a":{"tokens":1,"tokens":2,"headers":0,"lists":0,"bold":0}',
        ',"winner":"model_a","winner":"model_b","style_a":{"tokens":1}',
    ],
)
def test_a_repeated_key_beside_an_incomplete_style_is_rejected(text):
    assert [r.reason for r in decode_votes([ending(text)])[2]] == ["duplicate_key"]


@pytest.mark.parametrize(
    "raw",
    [
        ending(',"voter_id":{"id":"alice"}'),
        ending(',"voter_id":["alice"]'),
        ending(',"voter\\u005fid":"alice","winner":"x"'),
        json.dumps(json.dumps({**EVENT, "voter_id": "alice"})).encode(),
        str({**EVENT, "voter_id": "alice"}).encode(),
        b'{"voter_id":"a\\\nalice"}',
        json.dumps({**EVENT, "voter_id": "alice"}).encode("utf-16-le"),
    ],
)
def test_a_voter_is_never_in_a_sample(raw):
    (r,) = decode_votes([raw])[2]
    assert b"alice" not in r.sample.replace(b"\0", b"")


def test_a_numeric_voter_is_never_in_a_sample():
    (r,) = decode_votes([ending(',"voter_id":1234567')])[2]
    assert b"1234567" not in r.sample


@pytest.mark.parametrize("voter", ["alice\u202e", "alicee\u0301"])
def test_a_voter_is_never_in_a_detail(voter):
    (r,) = decode_votes([json.dumps({**EVENT, "voter_id": voter}, ensure_ascii=False).encode()])[2]
    assert "alice" not in r.detail


def test_far_times_are_exact():
    t = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    z = np.zeros(1, dtype=np.int64)
    b = to_columns([msgspec.convert({**EVENT, "cast_at": t}, Vote)], z.astype(np.int32), z, z, PseudonymCache(len))
    assert b.cast_at[0] == to_microseconds(t)


def test_reason_is_not_read_from_the_senders_text():
    (r,) = decode_votes([json.dumps({**EVENT, "winner": "missing required field"}).encode()])[2]
    assert r.reason == "unknown_outcome"


@pytest.mark.parametrize("time", ["1" * 400, '"9999-12-31T23:59:59-05:00"', '"0001-01-01T00:00:00+05:00"'])
def test_a_time_out_of_range_costs_its_own_row_only(time, tmp_path):
    p = tmp_path / "a.jsonl"
    p.write_text(B % time + B % "1707700514")
    assert decode_votes(list(read_records(p)))[1] == [1]


@pytest.mark.parametrize(
    "meta",
    [
        '"x"',
        "[1]",
        '{"sum_assistant_a_tokens":"x"}',
        '{"sum_assistant_a_tokens":1,"header_count_a":"x"}',
        '{"sum_assistant_a_tokens":1,"header_count_a":{"h1":"x"}}',
    ],
)
def test_bad_metadata_costs_its_own_row_only(meta, tmp_path):
    p = tmp_path / "a.jsonl"
    p.write_text(
        f'{{"evaluation_session_id":"s","id":"i","model_a":"a","model_b":"b","winner":"tie","timestamp":1707700514,"conv_metadata":{meta}}}\n'
        + B % "1707700514"
    )
    assert 1 in decode_votes(list(read_records(p)))[1]


def test_nan_tokens_in_parquet_cost_their_own_row_only(tmp_path):
    p = tmp_path / "a.parquet"
    pq.write_table(
        pa.Table.from_pylist(
            [
                {
                    "evaluation_session_id": "x",
                    "id": "i",
                    "model_a": "a",
                    "model_b": "b",
                    "winner": "tie",
                    "timestamp": 1707700514,
                    "conv_metadata": {"sum_assistant_a_tokens": float("nan")},
                }
            ]
        ),
        p,
    )
    assert len(list(read_records(p))) == 1


def test_a_long_cell_does_not_end_a_csv(tmp_path):
    p = tmp_path / "a.csv"
    p.write_text("model_a,model_b,winner,time,prompt\na,b,tie,1," + "x" * 200_000 + "\n")
    assert len(list(read_records(p))) == 1


@pytest.mark.parametrize("n", [30_000, 100_000])
def test_a_deep_array_is_an_unknown_format(tmp_path, n):
    p = tmp_path / "a.json"
    p.write_bytes(b'[{"z":' + b"[" * n + b"]" * n + b"}]")
    with pytest.raises(UnknownFormat):
        list(read_records(p))


def test_a_mapped_parquet_column_whose_name_begins_with_conversation_is_read(tmp_path):
    p = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"conversation_pair_id": ["x"], "model_a": ["a"], "model_b": ["b"], "winner": ["tie"], "time": [1]}), p
    )
    (raw,) = read_records(p, ColumnMapping.parse("vote_id=conversation_pair_id"))
    assert json.loads(raw)["vote_id"] == "x"


def test_a_repeated_key_is_rejected_in_a_record_without_an_id(tmp_path):
    p = tmp_path / "a.jsonl"
    p.write_bytes(ending(',"winner":"model_a"').replace(b'"vote_id": "v", ', b""))
    assert [r.reason for r in decode_votes(list(read_records(p)))[2]] == ["duplicate_key"]


def test_compact_dates_are_dates(tmp_path):
    p = tmp_path / "a.jsonl"
    p.write_text(B % '"20240101"')
    assert decode_votes(list(read_records(p)))[0][0].cast_at.year == 2024


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LATENESS_MINUTES", "nan"),
        ("LATENESS_MINUTES", "inf"),
        ("LATENESS_MINUTES", "-5"),
        ("PARTITIONS", "0"),
        ("BATCH_VOTES", "-1"),
        ("LEAST_SHARE", "7"),
        ("MAX_REJECT_RATIO", "nan"),
        ("ANCHOR", "1114"),
        ("ANCHOR", "=5"),
        ("ANCHOR", "m=nan"),
    ],
)
def test_values_that_mean_nothing_name_the_variable(name, text, monkeypatch):
    monkeypatch.setenv("INTEGRITY_" + name, text)
    with pytest.raises(Usage, match=name):
        load()


@pytest.mark.parametrize(
    "label", ["-000000000000001", "+000000000000001", "0_0_0_0_0_0_0_00", " 00000000000000a", "0x000000000000ff"]
)
def test_only_hexadecimal_digits_are_a_label(label):
    with pytest.raises(ValueError, match="hexadecimal"):
        parse_pseudonym(label)


def test_a_registry_event_of_another_schema_is_refused():
    with pytest.raises(msgspec.ValidationError, match="schema 1"):
        registry_events.decode_event(
            b'{"schema":2,"event_id":"e","at":"2024-01-01T00:00:00Z","type":"model.retracted","model":"m","reason":"r"}'
        )
