r"""The JSON Schemas are current, and accept what the decoder accepts.

After an intended change of the events, regenerate the golden schemas by:

    .venv/bin/python -c "
    import json, pathlib
    from tests.unit.events.json_schemas import json_schemas
    for name, schema in json_schemas().items():
        pathlib.Path('tests/golden', name).write_text(json.dumps(schema, indent=2) + '\n')"
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events import (
    Style,
    Vote,
    encode_event,
)
from pipeline.vocabulary.outcomes import OUTCOMES
from tests.unit.events.json_schemas import json_schemas
from tests.unit.events.sample_events import BAD, GOLDEN, accepted, event, times, validator

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
    anonymous=st.none() | st.booleans(),
    refusal=st.none() | st.booleans(),
    deduplicated=st.none() | st.booleans(),
    identity_leak=st.none() | st.booleans(),
    turn=st.none() | st.integers(1, 2**31 - 1),
    session=st.none() | text,
    categories=st.none() | st.lists(text, max_size=5).map(tuple),
)


@pytest.mark.parametrize("name", ["vote.schema.json", "registry.schema.json"])
def test_the_golden_schemas_are_current(name: str) -> None:
    assert set(json_schemas()) == {"vote.schema.json", "registry.schema.json"}
    assert json.loads((GOLDEN / name).read_text()) == json_schemas()[name], "see the docstring of this module"


@given(any_votes)
@settings(max_examples=100, deadline=None)
@pytest.mark.long
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
