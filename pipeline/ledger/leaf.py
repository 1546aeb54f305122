"""The public leaf of a vote, and the leaf that takes a vote back.

    {"at":"2024-08-14T12:00:00Z","commitment":"…","fate":"accepted","model_a":"…","model_b":"…","outcome":"tie",
     "type":"vote","vote":"…"}                                                       (without the line break)
    {"at":"2024-08-15T07:00:00Z","reason":"…","retracts":1234,"type":"retraction","vote":"…"}

Laws: a leaf is the canonical JSON (RFC 8785) of its row, so rows and bytes say the same; the time is the hour; who
voted and everything else that is private is behind SHA-256(blind ‖ private fields), 32 random bytes a vote. Whoever
deletes the blind and the private fields leaves a leaf that still proves and no longer tells: pseudonymous, never
anonymous.

Rows are Arrow columns, and the bytes of many leaves are put together by Arrow: a loop in Python over a million
votes costs more than hashing them.
"""

from __future__ import annotations

import re
from binascii import hexlify
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import rfc8785

from ..errors import Refuted
from ..vocabulary.arrays import Int32, Int64
from ..vocabulary.fates import FATES
from ..vocabulary.outcomes import OUTCOMES
from ..vocabulary.time import HOUR
from .merkle import WIDTH

TERMS = ("at", "fate", "model_a", "model_b", "outcome")
"""Columns with few distinct values, kept as codes."""

_TERM = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("at", _TERM, nullable=False),
        pa.field("commitment", pa.binary(WIDTH)),
        pa.field("fate", _TERM),
        pa.field("model_a", _TERM),
        pa.field("model_b", _TERM),
        pa.field("outcome", _TERM),
        pa.field("reason", pa.string()),
        pa.field("retracts", pa.int64()),
        pa.field("vote", pa.string(), nullable=False),
    ]
)
"""One row a leaf. A retraction has `reason` and `retracts` and none of what only a vote has."""

MAX_TEXT = 200
_OF_A_VOTE = ("commitment", "fate", "model_a", "model_b", "outcome")
_OF_A_RETRACTION = ("reason", "retracts")
_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00Z", re.ASCII)
# What JSON escapes; everything else stands in RFC 8785 as it is.
_ESCAPED = r'["\\\x00-\x1f]'
# Leaves put together at a time: some 10 MB.
_ROWS = 50_000
# Texts that become objects of Python at a time: more would not stay in the processor's cache until they are hashed.
_HASHED = 1_024
# Values within such a range are counted instead of sorted.
_CLOSE = 100_000
_MOST_PAIRS = 50_000


def vote_rows(
    vote: Any,
    cast_at: Int64,
    model_a: Any,
    model_b: Any,
    outcome: npt.NDArray[np.integer[Any]],
    fate: npt.NDArray[np.integer[Any]],
    commitments: bytes,
) -> pa.Table:
    """Rows of n votes.

    Args:
        vote: n ids.
        cast_at: int64[n], microseconds since 1970 UTC; the hour becomes public.
        model_a: n names (a dictionary array is quickest).
        model_b: n names.
        outcome: n positions in OUTCOMES.
        fate: n positions in FATES.
        commitments: 32·n bytes.
    """
    size = len(cast_at)
    columns = {
        "at": hour_texts(cast_at),
        "commitment": pa.FixedSizeBinaryArray.from_buffers(pa.binary(WIDTH), size, [None, pa.py_buffer(commitments)]),
        "fate": _coded(fate, FATES),
        "model_a": pa.array(model_a).cast(_TERM),
        "model_b": pa.array(model_b).cast(_TERM),
        "outcome": _coded(outcome, OUTCOMES),
        "reason": pa.nulls(size, pa.string()),
        "retracts": pa.nulls(size, pa.int64()),
        "vote": pa.array(vote, pa.string()),
    }
    return pa.table(columns, schema=SCHEMA)


