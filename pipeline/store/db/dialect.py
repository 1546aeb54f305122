"""Contains everything that differs between SQLite and PostgreSQL. Other modules do not ask which is used.

Only PostgreSQL needs statements for locks, because a write transaction of SQLite locks the whole database.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from pipeline.errors import StoreUnavailable
from pipeline.store.db import array_parameters, binary_copy
from pipeline.store.db.array_parameters import BigIntegers, Uuids
from pipeline.store.db.connection_handover import guard, raw_cursor
from pipeline.vocabulary.arrays import Int64

CHUNK = 5_000
"""Largest number of values in one statement: SQLite takes at most 32,766 parameters."""

# A worker that is frozen inside a transaction must not block the partition's next owner for longer than the consumer
# group waits: 3 s idle, 1 s for a lock. Thousands of ids are probed at once: at the default price of a random page the
# planner reads the whole table instead of an index that is in memory.
_WORKER_OPTIONS = "-c idle_in_transaction_session_timeout=3000 -c lock_timeout=1000 -c random_page_cost=1.1"
# PostgreSQL's SQLSTATE read_only_sql_transaction.
_READ_ONLY = "25006"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "busy_timeout=10000",
    "wal_autocheckpoint=50000",  # pages; the default of 1000 checkpoints within every batch
    "temp_store=MEMORY",  # archived votes, decrypted, reach no disk
)


def has_server(database: Connection | Engine) -> bool:
    """Return True for PostgreSQL, False for SQLite.

    SQLite takes the interpreter lock after every row, so a second thread saves no time. Callers use SQLite in
    their own thread.
    """
    return database.dialect.name == "postgresql"


def create_engine(url: sa.URL, *, worker: bool) -> Engine:
    """Return an SQLAlchemy engine. The folder of a SQLite file is created if it is missing.

    Args:
        url: URL of the database.
        worker: True limits, in PostgreSQL, how long this process waits for a lock (1 s) and leaves a transaction idle
            (3 s).

    Raises:
        StoreUnavailable: the folder of the SQLite file cannot be created.
    """
    if url.get_backend_name() == "postgresql":
        from pipeline.store.db import array_dumpers  # noqa: PLC0415  # imports the driver, which SQLite does not need

        # Connections are opened on demand and kept: opening one takes as long as a dozen reads of the API.
        # The client speaks UTF-8 whatever the server's encoding is, which is checked after.
        given = {"connect_timeout": 5, "client_encoding": "utf8", **({"options": _WORKER_OPTIONS} if worker else {})}
        engine = sa.create_engine(url, pool_size=8, max_overflow=0, connect_args=given)
        sa.event.listen(engine, "connect", lambda connection, _record: array_dumpers.register(connection))
    else:
        _make_folder(url)
        engine = sa.create_engine(url, connect_args={"timeout": 10})
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    guard(engine)
    return engine


def _make_folder(url: sa.URL) -> None:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"expected a folder for the store at {folder}, got {error.strerror}") from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("readonly") else "BEGIN IMMEDIATE")


def database_exists(engine: Engine) -> bool:
    """Return False for a SQLite database whose file is missing (a connection would create the file), otherwise True."""
    return has_server(engine) or Path(str(engine.url.database)).exists()


def check_encoding(engine: Engine) -> None:
    """Check that the encoding of the database is UTF8, so that it can store every name.

    Raises:
        StoreUnavailable: a PostgreSQL database has another encoding.
    """
    if not has_server(engine):
        return
    with engine.connect() as connection:
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"expected a database in UTF8, got {engine.url.database} in {encoding}: names could not be stored. "
            "`createdb --encoding=UTF8 --template=template0 NAME` makes one"
        )


def is_read_only(error: DBAPIError) -> bool:
    """Return whether a statement failed because the database, its file or the transaction is read-only."""
    return getattr(error.orig, "sqlstate", None) == _READ_ONLY or "readonly database" in str(error.orig)


def is_no_database(error: DBAPIError) -> bool:
    """Return whether an error means that the store's file is not a database."""
    return "file is not a database" in str(error.orig)


def read_options(engine: Engine) -> dict[str, Any]:
    """Return SQLAlchemy's execution options for a transaction that only reads, and sees the data of one moment."""
    return {"readonly": True, **({"isolation_level": "REPEATABLE READ"} if has_server(engine) else {})}


def execute_on_server(connection: Connection, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
    """Execute a statement that only PostgreSQL needs; do nothing on SQLite."""
    if has_server(connection):
        connection.execute(sa.text(statement), parameters)


def may_read(connection: Connection, table: str, column: str) -> bool:
    """Return whether the database role of this connection may read a column. True in SQLite, which has no roles."""
    if not has_server(connection):
        return True
    query = sa.text("SELECT has_column_privilege(CAST(:table AS text), CAST(:column AS text), 'SELECT')")
    return bool(connection.scalar(query, {"table": table, "column": column}))


def lock(connection: Connection, number: int) -> None:
    """Wait for the lock with this number, and hold it until the end of the transaction. Does nothing on SQLite."""
    execute_on_server(connection, "SELECT pg_advisory_xact_lock(:number)", {"number": number})


def insert(connection: Connection, table: sa.Table) -> Any:
    """Return an INSERT in the dialect of the database. It has `on_conflict_do_update` and `on_conflict_do_nothing`."""
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def insert_or_ignore(connection: Connection, table: sa.Table, *unique: str) -> sa.Insert:
    """Return an INSERT that skips a row if a stored row has the same values in the columns `unique` (default: any key).

    If the database numbers the rows, the caller must give `unique`. After the sequence was set back, a new row may get
    the number of an old row. With `unique` this raises an error; without it, the new row would be skipped and lost.
    """
    statement: sa.Insert = insert(connection, table).on_conflict_do_nothing(index_elements=list(unique) or None)
    return statement


def upsert(connection: Connection, table: sa.Table, keys: list[str], rows: list[dict[str, Any]]) -> None:
    """Insert rows, or replace stored rows that have the same values in the columns `keys`."""
    if not rows:
        return
    statement = insert(connection, table)
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)


