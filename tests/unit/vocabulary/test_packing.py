"""Packed state: what is packed is unpacked again, and the stored bytes stay as they were."""

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from pipeline.vocabulary.packing import (
    pack_arrays,
    pack_integers,
    pack_parts,
    read_records,
    split_records,
    unpack_arrays,
    unpack_integers,
    unpack_parts,
)

names = st.lists(st.text(min_size=1, max_size=4).filter(lambda t: not t.endswith("\x00")), max_size=6, unique=True)


def test_the_bytes_of_earlier_versions_are_read_and_written() -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "key": np.array(["b", "é"]),
        "x": np.array([1.5, -2.0]),
        "n": np.array([[1, 2], [3, 4]], dtype=np.int64),
        "f": np.array([True, False]),
    }
    described = b'{"f": ["|b1", [2]], "key": ["<U1", [2]], "n": ["<i8", [2, 2]], "x": ["<f8", [2]]}'
    values = b"\x01\0b\0\0\0\xe9\0\0\0" + b"".join(bytes([i, *bytes(7)]) for i in (1, 2, 3, 4))
    values += bytes.fromhex("000000000000f83f 00000000000000c0")
    assert zlib.decompress(pack_arrays(arrays)) == b"Q\0\0\0" + described + values
    integers = pack_integers(np.array([4, -1]), np.array([[1, 2]]))
    assert zlib.decompress(integers).hex() == "0400000000000000ffffffffffffffff01000000000000000200000000000000"
    states = [(b"ab", None, b"x" * 300), (b"", b"y", None)]
    assert pack_parts(states, b"\x01\x07\xff") == [
        bytes.fromhex("01026162ffff2c010000") + b"x" * 300,
        bytes.fromhex("070179"),
    ]
    assert pack_parts([], b"\x01\x07\xff") == []


@given(st.lists(st.none() | st.binary(min_size=1, max_size=700), min_size=3, max_size=3))
def test_packed_parts_are_unpacked_and_parts_of_other_tags_are_skipped(parts: list[bytes | None]) -> None:
    (packed,) = pack_parts([tuple(parts)], b"\x01\x07\xff")
    assert unpack_parts(packed, b"\x01\x07\xff") == tuple(parts)
    assert unpack_parts(packed, b"\xff\x02\x01") == (parts[2], None, parts[0])


@given(st_numpy.arrays(np.dtype([("told", "u1"), ("w", "<u4")]), st.integers(0, 5)))
def test_records_are_split_and_read_again(records: npt.NDArray[np.void]) -> None:
    split = split_records(records)
    assert [len(state) for state in split] == [5] * len(records)
    assert read_records(records.dtype, split).tolist() == records.tolist()


@given(st.lists(st_numpy.arrays(np.int64, st.integers(0, 4)), max_size=3))
def test_packed_integers_are_unpacked_in_one_row(arrays: list[npt.NDArray[np.int64]]) -> None:
    assert unpack_integers(pack_integers(*arrays)).tolist() == [n for array in arrays for n in array.tolist()]


@given(
    st.dictionaries(
        st.text(max_size=5),
        st_numpy.arrays(
            st.sampled_from([np.int64, np.float64, np.int32, np.bool_]),
            st_numpy.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    ),
    names,
)
def test_packed_arrays_are_unpacked_whatever_their_types_and_order(state: dict[str, Any], keys: list[str]) -> None:
    state["key"] = np.array(keys, dtype=np.str_)
    again = unpack_arrays(pack_arrays(state))
    assert again.keys() == state.keys()
    for name, values in state.items():
        assert again[name].dtype == values.dtype
        assert np.array_equal(again[name], values, equal_nan=values.dtype.kind == "f")
    assert pack_arrays(again) == pack_arrays(dict(reversed(list(state.items()))))
