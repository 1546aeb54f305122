"""Represents a piece of a battle file: some of its rows, stored as columns.

The rows come from an Arrow batch or from decoded JSON records.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.battle_format import ValueSource
from pipeline.formats.cell_values import entry, is_absent, structured


class Undecided(Exception):
    """Raised if a piece of a file cannot be mapped by column. The caller must map the file record by record instead."""


class Piece(Protocol):
    """Some rows of a battle file, stored as columns. Each subclass reads the rows from another kind of data.

    Attributes:
        is_decoded: whether the decoder of events has accepted every row.
    """

    is_decoded: ClassVar[bool]

    def __len__(self) -> int:
        """Return the number of rows."""

    def values(self, source: ValueSource) -> pa.Array:
        """Return the values at a source, one for each row; null for a row without a value.

        Args:
            source: a column, or a place inside the column's values.

        Raises:
            Undecided: the values have several types, or a value does not have the keys of the source.
        """

    def records(self, columns: Collection[str]) -> Iterable[Mapping[str, Any]]:
        """Return the rows as records, for checks of texts.

        Args:
            columns: names of the columns that the records contain. Columns that the table lacks are left out.
        """


class ArrowPiece:
    """Rows of a Parquet or CSV file, as Arrow columns."""

    is_decoded: ClassVar[bool] = False

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._batch.num_rows)

    def values(self, source: ValueSource) -> pa.Array:
        """Return the values of a column or of a field nested in it; all null if the table lacks the column."""
        if source.column not in self._batch.schema.names:
            return pa.nulls(len(self))
        array = self._batch.column(source.column)
        for depth, key in enumerate(source.keys):
            if not pa.types.is_struct(array.type):
                return _array(
                    [_nested(value, source.keys[depth:]) for value in array.to_pylist(maps_as_pydicts="lossy")]
                )
            if key not in {field.name for field in array.type}:
                return pa.nulls(len(self))
            array = pc.struct_field(array, key)
        return array

    def records(self, columns: Collection[str]) -> Iterable[Mapping[str, Any]]:
        """Return the rows as records with the given columns. Columns that the table lacks are left out."""
        names = [name for name in self._batch.schema.names if name in columns]
        rows: list[dict[str, Any]] = self._batch.select(names).to_pylist(maps_as_pydicts="lossy")
        return rows


class TextedPiece(ArrowPiece):
    """Rows of a Parquet file as Arrow columns. Their long texts come from a separate stream of records."""

    def __init__(self, batch: pa.RecordBatch, texts: Iterator[Mapping[str, Any]]) -> None:
        """Take a batch without its long texts.

        Args:
            batch: the rows.
            texts: yields the texts of these rows, then the texts of the next piece.
        """
        super().__init__(batch)
        self._texts = texts

    def records(self, columns: Collection[str]) -> Iterable[Mapping[str, Any]]:  # noqa: ARG002  # those of the stream
        """Return the long texts of the rows, one record for each row.

        The texts can be read only once, and must be read before the texts of the next piece. `columns` is not used.
        """
        return islice(self._texts, len(self))


class RowPiece:
    """Rows of a battle file as decoded JSON records."""

    is_decoded: ClassVar[bool] = False

    def __init__(self, rows: Sequence[Any], attributes: Mapping[str, str]) -> None:
        """Take decoded records.

        Args:
            rows: objects with an attribute for each column.
            attributes: name of a column → name of its attribute.
        """
        self._rows, self._attributes = rows, attributes

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def values(self, source: ValueSource) -> pa.Array:
        """Return the values of a column or of a field nested in it; all null if the records lack the column."""
        name = self._attributes.get(source.column)
        if name is None:
            return pa.nulls(len(self))
        values = list(map(attrgetter(name), self._rows))
        return _array([_nested(value, source.keys) for value in values] if source.keys else values)

    def records(self, columns: Collection[str]) -> Iterable[Mapping[str, Any]]:
        """Return the rows as records with the given columns. Columns that the records lack are left out."""
        names = {column: name for column, name in self._attributes.items() if column in columns}
        return [{column: getattr(row, name) for column, name in names.items()} for row in self._rows]


def _nested(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        whole = structured(value)
        if not (is_absent(whole) or isinstance(whole, Mapping | list)):
            raise Undecided
        value = entry(whole, key)
    return value


def _array(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        raise Undecided from None
