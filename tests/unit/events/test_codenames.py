"""Codenames of voters: the pseudonym alone decides them, and they are easy to tell apart."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.events.codenames import codename
from pipeline.events.pseudonym import format_pseudonym


def test_a_voter_has_the_same_codename_in_every_process_and_thread() -> None:
    known = {"00000000000000ff": codename("00000000000000ff"), "ffffffffffffff00": codename("ffffffffffffff00")}
    codename.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        names = [format_pseudonym(number) for number in (0xFF, -0x100)] * 200
        found = list(pool.map(codename.__wrapped__, names))
    assert set(zip(names, found, strict=True)) == set(known.items())


def test_codenames_are_words_and_differ() -> None:
    names = {codename(format_pseudonym(number * 0x9E3779B97F4A7C15)) for number in range(2_000)}
    assert len(names) == 2_000
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+){2,}", name) for name in names)


@pytest.mark.parametrize("text", ["voter-0123456789ab", "", "0123"])
def test_what_is_no_pseudonym_stays_as_it_is(text: str) -> None:
    assert codename(text) == text


def test_the_words_are_those_of_the_range_of_versions() -> None:
    """A new version of the library may have other words, and would rename every voter: the range must then change."""
    assert codename("0123456789abcdef") == "tentacled-broad-leech"