def upsert_columns(
    connection: Connection, table: sa.Table, keys: Sequence[str], columns: Mapping[str, Int64 | Sequence[bytes | None]]
) -> None:
    """Insert rows, or replace stored rows that have the same values in the columns `keys`.

    `columns` maps each name to its values. All columns have the same length, at least 1.
    """
    rule = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in keys)
    rows, parameters = array_parameters.unnest(columns) if has_server(connection) else _row_values(columns)
    query = f"{_insert_into(table, columns)} {rows} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {rule}"
    connection.exec_driver_sql(query, parameters)


def _insert_into(table: sa.Table, columns: Iterable[str]) -> str:
    names = '", "'.join(columns)
    return f'INSERT INTO "{table.name}" ("{names}")'


def _row_values(columns: Mapping[str, binary_copy.Values]) -> tuple[str, list[tuple[Any, ...]]]:
    rows = zip(*(v.tolist() if isinstance(v, np.ndarray) else v for v in columns.values()), strict=True)
    return f"VALUES ({', '.join('?' * len(columns))})", list(rows)


def load(connection: Connection, table: sa.Table, columns: Mapping[str, binary_copy.Values]) -> None:
    """Insert many rows, given as name of a column → its values. Empty columns insert nothing.

    A column of integers with NULLs must be a masked array int64[n].

    Raises:
        sqlalchemy.exc.IntegrityError: a row with the same key exists.
    """
    if not len(next(iter(columns.values()))):
        return
    if has_server(connection):
        binary_copy.write(connection, table, columns)
        return
    values, rows = _row_values(columns)
    connection.exec_driver_sql(f"{_insert_into(table, columns)} {values}", rows)


def read_integers(connection: Connection, query: sa.Select[Any], block_rows: int) -> Iterator[Int64]:
    """Yield the rows of a query in blocks int64[columns, rows] of at most `block_rows` rows.

    All values must be whole numbers, and none NULL. The driver is used directly, because SQLAlchemy takes 15 µs for
    each row, twenty times as long as the conversion of the row's numbers.
    """
    text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    types = [column.type for column in query.selected_columns]
    cursor = raw_cursor(connection)
    try:
        if has_server(connection):
            yield from binary_copy.read(cursor, text, types, block_rows)
            return
        cursor.execute(text)
        while rows := cursor.fetchmany(block_rows):
            flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=len(rows) * len(types))
            yield np.ascontiguousarray(flat.reshape(len(rows), -1).T)
    finally:
        cursor.close()


def lock_table(connection: Connection, table: str) -> None:
    """Prevent other transactions from writing to a table until this transaction ends. Does nothing on SQLite.

    A role that may delete rows of the table may take this lock; `lock` needs a right that some roles lack.
    """
    if has_server(connection):
        connection.exec_driver_sql(f'LOCK TABLE "{table}" IN SHARE ROW EXCLUSIVE MODE')


def any_of(
    connection: Connection, column: str, values: npt.NDArray[np.void] | Sequence[int], partition_no: int | None = None
) -> tuple[str, tuple[Any, ...]]:
    """Build the SQL condition that a column has one of the given values.

    Args:
        connection: connection to the database for which the condition is built.
        column: name of the column.
        values: an array V16[n] of 16-byte keys, or whole numbers. SQLite accepts at most CHUNK values.
        partition_no: the condition also requires this partition; None for any partition.

    Returns:
        The condition with the driver's placeholders, and the parameters for them.
    """
    many: tuple[Any, ...]
    if has_server(connection):
        is_key = isinstance(values, np.ndarray)
        many = (Uuids(values) if is_key else BigIntegers(np.array(values, dtype=np.int64)),)  # type: ignore[arg-type]
        mark, condition = "%s", f'"{column}" = ANY(%s)'
    else:
        many = tuple(values.tolist() if isinstance(values, np.ndarray) else values)
        mark, condition = "?", f'"{column}" IN ({", ".join("?" * len(many))})'
    if partition_no is None:
        return condition, many
    return f"partition_no = {mark} AND {condition}", (partition_no, *many)


def key_bytes(connection: Connection, column: str) -> str:
    """Return the SQL expression for the bytes of a column with 16-byte keys, which PostgreSQL stores as uuid."""
    return f'uuid_send("{column}")' if has_server(connection) else f'"{column}"'


def fetch_bytes(connection: Connection, query: str, parameters: tuple[Any, ...]) -> bytes:
    """Run a query that has one value, and return its bytes; b"" for NULL. `query` has the driver's placeholders."""
    cursor = raw_cursor(connection, **({"binary": True} if has_server(connection) else {}))
    (data,) = cursor.execute(query, parameters).fetchone()
    cursor.close()
    return data or b""
