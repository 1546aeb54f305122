"""Bytes become a vote or a reject with its reason; nothing raises."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events import (
    decode_votes,
)
from pipeline.events.reject_sample import SAMPLE_BYTES
from pipeline.events.strict_checks import (
    MAX_BYTES,
    MAX_DEPTH,
)
from pipeline.events.vote import MAX_NAME
from pipeline.vocabulary.outcomes import OUTCOMES
from tests.unit.events.sample_events import (
    BAD,
    EVENT,
    FULL,
    accepted,
    ending,
    event,
    one,
)


@pytest.mark.parametrize(("reason", "raw", "detail"), BAD)
def test_a_bad_record_is_rejected_with_its_reason_and_place_and_harms_no_neighbour(
    reason: str, raw: bytes | None, detail: str
) -> None:
    votes, positions, rejects = decode_votes([event(), event(vote_id="w"), raw, event(vote_id="x")])
    assert [v.vote_id for v in votes] == ["v-1", "w", "x"]
    assert positions == [0, 1, 3]
    (reject,) = rejects
    assert (reject.position, reject.reason) == (2, reason), reject.detail
    assert detail in reject.detail
    assert reject.sha256 == hashlib.sha256(raw or b"").digest()
    assert len(reject.sample) <= MAX_BYTES


@pytest.mark.parametrize("key", EVENT)
def test_a_duplicate_key_is_rejected_at_every_place(key: str) -> None:
    pairs = [f"{json.dumps(k)}:{json.dumps(v)}" for k, v in EVENT.items()]
    again = f"{json.dumps(key)}:{json.dumps(EVENT[key])}"
    for place in range(len(pairs) + 1):
        reject = one(("{" + ",".join([*pairs[:place], again, *pairs[place:]]) + "}").encode())
        assert reject.reason == "duplicate_key"
        assert repr(key) in reject.detail


def test_the_limits_themselves_are_allowed() -> None:
    deepest = ending(',"z":' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    longest = ending(f',"z":"{"a" * (MAX_BYTES - len(event()) - 7)}"')
    assert len(longest) == MAX_BYTES
    assert accepted(deepest) == accepted(longest) == accepted(event())
    assert accepted(event(model_a="a" * MAX_NAME)).model_a == "a" * MAX_NAME


@pytest.mark.parametrize("added", [',"new":1', ',"new":null', ',"new":{"a":["b"],"schema":9}', ',"Schema":2'])
def test_additive_unknown_keys_are_accepted(added: str) -> None:
    assert accepted(ending(added)) == accepted(event())


def test_an_explicit_null_is_an_absent_field() -> None:
    optional = {name: None for name in FULL if name not in EVENT}
    assert accepted(event(**optional)) == accepted(event())


def test_every_outcome_and_readable_names_of_any_script_are_accepted() -> None:
    for outcome in OUTCOMES:
        assert accepted(event(winner=outcome)).winner == outcome
    for name in ("模型-7", "é", "модель", "m\u00a0x", "🙂"):
        assert accepted(event(model_a=name)).model_a == name


def test_white_space_between_tokens_is_accepted() -> None:
    spread = json.dumps(FULL, indent=3).encode() + b"\r\n"
    assert accepted(spread) == accepted(json.dumps(FULL).encode())


def test_the_sample_of_an_unreadable_record_is_short_and_its_hash_is_of_the_whole() -> None:
    raw = b"{" + b"x" * 5000
    reject = one(raw)
    assert reject.sample == b"{" + b"x" * (SAMPLE_BYTES - 1)
    assert reject.sha256 == hashlib.sha256(raw).digest()


@pytest.mark.parametrize(
    "raw",
    [
        event(voter_id="alice", winner="model_c"),
        event(voter_id="alice", model_b="ant"),
        event(voter_id="alice", cast_at="never"),
        event(voter_id="alice", schema=2),
        event(voter_id="alice")[:-1],
        event(voter_id="alice")[:-3],
        event(voter_id='a"alice'),
        event(voter_id="alice", language=1),
        ending(',"voter_id" : \t"alice","category":"\\n"'),
        ending(',"voter_id":"bob","voter_id":"alice"'),
        ending(',"z":{"voter_id":"alice"},"winner":"tie"'),
        ending(',"voter_id":"\\"alice","winner":"tie"'),
        ending(',"voter_id":"alice\xff').replace(b"\xc3\xbf", b"\xff"),
        ending(f',"voter_id":"alice","z":"{"a" * MAX_BYTES}"'),
    ],
)
def test_a_voter_is_never_in_the_sample_of_a_reject(raw: bytes) -> None:
    votes, _, rejects = decode_votes([raw])
    for reject in rejects:
        assert b"alice" not in reject.sample
        assert "alice" not in reject.detail
    assert len(votes) + len(rejects) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
changed = st.dictionaries(st.sampled_from([*FULL, "new"]), json_values, max_size=3).map(
    lambda changes: json.dumps({**FULL, **changes}).encode()
)
truncated = st.integers(0, len(json.dumps(FULL))).map(lambda n: json.dumps(FULL).encode()[:n])
records = (
    st.none()
    | st.binary(max_size=60)
    | st.just(event())
    | changed
    | truncated
    | json_values.map(lambda v: json.dumps(v).encode())
)


@given(st.lists(records, max_size=6))
@settings(max_examples=200, deadline=None)
def test_decoding_never_raises_and_every_record_is_a_vote_or_a_reject(values: list[bytes | None]) -> None:
    votes, positions, rejects = decode_votes(values)
    assert len(votes) == len(positions)
    assert sorted([*positions, *(r.position for r in rejects)]) == list(range(len(values)))
    assert positions == sorted(positions)
    assert [r.position for r in rejects] == sorted(r.position for r in rejects)
    assert all(v.model_a != v.model_b and v.schema == 1 for v in votes)
