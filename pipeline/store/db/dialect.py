"""What differs between SQLite and PostgreSQL; no other module of the store asks which of the two it uses.

Only PostgreSQL needs statements for locks: a write transaction of SQLite locks the whole database from its start.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from pipeline.errors import StoreUnavailable
from pipeline.store.db import array_parameters, binary_copy
from pipeline.store.db.array_parameters import BigIntegers, Blobs, Uuids
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
)


def has_server(database: Connection | Engine) -> bool:
    """Return True for PostgreSQL: statements run in a server, and a waiting thread leaves the interpreter free.

    SQLite runs in this process and takes the interpreter lock back after every row. A thread of its own would wait for
    the lock up to 5 ms a row, so SQLite's work is done in line.
    """
    return database.dialect.name == "postgresql"


def create_engine(url: sa.URL, *, worker: bool) -> Engine:
    """Return an engine. With `worker`, PostgreSQL bounds the time that locks and idle transactions may take."""
    if url.get_backend_name() == "postgresql":
        options = {"options": _WORKER_OPTIONS} if worker else {}
        # Connections are opened on demand and kept: opening one takes as long as a dozen reads of the API.
        # The client speaks UTF-8 whatever the server's encoding is, which is checked after.
        given = {"connect_timeout": 5, "client_encoding": "utf8", **options}
        engine = sa.create_engine(url, pool_size=8, max_overflow=0, connect_args=given)
        sa.event.listen(engine, "connect", lambda connection, _record: array_parameters.register(connection))
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
    read_only = connection.get_execution_options().get("readonly", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def database_exists(engine: Engine) -> bool:
    """Return False for a SQLite file that does not exist: connecting would create it."""
    return has_server(engine) or Path(str(engine.url.database)).exists()


def check_encoding(engine: Engine) -> None:
    """Check that the database can store every name.

    Raises:
        StoreUnavailable: a PostgreSQL database in another encoding than UTF8.
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
    """Return whether a database refused a statement because it, its file or this transaction is read-only."""
    return getattr(error.orig, "sqlstate", None) == _READ_ONLY or "readonly database" in str(error.orig)


def is_no_database(error: DBAPIError) -> bool:
    """Return whether an error means that the store's file is not a database."""
    return "file is not a database" in str(error.orig)


def read_options(engine: Engine) -> dict[str, Any]:
    """Return the execution options of a transaction that only reads and sees one moment."""
    return {"readonly": True, **({"isolation_level": "REPEATABLE READ"} if has_server(engine) else {})}


def execute_on_server(connection: Connection, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
    """Execute a statement that only PostgreSQL needs; do nothing on SQLite."""
    if has_server(connection):
        connection.execute(sa.text(statement), parameters)


def may_read(connection: Connection, table: str, column: str) -> bool:
    """Return whether the role of this connection may read a column; a SQLite store has no roles."""
    if not has_server(connection):
        return True
    query = sa.text("SELECT has_column_privilege(CAST(:table AS text), CAST(:column AS text), 'SELECT')")
    return bool(connection.scalar(query, {"table": table, "column": column}))


def lock(connection: Connection, number: int) -> None:
    """Take the lock of this number until the end of this transaction; wait while another transaction has it."""
    execute_on_server(connection, "SELECT pg_advisory_xact_lock(:number)", {"number": number})


def insert(connection: Connection, table: sa.Table) -> Any:
    """Return an INSERT that has `on_conflict_do_update`, `on_conflict_do_nothing` and `excluded`."""
    return postgresql.insert(table) if has_server(connection) else sqlite.insert(table)


def insert_or_ignore(connection: Connection, table: sa.Table, *unique: str) -> sa.Insert:
    """Return an INSERT … ON CONFLICT DO NOTHING for conflicts of the columns `unique`, by default of any columns.

    Name the columns if the database numbers another column: a sequence that was set back conflicts too, and such a row
    must fail, to be tried again.
    """
    statement: sa.Insert = insert(connection, table).on_conflict_do_nothing(index_elements=list(unique) or None)
    return statement


def upsert(connection: Connection, table: sa.Table, keys: list[str], rows: list[dict[str, Any]]) -> None:
    """Insert rows, or replace the rows with the same keys."""
    if not rows:
        return
    statement = insert(connection, table)
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)


def load(connection: Connection, table: sa.Table, columns: Mapping[str, binary_copy.Values]) -> None:
    """Insert many rows, given as columns of one length. An int64 column that may be NULL is a masked array.

    Raises:
        sqlalchemy.exc.IntegrityError: a row's key is taken (PostgreSQL and SQLite alike).
    """
    if not len(next(iter(columns.values()))):
        return
    if has_server(connection):
        binary_copy.write(connection, table, columns)
        return
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    rows = list(zip(*(v.tolist() if isinstance(v, np.ndarray) else v for v in columns.values()), strict=True))
    connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', rows)  # noqa: S608


