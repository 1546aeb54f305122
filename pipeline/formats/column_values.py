"""Reads whole columns of public files. Each distinct value is read once, by the functions of `cell_values`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.cell_values import MAX_COUNT, label_values, text_value
from pipeline.formats.column_pieces import Undecided
from pipeline.vocabulary.arrays import Int8, Int32, Int64

_MAX_LABELS = 63


def distinct(array: pa.Array) -> tuple[list[Any], npt.NDArray[Any]]:
    """Find the distinct values of a column.

    Returns:
        Two values: the distinct values; and int64[n], the position of each row's value among them, −1 for null.

    Raises:
        Undecided: the column contains lists, maps or times.
    """
    if pa.types.is_null(array.type):
        return [], np.full(len(array), -1, dtype=np.int64)
    if not pa.types.is_dictionary(array.type):
        try:
            array = array.dictionary_encode()
        except pa.ArrowException:
            raise Undecided from None
    indices = array.indices.fill_null(-1) if array.indices.null_count else array.indices
    return array.dictionary.to_pylist(), indices.to_numpy(zero_copy_only=False)


def looked_up(array: pa.Array, read: Callable[[Any], int]) -> Int8:
    """Return int8[n], the result of `read` for the value of each row.

    Args:
        array: a column of n values.
        read: returns the number for a value. It is called once for each distinct value, and once with None for null.
    """
    values, positions = distinct(array)
    table = np.array([*(read(value) for value in values), read(None)], dtype=np.int8)
    result: Int8 = table[positions]
    return result


def text_array(array: pa.Array) -> pa.StringArray | pa.DictionaryArray:
    """Return a column of single values as texts: dictionary-encoded, unless the column is plain text already.

    Raises:
        Undecided: a value has no plain text, for example a map.
    """
    return array if pa.types.is_string(array.type) else text_column(array)


def text_column(array: pa.Array) -> pa.DictionaryArray:
    """Return a column of single values as dictionary-encoded texts.

    Raises:
        Undecided: a value has no plain text, for example a map or a time.
    """
    kind = array.type
    if pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type):
        return array.cast(pa.dictionary(pa.int32(), pa.string()))
    if pa.types.is_string(kind):
        return array.dictionary_encode()
    if not (pa.types.is_primitive(kind) or pa.types.is_null(kind) or pa.types.is_large_string(kind)):
        raise Undecided
    if pa.types.is_temporal(kind):
        raise Undecided
    values, positions = distinct(array)
    texts = pa.array([text_value(value) for value in values], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(positions, pa.int32(), mask=positions < 0), texts)


def count_column(array: pa.Array) -> Int64:
    """Return int64[n], the count in each row; −1 for a row without a count.

    If a row has a struct of counts, the result is the sum of these counts.

    Raises:
        Undecided: a value is not a count.
    """
    kind = array.type
    if pa.types.is_map(kind):
        raise Undecided
    if pa.types.is_struct(kind):
        parts = [count_column(pc.struct_field(array, field.name)) for field in kind]
        total = np.sum([np.maximum(part, 0) for part in parts], axis=0, dtype=np.int64) if parts else 0
        return np.where(np.asarray(array.is_valid()), total, -1).astype(np.int64)
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        array = pc.if_else(pc.equal(array, ""), None, array)
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), None, array)
    try:
        counts = pc.fill_null(array.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        raise Undecided from None
    given = counts[np.asarray(array.is_valid())]
    if pa.types.is_boolean(kind) or (len(given) and not 0 <= given.min() <= given.max() <= MAX_COUNT):
        raise Undecided
    return np.asarray(counts, dtype=np.int64)


def label_column(array: pa.Array, bits: dict[str, int]) -> Int64:
    """Return the labels of each row as the bits of a number, int64[n].

    Bit k is set if the row has the label whose bit number is k.

    Args:
        array: a column with the labels of each row.
        bits: label → number of its bit. New labels are added.

    Raises:
        Undecided: there are more than 63 labels.
    """
    if pa.types.is_struct(array.type):
        return _struct_labels(array, bits)
    rows = [label_values(value) for value in array.to_pylist(maps_as_pydicts="lossy")]
    return np.array([sum({_bit(label, bits) for label in labels}) for labels in rows], dtype=np.int64)


def named_label_column(array: pa.Array, name: str, bits: dict[str, int]) -> Int64:
    """Return int64[n]: the bit of the label "NAME:TEXT" for each row with a text TEXT, 0 for a row without a text.

    Args:
        array: a column of texts.
        name: NAME, the first part of the labels.
        bits: label → number of its bit. New labels are added.

    Raises:
        Undecided: there are more than 63 labels.
    """
    texts, positions = distinct(text_column(array))
    codes = [0 if text in (None, "") else _bit(f"{name}:{text}", bits) for text in texts]
    result: Int64 = np.array([*codes, 0], dtype=np.int64)[positions]
    return result


def true_label_column(values: Int8, label: str, bits: dict[str, int]) -> Int64:
    """Return int64[n]: the bit of one label is set in each row whose value is 1.

    Args:
        values: int8[n], 1 for the rows that have the label.
        label: the label.
        bits: label → number of its bit. A new label is added if any value is 1.

    Raises:
        Undecided: there are more than 63 labels.
    """
    if not (values == 1).any():
        return np.zeros(len(values), dtype=np.int64)
    return np.where(values == 1, _bit(label, bits), 0).astype(np.int64)


def _struct_labels(array: pa.StructArray, bits: dict[str, int]) -> Int64:
    """Return int64[n] with the labels of true fields, including the fields of structs inside of the struct."""
    found = np.zeros(len(array), dtype=np.int64)
    for field in array.type:
        inner = pc.struct_field(array, field.name)
        if pa.types.is_struct(field.type):
            found |= _struct_labels(inner, bits)
        elif pa.types.is_boolean(field.type):
            chosen = pc.fill_null(inner, False).to_numpy(zero_copy_only=False)
            if chosen.any():
                found |= np.where(chosen, _bit(field.name, bits), 0)
    return found


def _bit(label: str, bits: dict[str, int]) -> int:
    if label not in bits and len(bits) >= _MAX_LABELS:
        raise Undecided
    return 1 << bits.setdefault(label, len(bits))


def flag_column(array: pa.Array, truth: Callable[[Any], bool | None]) -> Int8:
    """Return int8[n]: 1 for true, 0 for false, −1 for a value that means neither.

    Args:
        array: a column of n values.
        truth: returns whether a value means true; None if it means neither true nor false.
    """
    return looked_up(array, lambda value: -1 if (read := truth(value)) is None else int(read))


def recoded(codes: Mapping[str, int], texts: list[str | None], positions: npt.NDArray[Any]) -> Int32:
    """Return int32[n]: the code of each row's text, −1 for null and for a text without a code.

    Args:
        codes: text → its code.
        texts: the distinct texts of a column; None for a value that is no text.
        positions: int[n], the position of each row's text in `texts`, −1 for null.
    """
    table = np.array([*(-1 if text is None else codes.get(text, -1) for text in texts), -1], dtype=np.int32)
    result: Int32 = table[positions]
    return result
