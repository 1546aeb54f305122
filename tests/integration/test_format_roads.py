"""The same table gives the same votes from a file, a folder, a glob and standard input, in a store as in a rating."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.devstack import KafkaServer
from pipeline.open_store import open_store
from pipeline.store.db import schema
from tests.unit.formats.samples import FORMATS, Row, battles

COUNT = 500
FORM = "arena-human-preference-140k"


@pytest.fixture(autouse=True)
def one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all stores one key: hashes of prompts are made with it."""
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", "5e" * 32)


def _run(*arguments: str | Path, stdin: bytes | None = None) -> Any:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _work(store: Path, source: str | Path, *options: str, stdin: bytes | None = None) -> Any:
    return _run("work", "--source", source, "--store", store, "--until-end", *options, stdin=stdin)


def _votes(store: Path) -> list[tuple[Any, ...]]:
    opened = open_store(str(store), create=False)
    v = schema.vote.c
    said = (v.style, v.prompt, v.flags, v.turn, v.session)
    query = sa.select(v.vote_id, v.voter != 0, v.cast_at, v.model_a, v.model_b, v.outcome, *said)
    with opened.read() as connection:
        found = sorted(map(tuple, connection.execute(query)))
    opened.close()
    return found


def _rows(form: str = FORM) -> list[Row]:
    return [FORMATS[form](row) for row in battles(COUNT)]


def _lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows({k: repr(v) if isinstance(v, dict | list) else v for k, v in row.items()} for row in rows)


@pytest.mark.long
def test_a_store_gets_the_same_votes_from_every_kind_of_source(tmp_path: Path) -> None:
    rows = _rows()
    shards = tmp_path / "shards"
    shards.mkdir()
    for first in range(0, COUNT, 200):
        pq.write_table(pa.Table.from_pylist(rows[first : first + 200]), shards / f"part-{first:03}.parquet")
    _write_csv(tmp_path / "a.csv", rows)
    sources: dict[str, tuple[str | Path, bytes | None]] = {
        "folder": (shards, None),
        "glob": (f"{shards}/*.parquet", None),
        "stdin": ("-", _lines(rows)),
        "csv": (tmp_path / "a.csv", None),
    }
    stored = []
    for name, (source, stdin) in sources.items():
        found = _work(tmp_path / f"{name}.db", source, stdin=stdin)
        assert (found["accepted"], found["rejected"]) == (COUNT, 0), name
        assert found["notes"][0].startswith(f"read as {FORM}")
        stored.append(_votes(tmp_path / f"{name}.db"))
    assert stored[0] == stored[1] == stored[2] == stored[3]
    # A folder that grows is read on, as a file that grows.
    pq.write_table(pa.Table.from_pylist([{**rows[0], "id": "late", "timestamp": 1.71e9}]), shards / "part-900.parquet")
    assert _work(tmp_path / "folder.db", shards)["read"] == 1


def test_records_that_are_no_votes_are_counted_by_reason_with_the_first_of_each(tmp_path: Path) -> None:
    rows = _rows()[:20]
    rows[3]["winner"], rows[9]["winner"], rows[12]["timestamp"] = "draw", "first", "soon"
    found = _work(tmp_path / "a.db", "-", stdin=_lines(rows))
    assert (found["accepted"], found["rejected"]) == (17, 3)
    assert found["reasons"] == {"unknown_outcome": 2, "bad_time": 1}
    notes = [note for note in found["notes"] if "rejected as" in note]
    assert notes[0].startswith("1 rejected as bad_time: the first is standard input#12: ")
    assert notes[1].startswith("2 rejected as unknown_outcome: the first is standard input#3: ")


def test_a_store_says_that_a_table_has_no_times(tmp_path: Path) -> None:
    found = _work(tmp_path / "a.db", "-", stdin=_lines(_rows("arena-human-preference-55k")[:5]))
    assert found["rejected"] == 5
    assert any("standard input has no column of times" in note for note in found["notes"])


def test_a_winner_may_be_a_name_in_a_store_too(tmp_path: Path) -> None:
    table = b"x,y,won,when\nant,bee,bee,1700000000\nant,bee,ant,1700000001\nant,bee,tie,1700000002\n"
    options = ("--columns", "model_a=x,model_b=y,winner=won,cast_at=when", "--winner-is", "name")
    assert _work(tmp_path / "a.db", "-", *options, stdin=table)["accepted"] == 3
    assert sorted(row[5] for row in _votes(tmp_path / "a.db")) == [0, 1, 2]
    board = _run("rate", "-", *options, stdin=table)
    assert {row["model"]: row["votes"] for row in board["rows"]} == {"ant": 3, "bee": 3}


@pytest.mark.long
@pytest.mark.kafka
def test_a_topic_gets_the_votes_that_a_store_gets_from_the_file(kafka_server: KafkaServer, tmp_path: Path) -> None:
    rows = _rows()
    rows[3]["winner"], rows[9]["timestamp"] = "draw", "soon"
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(_lines(rows[:300]))
    (folder / "b.json").write_text(json.dumps(rows[300:]))
    _work(tmp_path / "file.db", folder)
    assert any(row[7] for row in _votes(tmp_path / "file.db"))  # the hash of a prompt
    for name, options in {"all": (), "good": ("--skip-bad",)}.items():
        topic = f"kafka://{kafka_server.bootstrap}/roads.{name}.{tmp_path.name}"
        sent = _run("publish", folder, "--to", topic, "--store", tmp_path / f"{name}.db", *options)
        assert sent["published"] == COUNT - 2 * bool(options)
        assert sent["notes"][0] == f"read as {FORM} (2 files)"
        then = "not sent" if options else "sent, and the worker will count them as rejected"
        assert [note.partition(": ")[0] for note in sent["notes"] if "no votes" in note] == [
            f"1 records of shards are no votes (bad_time) and were {then}",
            f"1 records of shards are no votes (unknown_outcome) and were {then}",
        ]
        found = _work(tmp_path / f"{name}.db", topic)
        assert (found["accepted"] + found["late"], found["rejected"]) == (COUNT - 2, 2 - 2 * bool(options))
        assert _votes(tmp_path / f"{name}.db") == _votes(tmp_path / "file.db")


def test_bad_records_are_not_skipped_where_none_is_looked_at() -> None:
    result = CliRunner().invoke(app, ["publish", "-", "--to", "kafka://localhost:1", "--raw-ids", "--skip-bad"])
    assert "--skip-bad: expected it without --raw-ids and --follow" in str(result.exception)
