r"""Vote events: bytes become a vote or a reject, and nothing hides in between.

The golden schemas are made anew, after a change of the events that is meant, by:

    .venv/bin/python -c "
    import json, pathlib
    from pipeline.events.json_schema import json_schemas
    for name, schema in json_schemas().items():
        pathlib.Path('tests/golden', name).write_text(json.dumps(schema, indent=2) + '\n')"
"""

import hashlib
import hmac
import json
import sys
import unicodedata
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.events import (
    Reject,
    Style,
    Vote,
    VoteBatch,
    canonical_record,
    decode_votes,
    derive_vote_id,
    encode_event,
    registry_events,
    to_columns,
)
from pipeline.events.decode import SAMPLE_BYTES
from pipeline.events.json_schema import json_schemas
from pipeline.events.pseudonym import pseudonym
from pipeline.events.strict_checks import (
    HIDDEN_CATEGORIES,
    MAX_BYTES,
    MAX_DEPTH,
    find_fault,
    find_hidden_character,
    is_provably_clean,
)
from pipeline.events.vote import MAX_NAME
from pipeline.stream.decoding import PseudonymCache
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.time import NO_TIME, from_microseconds, to_microseconds

GOLDEN = Path(__file__).parents[1] / "golden"
KEY = bytes(range(32))
EVENT = {
    "schema": 1,
    "vote_id": "v-1",
    "cast_at": "2024-07-01T12:00:00Z",
    "model_a": "ant",
    "model_b": "bee",
    "winner": "model_a",
}
STYLE = {"tokens": 5, "headers": 1, "lists": 2, "bold": 3, "emoji": 4}
FULL = {
    **EVENT,
    "voter_id": "alice@example.org",
    "language": "de",
    "category": "maths",
    "prompt_hash": "p1",
    "network": "n1",
    "voter_since": "2024-06-30T12:00:00Z",
    "style_a": STYLE,
    "style_b": {**STYLE, "tokens": 6},
}


def event(**changes: object) -> bytes:
    """The smallest vote with changes; ... leaves a field out."""
    fields_ = {k: v for k, v in {**EVENT, **changes}.items() if v is not ...}
    return json.dumps(fields_, ensure_ascii=False).encode()


def ending(text: str) -> bytes:
    """The smallest vote with more JSON before its closing brace."""
    return event()[:-1] + text.encode() + b"}"


def one(raw: bytes | None) -> Reject:
    votes, positions, rejects = decode_votes([raw])
    assert (votes, positions, len(rejects)) == ([], [], 1)
    return rejects[0]


def accepted(raw: bytes) -> Vote:
    votes, positions, rejects = decode_votes([raw])
    assert rejects == []
    assert positions == [0]
    return votes[0]