def read_integers(connection: Connection, query: sa.Select[Any], block_rows: int) -> Iterator[Int64]:
    """Yield the rows of a query for whole numbers, none of them NULL, as int64[columns, at most `block_rows`].

    Straight from the driver: SQLAlchemy's rows cost 15 µs each, twenty times as much as their numbers.
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


def any_of(
    connection: Connection, column: str, values: npt.NDArray[np.void] | Sequence[int], partition_no: int | None = None
) -> tuple[str, tuple[Any, ...]]:
    """Return a condition "this column is one of these", in driver SQL, and its parameters.

    The values are V16[n] for 16-byte keys, or whole numbers. PostgreSQL takes all values as one array; SQLite takes one
    parameter for each, `CHUNK` at most. A `partition_no` becomes part of the condition.
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
    """Return an expression for a 16-byte key as bytes; PostgreSQL stores the key as a uuid."""
    return f'uuid_send("{column}")' if has_server(connection) else f'"{column}"'


def rows_at(
    connection: Connection, table: str, columns: str, positions: Sequence[tuple[int, int]]
) -> list[sa.Row[Any]]:
    """Return columns of the existing rows at these (partition_no, offset), in the same order."""
    if not has_server(connection):
        query = f'SELECT {columns} FROM {table} WHERE partition_no = ? AND "offset" = ?'  # noqa: S608
        return [connection.exec_driver_sql(query, position).one() for position in positions]
    parts, offsets = (BigIntegers(np.array(column, dtype=np.int64)) for column in zip(*positions, strict=True))
    query = (
        f"SELECT {columns} FROM unnest(%s, %s) WITH ORDINALITY AS wanted(p, o, i)"  # noqa: S608
        f' JOIN {table} ON partition_no = p AND "offset" = o ORDER BY i'
    )
    return list(connection.exec_driver_sql(query, (parts, offsets)).all())


def value_rows(connection: Connection, first: int, rows: Sequence[tuple[int, bytes]]) -> tuple[str, Any]:
    """Return the source of an INSERT of rows (first, number, bytes), in driver SQL, and its parameters."""
    if not has_server(connection):
        return "VALUES (?, ?, ?)", [(first, number, blob) for number, blob in rows]
    numbers = BigIntegers(np.array([number for number, _ in rows], dtype=np.int64))
    return "SELECT %s, n, b FROM unnest(%s, %s) AS given(n, b)", (first, numbers, Blobs([blob for _, blob in rows]))


def csv_query(connection: Connection, columns: Mapping[str, str], table: str) -> str:
    """Return a query, in driver SQL, for all votes of a partition's [first, end) as one text in CSV, as bytes or NULL.

    Rows through a driver, value by value or line by line, cost more than all the hashing of a seal. Parameters:
    partition_no, first, end. `columns` is name → integer, text (quoted), hex64 (16 hexadecimal digits), maybe_integer
    or maybe_bytes (hexadecimal digits); the last two may be NULL, which is an empty field.
    """
    if has_server(connection):
        forms = {
            "integer": '"{0}"::text',
            "text": "'\"' || replace(\"{0}\", '\"', '\"\"') || '\"'",
            "hex64": "lpad(to_hex(\"{0}\"), 16, '0')",
            "maybe_integer": "coalesce(\"{0}\"::text, '')",
            "maybe_bytes": "coalesce(encode(\"{0}\", 'hex'), '')",
        }
        line = " || ',' || ".join(forms[kind].format(name) for name, kind in columns.items())
        # The planner may sort a range of which it knows little, so ranges are short; ORDER BY alone promises an order.
        rows = f'SELECT * FROM {table} WHERE partition_no = %s AND "offset" >= %s AND "offset" < %s ORDER BY "offset"'  # noqa: S608
        return f"SELECT convert_to(string_agg({line}, chr(10)), 'UTF8') FROM ({rows}) AS votes"  # noqa: S608
    # printf: one call a row; joined by operators a row costs half as much again. %w doubles quotes.
    forms = {"integer": "%d", "text": '"%w"', "hex64": "%016x", "maybe_integer": "%s", "maybe_bytes": "%s"}
    line = ",".join(forms[kind] for kind in columns.values())
    # A NULL check is cheaper than calling hex() for every row.
    values = {"maybe_bytes": 'CASE WHEN "{0}" IS NOT NULL THEN hex("{0}") END'}
    given = ", ".join(values.get(kind, '"{0}"').format(name) for name, kind in columns.items())
    return (
        f"SELECT CAST(group_concat(printf('{line}', {given}), char(10)) AS BLOB)"  # noqa: S608
        f' FROM {table} WHERE partition_no = ? AND "offset" >= ? AND "offset" < ?'
    )


def fetch_bytes(connection: Connection, query: str, parameters: tuple[Any, ...]) -> bytes:
    """Return the single bytes value of a query in driver SQL; empty for NULL."""
    cursor = raw_cursor(connection, **({"binary": True} if has_server(connection) else {}))
    (data,) = cursor.execute(query, parameters).fetchone()
    cursor.close()
    return data or b""
