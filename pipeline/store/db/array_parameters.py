"""Passes an array to PostgreSQL as one binary parameter.

Without this module, the driver would convert a Python list to text, element by element. For the ids of a batch, that
takes as long as the query itself. `array_dumpers` converts the parameters to bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.arrays import Int64


@dataclass(frozen=True, slots=True)
class BigIntegers:
    """Passes integers as a parameter of type bigint[]."""

    values: Int64


@dataclass(frozen=True, slots=True)
class Blobs:
    """Passes byte strings as a parameter of type bytea[]. The elements may differ in length, and may be None."""

    values: Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Uuids:
    """Passes 16-byte keys as a parameter of type uuid[]. `values` is an array V16[n]."""

    values: npt.NDArray[np.void]


def unnest(columns: Mapping[str, Int64 | Sequence[bytes | None]]) -> tuple[str, tuple[Any, ...]]:
    """Build a query that returns the given columns as rows, one row for each array index.

    Args:
        columns: name → values. All columns have the same length.

    Returns:
        The SQL text with a placeholder for each column, and one array parameter for each column.
    """
    arrays = (BigIntegers(v) if isinstance(v, np.ndarray) else Blobs(v) for v in columns.values())
    return f"SELECT * FROM unnest({', '.join(['%s'] * len(columns))}) AS given", tuple(arrays)  # noqa: S608
