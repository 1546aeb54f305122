"""The vote event: one outcome of one battle.

Laws: a vote is a value; its canonical record is the same bytes whoever writes it; a missing id
is derived from that record, so the same file gives the same ids on every road.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated

import msgspec

from pipeline.vocabulary.outcomes import Outcome

SCHEMA = 1

# A name that fits a table cell and a chart label; the longest published model name has 63.
MAX_NAME = 200

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Style(msgspec.Struct, frozen=True, gc=False):
    """Style of one answer, as counts (tokens, and Markdown headers, list items, bold runs, emoji)."""

    tokens: Count = 0
    headers: Count = 0
    lists: Count = 0
    bold: Count = 0
    emoji: Count = 0


class Vote(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One outcome of one battle, as it stands on the topic (schema 1).

    `cast_at` is RFC 3339 with an offset. Unknown keys are ignored: additive changes are accepted.
    """

    # Without a default it is written out even though defaults are omitted: a reader needs it first.
    schema: int
    vote_id: Name
    cast_at: Time
    model_a: Name
    model_b: Name
    winner: Outcome
    voter_id: Name | None = None
    language: Name | None = None
    category: Name | None = None
    prompt_hash: Name | None = None
    network: Name | None = None
    voter_since: Time | None = None
    style_a: Style | None = None
    style_b: Style | None = None


_encoder = msgspec.json.Encoder(order="sorted")


def to_bytes(event: msgspec.Struct | dict[str, object]) -> bytes:
    """One event as canonical JSON: keys sorted, nothing optional written out.

    For the strings and integers of our events this is the form of RFC 8785.
    """
    return _encoder.encode(event)


def canonical(record: dict[str, object]) -> bytes:
    """The record that an id is derived from: the event without its id."""
    return _encoder.encode({k: v for k, v in record.items() if k != "vote_id" and v is not None})


def derived_id(record: dict[str, object], occurrence: int) -> str:
    """The id of a vote that came without one.

    Args:
        record: the event as a dictionary.
        occurrence: how many identical records stood before it in the same file (0-based).

    Returns:
        64 lower-case hexadecimal digits: SHA-256 of the canonical record and the occurrence.
    """
    return hashlib.sha256(canonical(record) + b"#%d" % occurrence).hexdigest()
