"""Votes whose headers say that a publisher has hashed voter and session."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from pipeline.events.pseudonym import format_pseudonym, pseudonym, session_name
from pipeline.stream.decoding import PseudonymCache
from pipeline.stream.record_preparation import RecordPreparer
from pipeline.stream.record_screening import BAD_PSEUDONYM, decode_marked_votes
from tests.unit.events.sample_events import EVENT, KEY, event

PSEUDONYMS = PseudonymCache(partial(pseudonym, KEY))
SESSION = pseudonym(KEY, session_name("s-1") or "")
HASHED = (b"key", None, None)
PLAIN = (None, None, None)


def vote(n: int, **more: Any) -> bytes:
    return event(vote_id=f"v{n}", **more)


def test_hashed_and_raw_sessions_of_one_batch_are_the_same_sessions() -> None:
    values = [vote(0, session="s-1"), vote(1, session=format_pseudonym(SESSION)), vote(2), vote(3, session="none")]
    found = decode_marked_votes(values, [PLAIN, HASHED, HASHED, PLAIN], None, PSEUDONYMS)
    assert found.session.tolist() == [SESSION, SESSION, 0, 0]
    assert (found.voter.tolist(), found.rejects) == ([0] * 4, [])
    assert decode_marked_votes(values[::3], None, None, PSEUDONYMS).session.tolist() == [SESSION, 0]


@pytest.mark.parametrize(("field", "named"), [("session", "a session (session)"), ("voter_id", "a voter (voter_id)")])
def test_a_text_in_the_place_of_a_hash_is_rejected_and_names_its_field(field: str, named: str) -> None:
    values = [vote(0), vote(1, **{field: "ann@example.org"}), vote(2, session=format_pseudonym(SESSION))]
    found = decode_marked_votes(values, [HASHED] * 3, None, PSEUDONYMS)
    assert [one.vote_id for one in found.votes] == ["v0", "v2"]
    assert (found.positions, found.session.tolist()) == ([0, 2], [0, SESSION])
    (reject,) = found.rejects
    assert (reject.position, reject.reason) == (1, BAD_PSEUDONYM)
    assert f"the pseudonym of {named}" in reject.detail
    assert b"ann" not in reject.sample


def test_a_publisher_sends_no_session_as_it_is_and_everything_else_that_a_vote_states() -> None:
    stated = {"anonymous": False, "refusal": True, "turn": 2, "categories": ["b", "a"], "identity_leak": False}
    record = json.dumps({**EVENT, **stated, "session": "s-1", "voter_id": "ann"}).encode()
    (sent,) = RecordPreparer("votes", "registry", PSEUDONYMS, KEY).prepare([record], "votes.jsonl")
    value = json.loads(sent.value)
    assert value["session"] == format_pseudonym(SESSION)
    assert value["voter_id"] == format_pseudonym(pseudonym(KEY, "ann"))
    assert {name: value[name] for name in stated} == stated
    (raw,) = RecordPreparer("votes", "registry").prepare([record], "votes.jsonl")
    assert raw.value == record
