"""Finds the texts of a battle in a record: the first question, and the answers of each side before the vote.

The texts are used to compute flags of the vote (`identity_leaks`) and the hash of its prompt. They are never stored or
published.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.formats.battle_format import Record
from pipeline.formats.cell_values import is_absent, structured

_SIDES = ("a", "b")
_CONVERSATIONS = ("conversation", "messages")
TEXT_COLUMNS = frozenset(
    {"states", "prompt", "full_conversation", "opening_msg", "question", "instruction"}
    | {f"{name}_{side}" for name in (*_CONVERSATIONS, "response", "answer") for side in _SIDES}
)
"""The columns whose text is read."""

_MOST_DEPTH = 4
_ANSWERS = frozenset({"assistant", "model", "bot", "gpt", "ai"})
_QUESTIONS = frozenset({"user", "human", "prompter"})


@dataclass(frozen=True, slots=True)
class BattleText:
    """The texts of a battle.

    Attributes:
        prompt: the first question; "" without one.
        answers: two tuples: the texts of the answers of model a, and of model b.
    """

    prompt: str
    answers: tuple[tuple[str, ...], tuple[str, ...]]

    def __bool__(self) -> bool:
        """Return whether there is any text."""
        return bool(self.prompt or self.answers[0] or self.answers[1])


def battle_text(record: Record) -> BattleText:
    """Return the texts of a battle; empty texts if the record has none.

    Args:
        record: a record of any known format: FastChat's log, conversations, or columns of prompts and answers.
    """
    states = structured(record.get("states"))
    if isinstance(states, list) and len(states) == 2:
        turns = [list(_state_turns(state)) for state in states]
    else:
        turns = [list(_conversation(record, side)) for side in _SIDES]
    asked = [text for side in turns for role, text in side if role == "user"]
    answers = [tuple(text for role, text in side if role == "assistant") for side in turns]
    prompt = asked[0] if asked else next(_plain_prompts(record), "")
    return BattleText(prompt, (answers[0], answers[1]))


def _state_turns(state: Any) -> Iterator[tuple[str, str]]:
    """Yield the role and the text of each message in a model's state of FastChat's log.

    The messages of the prompt template come first and are skipped. Then questions and answers alternate.
    """
    messages = state.get("messages") if isinstance(state, Mapping) else None
    if not isinstance(messages, list):
        return
    offset = state.get("offset")
    for number, message in enumerate(messages[offset if isinstance(offset, int) and offset >= 0 else 0 :]):
        if isinstance(message, list) and len(message) > 1:
            yield ("assistant" if number % 2 else "user", _text(message[1]))
        elif isinstance(message, Mapping):
            yield from _turn(message)


def _conversation(record: Record, side: str) -> Iterator[tuple[str, str]]:
    for name in _CONVERSATIONS:
        conversation = structured(record.get(f"{name}_{side}"))
        if isinstance(conversation, list) and conversation:
            for message in conversation:
                yield from _turn(message)
            return
    for name in (f"response_{side}", f"answer_{side}"):
        value = structured(record.get(name))
        yield from (("assistant", text) for text in _texts(value))
    whole = structured(record.get("full_conversation"))
    for entry in whole if isinstance(whole, list) else ():
        if isinstance(entry, Mapping):
            yield from (("user", text) for text in _texts(entry.get("user")))
            yield from (("assistant", text) for text in _texts(entry.get(f"model_side_{side}")))


def _turn(message: Any) -> Iterator[tuple[str, str]]:
    """Yield the role, "user" or "assistant", and the text of a message in the form of OpenAI or ShareGPT.

    Nothing is yielded for a message with another role.
    """
    if not isinstance(message, Mapping):
        return
    role = str(message.get("role") or message.get("from") or "").lower()
    text = _text(message.get("content", message.get("value")))
    if role in _ANSWERS:
        yield "assistant", text
    elif role in _QUESTIONS:
        yield "user", text


def _plain_prompts(record: Record) -> Iterator[str]:
    for name in ("prompt", "question", "instruction", "opening_msg"):
        for text in _texts(structured(record.get(name))):
            if text:
                yield text


def _texts(value: Any) -> list[str]:
    """Return the texts of a cell. A list of texts gives its entries; any other value gives one text, or none."""
    if isinstance(value, list) and all(isinstance(one, str) or one is None for one in value):
        return [one for one in value if one]
    text = _text(value)
    return [text] if text else []


def _text(value: Any, depth: int = 0) -> str:
    """Return the text of a message, "" without one.

    A message is a text, a map that contains a text, or a list of such parts, whose texts are joined.
    """
    if isinstance(value, str):
        return value
    if is_absent(value) or depth > _MOST_DEPTH:
        return ""
    if isinstance(value, Mapping):
        return _text(value.get("text", value.get("content", "")), depth + 1)
    parts = [_text(one, depth + 1) for one in value] if isinstance(value, list | tuple) else []
    return " ".join(filter(None, parts))