BAD = [
    ("empty", None, "no value"),
    ("malformed", b"", "truncated"),
    ("malformed", b"vote", "byte 0"),
    ("malformed", event()[:-1], "truncated"),
    ("malformed", b"\xef\xbb\xbf" + event(), "byte 0"),
    ("malformed", ending(',"z":NaN'), "invalid character"),
    ("malformed", ending(',"z":[Infinity]'), "invalid character"),
    ("malformed", ending(',"z":-Infinity'), "malformed"),
    ("malformed", ending(',"category":"\\ud800"'), "truncated"),
    ("malformed", ending(',"z":' + "1" * 5000), "4300 digits"),
    ("bad_utf8", event().replace(b"ant", b"\xff"), "byte 0xff at 79"),
    ("bad_utf8", ending("").decode().encode("utf-16"), "byte 0xff at 0"),
    ("duplicate_key", ending(',"winner":"model_b"'), "'winner' twice"),
    ("duplicate_key", ending(',"w\\u0069nner":"model_b"'), "'winner' twice"),
    ("duplicate_key", ending(',"z":{"y":[{"x":1,"x":2}]}'), "'x' twice"),
    (
        "duplicate_key",
        ending(',"style_a":{"tokens":1,"tokens":2,"headers":0,"lists":0,"bold":0,"emoji":0}'),
        "'tokens'",
    ),
    ("duplicate_key", ending(',"voter_id":"x","voter_id":null'), "'voter_id' twice"),
    ("duplicate_key", ending(',"new":1,"new":1'), "'new' twice"),
    ("too_deep", ending(',"z":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH), f"{MAX_DEPTH} levels"),
    ("too_deep", ending(',"z":' + '{"z":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH), f"{MAX_DEPTH} levels"),
    ("too_deep", ending(',"z":' + "[" * 30_000 + "]" * 30_000), f"{MAX_DEPTH} levels"),
    ("too_large", ending(f',"z":"{"a" * MAX_BYTES}"'), f"at most {MAX_BYTES} bytes"),
    ("too_large", b"x" * (MAX_BYTES + 1), f"got {MAX_BYTES + 1}"),
    ("unknown_schema", event(schema=2), "expected schema 1, got 2"),
    ("unknown_schema", b'{"schema":2,"ballot":[1]}', "expected schema 1, got 2"),
    ("unknown_schema", event(schema=0), "got 0"),
    *[("missing_field", event(**{name: ...}), f"`{name}`") for name in EVENT],
    ("unknown_outcome", event(winner="model_c"), "expected one of model_a, model_b, tie, both_bad, got 'model_c'"),
    ("unknown_outcome", event(winner=""), "got ''"),
    ("unknown_outcome", event(winner=None), "got 'None'"),
    ("bad_time", event(cast_at="2024-07-01T12:00:00"), "timezone"),
    ("bad_time", event(cast_at="yesterday"), "RFC3339"),
    ("bad_time", event(cast_at=1719835200), "$.cast_at"),
    ("bad_time", event(cast_at="2024-02-30T00:00:00Z"), "$.cast_at"),
    ("bad_time", event(voter_since="2024-07-01T12:00:00"), "$.voter_since"),
    ("wrong_type", b"[]", "Expected `object`, got `array`"),
    ("wrong_type", b"1", "Expected `object`, got `int`"),
    ("wrong_type", event(schema="1"), "$.schema"),
    ("wrong_type", event(schema=True), "$.schema"),
    ("wrong_type", event(model_a=7), "$.model_a"),
    ("wrong_type", event(model_b=None), "$.model_b"),
    ("wrong_type", event(vote_id=""), "length >= 1"),
    ("wrong_type", event(model_a="a" * (MAX_NAME + 1)), f"length <= {MAX_NAME}"),
    ("wrong_type", event(style_a={"tokens": -1}), "$.style_a.tokens"),
    ("wrong_type", event(style_a={"tokens": 2**31}), "$.style_a.tokens"),
    ("wrong_type", event(style_b={"bold": 1.5}), "$.style_b.bold"),
    ("self_battle", event(model_b="ant"), "'ant' against itself"),
    ("text", event(model_a="a\u202eb"), "U+202E"),
    ("text", event(model_a="a\u200bb"), "U+200B"),
    ("text", ending(',"category":"a\\nb"'), "U+000A"),
    ("text", ending(',"category":"a\\u0000b"'), "U+0000"),
    ("text", event(language="a\x7f"), "U+007F"),
    ("text", event(network="a\u2028"), "U+2028"),
    ("text", event(model_b="e\u0301"), "normal form C"),
    ("text", event(new={"inner": ["\u2066"]}), "U+2066"),
    ("text", event(**{"ke\u200dy": 1}), "U+200D"),
]


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
def test_a_repeated_key_is_rejected_wherever_it_stands(key: str) -> None:
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


def test_white_space_between_tokens_is_no_fault() -> None:
    spread = json.dumps(FULL, indent=3).encode() + b"\r\n"
    assert accepted(spread) == accepted(json.dumps(FULL).encode())


def test_the_sample_of_an_unreadable_record_is_short_and_its_hash_is_of_the_whole() -> None:
    raw = b"{" + b"x" * 5000
    reject = one(raw)
    assert reject.sample == raw[:SAMPLE_BYTES]
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
        assert b"(removed)" in reject.sample
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
def test_decoding_never_raises_and_every_record_ends_in_exactly_one_place(values: list[bytes | None]) -> None:
    votes, positions, rejects = decode_votes(values)
    assert len(votes) == len(positions)
    assert sorted([*positions, *(r.position for r in rejects)]) == list(range(len(values)))
    assert positions == sorted(positions)
    assert [r.position for r in rejects] == sorted(r.position for r in rejects)
    assert all(v.model_a != v.model_b and v.schema == 1 for v in votes)


class Refused(Exception):
    """What the slow strict reader throws."""


def strict(raw: bytes) -> None:
    """A slow reader of the rules as they are written: each key once, finite numbers, 8 levels, text that shows."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise Refused("key")
        return dict(pairs)

    def constant(name: str) -> None:
        raise Refused(name)

    def walk(value: object, depth: int) -> None:
        if isinstance(value, float) and abs(value) > sys.float_info.max:
            raise Refused("number")
        if isinstance(value, str):
            if (
                unicodedata.normalize("NFC", value) != value
                or {unicodedata.category(c) for c in value} & HIDDEN_CATEGORIES
            ):
                raise Refused("text")
        elif isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise Refused("depth")
            for child in [*value, *value.values()] if isinstance(value, dict) else value:
                walk(child, depth + 1)

    walk(json.loads(raw.decode("utf-8"), object_pairs_hook=once, parse_constant=constant), 1)


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
def test_what_counts_prove_clean_a_slow_strict_reader_accepts(raw: bytes) -> None:
    vote = msgspec.json.decode(raw, type=Vote)
    if is_provably_clean(raw, vote):
        strict(raw)


@given(written)
@settings(max_examples=400, deadline=None)
def test_a_vote_is_accepted_exactly_when_a_slow_strict_reader_accepts_it(raw: bytes) -> None:
    try:
        strict(raw)
        fine = True
    except Refused:
        fine = False
    assert bool(decode_votes([raw])[0]) == fine
    assert (find_fault(raw) is None) == fine


def test_most_votes_are_proved_clean_by_counts_alone() -> None:
    for record in (EVENT, FULL, {**EVENT, "style_a": STYLE}):
        vote = msgspec.convert(record, Vote)
        assert is_provably_clean(encode_event(vote), vote)


@given(st.text(max_size=6))
def test_text_that_shows_is_told_from_text_that_hides(text: str) -> None:
    shows = (
        unicodedata.normalize("NFC", text) == text and not {unicodedata.category(c) for c in text} & HIDDEN_CATEGORIES
    )
    assert (find_hidden_character(text) is None) == shows


def test_the_canonical_bytes_and_the_derived_id_are_golden() -> None:
    golden = (
        b'{"cast_at":"2024-07-01T12:00:00Z","model_a":"ant","model_b":"bee",'
        b'"schema":1,"vote_id":"v-1","winner":"model_a"}'
    )
    assert encode_event(msgspec.convert(EVENT, Vote)) == encode_event(dict(EVENT)) == golden
    assert canonical_record(dict(EVENT)) == golden.replace(b'"vote_id":"v-1",', b"")
    assert derive_vote_id(dict(EVENT), 0) == "5a4b0e973a00960e4cd0fa09e71f95f3b437135e3aabc964933c6807f4951463"
    assert derive_vote_id(dict(EVENT), 1) == "32af2b48496f37b18ca221a2e4dee29de806de2eb2caf47eabe8be75e291169d"


def test_a_derived_id_is_the_sha_256_of_the_canonical_record_and_its_occurrence() -> None:
    record = {**FULL, "language": None, "model_a": "模型"}
    kept = {k: v for k, v in record.items() if v is not None and k != "vote_id"}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for n in (0, 1, 12):
        assert derive_vote_id(record, n) == hashlib.sha256(f"{text}#{n}".encode()).hexdigest()
    assert derive_vote_id(dict(reversed(record.items())), 0) == derive_vote_id(record, 0)


def votes_of(*records_: dict[str, object]) -> list[Vote]:
    return [msgspec.convert(record, Vote) for record in records_]


def name_of(voter_id: str) -> int:
    return pseudonym(KEY, voter_id)


def batch_of(*records_: dict[str, object], key: bytes = KEY) -> VoteBatch:
    offset = np.arange(len(records_), dtype=np.int64)
    return to_columns(
        votes_of(*records_),
        np.zeros(len(records_), dtype=np.int32),
        offset,
        offset + 5,
        PseudonymCache(partial(pseudonym, key)),
    )


def test_a_pseudonym_is_the_first_64_bits_of_the_keyed_hash() -> None:
    expected = hmac.new(KEY, b"alice", hashlib.sha256).digest()[:8]
    assert pseudonym(KEY, "alice").to_bytes(8, "big", signed=True) == expected
    assert pseudonym(KEY, "alice") != pseudonym(bytes(32), "alice")
    assert pseudonym(KEY, "alice") != pseudonym(KEY, "Alice")


def test_columns_say_what_the_votes_say() -> None:
    batch = batch_of(FULL, {**EVENT, "winner": "both_bad"})
    digest = hashlib.sha256(b"v-1").digest()
    assert len(batch) == 2
    assert batch.key.dtype == np.uint64
    assert batch.key[0].tolist() == [int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")]
    assert batch.side[0] == int.from_bytes(digest, "big") & 1
    assert batch.outcome.tolist() == [0, 3]
    assert batch.voter.tolist() == [name_of("alice@example.org"), 0]
    assert batch.has_voter.tolist() == [True, False]
    assert batch.cast_at.tolist() == [1719835200_000000] * 2
    assert batch.voter_since.tolist() == [1719835200_000000 - 86400_000000, NO_TIME]
    assert batch.style.tolist() == [[5, 1, 2, 3, 4, 6, 1, 2, 3, 4], [-1] * 10]
    assert (batch.vote_id, batch.model_a, batch.model_b) == (["v-1"] * 2, ["ant"] * 2, ["bee"] * 2)
    assert (batch.language, batch.category) == (["de", None], ["maths", None])
    prompt = int.from_bytes(hashlib.sha256(b"p1").digest()[:8], "big", signed=True)
    assert (batch.prompt.tolist(), batch.network) == ([prompt, 0], ["n1", None])
    assert (batch.offset.tolist(), batch.appended_at.tolist()) == ([0, 1], [5, 6])


def test_the_key_and_the_side_follow_the_id_for_many_ids() -> None:
    ids = [f"vote {n}" for n in range(300)]
    batch = batch_of(*({**EVENT, "vote_id": i} for i in ids))
    for i, (high, low), side in zip(ids, batch.key.tolist(), batch.side.tolist(), strict=True):
        number = int(hashlib.sha256(i.encode()).hexdigest(), 16)
        assert (high << 64 | low, side) == (number >> 128, number & 1)
    assert 100 < batch.side.sum() < 200


def test_an_empty_batch_has_columns_too() -> None:
    batch = batch_of()
    assert len(batch) == 0
    assert batch.key.shape == (0, 2)
    assert batch.style.shape == (0, 10)


# Up to 2106, where a double of seconds still holds every microsecond.
times = st.datetimes(datetime(1970, 1, 1), datetime(2106, 1, 1), timezones=st.just(UTC))


@given(st.lists(times, min_size=1, max_size=5))
def test_times_are_exact_to_the_microsecond(cast: list[datetime]) -> None:
    batch = batch_of(*({**EVENT, "cast_at": t.isoformat(), "voter_since": t.isoformat()} for t in cast))
    exact = [(t - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for t in cast]
    assert batch.cast_at.tolist() == batch.voter_since.tolist() == exact
    assert [to_microseconds(t) for t in cast] == exact
    assert [from_microseconds(n) for n in exact] == cast


def test_times_are_exact_for_many_instants() -> None:
    # A double of seconds times a million falls below the whole number for one instant in a hundred.
    exact = np.random.default_rng(1).integers(0, 4 * 10**15, 5000).tolist()
    votes = [msgspec.structs.replace(votes_of(EVENT)[0], cast_at=from_microseconds(n)) for n in exact]
    zero = np.zeros(len(votes), dtype=np.int64)
    assert to_columns(votes, zero.astype(np.int32), zero, zero, PseudonymCache(name_of)).cast_at.tolist() == exact


def test_an_offset_from_utc_moves_the_clock_and_not_the_instant() -> None:
    east = datetime(2024, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    batch = batch_of({**EVENT, "cast_at": east.isoformat()}, EVENT)
    assert batch.cast_at[0] == batch.cast_at[1]


@given(st.lists(st.integers(0, 5), max_size=9))
def test_taking_rows_takes_them_from_every_column(rows: list[int]) -> None:
    batch = batch_of(*({**(FULL if n % 2 else EVENT), "vote_id": str(n)} for n in range(6)))
    for taken, index in (
        (batch.take(np.array(rows, dtype=np.int64)), rows),
        (batch.take(np.isin(np.arange(6), rows)), sorted(set(rows))),
    ):
        assert len(taken) == len(index)
        for field in fields(VoteBatch):
            whole, part = getattr(batch, field.name), getattr(taken, field.name)
            assert type(part) is type(whole)
            assert np.asarray(part).tolist() == np.asarray([whole[i] for i in index]).tolist()


# -- the schemas ------------------------------------------------------------------------------

text = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
counts = st.integers(0, 2**31 - 1)
styles = st.builds(Style, counts, counts, counts, counts, counts)
any_votes = st.builds(
    Vote,
    schema=st.just(1),
    vote_id=text,
    cast_at=times,
    model_a=text.map(lambda t: "a" + t),
    model_b=text.map(lambda t: "b" + t),
    winner=st.sampled_from(OUTCOMES),
    voter_id=st.none() | text,
    language=st.none() | text,
    category=st.none() | text,
    prompt_hash=st.none() | text,
    network=st.none() | text,
    voter_since=st.none() | times,
    style_a=st.none() | styles,
    style_b=st.none() | styles,
)


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((GOLDEN / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", ["vote.schema.json", "registry.schema.json"])
def test_the_golden_schemas_are_current(name: str) -> None:
    assert set(json_schemas()) == {"vote.schema.json", "registry.schema.json"}
    assert json.loads((GOLDEN / name).read_text()) == json_schemas()[name], "see the docstring of this module"


@given(any_votes)
@settings(max_examples=100, deadline=None)
def test_the_schema_accepts_every_vote_that_the_decoder_accepts(vote: Vote) -> None:
    raw = encode_event(vote)
    assert accepted(raw) == vote
    assert not list(validator("vote.schema.json").iter_errors(json.loads(raw)))


@pytest.mark.parametrize(
    "raw",
    [
        raw
        for reason, raw, _ in BAD
        if reason in {"unknown_schema", "missing_field", "unknown_outcome", "wrong_type"}
        and raw not in {None, event(schema=True)}  # to Python's JSON Schema, True is 1
    ],
)
def test_the_schema_rejects_what_the_decoder_rejects(raw: bytes) -> None:
    assert list(validator("vote.schema.json").iter_errors(json.loads(raw)))


AT = {"schema": 1, "event_id": "e", "at": "2024-07-01T12:00:00Z"}
REGISTRY = [
    {"type": "model.submitted", "model": "m", "provider": "p", "visibility": "private", "license": "open"},
    {"type": "model.released", "model": "m", "as": "m-1", "variants_tested": 27},
    {"type": "model.renamed", "model": "m", "to": "n", "notice_url": "https://example.org"},
    {"type": "model.deprecated", "model": "m", "reason": "old"},
    {"type": "model.retracted", "model": "m", "reason": "broken"},
    {"type": "sampling.policy", "weights": {"m": 1, "n": 0.5, "o": 0}},
    {"type": "benchmark.claim", "model": "m", "benchmark": "b", "score": 0.9, "source": "s"},
    {"type": "benchmark.result", "model": "m", "benchmark": "b", "score": 1, "n": 3, "evaluator": "e"},
]


@pytest.mark.parametrize("record", REGISTRY, ids=lambda r: r["type"])
def test_every_kind_of_registry_event_is_decoded_and_in_the_schema(record: dict[str, object]) -> None:
    whole = {**AT, **record, "new": 1}
    decoded = registry_events.decode_event(json.dumps(whole).encode())
    assert json.loads(encode_event(decoded)) == {**AT, **record}
    assert not list(validator("registry.schema.json").iter_errors(whole))


@pytest.mark.parametrize("record", REGISTRY, ids=lambda r: r["type"])
def test_a_registry_event_that_lacks_a_required_field_is_refused_by_decoder_and_schema(
    record: dict[str, object],
) -> None:
    optional = {"as", "variants_tested", "notice_url"}
    for name in ({*AT, *record} - optional) - {"type"}:
        broken = {k: v for k, v in {**AT, **record}.items() if k != name}
        with pytest.raises(msgspec.ValidationError, match=name):
            registry_events.decode_event(json.dumps(broken).encode())
        assert list(validator("registry.schema.json").iter_errors(broken))


@pytest.mark.parametrize(
    "change",
    [
        {"type": "model.sold"},
        {"type": "sampling.policy", "weights": {"m": -1}},
        {"visibility": "secret"},
        {"license": "mine"},
        {"model": ""},
        {"provider": 5},
    ],
)
def test_a_registry_event_with_a_wrong_value_is_refused_by_decoder_and_schema(change: dict[str, object]) -> None:
    broken = {**AT, **REGISTRY[0], **change}
    with pytest.raises(msgspec.ValidationError):
        registry_events.decode_event(json.dumps(broken).encode())
    assert list(validator("registry.schema.json").iter_errors(broken))


def test_a_negative_sampling_weight_names_its_place() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"weights"):
        registry_events.decode_event(json.dumps({**AT, "type": "sampling.policy", "weights": {"m": -0.1}}).encode())


def test_outcome_codes_are_positions_and_never_move() -> None:
    # They are stored in every vote row.
    assert OUTCOMES == ("model_a", "model_b", "tie", "both_bad")
