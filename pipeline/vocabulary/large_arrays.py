"""Allocates arrays that have a value for each vote and are kept for a long time, where the caller of a command wants.

By default such an array is an ordinary one, in memory. Within `allocating(…)` a function makes it, such as one that
maps a temporary file (`pipeline.spilled_arrays`). The values are the same, so no result depends on the place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

PIECE = 1 << 18
"""The number of values of one calculation over a large array, so that its own arrays stay small."""

Allocate: TypeAlias = Callable[[tuple[int, ...], "np.dtype[Any]"], npt.NDArray[Any]]
"""Makes an array of a shape and a type, with any values."""

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
    """Return whether a function makes the large arrays; otherwise they are ordinary ones."""
    return _allocate.get() is not None


def new_large(shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array with any values, for values that are kept for a long time."""
    allocate = _allocate.get()
    return np.empty(shape, kind) if allocate is None else allocate(shape, np.dtype(kind))


def pieces(length: int) -> list[slice]:
    """Return the parts of PIECE values that an array of this length has, as slices; an empty array has an empty one."""
    return [slice(first, min(first + PIECE, length)) for first in range(0, max(length, 1), PIECE)]


def keep(array: _Array) -> _Array:
    """Return an array with the same values, to be kept: a copy if large arrays have a place, else the array itself.

    The caller drops the given array, so that its memory is free. A constant that takes no memory is returned unchanged.
    """
    allocate = _allocate.get()
    if allocate is None or not any(array.strides):
        return array
    kept = allocate(array.shape, array.dtype)
    kept[...] = array
    return kept  # type: ignore[return-value]


def join_large(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the parts of a column, at least one, as one large array."""
    if len(parts) == 1:
        return keep(parts[0])
    result, at = new_large((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype), 0
    for part in parts:
        result[at : at + len(part)] = part
        at += len(part)
    return result
