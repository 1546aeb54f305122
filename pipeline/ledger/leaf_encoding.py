"""Computes the bytes and hashes of leaves with Arrow, for many rows at a time.

The bytes of a row are those of `rfc8785.dumps`. Arrow joins whole columns of encoded texts, because a Python loop
over the rows would take longer than hashing them.
"""

from binascii import hexlify
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rfc8785

from .merkle import WIDTH

# Characters that RFC 8785 escapes.
_ESCAPED = r'["\\\x00-\x1f]'
# Leaves encoded at a time, some 10 MB.
_ROWS = 50_000
# Texts converted to Python objects at a time, so that they are in the processor's cache when they are hashed.
_HASHED = 1_024
# Largest table of distinct pairs of values that is written out.
_MOST_PAIRS = 50_000


def entries(rows: pa.Table) -> list[bytes]:
    """Return the bytes of each leaf: the canonical JSON of a row.

    Args:
        rows: n rows of `leaf.SCHEMA`.
    """
    return [entry[1:] for part in _parts(rows) for entry in _prefixed(part)]


def hashes(rows: pa.Table) -> bytes:
    """Return the leaf hashes of n rows as 32·n bytes.

    Args:
        rows: n rows of `leaf.SCHEMA`.
    """
    return b"".join([_hashes(part) for part in _parts(rows)])


def sha256_each(texts: pa.Array) -> bytes:
    """Return the SHA-256 of each of n texts, as 32·n bytes."""
    pieces = (texts.slice(at, _HASHED) for at in range(0, len(texts), _HASHED))
    return b"".join([sha256(one).digest() for piece in pieces for one in _to_bytes(piece)])


def _parts(rows: pa.Table) -> Iterable[pa.Table]:
    return (rows.slice(at, _ROWS).unify_dictionaries().combine_chunks() for at in range(0, len(rows), _ROWS))


def _hashes(rows: pa.Table) -> bytes:
    if rows["retracts"].null_count == len(rows):
        return sha256_each(_vote_entries(rows))
    return b"".join([sha256(entry).digest() for entry in _prefixed(rows)])


def _prefixed(rows: pa.Table) -> list[bytes]:
    """Return each leaf with the prefix 0x00, so that hashing needs no copy."""
    result = _to_bytes(_vote_entries(rows))
    for row in np.flatnonzero(rows["retracts"].is_valid().to_numpy()).tolist():
        result[row] = b"\0" + _retraction({name: rows[name][row].as_py() for name in rows.column_names})
    return result


def _to_bytes(texts: pa.Array) -> list[bytes]:
    """Convert texts to bytes objects. This takes half the time of slicing the buffer that has all texts."""
    result: list[bytes] = texts.cast(pa.binary()).to_numpy(zero_copy_only=False).tolist()
    return result


def _vote_entries(rows: pa.Table) -> pa.Array:
    """Return the byte 0x00 followed by the leaf, for each row that is a vote; a meaningless text for a retraction."""
    return pc.binary_join_element_wise(
        _json_column(rows, "at", '\0{"at":', ',"commitment":"'),
        _hex_column(rows["commitment"]),
        _json_pairs(rows, ("fate", '","fate":', ","), ("model_a", '"model_a":', ",")),
        _json_pairs(rows, ("model_b", '"model_b":', ","), ("outcome", '"outcome":', ',"type":"vote","vote":')),
        _json_texts(_chunk(rows["vote"])),
        "}",
        "",
        null_handling="replace",
        null_replacement="",
    )


def _retraction(row: dict[str, Any]) -> bytes:
    kept = {name: row[name] for name in ("at", "reason", "retracts", "vote")}
    return rfc8785.dumps({**kept, "type": "retraction"})


def _json_column(rows: pa.Table, name: str, before: str, after: str) -> pa.Array:
    """Return `before`, the text as JSON, and `after` as one text, for each text of a column.

    Each distinct text is encoded once.
    """
    column = _chunk(rows[name])
    texts = [before + _json(text) + after for text in column.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(column.indices, pa.array(texts, pa.string())).cast(pa.string())


def _json_pairs(rows: pa.Table, one: tuple[str, str, str], other: tuple[str, str, str]) -> pa.Array:
    """Return two columns, each as `_json_column` returns it, joined row by row.

    If there are few distinct pairs, each pair is encoded once. This is faster than joining the texts of every row.

    Args:
        rows: the leaves.
        one, other: name of the column, text before it, and text after it.
    """
    (name, before, between), (second, first, after) = one, other
    left, right = _chunk(rows[name]), _chunk(rows[second])
    # A file from outside may have dictionaries of any size.
    if left.null_count or right.null_count or len(left.dictionary) * len(right.dictionary) > _MOST_PAIRS:
        parts = _json_column(rows, name, before, between), _json_column(rows, second, first, after)
        return pc.binary_join_element_wise(*parts, "")
    starts = [before + _json(text) + between for text in left.dictionary.to_pylist()]
    ends = [first + _json(text) + after for text in right.dictionary.to_pylist()]
    code = left.indices.to_numpy() * len(ends) + right.indices.to_numpy()
    texts = pa.array([start + end for start in starts for end in ends], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), texts).cast(pa.string())


def _json_texts(column: pa.StringArray) -> pa.StringArray:
    if pc.any(pc.match_substring_regex(column, _ESCAPED)).as_py():
        return pa.array([_json(text) for text in column.to_pylist()], pa.string())
    return pc.binary_join_element_wise('"', column, '"', "")


def _hex_column(column: pa.ChunkedArray) -> pa.Array:
    given = _chunk(column)
    data = pa.array(given.fill_null(bytes(WIDTH))) if given.null_count else given
    raw = data.buffers()[1][data.offset * WIDTH : (data.offset + len(data)) * WIDTH]
    offsets = pa.py_buffer(np.arange(0, (len(data) + 1) * 2 * WIDTH, 2 * WIDTH, dtype=np.int32))
    digits = pa.StringArray.from_buffers(len(data), offsets, pa.py_buffer(hexlify(raw)))
    return pc.if_else(given.is_valid(), digits, None) if given.null_count else digits


def _chunk(column: pa.ChunkedArray) -> Any:
    """Return the only chunk of a combined column."""
    return column.chunk(0)


@lru_cache(maxsize=4_096)
def _json(text: str) -> str:
    return rfc8785.dumps(text).decode()
