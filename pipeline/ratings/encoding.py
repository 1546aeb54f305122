"""Encodes columns of text as integer codes.

An outcome that is not one of the four raises an error and is never taken as a tie. (Scoring unknown labels as
ties once turned every rating into NaN.) The model axis is the sorted names, whatever the order of the votes.

Arrow encodes a column at about 10 ns a value, with one thread for each column. Arrow refuses columns with a number
among the names, a lone surrogate or a null. Such a column is read value by value, with the same result or an error
that names the row.

Not handled: other spellings of an outcome, such as "tie (bothbad)" (`pipeline.formats`).
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import BadCounts
from ..vocabulary.arrays import Int32
from ..vocabulary.outcomes import OUTCOME_CODES, OUTCOMES

# Distinct texts of a column, and each row's position among them.
_Encoded = tuple[list[str], npt.NDArray[np.integer[Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class CodedColumn:
    """A column of N codes in compact form: the code of row i is table[position[i]].

    Attributes:
        table: int32[D], the code of each of D distinct values.
        position: int32[N], the position in `table` of each row's code.
    """

    table: Int32
    position: npt.NDArray[np.integer[Any]]

    @property
    def codes(self) -> Int32:
        """The code of each row, int32[N]."""
        result: Int32 = self.table.take(self.position)
        return result


def encode_battles(
    model_a: Iterable[Any], model_b: Iterable[Any], winner: Iterable[Any]
) -> tuple[tuple[str, ...], Int32, Int32, Int32]:
    """Turn three columns of text into the model axis and three columns of codes.

    Args:
        model_a: N names; a list, a numpy array, a pandas column (categories too) or an Arrow array.
        model_b: N names.
        winner: N outcomes, each one of `OUTCOMES`.

    Returns:
        Four values: the sorted model names; then three arrays int32[N], the codes of model a, of model b and of the
            outcome.

    Raises:
        BadCounts: columns differ in length, a name is not text, or an outcome is unknown. The message has the row,
            counted from 0, and the value.
    """
    models, *columns = encode_columns(model_a, model_b, winner)
    return models, columns[0].codes, columns[1].codes, columns[2].codes


def encode_columns(
    model_a: Iterable[Any], model_b: Iterable[Any], winner: Iterable[Any]
) -> tuple[tuple[str, ...], CodedColumn, CodedColumn, CodedColumn]:
    """Encode three columns of text as the model axis and three columns of codes in compact form.

    Args:
        model_a: N names; a list, a numpy array, a pandas column (categories too) or an Arrow array.
        model_b: N names.
        winner: N outcomes, each one of `OUTCOMES`.

    Returns:
        Four values: the sorted model names; then model a, model b and the outcome, each as a `CodedColumn`.

    Raises:
        BadCounts: columns differ in length, a name is not text, or an outcome is unknown. The message has the row,
            counted from 0, and the value.
    """
    given = [_sized(column) for column in (model_a, model_b, winner)]
    if len({len(column) for column in given}) != 1:
        lengths = ", ".join(f"{len(c)} {what}" for c, what in zip(given, ("model_a", "model_b", "winner"), strict=True))
        raise BadCounts(f"expected columns of one length, got {lengths}")
    with ThreadPoolExecutor(len(given)) as threads:
        left, right, outcomes = threads.map(_encode, given)
    if left is None or right is None or outcomes is None:
        return _one_by_one(*given)
    names = {*left[0], *right[0]}
    if "" in names or not set(outcomes[0]) <= set(OUTCOMES):
        return _one_by_one(*given)
    models = tuple(sorted(names))
    place = {name: code for code, name in enumerate(models)}
    return models, _placed(left, place), _placed(right, place), _placed(outcomes, OUTCOME_CODES)


def encode_groups(column: Iterable[Any], what: str) -> tuple[tuple[str, ...], Int32]:
    """Encode a column of labels.

    Args:
        column: N labels; a value may be absent (null, NaN or empty text).
        what: name of the column for error messages.

    Returns:
        Two values: the distinct labels, sorted; and int32[N], the position of each row's label, −1 for an absent value.

    Raises:
        BadCounts: a value is neither text nor absent. The message names its row.
    """
    given = _sized(column)
    encoded = _encode(given, nulls=True)
    if encoded is None:
        texts = _texts(given)
        bad = next((row for row, x in enumerate(texts) if not (x is None or isinstance(x, str) or x != x)), None)
        if bad is not None:
            raise BadCounts(f"expected a text for {what}, got {texts[bad]!r} at row {bad}")
        known = sorted({x for x in texts if isinstance(x, str)})
        place = {name: code for code, name in enumerate(known)}
        return tuple(known), np.array([place.get(x, -1) if isinstance(x, str) else -1 for x in texts], dtype=np.int32)
    known = sorted(encoded[0])
    return tuple(known), _placed(encoded, {name: code for code, name in enumerate(known)}).codes


def _sized(column: Iterable[Any]) -> Any:
    return column if hasattr(column, "__len__") else list(column)


def _encode(column: Any, *, nulls: bool = False) -> _Encoded | None:
    """Return the distinct texts of a column, and the position among them of each row's text.

    The result is None if Arrow cannot read every value as text. Null counts as such a value unless `nulls` is true.
    """
    try:
        array = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return ([], np.zeros(0, dtype=np.int32)) if not len(array) else None
    if array.null_count and not nulls:
        return None
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.large_string()) if pa.types.is_string_view(kind) else array
        array = array.dictionary_encode()
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks()
        array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    return _split(array)


def _split(array: Any) -> _Encoded | None:
    indices = array.indices.fill_null(-1) if array.null_count else array.indices
    try:
        texts = array.dictionary.to_pylist()
    except UnicodeDecodeError:
        return None
    if None in texts or len(set(texts)) < len(texts):
        return None  # the caller's own dictionary, with nulls or repeated texts
    return texts, indices.to_numpy(zero_copy_only=False)


def _placed(encoded: _Encoded, place: dict[str, int]) -> CodedColumn:
    # The last entry is for position −1, an absent value: numpy counts it from the end.
    return CodedColumn(np.array([*(place[text] for text in encoded[0]), -1], dtype=np.int32), encoded[1])


def _one_by_one(
    model_a: Iterable[Any], model_b: Iterable[Any], winner: Iterable[Any]
) -> tuple[tuple[str, ...], CodedColumn, CodedColumn, CodedColumn]:
    left, right, outcomes = _texts(model_a), _texts(model_b), _texts(winner)
    models = _axis(left, right)
    index = {name: code for code, name in enumerate(models)}
    result = _lookup(OUTCOME_CODES, outcomes)
    if (result < 0).any():
        row = int(np.argmax(result < 0))
        raise BadCounts(f"expected a winner in {OUTCOMES}, got {outcomes[row]!r} at row {row}")
    axis = np.arange(len(models), dtype=np.int32)
    return (
        models,
        CodedColumn(axis, _lookup(index, left)),
        CodedColumn(axis, _lookup(index, right)),
        CodedColumn(np.arange(len(OUTCOMES), dtype=np.int32), result),
    )


def _texts(column: Any) -> Sequence[Any]:
    # A str caches its hash; numpy would make a new scalar for each access.
    for plain in ("to_pylist", "tolist"):
        if hasattr(column, plain):
            texts: Sequence[Any] = getattr(column, plain)()
            return texts
    return list(column)


def _axis(left: Sequence[Any], right: Sequence[Any]) -> tuple[str, ...]:
    try:
        names = set(left) | set(right)
    except TypeError:  # an unhashable value, which the scan below finds
        names = {None}
    if not all(_is_name(name) for name in names):
        row, name = next((row, x) for row, x in enumerate(_alternate(left, right)) if not _is_name(x))
        raise BadCounts(f"expected a model name, got {name!r} at row {row // 2}")
    return tuple(sorted(names))


def _lookup(index: dict[str, int], column: Sequence[Any]) -> Int32:
    try:
        return np.fromiter(map(index.get, column, repeat(-1)), np.int32, len(column))
    except TypeError:  # an unhashable value is no known name
        return np.array([index.get(v, -1) if isinstance(v, str) else -1 for v in column], dtype=np.int32)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _alternate(left: Sequence[Any], right: Sequence[Any]) -> Iterator[Any]:
    for pair in zip(left, right, strict=True):
        yield from pair
