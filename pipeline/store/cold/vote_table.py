"""Gives a query one table with all votes of the table `vote`, and with the archived votes that the query needs.

A function of this module reads the archived votes that meet a condition, and returns the union of `vote` and these
votes. The caller's query applies its own conditions to the union, so too many archived votes do no harm. In PostgreSQL,
archived votes are sent with the query as arrays, because most roles may make no tables. In SQLite, archived votes are
in a temporary table in memory, which lasts until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateTable

from pipeline.store.cold import cold_files, cold_votes
from pipeline.store.cold.cold_votes import VoteFilter
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import NO_TIME

_LOADED = "archived votes of a transaction"
_NAMES = tuple(c.name for c in schema.vote.columns if c.name != "style")
_table = sa.Table(
    "cold_vote",
    sa.MetaData(),
    *(
        sa.Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable)
        for c in schema.vote.columns
        if c.name in _NAMES
    ),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

if TYPE_CHECKING:
    import pyarrow as pa


def votes_where(connection: Connection, wanted: VoteFilter) -> sa.FromClause:
    """Return a table that has all hot votes, and all archived votes that meet a condition.

    The table has the columns of `vote` without `style`. If no archived vote is needed, it is the table `vote` itself.

    Args:
        connection: a transaction.
        wanted: the condition.

    Raises:
        MissingKey: archived votes are needed, and there is no archive key.
        Unavailable: an archive file is missing.
    """
    found = list(cold_votes.find(connection, wanted)) if cold_files.any_archived(connection) else []
    if not found:
        return schema.vote
    cold = _from_arrays(found) if dialect.has_server(connection) else _from_table(connection, found)
    return sa.union_all(sa.select(*(schema.vote.c[name] for name in _NAMES)), cold).subquery("every_vote")


def votes_of(connection: Connection, voters: Iterable[int]) -> sa.FromClause:
    """Return a table that has all hot votes, and the archived votes of the given voters (pseudonyms)."""
    wanted = np.array(sorted(one for one in voters if one), dtype=np.int64)
    return votes_where(connection, VoteFilter(voters=wanted)) if len(wanted) else schema.vote


def votes_at(connection: Connection, positions: Iterable[tuple[int, int]]) -> sa.FromClause:
    """Return a table with all hot votes, and the archived votes at the given positions (partition_no, offset).

    The columns and the errors are those of `votes_where`.
    """
    by_part: dict[int, list[int]] = {}
    for part, offset in positions:
        by_part.setdefault(int(part), []).append(int(offset))
    offsets = {part: np.array(sorted(set(mine)), dtype=np.int64) for part, mine in by_part.items()}
    return votes_where(connection, VoteFilter(offsets=offsets)) if offsets else schema.vote


def forget(connection: Connection) -> None:
    """Delete the temporary table that this transaction has made. A caller that changes archived votes must do this."""
    if connection.info.pop(_LOADED, None) is not None:
        connection.exec_driver_sql("DROP TABLE IF EXISTS temp.cold_vote")


def _from_arrays(found: Sequence[tuple[int, pa.RecordBatch]]) -> sa.Select[Any]:
    """Return a query whose rows are the given votes.

    PostgreSQL gets the votes as one array parameter for each column.
    """
    from pipeline.store.cold import vote_rows  # noqa: PLC0415 - imports Arrow, which short commands do not need

    parts = [vote_rows.table_columns(batch, part) for part, batch in found]
    arrays, columns, values = [], [], []
    for name in _NAMES:
        kind = schema.vote.c[name].type
        column = [one for part in parts for one in _plain(part[name])]
        arrays.append(sa.bindparam(None, column, type_=postgresql.ARRAY(kind), unique=True))
        columns.append(sa.column(name, kind))
    table = sa.func.unnest(*arrays).table_valued(*columns, name="cold_vote").render_derived()
    for name in _NAMES:
        # The arrays have no nulls, which literal values of an array could not have.
        value = sa.func.nullif(table.c[name], NO_TIME) if name == "voter_since" else table.c[name]
        # Literal arrays of whole numbers have the type of their longest number.
        values.append(sa.cast(value, schema.vote.c[name].type).label(name))
    return sa.select(*values)


def _plain(values: Any) -> list[Any]:
    return np.ma.filled(values, NO_TIME).tolist() if isinstance(values, np.ndarray) else list(values)


def _from_table(connection: Connection, found: Sequence[tuple[int, pa.RecordBatch]]) -> sa.Select[Any]:
    """Add votes to the temporary table, each vote once, and return a query of all rows of the table."""
    from pipeline.store.cold import vote_rows  # noqa: PLC0415 - imports Arrow, which short commands do not need

    transaction, loaded = connection.info.get(_LOADED, (None, {}))
    if transaction is not connection.get_transaction():
        # SQLite keeps the table after the transaction, and with it votes that may be erased by now.
        connection.exec_driver_sql("DROP TABLE IF EXISTS temp.cold_vote")
        connection.execute(CreateTable(_table))
        loaded = dict[int, Int64]()
        connection.info[_LOADED] = connection.get_transaction(), loaded
    for part, batch in found:
        known = loaded.get(part, np.zeros(0, dtype=np.int64))
        new = batch.filter(~np.isin(batch["offset"].to_numpy(), known))
        columns = vote_rows.table_columns(new, part)
        dialect.load(connection, _table, {name: columns[name] for name in _NAMES})
        loaded[part] = np.append(known, new["offset"].to_numpy())
    return sa.select(*(_table.c[name] for name in _NAMES))
