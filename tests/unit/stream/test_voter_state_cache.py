"""Packed voter states: what is packed is unpacked again, by the tags of today's detectors."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stream.voter_state_cache import pack_parts, unpack_parts


@given(st.lists(st.none() | st.binary(min_size=1, max_size=700), min_size=3, max_size=3))
def test_packed_parts_are_unpacked_and_parts_of_other_tags_are_skipped(parts: list[bytes | None]) -> None:
    packed = pack_parts(tuple(parts), b"\x01\x07\xff")
    assert unpack_parts(packed, b"\x01\x07\xff") == tuple(parts)
    assert unpack_parts(packed, b"\xff\x02\x01") == (parts[2], None, parts[0])
