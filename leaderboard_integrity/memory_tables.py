"""Writes tables in memory to Parquet files, so that they are read in the same way as files of votes."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import BadInput, Usage
from pipeline.vocabulary.visible_text import visible

if TYPE_CHECKING:
    import pandas as pd

NAME = "the table"
"""Name of a table in memory, in messages."""

_ACCEPTED = "a path, a list of paths, or a table of pandas, polars or Arrow"
_Columns: TypeAlias = list[tuple[str, Any]]
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_PLAIN = (
    (pa.types.is_string_view, pa.large_string()),
    (pa.types.is_binary_view, pa.large_binary()),
    (pa.types.is_duration, pa.string()),
    (pa.types.is_interval, pa.string()),
)
# A row group of so many rows stays within what a reader of files allows to unpack.
_GROUP_ROWS = 100_000


def is_table(data: object) -> bool:
    """Return whether an object is a table, which is a pandas data frame or has the Arrow C stream interface."""
    if type(data).__name__ == "Series":  # has the Arrow interface, but a single column
        return False
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__") or _is_pandas(data)


def write_table(data: Any, folder: Path) -> tuple[Path, list[str]]:
    """Write a table to a Parquet file.

    Args:
        data: the table, as `is_table` recognises it.
        folder: the folder in which the file is created.

    Returns:
        Two values: the path of the file, and sentences about the parts of the table that the file lacks.

    Raises:
        BadInput: a column has values of several types, or two columns have the same name. The message names the column,
            and the row if there is one.
    """
    notes = _index_notes(data) if _is_pandas(data) else []
    columns = _from_pandas(data, notes) if _is_pandas(data) else _from_arrow(data)
    repeated = [name for name, count in Counter(name for name, _ in columns).items() if count > 1]
    if repeated:
        count = [name for name, _ in columns].count(repeated[0])
        raise BadInput(f"{NAME}: expected each column once, got {visible(repeated[0])!r} {count} times")
    plain = {name: found for name, column in columns if (found := _plain(name, column, notes)) is not None}
    path = folder / NAME
    # Without dictionaries: a file that repeats itself much would look like one that unpacks to more than it should.
    pq.write_table(pa.table(plain), path, use_dictionary=False, store_schema=False, row_group_size=_GROUP_ROWS)
    return path, notes


def not_a_table(data: object) -> Usage:
    """Return the error for an argument that is neither a path nor a table, for the caller to raise."""
    if type(data).__name__ == "Series":
        return Usage(f"expected {_ACCEPTED}, got a Series, which is one column")
    if hasattr(data, "collect"):
        return Usage(f"expected {_ACCEPTED}, got a {type(data).__name__}: pass its collect()")
    if hasattr(data, "to_pandas"):
        return Usage(f"expected {_ACCEPTED}, got a {type(data).__name__}: pass its to_pandas()")
    return Usage(f"expected {_ACCEPTED}, got a {type(data).__name__}; pandas.DataFrame(…) makes a table of it")


def _is_pandas(data: object) -> bool:
    return type(data).__module__.split(".")[0] == "pandas" and hasattr(data, "columns")


def _from_arrow(data: Any) -> _Columns:
    try:
        table = pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadInput(f"{NAME}: expected a table with named columns: {error}") from None
    return list(zip(table.column_names, table.columns, strict=True))


def _from_pandas(frame: pd.DataFrame, notes: list[str]) -> _Columns:
    """Return the columns of a data frame. An index with a name is a column, an index without a name is left out."""
    if frame.columns.nlevels > 1:
        raise BadInput(f"{NAME}: expected columns with one name each, got {frame.columns.nlevels} levels of names")
    if any(name is not None for name in frame.index.names):
        repeated = set(frame.index.names) & set(frame.columns)
        if repeated:
            raise BadInput(
                f"{NAME}: expected each column once, got {visible(min(map(str, repeated)))!r} in the index too"
            )
        frame = frame.reset_index()
    named = [(str(name), frame.iloc[:, place]) for place, name in enumerate(frame.columns)]
    return [(name, found) for name, one in named if (found := _pandas_column(one, name, notes)) is not None]


def _pandas_column(column: pd.Series[Any], name: str, notes: list[str]) -> pa.Array | None:
    """Return a column as Arrow; None with a note if Arrow has no type for its values."""
    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        mixed = _mixed_place(column, name)
        if mixed:
            raise BadInput(f"{NAME}, {mixed}") from None
        notes.append(_unread(name, column.dtype))
        return None


def _index_notes(frame: pd.DataFrame) -> list[str]:
    """Return a sentence if the index of a data frame has values but no name, so that it is not read.

    An unnamed index of whole numbers has no data, and gets no sentence.
    """
    if any(name is not None for name in frame.index.names):
        return []
    if frame.index.nlevels == 1 and frame.index.dtype.kind in "iu":
        return []
    return ["the index of the data frame was not read, because it has no name: df.rename_axis(NAME) gives it one"]


def _unread(name: str, kind: object) -> str:
    """Return a sentence about a column whose type cannot be written to a file.

    The sentence quotes no value of the column, because a value may name a person.
    """
    return f"the column {visible(name)} cannot be read: its type is {visible(kind)}"


def _mixed_place(column: pd.Series[Any], name: str) -> str:
    """Return where the values of a column change their type, and how to mend this; "" if all have one type."""
    known = column[column.notna().to_numpy()]
    kinds = [type(value) for value in known]
    place = next((k for k, kind in enumerate(kinds) if kind is not kinds[0]), None)
    if place is None:
        return ""
    row = int(column.notna().to_numpy().nonzero()[0][place])
    shown = visible(repr(known.iloc[place]))[:40]
    return (
        f"row {row}, column {visible(name)!r}: expected {kinds[0].__name__} as in the rows before, got "
        f'{kinds[place].__name__} {shown}; df[{name!r}] = df[{name!r}].map(str, na_action="ignore") makes all of them '
        "text"
    )


def _plain(name: str, column: Any, notes: list[str]) -> Any:
    """Return a column converted to a type that Parquet can store.

    If there is no such type, a note is added, and the result is None.
    """
    try:
        kind = plain_type(column.type)
        if pa.types.is_dictionary(column.type):
            column = _decoded(column, kind)
        plain = column if column.type == kind else column.cast(kind)
        pq.ParquetWriter(io.BytesIO(), pa.schema([(name, kind)])).close()
    except (pa.ArrowException, TypeError, ValueError):
        notes.append(_unread(name, column.type))
        return None
    return plain


def _decoded(column: Any, kind: pa.DataType) -> pa.ChunkedArray:
    """Return the values of a dictionary-encoded column, each code replaced by its value of the type `kind`."""
    pieces = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return pa.chunked_array([one.dictionary.cast(kind).take(one.indices) for one in pieces], kind)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the Arrow type with which values of an Arrow type are written to Parquet.

    A dictionary type is replaced by the type of its values, and a text view by text. Durations and calendar intervals
    are written as text.
    """
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if any(is_list(kind) for is_list in _LISTS):
        return pa.large_list(plain_type(kind.value_type))
    return next((plain for is_of, plain in _PLAIN if is_of(kind)), kind)