def retraction_rows(vote: list[str], at: Int64, retracts: list[int], reason: list[str]) -> pa.Table:
    """Rows of n retractions: the ids and the leaves of the votes that stop counting, and why."""
    given = {"at": hour_texts(at), "reason": reason, "retracts": retracts, "vote": vote}
    columns = [pa.array(given[f.name], f.type) if f.name in given else pa.nulls(len(vote), f.type) for f in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


def hour_texts(times: Int64) -> pa.DictionaryArray:
    """Microseconds since 1970 UTC as the text of their hour."""
    found, code = unique_codes(times // HOUR)
    texts = [f"{hour}:00:00Z" for hour in found.astype("datetime64[h]").astype(str).tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(code), pa.array(texts, pa.string()))


def unique_codes(values: npt.NDArray[np.integer[Any]]) -> tuple[npt.NDArray[np.integer[Any]], Int32]:
    """The distinct values, and which of them each value is: `np.unique`, without sorting where they lie close together.

    >>> distinct(np.array([7, 5, 7]))
    (array([5, 7]), array([1, 0, 1], dtype=int32))
    """
    if not len(values) or int(values.max()) - int(values.min()) > _CLOSE:
        found, code = np.unique(values, return_inverse=True)
        return found, code.astype(np.int32)
    low = values.min()
    there = np.zeros(int(values.max() - low) + 1, dtype=np.int32)
    there[values - low] = 1
    return np.flatnonzero(there).astype(values.dtype) + low, (np.cumsum(there, dtype=np.int32) - 1)[values - low]


def entries(rows: pa.Table) -> list[bytes]:
    """The leaves as bytes."""
    return [entry[1:] for part in _parts(rows) for entry in _prefixed(part)]


def hashes(rows: pa.Table) -> bytes:
    """The leaf hashes, 32·n bytes."""
    return b"".join([_hashes(part) for part in _parts(rows)])


def sha256_each(texts: pa.Array) -> bytes:
    """SHA-256 of each of n texts, 32·n bytes."""
    pieces = (texts.slice(at, _HASHED) for at in range(0, len(texts), _HASHED))
    return b"".join([sha256(one).digest() for piece in pieces for one in _objects(piece)])


def check(rows: pa.Table, first: int) -> None:
    """Check that rows are votes and retractions and nothing in between.

    Args:
        rows: as SCHEMA.
        first: the leaf of the first row, for messages.

    Raises:
        Refuted: reason `leaf`, names the first leaf of the first kind of fault.
    """
    is_vote = rows["retracts"].is_null()
    for name in _OF_A_VOTE:
        _require(pc.equal(rows[name].is_valid(), is_vote), first, f"{name} where, and only where, it is a vote")
    for name in _OF_A_RETRACTION:
        _require(pc.xor(rows[name].is_valid(), is_vote), first, f"{name} where, and only where, it is a retraction")
    for name in TERMS:
        _require_terms(rows[name], name, first)
    length = pc.utf8_length(rows["vote"])
    _require(
        pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_TEXT)), first, f"an id of 1 to {MAX_TEXT} characters"
    )
    same = pc.equal(rows["model_a"].cast(pa.string()), rows["model_b"].cast(pa.string()))
    _require(pc.invert(same), first, "a model against another model")
    leaf = pa.array(np.arange(first, first + len(rows)))
    earlier = pc.and_(pc.greater_equal(rows["retracts"], 0), pc.less(rows["retracts"], leaf))
    _require(earlier, first, "a retraction of an earlier leaf")


def _require(good: pa.ChunkedArray, first: int, what: str) -> None:
    """Null means that the question does not arise."""
    if not pc.all(good, skip_nulls=True, min_count=0).as_py():
        row = pc.index(good, pa.scalar(value=False)).as_py()
        raise Refuted("leaf", f"leaf {first + row}", f"expected {what}")


def _require_terms(column: pa.ChunkedArray, name: str, first: int) -> None:
    known = {"fate": FATES, "outcome": OUTCOMES}.get(name)
    for text in pc.unique(column).drop_null().to_pylist():
        if known is not None:
            good, what = text in known, f"{name} to be one of {', '.join(known)}"
        elif name == "at":
            good, what = bool(_HOUR.fullmatch(text)), "at to be an hour"
        else:
            good, what = 0 < len(text) <= MAX_TEXT, f"{name} of 1 to {MAX_TEXT} characters"
        if not good:
            row = pc.index(column.cast(pa.string()), pa.scalar(text)).as_py()
            raise Refuted("leaf", f"leaf {first + row}", f"expected {what}, got {text[:80]!r}")


def _parts(rows: pa.Table) -> Iterable[pa.Table]:
    return (rows.slice(at, _ROWS).unify_dictionaries().combine_chunks() for at in range(0, len(rows), _ROWS))


