"""What a notebook gets is what the command line prints, to the last digit, whatever holds the votes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import leaderboard_integrity as li
from tests.command import called

VOTES = Path(__file__).parents[3] / "docs/assets/example-votes.csv"

TABLES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas with categories": lambda frame: frame.astype({"model_a": "category", "winner": "category"}),
    "pandas with a named index": lambda frame: frame.set_index("voter_id"),
    "pandas with a shuffled index": lambda frame: frame.set_axis(np.arange(len(frame))[::-1]),
    "pandas with times": lambda frame: frame.assign(cast_at=pd.to_datetime(frame["cast_at"])),
    "pandas on Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas,
    "polars with categories": lambda frame: pl.from_pandas(frame).with_columns(pl.col("model_a").cast(pl.Categorical)),
    "Arrow": pa.Table.from_pandas,
    "Arrow in pieces": lambda frame: pa.concat_tables(
        [pa.Table.from_pandas(frame[:700]), pa.Table.from_pandas(frame[700:])]
    ),
    "Arrow as a stream": lambda frame: pa.Table.from_pandas(frame).to_reader(),
    "Arrow with views": lambda frame: pa.Table.from_pandas(frame).cast(
        pa.schema([(name, pa.string_view()) for name in frame.columns])
    ),
    "read before": li.read,
}  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_csv(VOTES)


def printed(*words: str | Path) -> dict[str, Any]:
    done = called(*map(str, words), "--json", settings={})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def plain(document: Any) -> Any:
    return json.loads(json.dumps(document))


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], {}),
        (["--by-voter", "--level", "0.9"], {"by_voter": True, "level": 0.9}),
        (["--bootstrap", "20", "--seed", "3"], {"bootstrap": 20, "seed": 3}),
        (["--group", "category", "--fragility", "2"], {"group": "category", "fragility": 2}),
        (["--influence", "2", "--anchor", "fern=1200"], {"influence": 2, "anchor": ("fern", 1200.0)}),
        (["--reweight", "50", "--method", "none"], {"reweight": 50, "method": "none"}),
    ],
)
def test_a_rating_of_a_file_is_what_the_command_prints(words: list[str], arguments: dict[str, Any]) -> None:
    assert plain(li.rate(VOTES, **arguments).document) == printed("rate", VOTES, *words)


@pytest.mark.long
def test_a_report_of_a_file_is_what_the_command_prints() -> None:
    assert plain(li.report(VOTES, seed=5, level=0.9, method="none").document) == printed(
        "report", VOTES, "--method", "none", "--level", "0.9", "--seed", "5"
    )


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_rated_like_the_file(kind: str, frame: pd.DataFrame) -> None:
    arguments: Any = {"group": "category", "by_voter": True, "influence": 1}
    found, expected = li.rate(TABLES[kind](frame), **arguments), li.rate(VOTES, **arguments)
    assert found.document == expected.document
    assert found.votes == 1518


@pytest.mark.long
def test_a_table_has_the_report_of_the_file_but_for_its_hash(frame: pd.DataFrame) -> None:
    found, expected = (li.report(data, seed=2).document for data in (pl.from_pandas(frame), VOTES))
    told, expected_told = (
        [(one["id"], one["found"], [f["votes"] for f in one["findings"]]) for one in document["evidence"]]
        for document in (found, expected)
    )
    assert told == expected_told
    same = ("rows", "probes", "separated", "unchecked", "records", "left_out", "notes", "answer")
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}
    assert found["recompute"]["command"] == ""
    assert found["recompute"]["files"] == []


def test_conversations_of_polars_are_read_as_those_of_a_file(tmp_path: Path) -> None:
    names = ("ant", "bee", "cat")
    told = [{"role": "user", "content": "Who are you?"}]
    rows = [
        {
            "model_a": names[k % 3],
            "model_b": names[(k + 1) % 3],
            "winner": ("model_a", "model_b", "tie")[k // 3 % 3],
            "conversation_a": [*told, {"role": "assistant", "content": "I am ChatGPT." if k % 5 == 0 else "No."}],
            "conversation_b": [*told, {"role": "assistant", "content": f"Answer {k}."}],
        }
        for k in range(90)
    ]
    file = tmp_path / "votes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = li.rate(file)
    assert expected.document["method"]["left_out"]["identity_leak"] == 18
    for table in (pl.DataFrame(rows), pd.DataFrame(rows), pa.Table.from_pylist(rows)):
        found = li.rate(table)
        assert found.rows == expected.rows
        assert found.document["method"] == expected.document["method"]


def test_votes_that_repeat_a_million_times_are_no_suspect_file() -> None:
    columns = {"model_a": ("ant", "bee"), "model_b": ("bee", "ant"), "winner": ("model_a", "model_a")}
    many = {name: np.repeat(values, (1_100_000, 100_000)) for name, values in columns.items()}
    assert li.rate(pa.table(many)).votes == 1_200_000
