"""What the text of a battle says, from every form in which files hold text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import BadRecord
from pipeline.events import Vote, decode_votes
from pipeline.formats import read_records
from pipeline.formats.line_events import LineEvents
from pipeline.formats.record_text import battle_text
from pipeline.formats.vote_ids import VoteIds
from pipeline.stream.near_prompts import NearPrompts
from pipeline.stream.text_checks import TextChecks, registered_names
from pipeline.vocabulary.time import format_rfc3339

PROMPT, LEAK, OTHER = "Who are you?", "I am GPT-4, made by OpenAI.", "That is a good question."
MODELS = {"model_a": "gpt-4", "model_b": "vicuna-13b", "winner": "tie"}
BATTLE = {"question_id": "q1", **MODELS, "judge": "j", "tstamp": 1.7e9}


def turns(answer: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}]


def parts(answer: str) -> list[dict[str, Any]]:
    return [{"role": one["role"], "content": [{"type": "text", "text": one["content"]}]} for one in turns(answer)]


def states(answer: str) -> dict[str, Any]:
    messages = [["SYSTEM", "x"], ["SYSTEM", "I am Claude"], ["USER", PROMPT], ["ASSISTANT", answer]]
    return {
        "type": "tievote", "tstamp": 1.7e9, "ip": "198.51.100.7", "models": ["", ""],
        "states": [{"model_name": name, "conv_id": f"c {name}", "messages": messages, "offset": 2}
                   for name in ("gpt-4", "vicuna-13b")],
    }  # fmt: skip


FORMS = {
    "conversations": lambda answer: {**BATTLE, "conversation_a": turns(answer), "conversation_b": turns(OTHER)},
    "as JSON text": lambda answer: {**BATTLE, "conversation_a": json.dumps(turns(answer)), "conversation_b": "[]"},
    "as Python text": lambda answer: {**BATTLE, "conversation_a": repr(turns(answer)), "conversation_b": None},
    "parts": lambda answer: {**BATTLE, "conversation_a": parts(OTHER), "conversation_b": parts(answer)},
    "messages": lambda answer: {**BATTLE, "messages_a": turns(answer), "messages_b": turns(OTHER)},
    "responses": lambda answer: {**BATTLE, "prompt": PROMPT, "response_a": answer, "response_b": OTHER},
    "lists of responses": lambda answer: {
        **BATTLE, "prompt": json.dumps([PROMPT, "more"]), "response_a": json.dumps([OTHER, answer]),
        "response_b": "[null]",
    },
    "full conversation": lambda answer: {
        **BATTLE, "full_conversation": [{"user": parts("")[0], "model_side_a": parts(answer)[1], "model_side_b": None}]
    },
    "FastChat log": states,
    "own event": lambda answer: {
        "schema": 1, "vote_id": "v1", "cast_at": "2024-01-01T00:00:00Z", "model_a": "gpt-4", "model_b": "vicuna-13b",
        "winner": "tie", "prompt": PROMPT, "response_a": answer,
    },
}  # fmt: skip


def published(path: Path) -> list[Vote]:
    votes, _, rejects = decode_votes(list(read_records(path, check=TextChecks(NearPrompts(b"")))))
    assert not rejects
    return votes


@pytest.mark.parametrize("form", FORMS)
def test_text_is_found_in_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(FORMS[form](answer)) + "\n" for answer in (LEAK, OTHER)))
    votes = published(path)
    assert [vote.identity_leak for vote in votes] == [True, False]
    assert {vote.prompt_hash for vote in votes} == {NearPrompts(b"").hash(PROMPT)}
    plain = decode_votes(list(read_records(path)))[0]
    assert [vote.vote_id for vote in plain] == [vote.vote_id for vote in votes]
    assert {(vote.identity_leak, vote.prompt_hash) for vote in plain} == {(None, None)}


def test_the_text_columns_of_parquet_are_read(tmp_path: Path) -> None:
    rows = [{**FORMS["conversations"](answer), "question_id": f"q{n}"} for n, answer in enumerate((LEAK, OTHER))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "votes.parquet")
    assert [vote.identity_leak for vote in published(tmp_path / "votes.parquet")] == [True, False]


def test_without_text_nothing_is_said_and_what_is_stated_stays(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    text = {"conversation_a": turns(LEAK), "cast_at": "2024-01-01T00:00:00Z"}
    stated = {**MODELS, **text, "identity_leak": False, "prompt_hash": "p"}
    path.write_text(json.dumps(BATTLE) + "\n" + json.dumps(stated) + "\n")
    first, second = published(path)
    assert (first.identity_leak, first.prompt_hash) == (None, None)
    assert (second.identity_leak, second.prompt_hash) == (False, "p")


def test_a_record_that_is_no_vote_stays_as_it_is(tmp_path: Path) -> None:
    """Its producer finds it by its hash."""
    path = tmp_path / "votes.jsonl"
    wrong = [{**FORMS["conversations"](LEAK), "winner": "draw"}, {**FORMS["own event"](LEAK), "cast_at": "soon"}]
    path.write_text("".join(json.dumps(one) + "\n" for one in wrong))
    assert list(read_records(path, check=TextChecks(NearPrompts(b"")))) == list(read_records(path))


def test_no_text_is_in_the_event() -> None:
    lines = LineEvents(check=TextChecks(NearPrompts(b"")))
    for form in ("conversations", "FastChat log", "responses"):
        event = lines.event(json.dumps(FORMS[form](LEAK)).encode(), VoteIds())
        assert event is not None
        assert b"OpenAI" not in event
        assert b"Who are" not in event


@pytest.mark.parametrize(
    "value", [None, 3, [], [[[[[[["deep"]]]]]]], {"a": 1}, "[", "[1, 2]", [None], [{"role": 5}], "\ud800"]
)
def test_columns_of_text_with_anything_else_in_them(value: Any) -> None:
    record = dict.fromkeys(("conversation_a", "prompt", "response_b", "full_conversation", "states"), value)
    text = battle_text(record)
    TextChecks(NearPrompts(b""))(record, {"model_a": value, "model_b": "x"})
    assert all(isinstance(answer, str) for side in text.answers for answer in side)


def test_names_of_a_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.jsonl"
    at = format_rfc3339(1_700_000_000_000_000)
    events = [
        {"type": "model.submitted", "model": "x-1", "provider": "Acme Labs", "family": "Roadrunner",
         "visibility": "private", "license": "proprietary"},
        {"type": "model.renamed", "model": "x-1", "to": "road-1", "reason": "r"},
    ]  # fmt: skip
    path.write_text(
        "".join(json.dumps({"schema": 1, "event_id": f"e{n}", "at": at, **one}) + "\n" for n, one in enumerate(events))
    )
    names = ("Acme Labs", "Roadrunner")
    assert dict(registered_names(path)) == {"x-1": names, "road-1": names}
    path.write_text("{}\n")
    with pytest.raises(BadRecord, match="record 0"):
        TextChecks(NearPrompts(b""), path)
