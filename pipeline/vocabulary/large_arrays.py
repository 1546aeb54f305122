"""Allocates large arrays: those that have a value for each vote and are kept for a long time.

By default a large array is an ordinary array in memory. Within `allocating(allocate)`, the function `allocate` makes
it, and may place it elsewhere, such as in a mapped temporary file (`pipeline.spilled_arrays`). The values are the same,
so no result depends on the place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

PIECE = 1 << 18
"""Calculations take this many values of a large array at a time, so that their temporary arrays stay small."""

Allocate: TypeAlias = Callable[[tuple[int, ...], "np.dtype[Any]"], npt.NDArray[Any]]
"""A function that returns an array with the given shape and type, and undefined content."""

_Array = TypeVar("_Array", bound=npt.NDArray[Any])
_allocate: ContextVar[Allocate | None] = ContextVar("allocate", default=None)


@contextmanager
def allocating(allocate: Allocate) -> Iterator[None]:
    """Within a `with` block, make all large arrays with the function `allocate`."""
    token = _allocate.set(allocate)
    try:
        yield
    finally:
        _allocate.reset(token)


def have_place() -> bool:
    """Return whether this code runs within `allocating`. If not, large arrays are ordinary arrays."""
    return _allocate.get() is not None


def new_large(shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a large array of undefined content, for the caller to fill."""
    allocate = _allocate.get()
    return np.empty(shape, kind) if allocate is None else allocate(shape, np.dtype(kind))


def pieces(length: int) -> list[slice]:
    """Return slices of PIECE values that together cover an array of this length; for length 0, one empty slice."""
    return [slice(first, min(first + PIECE, length)) for first in range(0, max(length, 1), PIECE)]


def keep(array: _Array) -> _Array:
    """Return an array with the same values: within `allocating` a large array, otherwise the given array itself.

    The caller must drop the given array, so that its memory becomes free. An array that repeats one number
    without taking memory (all strides are 0) is returned unchanged.
    """
    allocate = _allocate.get()
    if allocate is None or not any(array.strides):
        return array
    kept = allocate(array.shape, array.dtype)
    kept[...] = array
    return kept  # type: ignore[return-value]


def join_large(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Concatenate one or more parts of a column to one array, which is allocated as a large array."""
    if len(parts) == 1:
        return keep(parts[0])
    result, at = new_large((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype), 0
    for part in parts:
        result[at : at + len(part)] = part
        at += len(part)
    return result


def select_large(values: npt.NDArray[Any], rows: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Return the rows at which the mask `rows` is true, as a large array."""
    result, at = new_large((int(np.count_nonzero(rows)), *values.shape[1:]), values.dtype), 0
    for piece in pieces(len(rows)):
        some = values[piece][rows[piece]]
        result[at : at + len(some)] = some
        at += len(some)
    return result


def count_distinct(values: npt.NDArray[Any]) -> int:
    """Return the number of different values in an array of one dimension.

    `numpy.unique` would collect them in a hash table, which takes several times the memory of the values.
    """
    if not len(values):
        return 0
    ordered = np.sort(values)
    return 1 + sum(int((ordered[one][1:] != ordered[one][:-1]).sum()) for one in _overlapping(len(ordered)))


def _overlapping(length: int) -> list[slice]:
    """Return the slices of `pieces`, each extended by one value: the first value of the next slice."""
    return [slice(one.start, one.stop + 1) for one in pieces(length)]
