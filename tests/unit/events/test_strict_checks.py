"""Strict checks against a slow reader of the rules."""

import json
import sys
import unicodedata

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events import (
    Vote,
    decode_votes,
    encode_event,
)
from pipeline.events.strict_checks import (
    HIDDEN_CATEGORIES,
    MAX_DEPTH,
    find_fault,
    find_hidden_character,
    is_provably_clean,
)
from pipeline.events.vote import VOTE_FIELDS
from tests.unit.events.sample_events import EVENT, FULL, STYLE


class Refused(Exception):
    """What the slow strict reader throws."""


def strict(raw: bytes) -> None:
    """A slow strict reader: each key once, finite numbers, 8 levels, visible text in the fields of a vote."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise Refused("key")
        return dict(pairs)

    def constant(name: str) -> None:
        raise Refused(name)

    def walk(value: object, depth: int, read: bool = True) -> None:
        if isinstance(value, float) and abs(value) > sys.float_info.max:
            raise Refused("number")
        if isinstance(value, str) and read:
            if (
                unicodedata.normalize("NFC", value) != value
                or {unicodedata.category(c) for c in value} & HIDDEN_CATEGORIES
            ):
                raise Refused("text")
        elif isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise Refused("depth")
            for child in [*value, *value.values()] if isinstance(value, dict) else value:
                walk(child, depth + 1, read)

    for key, value in json.loads(raw.decode("utf-8"), object_pairs_hook=once, parse_constant=constant).items():
        walk(value, 2, key in VOTE_FIELDS)


def spelled(key: str, escaped: bool) -> str:
    return f'"\\u{ord(key[0]):04x}{key[1:]}"' if escaped else f'"{key}"'


whole_style = st.permutations([f'"{key}":{n}' for n, key in enumerate(STYLE)]).map(lambda p: "{" + ",".join(p) + "}")
values_of = {
    "voter_id": st.sampled_from(['"al"', "null", '"\u202e"', '"\\u0061"']),
    "language": st.sampled_from(['"de"', "null", '"e\u0301"', '"a\\tb"']),
    "network": st.sampled_from(['"n"', '"\\"\\""', "null"]),
    "voter_since": st.sampled_from(['"2024-06-30T12:00:00Z"', "null"]),
    "style_a": whole_style | st.just("null"),
    "style_b": whole_style | st.just("null"),
    "anonymous": st.sampled_from(["true", "null"]),
    "turn": st.just("2"),
    "session": st.sampled_from(['"s"', "null", '"a\\tb"']),
    "categories": st.sampled_from(['["a","b"]', "[]", '["e\u0301"]', "null"]),
    "winner": st.sampled_from(['"tie"', '"model_b"']),
    "schema": st.just("1"),
    "new": st.sampled_from(["1", "1e999", "[-1e400]", "[[[[[[[]]]]]]]", '{"a":1,"a":2}', '"\u200b"', '""']),
}
pairs_of = st.sampled_from(sorted(values_of)).flatmap(
    lambda key: st.tuples(st.just(key), st.booleans(), values_of[key]).map(lambda t: f"{spelled(t[0], t[1])}:{t[2]}")
)
written = st.tuples(st.lists(pairs_of, max_size=4), st.sampled_from(["", " ", "\n"])).map(
    lambda t: (json.dumps(EVENT)[:-1] + "".join("," + t[1] + pair for pair in t[0]) + "}").encode()
)


@given(written)
@settings(max_examples=400, deadline=None)
@pytest.mark.long
def test_a_vote_proved_clean_by_counts_is_accepted_by_a_slow_strict_reader(raw: bytes) -> None:
    vote = msgspec.json.decode(raw, type=Vote)
    if is_provably_clean(raw, vote):
        strict(raw)


@given(written)
@settings(max_examples=400, deadline=None)
@pytest.mark.long
def test_a_vote_is_accepted_exactly_when_a_slow_strict_reader_accepts_it(raw: bytes) -> None:
    try:
        strict(raw)
        fine = True
    except Refused:
        fine = False
    assert bool(decode_votes([raw])[0]) == fine
    assert (find_fault(raw, VOTE_FIELDS) is None) == fine


def test_most_votes_are_proved_clean_by_counts_alone() -> None:
    for record in (EVENT, FULL, {**EVENT, "style_a": STYLE}):
        vote = msgspec.convert(record, Vote)
        assert is_provably_clean(encode_event(vote), vote)


@given(st.text(max_size=6))
def test_hidden_characters_are_those_of_the_unicode_categories(text: str) -> None:
    shows = (
        unicodedata.normalize("NFC", text) == text and not {unicodedata.category(c) for c in text} & HIDDEN_CATEGORIES
    )
    assert (find_hidden_character(text) is None) == shows
