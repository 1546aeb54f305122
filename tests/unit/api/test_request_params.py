"""Cursors, cells and Accept headers: a caller's text is never interpreted beyond its format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.api.error_responses import Problem
from pipeline.api.request_params import decode_cursor, encode_cursor, format_from_accept
from pipeline.api.table_responses import to_csv


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.text(st.characters(categories=["L", "N"]), max_size=100))
def test_a_cursor_gives_back_its_key(number: int, text: str) -> None:
    assert decode_cursor(encode_cursor(number, text), int, str) == (number, text)


@given(st.text(max_size=60))
def test_an_invalid_cursor_is_a_422(text: str) -> None:
    try:
        key = decode_cursor(text, int, str)
    except Problem as problem:
        assert problem.status == 422
    else:
        assert key is not None
        assert [type(part) for part in key] == [int, str]


@pytest.mark.parametrize("key", [(1,), ("a", 1), (2**64, "a"), (True, "a"), (1.5, "a"), (1, "a\x00")])
def test_a_encode_cursor_another_shape_is_refused(key: tuple[object, ...]) -> None:
    with pytest.raises(Problem):
        decode_cursor(encode_cursor(*key), int, str)


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_execute_is_escaped(sign: str) -> None:
    table = to_csv([{"model": f"{sign}1+1", "rating": -1.5}]).decode()
    shown = sign.encode("unicode_escape").decode()  # a control character is shown as its escape
    assert f"'{shown}1+1" in table
    assert "-1.5" in table  # a number is not escaped


def test_accept_chooses_the_format() -> None:
    assert format_from_accept("text/csv;q=0.9, */*") == "csv"
    assert format_from_accept("application/vnd.apache.parquet") == "parquet"
    assert format_from_accept("text/html,application/xhtml+xml,*/*;q=0.8") == "json"
