"""Builds a query that returns a range of rows as one CSV text, for SQLite and for PostgreSQL."""

from collections.abc import Mapping

from sqlalchemy.engine import Connection

from pipeline.store.db.dialect import has_server


def csv_query(connection: Connection, columns: Mapping[str, str], table: str) -> str:
    """Return the SQL text of a query that reads a range of rows as one value: CSV as bytes, NULL without rows.

    The query has three placeholders: partition_no, first offset and end offset. The rows are read as one value, because
    fetching single rows through a driver takes longer than all hashing of a seal.

    Args:
        connection: connection to the database for which the query is built.
        columns: name → kind: integer, text (quoted), hex64 (16 hexadecimal digits), maybe_integer or maybe_bytes
            (hexadecimal digits). Values of the last two kinds may be NULL, which gives an empty field.
        table: name of the table.
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
