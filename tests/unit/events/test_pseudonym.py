"""Pseudonyms: a keyed hash, and its text."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.pseudonym import format_pseudonym, parse_pseudonym, pseudonym
from tests.unit.events.sample_events import (
    KEY,
)


def test_a_pseudonym_is_the_first_64_bits_of_the_keyed_hash() -> None:
    expected = hmac.new(KEY, b"alice", hashlib.sha256).digest()[:8]
    assert pseudonym(KEY, "alice").to_bytes(8, "big", signed=True) == expected
    assert pseudonym(KEY, "alice") != pseudonym(bytes(32), "alice")
    assert pseudonym(KEY, "alice") != pseudonym(KEY, "Alice")


@given(st.binary(min_size=1, max_size=150), st.text(st.characters(exclude_characters=".", codec="utf-8"), max_size=200))
def test_the_keyed_hash_is_hmac_for_keys_and_ids_of_every_length(key: bytes, voter_id: str) -> None:
    expected = int.from_bytes(hmac.digest(key, voter_id.encode(), "sha256")[:8], "big", signed=True)
    assert pseudonym(key, voter_id) == expected


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_text_of_a_pseudonym_is_16_digits_of_one_voter(number: int) -> None:
    text = format_pseudonym(number)
    assert len(text) == 16
    assert parse_pseudonym(text) == number
    assert int(text, 16) == number % 2**64


@pytest.mark.parametrize("text", ["", "0" * 15, "0" * 17, "g" * 16])
def test_a_text_that_is_no_pseudonym_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"hexadecimal digits|invalid literal"):
        parse_pseudonym(text)
