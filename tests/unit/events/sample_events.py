"""Vote events as bytes, good and bad."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.events import (
    Reject,
    Vote,
    decode_votes,
)
from pipeline.events.strict_checks import (
    MAX_BYTES,
    MAX_DEPTH,
)
from pipeline.events.vote import MAX_NAME

GOLDEN = Path(__file__).parents[2] / "golden"
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
    "anonymous": True,
    "refusal": False,
    "deduplicated": True,
    "identity_leak": False,
    "turn": 3,
    "session": "s-1",
    "categories": ["maths", "code"],
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
    ("empty", b"", "no value"),
    ("empty", b" \t ", "no value"),
    ("malformed", b"vote", "byte 0"),
    ("malformed", event()[:-1], "truncated"),
    ("malformed", b"\xef\xbb\xbf" + event(), "byte 0"),
    ("malformed", ending(',"z":NaN'), "invalid character"),
    ("malformed", ending(',"z":[Infinity]'), "invalid character"),
    ("malformed", ending(',"z":-Infinity'), "malformed"),
    ("malformed", ending(',"category":"\\ud800"'), "U+D800 in 'category'"),
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
    ("bad_time", event(cast_at="2024-07-01T12:00:00"), "cast_at: expected RFC 3339 with an offset"),
    ("bad_time", event(cast_at="yesterday"), "got yesterday"),
    ("bad_time", event(cast_at=1719835200), "got 1719835200"),
    ("bad_time", event(cast_at="2024-02-30T00:00:00Z"), "got 2024-02-30T00:00:00Z"),
    ("bad_time", event(cast_at="0001-01-01T00:00:00+14:00"), "got 0001-01-01T00:00:00+14:00"),
    ("bad_time", event(cast_at="1999-12-31T23:59:59Z"), "from 2000 to 2099"),
    ("bad_time", event(cast_at="2099-12-31T23:59:59-00:01"), "from 2000 to 2099"),
    ("bad_time", event(cast_at="9999-12-31T23:59:59-14:00"), "got 9999-12-31T23:59:59-14:00"),
    ("bad_time", event(voter_since="2024-07-01T12:00:00"), "voter_since: expected RFC 3339"),
    ("bad_time", event(voter_since="1970-01-01T00:00:00Z"), "got 1970-01-01T00:00:00Z"),
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
    *[
        ("wrong_type", event(**{name: value}), f"$.{name}")
        for name in ("anonymous", "refusal", "deduplicated", "identity_leak")
        for value in (1, "false", 0.0, [True])
    ],
    *[("wrong_type", event(turn=value), "$.turn") for value in (0, -1, 1.5, "2", True, 2**31)],
    *[("wrong_type", event(session=value), "$.session") for value in (7, ["s"], "s" * (MAX_NAME + 1))],
    *[
        ("wrong_type", event(categories=value), "$.categories")
        for value in ("maths", {"maths": True}, [1], [""], ["a"] * 64)
    ],
    ("too_large", event(categories=[f"{n}" + "ä" * 100 for n in range(10)]), "at most 2000 bytes, got 2041"),
    ("text", event(categories=["maths", "a\u202eb"]), "U+202E"),
    ("text", event(session="a\u0000b"), "U+0000"),
    ("duplicate_key", ending(',"anonymous":true,"anonymous":false'), "'anonymous' twice"),
    ("duplicate_key", ending(',"categories":["a"],"categories":["b"]'), "'categories' twice"),
    ("self_battle", event(model_b="ant"), "'ant' against itself"),
    ("text", event(model_a="a\u202eb"), "U+202E"),
    ("text", event(model_a="a\u200bb"), "U+200B"),
    ("text", ending(',"category":"a\\nb"'), "U+000A"),
    ("text", ending(',"category":"a\\u0000b"'), "U+0000"),
    ("text", event(language="a\x7f"), "U+007F"),
    ("text", event(network="a\u2028"), "U+2028"),
    ("text", event(model_b="e\u0301"), "normal form C"),
    ("text", event(network="\u2066"), "U+2066"),
    ("text", event(model_a="ke\u200dy"), "U+200D"),
]


def votes_of(*records_: dict[str, object]) -> list[Vote]:
    return [msgspec.convert(record, Vote) for record in records_]


times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31, 23, 59), timezones=st.just(UTC))


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((GOLDEN / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
