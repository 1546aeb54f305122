"""Times, sessions, networks and turns of a battle file as numbers, by column as record by record."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.formats import ColumnMapping
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.battle_tables import read_by_column
from pipeline.formats.number_columns import time_column
from pipeline.formats.time_parsing import to_time
from pipeline.formats.vote_collector import ALL_COLUMNS
from pipeline.ratings.battle_columns import NUMBERS
from pipeline.vocabulary.time import NO_TIME

NEEDED = replace(ALL_COLUMNS, numbers=frozenset(NUMBERS))
TIMES = [
    ["2024-06-15T10:00:00Z", "2024-06-15T12:00:00.5+02:00", ""],
    ["2024-06-15 10:00:00", "2024-06-15"],
    ["1718236800.5", "", "1718236800"],
    ["2024", "1999-01-01", "x", "2024-06-15 10:00:00 UTC"],
    [1718236800.25, float("nan"), None, -1.0, float("inf")],
    [1718236800123, 1718236800123456, 0],
    [True, False],
    [Decimal("1718236800.500000"), None, Decimal("-1.000000")],
    ["20240615", "20240616"],
    ["20240615", "1718236800.5"],
]


@pytest.mark.parametrize("values", TIMES)
def test_a_column_of_times_is_read_as_single_times_are(values: list[object]) -> None:
    alone = [NO_TIME if isinstance(one, bool) or (time := _one(one)) is None else time for one in values]
    assert time_column(pa.array(values)).tolist() == alone


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_times_are_read_from_every_type_of_text(kind: pa.DataType) -> None:
    texts = pa.array(["2024-06-15T10:00:00Z", "", None], kind)
    assert time_column(texts).tolist() == [1718445600_000000, NO_TIME, NO_TIME]


def _one(value: object) -> int | None:
    return None if value is None or value != value or value == "" else to_time(value)


def _rows() -> list[dict[str, object]]:
    battle = {"model_a": "ant", "model_b": "bee", "winner": "model_a", "voter_id": "v1"}
    return [
        {**battle, "timestamp": "2024-06-15T10:00:00Z", "session": "s one", "network": "n1", "turn": 2},
        {**battle, "timestamp": "2024-06-15T11:00:00Z", "session": "None", "network": "n2", "turn": 1},
        {**battle, "timestamp": "2024-06-15T12:00:00Z", "session": "s one", "network": "n1", "turn": None},
        {**battle, "timestamp": None, "session": None, "network": None, "turn": 3},
    ]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_numbers_are_the_same_by_column_and_by_record(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"battles{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(_rows()), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in _rows()))
    file = open_battles(path, ColumnMapping())
    by_column = read_by_column(file, needed=NEEDED)
    assert by_column is not None
    for found in (by_column, read_by_record(file, None, needed=NEEDED)):
        assert set(found.numbers) == set(NUMBERS)
        assert found.numbers["cast_at"].tolist() == [
            1718445600_000000, 1718449200_000000, 1718452800_000000, NO_TIME
        ]  # fmt: skip
        assert found.numbers["turn"].tolist() == [2, 1, 0, 3]
        session, network = found.numbers["session"], found.numbers["network"]
        assert (session[0] == session[2] != 0) and session[1] == session[3] == 0, "a placeholder is no session"
        assert network[0] == network[2] != network[1] and network[3] == 0
        assert (found.numbers["voter_since"] == NO_TIME).all()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_one_time_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path, suffix: str) -> None:
    cast, since = ["2024-06-15T10:00:00Z", "x", "2000-01-01T00:00:00Z", "y"], ["x", "2024-01-01", "2024-01-01", "y"]
    rows = [
        {"model_a": "ant", "model_b": "bee", "winner": "model_a", "timestamp": one, "account": other}
        for one, other in zip(cast, since, strict=True)
    ]
    path = tmp_path / f"battles{suffix}"
    if suffix == ".csv":
        path.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = open_battles(path, ColumnMapping({"voter_since": "account"}))
    by_column = read_by_column(file, needed=NEEDED)
    assert by_column is not None
    for found in (by_column, read_by_record(file, None, needed=NEEDED)):
        assert found.numbers["cast_at"].tolist() == [1718445600_000000, NO_TIME, NO_TIME, NO_TIME]
        assert found.numbers["voter_since"].tolist() == [NO_TIME, 1704067200_000000, 1704067200_000000, NO_TIME]


def test_numbers_follow_the_votes_that_stay(tmp_path: Path) -> None:
    path = tmp_path / "battles.parquet"
    rows = _rows()
    rows[1]["model_b"] = "ant"  # against itself: left out
    pq.write_table(pa.Table.from_pylist(rows), path)
    found = read_by_column(open_battles(path, ColumnMapping()), needed=NEEDED)
    assert found is not None
    assert found.numbers["turn"].tolist() == [2, 0, 3]
    kept = found.select(np.array([False, True, True]))
    assert kept.numbers["turn"].tolist() == [0, 3]
    assert kept.narrowed(voters=True, style=False, group="").numbers == {}
