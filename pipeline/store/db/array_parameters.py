"""Passes arrays to PostgreSQL as one binary parameter.

The driver would convert a Python list to text, element by element. For the ids of a batch this takes as long as the
query itself. `array_dumpers` makes the binary form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.arrays import Int64


@dataclass(frozen=True, slots=True)
class BigIntegers:
    """A parameter of type bigint[]."""

    values: Int64


@dataclass(frozen=True, slots=True)
class Blobs:
    """A parameter of type bytea[]. Its elements may differ in length, and may be None."""

    values: Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Uuids:
    """A parameter of type uuid[]. `values` is V16[n], 16 bytes for each element."""

    values: npt.NDArray[np.void]


def unnest(columns: Mapping[str, Int64 | Sequence[bytes | None]]) -> tuple[str, tuple[Any, ...]]:
    """Return a query whose result has these columns and one row for each array index, and the query's parameters.

    Args:
        columns: name → values. All columns have the same length.

    Returns:
        The SQL text with a placeholder for each column, and one array parameter for each column.
    """
    arrays = (BigIntegers(v) if isinstance(v, np.ndarray) else Blobs(v) for v in columns.values())
    return f"SELECT * FROM unnest({', '.join(['%s'] * len(columns))}) AS given", tuple(arrays)  # noqa: S608
