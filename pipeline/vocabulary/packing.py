"""Packs typed arrays as bytes, little-endian on every machine.

Four kinds of data are packed:

records    states of a fixed size: converted between a structured array and the bytes of each row
parts      the states of several detectors as one state: for each detector a tag, a length and the bytes
integers   int64 arrays one after another, compressed
arrays     named arrays of any type and shape, compressed, with a header that describes them

These bytes are stored, so a change of a format needs a migration. A format that only one module uses is defined in that
module: `window_codec`, `sealed_styles` and `compute.board_cells` (columns, which compress better), `reference_codec`
(npz).
"""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
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
    """Return records of a fixed size as one read-only structured array.

    Args:
        dtype: type of a record.
        states: bytes of the records. Each item contains one or more whole records.
    """
    return np.frombuffer(b"".join(states), dtype=dtype)


def split_records(records: npt.NDArray[np.void]) -> list[bytes]:
    """Return the bytes of each record of a structured array."""
    raw, size = records.tobytes(), records.dtype.itemsize
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def pack_parts(states: Sequence[Parts], tags: bytes) -> list[bytes]:
    """Join the states that several detectors keep about a voter into one state, for each voter.

    Each detector's state is preceded by its tag and its length. States that are None or empty are left out.

    Args:
        states: one tuple for each voter, with the state of each detector. A state has at most 4 GiB.
        tags: one byte for each detector, in the order of the tuples.

    Returns:
        The joined state of each voter.
    """
    pieces: list[Iterable[bytes]] = []
    for tag, column in zip(tags, zip(*states, strict=True), strict=bool(states)):
        parts = [part or b"" for part in column]
        lengths = list(map(len, parts))
        heads = {length: _part_head(tag, length) for length in set(lengths)}
        pieces += [map(heads.__getitem__, lengths), parts]
    return list(map(b"".join, zip(*pieces, strict=True)))


def _part_head(tag: int, length: int) -> bytes:
    if not length:
        return b""
    return bytes((tag, length)) if length < _LONG else bytes((tag, _LONG)) + length.to_bytes(4, "little")


def unpack_parts(state: bytes, tags: bytes) -> Parts:
    """Split a state that `pack_parts` joined.

    Returns:
        The state for each tag in `tags`, in this order; None for a tag that is missing. Other tags in the state are
            ignored.
    """
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
    """Return the values of int64 arrays, one array after another, as compressed bytes; shapes are not kept."""
    return zlib.compress(b"".join(array.astype("<i8").tobytes() for array in arrays), 1)


def unpack_integers(raw: bytes) -> Int64:
    """Return the values that `pack_integers` packed, as one array, int64[n], of all values."""
    return np.frombuffer(zlib.decompress(raw), dtype="<i8").astype(np.int64)


def pack_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return named arrays as compressed bytes that depend neither on the order of the names nor on the machine."""
    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    ordered = {name: a.astype(a.dtype.newbyteorder("<")) for name, a in ordered.items()}
    header = json.dumps({name: [a.dtype.str, list(a.shape)] for name, a in ordered.items()}).encode()
    body = b"".join(a.tobytes() for a in ordered.values())
    return zlib.compress(_HEADER_LENGTH.pack(len(header)) + header + body, 1)


def unpack_arrays(raw: bytes) -> NamedArrays:
    """Return the arrays that `pack_arrays` packed, with their names, types and shapes."""
    body = zlib.decompress(raw)
    (length,) = _HEADER_LENGTH.unpack_from(body)
    at = _HEADER_LENGTH.size + length
    found: NamedArrays = {}
    for name, (dtype, shape) in json.loads(body[_HEADER_LENGTH.size : at]).items():
        array = np.frombuffer(body, dtype=dtype, count=int(np.prod(shape)), offset=at).reshape(shape)
        at += array.nbytes
        found[name] = array.astype(array.dtype.newbyteorder("="))
    return found
