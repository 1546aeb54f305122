"""Packs typed arrays as bytes, little-endian on every machine.

records    fixed-size states: a structured array ↔ the bytes of each row
parts      the states of several detectors as one state: for each detector a tag, a length and the bytes
integers   int64 arrays one after another, compressed
arrays     named arrays of any type and shape, compressed, with a header that describes them

These bytes are stored: a change of a format needs a migration. A format that only one module uses is in that module:
`window_codec` and `sealed_styles` (columns, which compress better), `reference_codec` (npz).
"""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.arrays import Int64

NamedArrays = dict[str, npt.NDArray[Any]]
Parts = tuple[bytes | None, ...]

_HEADER_LENGTH = struct.Struct("<I")
# A length that does not fit one byte follows in four.
_LONG = 255


def read_records(dtype: npt.DTypeLike, states: Iterable[bytes]) -> npt.NDArray[Any]:
    """Return the records in the given bytes, one after another, as a read-only array."""
    return np.frombuffer(b"".join(states), dtype=dtype)


def split_records(records: npt.NDArray[np.void]) -> list[bytes]:
    """Return each record as bytes."""
    raw, size = records.tobytes(), records.dtype.itemsize
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def pack_parts(parts: Parts, tags: bytes) -> bytes:
    """Return the parts that are not empty, joined, each after its tag and length.

    Args:
        parts: at most 4 GiB each.
        tags: the byte that stands for each part.
    """
    joined = []
    for tag, part in zip(tags, parts, strict=True):
        if part:
            n = len(part)
            joined.append(bytes((tag, n)) if n < _LONG else bytes((tag, _LONG)) + n.to_bytes(4, "little"))
            joined.append(part)
    return b"".join(joined)


def unpack_parts(state: bytes, tags: bytes) -> Parts:
    """Return the part of each tag, None for a tag that the state lacks. Parts of other tags are dropped."""
    found: list[bytes | None] = [None] * len(tags)
    at, end = 0, len(state)
    while at < end:
        place, n = tags.find(state[at]), state[at + 1]
        at += 2
        if n == _LONG:
            n, at = int.from_bytes(state[at : at + 4], "little"), at + 4
        if place >= 0:
            found[place] = state[at : at + n]
        at += n
    return tuple(found)


def pack_integers(*arrays: Int64) -> bytes:
    """Return int64 arrays as bytes; their shapes are not kept."""
    return zlib.compress(b"".join(array.astype("<i8").tobytes() for array in arrays), 1)


def unpack_integers(raw: bytes) -> Int64:
    """Return the numbers that `pack_integers` packed, as one array."""
    return np.frombuffer(zlib.decompress(raw), dtype="<i8").astype(np.int64)


def pack_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return named arrays as bytes, sorted by name."""
    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    ordered = {name: a.astype(a.dtype.newbyteorder("<")) for name, a in ordered.items()}
    header = json.dumps({name: [a.dtype.str, list(a.shape)] for name, a in ordered.items()}).encode()
    body = b"".join(a.tobytes() for a in ordered.values())
    return zlib.compress(_HEADER_LENGTH.pack(len(header)) + header + body, 1)


def unpack_arrays(raw: bytes) -> NamedArrays:
    """Return the arrays that `pack_arrays` packed."""
    body = zlib.decompress(raw)
    (length,) = _HEADER_LENGTH.unpack_from(body)
    at = _HEADER_LENGTH.size + length
    found: NamedArrays = {}
    for name, (dtype, shape) in json.loads(body[_HEADER_LENGTH.size : at]).items():
        array = np.frombuffer(body, dtype=dtype, count=int(np.prod(shape)), offset=at).reshape(shape)
        at += array.nbytes
        found[name] = array.astype(array.dtype.newbyteorder("="))
    return found
