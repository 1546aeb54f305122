"""Times and numbers at their limits (kind 2), and text that is not ours to read."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError

from pipeline.api.app import create_app
from pipeline.audits.facts import format_figure
from pipeline.open_store import open_store
from pipeline.store import Store
from pipeline.store.db import schema
from pipeline.store.db.engine import explain, is_transient
from pipeline.store.read import page_queries
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.fates import QUARANTINED
from pipeline.vocabulary.time import format_rfc3339, parse_iso8601, parse_rfc3339
from tests.command import called
from tests.integration.board_of_votes import Board, event, using

SETTINGS = {"INTEGRITY_VOTER_KEY": "ab" * 32, "COLUMNS": "300"}
LAST_YEAR = "9999-12-31T23:59:59-14:00"


def fastchat(n: int, **more: Any) -> dict[str, Any]:
    a, b = [("alder", "birch"), ("birch", "cedar"), ("cedar", "alder")][n % 3]
    return {
        "question_id": f"q{n}", "model_a": a, "model_b": b, "winner": ("model_a", "tie", "model_b")[n // 3 % 3],
        "judge": f"u{n}", "tstamp": 1715000000 + n, **more,
    }  # fmt: skip


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(records) if path.suffix == ".json" else "".join(json.dumps(r) + "\n" for r in records))
    return path


def rejects_of(file: Path) -> list[dict[str, Any]]:
    """What `work` rejects of a file, through the command."""
    store = str(file.with_suffix(".db"))
    assert called("work", "--source", str(file), "--store", store, settings=SETTINGS).returncode == 0
    listed = called("rejects", "--store", store, "--json", settings=SETTINGS)
    assert listed.returncode == 0
    found: list[dict[str, Any]] = json.loads(listed.stdout)
    shown = called("rejects", "--store", store, settings=SETTINGS)
    assert all(one["detail"] in shown.stdout for one in found)
    return found


# --- the message


@pytest.mark.parametrize("name", ["votes.jsonl", "votes.json"])
@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("06/05/2024 12:53", "06/05/2024 12:53 in column tstamp"),
        (1715000000123456789, "1715000000123456789: nanoseconds? in column tstamp"),
        (0, "0 in column tstamp"),
        (-5, "-5 in column tstamp"),
        (2024, "2024: a year? in column tstamp"),
        (LAST_YEAR, f"{LAST_YEAR} in column tstamp"),
        ("0000-00-00 00:00:00", "0000-00-00 00:00:00 in column tstamp"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00 in column tstamp"),
        (1e300, "1e+300 in column tstamp"),
        (4102444800, "4102444800 in column tstamp"),
    ],
)
def test_a_reject_names_the_time_that_was_found_and_its_column(
    tmp_path: Path, name: str, found: object, told: str
) -> None:
    file = written(tmp_path / name, [fastchat(0, tstamp=found), fastchat(1)])
    (reject,) = rejects_of(file)
    assert (reject["offset"], reject["reason"]) == (0, "bad_time")
    assert reject["detail"] == f"cast_at: expected RFC 3339 with an offset, from 2000 to 2099, got {told}"


def test_a_table_names_its_own_column(tmp_path: Path) -> None:
    file = tmp_path / "votes.csv"
    file.write_text("model_a,model_b,winner,created_at\nant,bee,tie,06/05/2024 12:53\nant,bee,tie,2024-05-06\n")
    (reject,) = rejects_of(file)
    assert "06/05/2024 12:53 in column created_at" in reject["detail"]


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (pa.timestamp("us"), 2**62),
        (pa.timestamp("us", tz="UTC"), -(2**62)),
        (pa.timestamp("ns"), 2**62),
        (pa.date32(), 2**30),
        (pa.int64(), 1715000000123456789),
        (pa.float64(), 1e300),
        (pa.decimal128(38, 0), 10**37),
    ],
    ids=str,
)
def test_a_time_of_parquet_that_no_calendar_has_costs_its_own_row(
    tmp_path: Path, kind: pa.DataType, number: float
) -> None:
    file = tmp_path / "votes.parquet"
    rows: dict[str, Any] = {"model_a": ["ant", "ant"], "model_b": ["bee", "bee"], "winner": ["tie", "tie"]}
    pq.write_table(pa.table({**rows, "judge": ["u", "v"], "tstamp": pa.array([number, None], type=kind)}), file)
    first, second = rejects_of(file)
    assert (first["reason"], second["reason"]) == ("bad_time", "missing_field")
    assert "in column tstamp" in first["detail"]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6])
def test_seconds_milliseconds_and_microseconds_are_told_apart(tmp_path: Path, unit: int) -> None:
    assert (
        rejects_of(written(tmp_path / "votes.jsonl", [fastchat(n, tstamp=1715000000 * unit) for n in range(3)])) == []
    )


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", LAST_YEAR, "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z"])
def test_registry_events_have_the_same_limits(tmp_path: Path, at: str) -> None:
    votes = written(tmp_path / "votes.jsonl", [fastchat(0)])
    line = {"schema": 1, "event_id": "e", "at": at, "type": "model.deprecated", "model": "ant", "reason": "old"}
    registry = written(tmp_path / "registry.jsonl", [line])
    words = ("work", "--source", str(votes), "--registry", str(registry), "--store", str(tmp_path / "s.db"))
    answer = called(*words, settings=SETTINGS)
    assert answer.returncode == 2
    assert f"at: expected RFC 3339 with an offset, from 2000 to 2099, got {at}" in answer.stderr


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2100-01-01", "9999-12-31", "06/05/2024"])
def test_a_history_names_a_day_outside_the_limits(tmp_path: Path, day: str) -> None:
    file = tmp_path / "board.csv"
    file.write_text(f"snapshot,model,score,votes\n2024-06-01,ant,1200,10\n{day},ant,1200,10\n")
    answer = called("history", str(file), settings=SETTINGS)
    assert answer.returncode == 2
    assert "record 1: snapshot: expected a day" in answer.stderr
    assert day in answer.stderr


@pytest.mark.parametrize("number", ["1e308", "-1e308", "1e13", "inf", "nan"])
@pytest.mark.parametrize("column", ["score", "votes"])
def test_a_history_names_a_number_outside_the_limits(tmp_path: Path, number: str, column: str) -> None:
    file = tmp_path / "board.csv"
    cells = {"score": "1200", "votes": "10", column: number}
    file.write_text(f"snapshot,model,score,votes\n2024-06-01,ant,{cells['score']},{cells['votes']}\n")
    answer = called("history", str(file), settings=SETTINGS)
    assert answer.returncode == 2
    assert f"record 0: {column}" in answer.stderr


def test_times_of_queries_are_refused_with_their_reason() -> None:
    for text in ("9999-12-31", "2100-01-01", LAST_YEAR, "0001-01-01T00:00:00+14:00"):
        with pytest.raises(ValueError, match=r"expected a time up to 2099|ISO 8601"):
            parse_iso8601(text)
    with pytest.raises(ValueError, match="with a zone, such as"):
        parse_rfc3339("2024-05-06")
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_rfc3339(LAST_YEAR)
    with pytest.raises(Exception, match=r"from and to: expected a time with a zone, .* got '2024-05-06'"):
        VoteSelection.parse("from=2024-05-06,to=2024-05-07")


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1, 253402351199000000])
def test_a_time_outside_the_calendar_is_printed_as_a_number(value: int) -> None:
    assert format_rfc3339(value) == f"{value} µs since 1970"


# --- what is shown of a store comes from votes that count


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """Two snapshots, and the newest vote is quarantined, of the year 9999, as earlier code has stored it."""
    folder = tmp_path_factory.mktemp("times")
    made = Board(str(folder / "board.db"), folder)
    with using(made.options):
        made.vote(300)
        made.refresh()
        made.vote(100)
        with made.store() as store, store.write() as connection:
            v = schema.vote.c
            newest = connection.execute(sa.select(v.partition_no, v.offset).order_by(v.cast_at.desc()).limit(1)).one()
            where = (v.partition_no == newest.partition_no, v.offset == newest.offset)
            values = {"fate": QUARANTINED, "cast_at": 253402351199000000}
            connection.execute(sa.update(schema.vote).where(*where).values(**values))
        made.refresh()
    return made


def test_a_quarantined_vote_of_the_year_9999_moves_nothing_that_is_shown(board: Board) -> None:
    with board.store() as store, store.read() as connection:
        newest = page_queries.newest_vote_time(connection, 400)
    assert newest == parse_rfc3339(event(398)["cast_at"])


@pytest.mark.long
def test_every_page_answers_beside_a_quarantined_vote_of_the_year_9999(board: Board) -> None:
    with board.store() as store, using(board.options):
        for path in ("/", "/snapshots", "/changes", "/model?model=ant", "/providers", "/alerts", "/exclusions"):
            assert answered(store, path) == 200, path
        vote = event(399)["vote_id"]
        for path in ("/api/v1/snapshots", "/api/v1/status", "/api/v1/models", f"/api/v1/receipt?vote={vote}"):
            assert answered(store, path) == 200, path
        assert answered(store, f"/receipt?vote={vote}") == 200
        for at, status in (("9999-12-31", 422), ("2024-05-06T25:00", 422), ("0001-01-01", 404), ("1999-12-31", 404)):
            assert answered(store, f"/api/v1/leaderboard?at={at}") == status


def answered(store: Store, path: str) -> int:
    with TestClient(create_app(store), raise_server_exceptions=False) as client:
        return client.get(path, headers={"accept": "text/html"}).status_code


@pytest.mark.long
def test_an_empty_store_has_every_page(tmp_path: Path) -> None:
    with using(Board("x", tmp_path).options):
        store = open_store(str(tmp_path / "empty.db"), voter_key=b"k" * 32)
        for path in ("/", "/snapshots", "/alerts", "/exclusions", "/providers", "/verify", "/api"):
            assert answered(store, path) == 200, path
        store.close()


# --- text that is not ours to read

UNREAD: list[dict[str, Any]] = [
    {"conversation_a": [{"role": "user", "content": "one\ntwo\u202e\x00"}]},
    {"conversation_a": [{"role": "user", "content": "cut \ud83d"}]},
    {"com\u200bment": "x"},
    {"conversation_b": [{"role": "user", "content": "e\u0301"}]},
]


@pytest.mark.parametrize("name", ["battles.jsonl", "battles.json"])
@pytest.mark.parametrize("unread", UNREAD, ids=range(len(UNREAD)))
def test_a_conversation_rejects_no_battle(tmp_path: Path, name: str, unread: dict[str, Any]) -> None:
    file = written(tmp_path / name, [fastchat(n, **unread) for n in range(9)])
    answer = called("rate", str(file), "--json", settings=SETTINGS)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["votes"] == 9
    assert rejects_of(file) == []


@pytest.mark.parametrize("unread", UNREAD, ids=range(len(UNREAD)))
def test_an_unknown_key_rejects_no_event_of_ours(tmp_path: Path, unread: dict[str, Any]) -> None:
    file = written(tmp_path / "votes.jsonl", [event(n, **unread) for n in range(60)])
    answer = called("rate", str(file), "--json", settings=SETTINGS)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["votes"] == 60
    assert rejects_of(file) == []


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("model_a", "a\nb", "text"),
        ("model_a", "a\ud800", "malformed"),
        ("judge", "\u202eu", "text"),
        ("question_id", "\x1b[31m", "text"),
    ],
)
def test_text_that_is_read_is_still_rejected(tmp_path: Path, field: str, value: str, reason: str) -> None:
    (reject,) = rejects_of(written(tmp_path / "votes.jsonl", [fastchat(0, **{field: value}), fastchat(1)]))
    assert (reject["offset"], reject["reason"]) == (0, reason)
    assert f"U+{ord(next(c for c in value if not c.isprintable())):04X}" in reject["detail"]


# --- advice that fits


def test_a_time_before_the_first_snapshot_and_an_unknown_id_are_told_as_that(board: Board) -> None:
    early = called("leaderboard", "--at", "2001-01-01", "--store", board.url, settings=SETTINGS)
    assert early.returncode == 2
    assert "expected a time after the first snapshot (" in early.stderr
    unknown = called("diff", "abcdef", "--store", board.url, settings=SETTINGS)
    assert unknown.returncode == 2
    assert "got 'abcdef'; snapshots 1 to 2 are published" in unknown.stderr
    assert "integrity refresh" not in early.stderr + unknown.stderr


def test_a_mistyped_filter_is_refused_with_the_value_and_the_choices(board: Board) -> None:
    with board.store() as store, TestClient(create_app(store)) as client:
        for path in ("/alerts?state=opne", "/api/v1/alerts?state=opne"):
            answer = client.get(path)
            assert answer.status_code == 422
            assert "acknowledged" in answer.text
            assert "got 'opne'" in answer.text.replace("&#39;", "'")
    answer = called("alerts", "--state", "opne", "--store", board.url, settings=SETTINGS)
    assert answer.returncode == 2
    assert "acknowledged" in answer.stderr
    assert "'opne'" in answer.stderr


@pytest.mark.parametrize("content", ["model_a,model_b,winner\nant,bee,tie\n", "a,b\n" * 500])
@pytest.mark.parametrize("words", [("alerts",), ("work", "--source", "votes.csv"), ("refresh",)])
def test_a_store_that_is_a_csv_is_told_as_that(tmp_path: Path, content: str, words: tuple[str, ...]) -> None:
    file = tmp_path / "votes.csv"
    file.write_text(content)
    words = tuple(str(file) if word == "votes.csv" else word for word in words)
    answer = called(*words, "--store", str(file), settings=SETTINGS)
    assert answer.returncode == 2
    assert "a file that is no SQLite database" in answer.stderr
    assert file.read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["votes.csv"]


@pytest.mark.postgres
def test_a_database_in_another_encoding_or_read_only_is_named_as_that(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    name = f"latin_{engine.url.database}"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        options = "ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        connection.execute(sa.text(f"CREATE DATABASE {name} {options}"))
    try:
        url = engine.url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        answer = called("migrate", "--store", url, settings=SETTINGS)
        assert answer.returncode == 3
        assert f"expected a database in UTF8, got {name} in LATIN1" in answer.stderr
    finally:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f"DROP DATABASE {name}"))
    read_only = f"{postgres_url}{'&' if '?' in postgres_url else '?'}options=-c%20default_transaction_read_only%3Don"
    answer = called("migrate", "--store", read_only, settings=SETTINGS)
    assert answer.returncode == 3
    assert "is read-only" in answer.stderr
    engine.dispose()


def test_a_read_only_store_is_told_as_that_at_once(board: Board) -> None:
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(f"file:{board.url}?mode=ro", uri=True))
    with pytest.raises(DBAPIError) as refused, engine.begin() as connection:
        connection.execute(sa.update(schema.meta).values(value="x"))
    assert not is_transient(refused.value), "a worker would wait for a minute"
    assert "the store is read-only" in str(explain(refused.value, "the store"))
    engine.dispose()


def test_registry_events_are_told_with_their_own_topic_and_shares_with_their_unit() -> None:
    assert format_figure(0.209096, "of all appearances") == "20.9%"
    assert format_figure(None, "models") == "not known"


@pytest.mark.parametrize("hours", ["inf", "nan", "-1", "0", "1e300"])
def test_a_snooze_has_a_length_that_a_calendar_has(board: Board, hours: str) -> None:
    words = ("alerts", "snooze", "0" * 16, "--hours", hours, "--reason", "x", "--store", board.url)
    answer = called(*words, settings=SETTINGS)
    assert answer.returncode == 2
    assert "hours: expected a number above 0" in answer.stderr
