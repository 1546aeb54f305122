"""Defines the rows of the vote log: the public leaf of a vote, and of the retraction of a vote.

    {"at":"2024-08-14T12:00:00Z","commitment":"…","fate":"accepted","model_a":"…","model_b":"…","outcome":"tie",
     "type":"vote","vote":"…"}                                                       (without the line break)
    {"at":"2024-08-15T07:00:00Z","reason":"…","retracts":1234,"type":"retraction","vote":"…"}

A leaf is the canonical JSON (RFC 8785) of its row. The time is rounded down to the hour. The field `commitment` is
SHA-256(blind ‖ private fields). It fixes the voter and all other private fields without showing them. The blind is 32
random bytes for each vote. After the blind and the private fields are deleted, proofs of the leaf still hold, and
nobody can recover the private fields. Until then votes are pseudonymous, not anonymous.

In this module, leaves are rows of an Arrow table. `leaf_encoding` makes their bytes and hashes.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import Refuted
from ..vocabulary.arrays import Int32, Int64
from ..vocabulary.fates import FATES
from ..vocabulary.outcomes import OUTCOMES
from ..vocabulary.time import HOUR
from . import canonical_json
from .canonical_json import Digest
from .merkle import WIDTH

TERMS = ("at", "fate", "model_a", "model_b", "outcome")
"""Columns with few distinct values, stored as dictionary codes."""

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
"""Columns of the vote log, one row for each leaf. A vote has null in `reason` and `retracts`. A retraction has values
in these two columns, in `at` and in `vote`, and null in all others."""

MAX_TEXT = 200
VOTE = "vote"
"""The value of `type` in the leaf of a vote."""
_OF_A_VOTE = ("commitment", "fate", "model_a", "model_b", "outcome")
_OF_A_RETRACTION = ("reason", "retracts")
_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00Z", re.ASCII)
# Largest range of values that are counted instead of sorted.
_DENSE_RANGE = 100_000


@dataclass(frozen=True, slots=True)
class VoteLeaf:
    """The parsed leaf of a vote. A leaf has exactly these fields.

    Attributes:
        at: the hour in which the vote was cast, RFC 3339.
        commitment: SHA-256 of the blind and the private fields.
        fate, outcome: names of the vote's fate, such as "accepted" or "late", and of its outcome.
        model_a, model_b: names of the models.
        type: "vote".
        vote: id of the vote.
    """

    at: str
    commitment: Digest
    fate: str
    model_a: str
    model_b: str
    outcome: str
    type: str
    vote: str


def parse_vote(entry: bytes, index: int) -> VoteLeaf:
    """Parse the leaf of a vote.

    Args:
        entry: bytes of the leaf.
        index: index of the leaf in the log, for messages.

    Raises:
        Refuted: reason `leaf`: the entry is the leaf of a retraction, or is not a leaf.
    """
    where = f"leaf {index}"
    try:
        found = canonical_json.load(VoteLeaf, entry, where)
    except Refuted as fault:
        is_retraction = b'"type":"retraction"' in entry
        what = "the leaf of a vote, got the retraction of one" if is_retraction else f"the leaf of a vote: {fault}"
        raise Refuted("leaf", where, f"expected {what}") from None
    if found.type != VOTE:
        raise Refuted("leaf", where, f"expected a leaf of type {VOTE}, got {found.type[:80]!r}")
    fields = {name: [getattr(found, name)] for name in (*TERMS, VOTE)}
    row = {**fields, "commitment": [bytes.fromhex(found.commitment)], "reason": [None], "retracts": [None]}
    check(pa.table({f.name: pa.array(row[f.name], f.type) for f in SCHEMA}, schema=SCHEMA), index)
    return found


def vote_rows(
    vote: Any,
    cast_at: Int64,
    model_a: Any,
    model_b: Any,
    outcome: npt.NDArray[np.integer[Any]],
    fate: npt.NDArray[np.integer[Any]],
    commitments: bytes,
) -> pa.Table:
    """Build the rows of the vote log for n votes, as a table with SCHEMA.

    Args:
        vote: n ids of votes.
        cast_at: int64[n], microseconds since 1970 UTC; only the hour is stored.
        model_a, model_b: n names of models each. A dictionary array is fastest.
        outcome: n positions in OUTCOMES.
        fate: n positions in FATES.
        commitments: 32·n bytes, the commitment of each vote.
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
    """Build the rows of the vote log for n retractions, as a table with SCHEMA.

    Args:
        vote: ids of the n retracted votes.
        at: int64[n], times of the retractions, microseconds since 1970 UTC; only the hour is stored.
        retracts: leaf indices of the n retracted votes.
        reason: why each of the n votes is retracted.
    """
    given = {"at": hour_texts(at), "reason": reason, "retracts": retracts, "vote": vote}
    columns = [pa.array(given[f.name], f.type) if f.name in given else pa.nulls(len(vote), f.type) for f in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


def hour_texts(times: Int64) -> pa.DictionaryArray:
    """Convert times to texts in RFC 3339, rounded down to the hour.

    Args:
        times: int64[n], microseconds since 1970 UTC.

    Returns:
        n texts as a dictionary array.
    """
    found, code = unique_codes(times // HOUR)
    texts = [f"{hour}:00:00Z" for hour in found.astype("datetime64[h]").astype(str).tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(code), pa.array(texts, pa.string()))


def unique_codes(values: npt.NDArray[np.integer[Any]]) -> tuple[npt.NDArray[np.integer[Any]], Int32]:
    """Find the distinct values of an array.

    The results are those of `np.unique`. Values in a small range are counted, which is faster than sorting.

    Returns:
        Two arrays: the distinct values, ascending; and int32[n], for each value its position among them.

    >>> unique_codes(np.array([7, 5, 7]))
    (array([5, 7]), array([1, 0, 1], dtype=int32))
    """
    if not len(values) or int(values.max()) - int(values.min()) > _DENSE_RANGE:
        found, code = np.unique(values, return_inverse=True)
        return found, code.astype(np.int32)
    low = values.min()
    there = np.zeros(int(values.max() - low) + 1, dtype=np.int32)
    there[values - low] = 1
    return np.flatnonzero(there).astype(values.dtype) + low, (np.cumsum(there, dtype=np.int32) - 1)[values - low]


def check(rows: pa.Table, first: int) -> None:
    """Check that every row of a segment is a valid vote or a valid retraction.

    Args:
        rows: table with the columns of SCHEMA.
        first: leaf index of the first row.

    Raises:
        Refuted: reason `leaf`: a row breaks a rule. The message names the rule and the first leaf that breaks it.
    """
    is_vote = rows["retracts"].is_null()
    for name in _OF_A_VOTE:
        _require(pc.equal(rows[name].is_valid(), is_vote), first, f"{name} in a vote, and in a vote only")
    for name in _OF_A_RETRACTION:
        _require(pc.xor(rows[name].is_valid(), is_vote), first, f"{name} in a retraction, and in a retraction only")
    for name in TERMS:
        _require_terms(rows[name], name, first)
    length = pc.utf8_length(rows["vote"])
    _require(
        pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_TEXT)), first, f"an id of 1 to {MAX_TEXT} characters"
    )
    _require(
        pc.less_equal(pc.utf8_length(rows["reason"]), MAX_TEXT), first, f"a reason of at most {MAX_TEXT} characters"
    )
    same = pc.equal(rows["model_a"].cast(pa.string()), rows["model_b"].cast(pa.string()))
    _require(pc.invert(same), first, "a model against another model")
    leaf = pa.array(np.arange(first, first + len(rows)))
    earlier = pc.and_(pc.greater_equal(rows["retracts"], 0), pc.less(rows["retracts"], leaf))
    _require(earlier, first, "a retraction of an earlier leaf")


def _require(good: pa.ChunkedArray, first: int, what: str) -> None:
    """Raise `Refuted` for the first false row. A null means that the rule does not apply to the row."""
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


def _coded(codes: npt.NDArray[np.integer[Any]], names: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))