def _hashes(rows: pa.Table) -> bytes:
    if rows["retracts"].null_count == len(rows):
        return sha256_each(_joined(rows))
    return b"".join([sha256(entry).digest() for entry in _prefixed(rows)])


def _prefixed(rows: pa.Table) -> list[bytes]:
    """The leaves with 0x00 before each, so that hashing needs no copy."""
    found = _objects(_joined(rows))
    for row in np.flatnonzero(rows["retracts"].is_valid().to_numpy()).tolist():
        found[row] = b"\0" + _retraction({name: rows[name][row].as_py() for name in rows.column_names})
    return found


def _objects(texts: pa.Array) -> list[bytes]:
    """Texts as bytes; Arrow makes them in half the time that cutting takes."""
    found: list[bytes] = texts.cast(pa.binary()).to_numpy(zero_copy_only=False).tolist()
    return found


def _joined(rows: pa.Table) -> pa.Array:
    """The leaves of votes, with 0x00 before each; something else for a retraction."""
    return pc.binary_join_element_wise(
        _spelt(rows, "at", '\0{"at":', ',"commitment":"'),
        _hexadecimal(rows["commitment"]),
        _spelt_together(rows, ("fate", '","fate":', ","), ("model_a", '"model_a":', ",")),
        _spelt_together(rows, ("model_b", '"model_b":', ","), ("outcome", '"outcome":', ',"type":"vote","vote":')),
        _quoted(_only(rows["vote"])),
        "}",
        "",
        null_handling="replace",
        null_replacement="",
    )


def _retraction(row: dict[str, Any]) -> bytes:
    kept = {name: row[name] for name in ("at", "reason", "retracts", "vote")}
    return rfc8785.dumps({**kept, "type": "retraction"})


def _spelt(rows: pa.Table, name: str, before: str, after: str) -> pa.Array:
    """A column of codes as JSON, each distinct value spelt once."""
    column = _only(rows[name])
    texts = [before + _json(text) + after for text in column.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(column.indices, pa.array(texts, pa.string())).cast(pa.string())


def _spelt_together(rows: pa.Table, one: tuple[str, str, str], other: tuple[str, str, str]) -> pa.Array:
    """Two columns of codes as `_spelt`, side by side: their pairs are few, and one column less is to be joined."""
    (name, before, between), (second, first, after) = one, other
    left, right = _only(rows[name]), _only(rows[second])
    # A stranger's file may bring dictionaries of any size.
    if left.null_count or right.null_count or len(left.dictionary) * len(right.dictionary) > _MOST_PAIRS:
        parts = _spelt(rows, name, before, between), _spelt(rows, second, first, after)
        return pc.binary_join_element_wise(*parts, "")
    starts = [before + _json(text) + between for text in left.dictionary.to_pylist()]
    ends = [first + _json(text) + after for text in right.dictionary.to_pylist()]
    code = left.indices.to_numpy() * len(ends) + right.indices.to_numpy()
    texts = pa.array([start + end for start in starts for end in ends], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), texts).cast(pa.string())


def _quoted(column: pa.StringArray) -> pa.StringArray:
    if pc.any(pc.match_substring_regex(column, _ESCAPED)).as_py():
        return pa.array([_json(text) for text in column.to_pylist()], pa.string())
    return pc.binary_join_element_wise('"', column, '"', "")


def _hexadecimal(column: pa.ChunkedArray) -> pa.Array:
    given = _only(column)
    data = pa.array(given.fill_null(bytes(WIDTH))) if given.null_count else given
    raw = data.buffers()[1][data.offset * WIDTH : (data.offset + len(data)) * WIDTH]
    offsets = pa.py_buffer(np.arange(0, (len(data) + 1) * 2 * WIDTH, 2 * WIDTH, dtype=np.int32))
    spelt = pa.StringArray.from_buffers(len(data), offsets, pa.py_buffer(hexlify(raw)))
    return pc.if_else(given.is_valid(), spelt, None) if given.null_count else spelt


def _only(column: pa.ChunkedArray) -> Any:
    """The one chunk of a combined column."""
    return column.chunk(0)


def _coded(codes: npt.NDArray[np.integer[Any]], names: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))


@lru_cache(maxsize=4_096)
def _json(text: str) -> str:
    return rfc8785.dumps(text).decode()
