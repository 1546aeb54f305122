"""Checks the arrays from which ratings are computed.

A check raises `BadCounts` with the wrong value and its row, or returns the array in the right type. No value is
repaired: NaN and fractions of votes raise an error.

Not handled: whether the counts have an estimate (`win_graph`, `bradley_terry`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int32, Int64

# Sums up to this are exact in float64 and in int64.
MOST_VOTES = 2**53


def require_level(level: float) -> None:
    """Raise `BadCounts` unless the coverage `level` is between 0 and 1."""
    if not 0 < level < 1:
        raise BadCounts(f"expected a level between 0 and 1, got {level}")


def model_names(models: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple; raise `BadCounts` if a name is empty, not text or repeated."""
    names = tuple(models)
    seen: set[str] = set()
    for code, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise BadCounts(f"expected a model name, got {name!r} at code {code}")
        if name in seen:
            raise BadCounts(f"expected each model once, got {name!r} again at code {code}")
        seen.add(name)
    return names


def codes(values: npt.ArrayLike, what: str, size: int) -> Int32:
    """Return the values as a read-only int32[P]; raise `BadCounts` unless each is a code in [0, size).

    Args:
        values: P values.
        what: name of the values, for the message.
        size: the number of codes.
    """
    array = whole_numbers(values, what)
    # Minimum and maximum are enough for valid columns, however long.
    if array.size and not 0 <= array.min() <= array.max() < size:
        row = int(np.argmax((array < 0) | (array >= size)))
        raise BadCounts(f"expected {what} to be a code in [0, {size}), got {array[row]} at row {row}")
    return _frozen(array.astype(np.int32))


def counts(values: npt.ArrayLike, what: str, names: Sequence[str], a: Int32, b: Int32) -> Int64:
    """Return the values as a read-only int64[P]; raise `BadCounts` unless each is a whole number from 0 to 2⁵³.

    Args:
        values: P numbers of votes, one for each pair of models.
        what: name of the values, for the message.
        names: names of the models, for the message.
        a, b: int32[P], codes of the two models of each pair.
    """
    array = whole_numbers(values, what)
    if array.shape != a.shape:
        raise BadCounts(f"expected {len(a)} rows of {what}, got shape {array.shape}")
    bad = np.flatnonzero((array < 0) | (array > MOST_VOTES))
    if bad.size:
        row = int(bad[0])
        pair = f"{names[a[row]]} against {names[b[row]]}"
        raise BadCounts(f"expected {what} in [0, 2^53], got {array[row]} for {pair} at row {row}")
    return _frozen(array.astype(np.int64))


def refuse_self_pairs(a: Int32, b: Int32, names: Sequence[str]) -> None:
    """Raise `BadCounts` for the first row whose two models are the same.

    Args:
        a, b: int32[P], codes of the two models of each pair.
        names: names of the models, for the message.
    """
    same = np.flatnonzero(a == b)
    if same.size:
        row = int(same[0])
        raise BadCounts(f"expected two models, got {names[a[row]]} against itself at row {row}")


def square_matrix(values: npt.ArrayLike, what: str, names: Sequence[str | int] | None) -> Float64:
    """Return the values as float64[K, K]; raise `BadCounts` unless all are finite and ≥ 0, and 0 on the diagonal.

    Args:
        values: a matrix with one row and one column for each model.
        what: name of the matrix, for the message.
        names: names of the models, for the message; None to name models by their codes.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadCounts(f"expected {what} to be a matrix of numbers, got {type(values).__name__}") from error
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise BadCounts(f"expected {what} of shape (K, K), got {array.shape}")
    if names is not None and len(names) != len(array):
        raise BadCounts(f"expected {len(array)} model names for {what}, got {len(names)}")
    bad = np.argwhere(~np.isfinite(array) | (array < 0) | (np.eye(len(array), dtype=bool) & (array != 0)))
    if bad.size:
        i, j = (int(k) for k in bad[0])
        pair = f"{names[i]} against {names[j]}" if names is not None else f"model {i} against model {j}"
        rule = "nothing on the diagonal" if i == j else "a finite number at least 0"
        raise BadCounts(f"expected {rule} in {what}, got {array[i, j]} for {pair}")
    return array


def whole_numbers(values: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
    """Return the values as a one-dimensional array; raise `BadCounts` unless all are whole numbers.

    The result has the type of the values. An empty sequence gives an empty int64 array.

    Args:
        values: integers, or floats without fractions.
        what: name of the values, for the message.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise BadCounts(f"expected {what} to have one dimension, got shape {array.shape}")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iuf":
        raise BadCounts(f"expected whole numbers in {what}, got {array.dtype} (first: {array[0]!r})")
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(array) | (array != np.floor(array)))
        if bad.size:
            raise BadCounts(f"expected whole numbers in {what}, got {array[bad[0]]} at row {bad[0]}")
    return array


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.setflags(write=False)
    return array
