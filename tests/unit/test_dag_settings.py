"""The settings that the tasks of a DAG have: which place goes before which, and what is refused where."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import settings
from pipeline.errors import Usage
from pipeline.jobs.dag_settings import store_url, use_board
from pipeline.settings import Settings

HERE = "Airflow Connection board_text"


def connection(**fields: Any) -> dict[str, Any]:
    usual = {"conn_type": "postgres", "host": "db", "port": 5433, "login": "me", "password": "p@/w", "schema": "board"}
    return {**usual, "extra": {}, **fields}


def given(**parts: Any) -> dict[str, Any]:
    return {"connection": None, "connection_id": "board_text", "settings": {}, "run": {}, **parts}


PROCESS = Settings(
    store="process.db", voter_key="11" * 32, ledger_key="22" * 32, board="one", hold_places=1, hold_top=5
)


def used(**parts: Any) -> tuple[str, Settings]:
    with settings.override(PROCESS), use_board(given(**parts)) as store:
        return store, settings.load()


def test_without_a_connection_the_settings_are_those_of_the_process():
    store, found = used()
    assert (store, found) == ("process.db", PROCESS)


def test_a_run_goes_before_the_connection_the_file_and_the_process():
    extra = {"voter_key": "33" * 32, "hold_places": 3, "ledger": "/ledger"}
    file = {"hold_places": 2, "lateness_minutes": 5}
    store, found = used(connection=connection(extra=extra), settings=file, run={"lateness_minutes": 7})
    assert store == "postgresql://me:p%40%2Fw@db:5433/board"
    assert (found.hold_places, found.lateness_minutes, found.hold_top) == (3, 7, 5)
    assert (found.voter_key, found.ledger) == ("33" * 32, "/ledger")


def test_a_board_with_a_connection_has_no_key_and_no_name_of_the_process():
    _, found = used(connection=connection())
    assert (found.voter_key, found.ledger_key, found.board) == ("", "", "")


def test_the_password_of_the_process_is_not_sent_to_the_server_of_a_connection():
    process = PROCESS.model_copy(update={"postgres_password": "5e" * 8})
    with settings.override(Settings(**process.model_dump(exclude_unset=True))):
        with use_board(given(connection=connection(password=None))):
            assert settings.load().postgres_password == ""
        with use_board(given(connection=connection(extra={"postgres_password": "its own"}))):
            assert settings.load().postgres_password == "its own"  # noqa: S105 - a test's


def test_afterwards_the_settings_are_as_before():
    with settings.override(PROCESS):
        with use_board(given(run={"lateness_minutes": 9})):
            assert settings.load().lateness_minutes == 9
        assert settings.load() is PROCESS


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "postgresql://me:p%40%2Fw@db:5433/board"),
        ({"port": None, "password": None}, "postgresql://me@db/board"),
        ({"login": None, "conn_type": "postgresql"}, "postgresql://db:5433/board"),
        (
            {"extra": {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}},
            "postgresql://me:p%40%2Fw@db:5433/board?sslmode=verify-full&sslrootcert=%2Fca.pem",
        ),
        ({"conn_type": "sqlite", "host": "/data/board.db"}, "sqlite:////data/board.db"),
    ],
)
def test_the_fields_of_a_connection_are_a_url(fields, url):
    assert store_url(connection(**fields), HERE) == url


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"connection": connection(conn_type="mysql")}, f"{HERE}: expected the type postgres .* got 'mysql'"),
        ({"connection": connection(schema="")}, f"{HERE}: expected the name of the database"),
        ({"connection": connection(extra={"voterkey": "1"})}, f"{HERE}, extra: expected a setting .* got 'voterkey'"),
        ({"connection": connection(extra={"voter_key": "1"})}, "INTEGRITY_VOTER_KEY: expected 64 hexadecimal digits"),
        ({"run": {"hold_place": 1}}, "parameter `settings` of the run: expected a setting .* got 'hold_place'"),
        ({"run": {"lateness_minutes": "many"}}, "INTEGRITY_LATENESS_MINUTES: expected a number .* got 'many'"),
        ({"run": {"hold_places": 0}}, "of the run: .* no hold, got hold_places: set it for the board"),
        ({"run": {"hold_top": 1}}, "of the run: .* no hold, got hold_top: set it for the board"),
        ({"run": {"voter_key": "5e" * 32}}, "of the run: expected no keys, passwords and stores, got voter_key"),
        ({"run": {"store": "other.db"}}, "of the run: expected no keys, passwords and stores, got store"),
        (
            {"run": {"compute": "dask://other:8786"}},
            "of the run: expected no engine, .* got compute: set it for the board",
        ),
        ({"run": {"compute_ledger": "s3://other"}}, "of the run: expected no engine, .* got compute_ledger"),
        ({"run": {"ledger": "/other"}}, "of the run: .* no folder of the ledger, .* got ledger: set it for the board"),
        ({"run": {"board": "other"}}, "of the run: .* no name of the board, .* got board"),
        ({"run": {"postgres_sslmode": "disable"}}, "of the run: .* no TLS of its store .* got postgres_sslmode"),
        ({"settings": {"ledger_key": "5e" * 32}}, "settings: expected no keys, passwords and stores, got ledger_key"),
    ],
)
def test_what_is_not_valid_is_named_with_its_place_and_no_secret_is_shown(parts, message):
    with pytest.raises(Usage, match=message) as caught:
        used(**parts)
    assert "5e5e" not in str(caught.value)
