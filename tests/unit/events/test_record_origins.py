"""Origins of records, read from headers one at a time, against a list of all of them."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.record_origins import ORIGIN_HEADER, HeaderOrigins, JoinedOrigins

HEADERS = st.none() | st.lists(st.tuples(st.sampled_from([ORIGIN_HEADER, "ce_id"]), st.binary(max_size=4)), max_size=3)


def _expected(headers: Sequence[tuple[str, bytes]] | None) -> str | None:
    found = [value for name, value in headers or () if name == ORIGIN_HEADER]
    return found[-1].decode("utf-8", "replace").replace("\0", "\\0") if found and found[-1] else None


@given(st.lists(st.lists(HEADERS, max_size=4), min_size=1, max_size=4), st.slices(12))
def test_joined_origins_are_those_of_all_parts_in_order(parts: list, chosen: slice) -> None:
    joined = JoinedOrigins([HeaderOrigins(part) for part in parts])
    expected = [_expected(headers) for part in parts for headers in part]
    assert list(joined) == expected
    assert joined[chosen] == expected[chosen]
    assert [joined[-n] for n in range(1, len(joined) + 1)] == expected[::-1]


def test_a_long_origin_is_cut() -> None:
    assert HeaderOrigins([[(ORIGIN_HEADER, b"x" * 900)]])[0] == "x" * 500
