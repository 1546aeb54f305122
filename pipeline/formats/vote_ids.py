"""Gives an id to each record that is mapped from a file and has none, and encodes the record as an event.

A missing id is derived from the content of the record and from the number of identical records before it in the
same log. So the same log always gives the same ids, and identical records are different votes. Fields that text checks
add do not change an id. Nobody can find a conversation from an id: if a log identifies a vote by its conversation, the
id is a keyed hash.
"""

import hashlib
import hmac
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from pipeline.events import decode_votes
from pipeline.events.strict_checks import MAX_BYTES
from pipeline.events.vote import derive_vote_id, encode_event
from pipeline.formats.battle_format import CODE, CONVERSATION, Fields
from pipeline.formats.row_mapping import WITHOUT_OUTCOME

CHECKED = "\0text checks"
"""Key of the fields that text checks add to a mapped record."""


class CheckedFields(Fields):
    """Fields that text checks add to a record. This is a type of its own, which no record of a file contains."""


# Characters of a text in an event that is too large; the decoder refuses more than 200.
_MAX_TEXT = 300
# What a file says of a vote and an event does not: it serves a rating.
_RATING_ONLY = frozenset({CODE, WITHOUT_OUTCOME, CHECKED, CONVERSATION})
# Identical records are told apart across the rotation of a log if at most so many other records are between them.
_RECENT = 200
# Characters of a derived id that identify the content of a record.
_KEY = 32


class ReadEvent(bytes):
    """An event that was read from a file, with information that the event itself does not contain.

    Attributes:
        recognised: the bytes of the event without `prompt_hash`, if a text check added this field; else None. A file
            that was read before is recognised by these bytes. `prompt_hash` is left out of them because the hash of a
            prompt that is nearly a copy depends on earlier prompts.
        conversation: the text by which the log identifies the vote, if the vote's id is a hash of this text; else "".
    """

    recognised: bytes | None = None
    conversation: str = ""


def recognised_bytes(event: bytes) -> bytes:
    """Return the bytes of an event that serve to recognise a file that was read before.

    A hash that a text check added to a `ReadEvent` is left out. Any other event is returned unchanged.
    """
    return (event.recognised or event) if isinstance(event, ReadEvent) else event


class VoteIds:
    """Derives the missing ids of the records of one log.

    Attributes:
        derived: number of ids derived from contents so far.
    """

    def __init__(self, key: bytes | None = b"") -> None:
        """Begin a log.

        Args:
            key: how a vote gets its id if the log identifies votes by their conversations. With a key, the id is the
                hash of the conversation's name under this key. With b"", the id is derived from the content of the
                record, as in other logs. With None, the name of the conversation is the id.
        """
        self._key = key
        self._seen: Counter[str] = Counter()
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self.derived = 0

    def encode(self, fields: Fields) -> bytes:
        """Return a record as the bytes of an event, with an id and with the fields that text checks added.

        If the record has no id, one is derived, and the record is counted in `occurrences`. If a record is larger than
        an event may be, its texts are shortened to save memory; the decoder still rejects it.
        """
        event = {k: v for k, v in fields.items() if v is not None and k not in _RATING_ONLY}
        conversation = str(fields.get(CONVERSATION) or "")
        if "vote_id" not in event:
            event["vote_id"] = self._of_conversation(conversation) or self._derive(event)
        raw, added = encode_event(event), _checked(fields)
        if added and not decode_votes([raw])[2]:  # a reject is named by the hash of the record alone
            raw = with_added(event, added)
        if len(raw) > MAX_BYTES:
            return encode_event(_cut(event))
        if conversation and self._key is not None:
            raw = raw if isinstance(raw, ReadEvent) else ReadEvent(raw)
            raw.conversation = conversation
        return raw

    def recent(self) -> dict[str, int]:
        """Return how often each content occurred so far, for the contents of the last 200 records with derived ids.

        Returns:
            Key of the content → number of all identical records so far.
        """
        return {key: self._seen[key] for key in self._recent}

    def occurrences(self) -> dict[str, int]:
        """Return how often each content occurred so far, for all records with derived ids.

        Returns:
            Key of the content → number of identical records so far.
        """
        return dict(self._seen)

    def merge(self, occurrences: Mapping[str, int]) -> None:
        """Continue the counts of identical records that another `VoteIds` began.

        Args:
            occurrences: key of a content → number of identical records, from `recent` or `occurrences`. If this object
                has a number for the same content, the larger one is kept.
        """
        for key, count in occurrences.items():
            self._seen[key] = max(self._seen[key], count)
            self._recent.append(key)

    def _of_conversation(self, name: str) -> str:
        """Return the id of a vote that its log identifies by a conversation.

        The id is the hash of `name` under the key, or `name` itself if the key is None. "" means that the id must be
        derived from the content, because the key or `name` is empty.
        """
        if not self._key or not name:
            return name if self._key is None else ""
        return hmac.digest(self._key, b"vote\0" + name.encode("utf-8", "surrogatepass"), "sha256").hex()

    def _derive(self, event: Fields) -> str:
        first = derive_vote_id(event, 0)
        key = first[:_KEY]
        occurrence = self._seen[key]
        self._seen[key] += 1
        self._recent.append(key)
        self.derived += 1
        return derive_vote_id(event, occurrence) if occurrence else first


def with_added(event: Fields, added: Fields) -> bytes:
    """Return the bytes of an event, extended by the fields that text checks added and that the event lacks.

    If `prompt_hash` is among these fields, the result is a `ReadEvent`, which also has the bytes of the event without
    `prompt_hash`.

    Args:
        event: the fields of the event.
        added: the fields that text checks added.
    """
    raw = encode_event({**added, **event})
    if "prompt_hash" not in added or "prompt_hash" in event:
        return raw
    read = ReadEvent(raw)
    read.recognised = encode_event({**{k: v for k, v in added.items() if k != "prompt_hash"}, **event})
    return read


def hash_conversation(name: str) -> str:
    """Return SHA-256 of the name of a conversation, in hexadecimal digits, as the id of a vote while its file is rated.

    The hash is never stored.
    """
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def with_checked(fields: Fields) -> Fields:
    """Turn the fields that text checks added to a record into ordinary fields.

    Text checks put their fields under the key CHECKED, which the result lacks. A field that the record states itself
    stays. Without fields of text checks, `fields` is returned unchanged.
    """
    added = _checked(fields)
    stated = {name: value for name, value in fields.items() if name != CHECKED}
    return {**stated, **{name: value for name, value in added.items() if stated.get(name) is None}} if added else fields


def _checked(fields: Fields) -> Fields:
    added = fields.get(CHECKED)
    return added if isinstance(added, CheckedFields) else {}


def _cut(event: dict[str, Any]) -> dict[str, Any]:
    """Cut the long texts of an event to 300 characters. The decoder accepts 200, so it still rejects the event."""
    cut = {name: value[:_MAX_TEXT] if isinstance(value, str) else value for name, value in event.items()}
    return {name: value for name, value in cut.items() if isinstance(value, str | int)}
