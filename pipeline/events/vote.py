"""Defines the vote event: one outcome of one battle.

A vote never changes. Its canonical record has the same bytes on every machine. A missing vote id is derived from
these bytes, so the same file always gives the same ids.
"""

import hashlib
import json
from datetime import datetime
from functools import lru_cache
from typing import Annotated

import msgspec

from pipeline.vocabulary.outcomes import Outcome

SCHEMA = 1

# Fits a table cell and a chart label; the longest published model name has 63 characters.
MAX_NAME = 200

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
VoterId = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Turn = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
# Published boards have 29 labels. With `category`, a vote has at most 64 (`ledger.leaf_labels`).
MAX_LABELS_BYTES = 2_000
"""Largest number of bytes of a vote's list of categories, as `category_list` writes it.

PostgreSQL can index texts of at most about 2,700 bytes.
"""
Labels = Annotated[tuple[Name, ...], msgspec.Meta(max_length=63)]


class Style(msgspec.Struct, frozen=True, gc=False):
    """Style of one answer, as counts of its parts.

    Attributes:
        tokens: number of tokens.
        headers: number of Markdown headers.
        lists: number of list items.
        bold: number of passages in bold.
        emoji: number of emoji.
    """

    tokens: Count = 0
    headers: Count = 0
    lists: Count = 0
    bold: Count = 0
    emoji: Count = 0


class Vote(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One outcome of one battle, as published on the topic (schema 1).

    Unknown keys and their content are ignored. An optional field that is absent is not known.

    Attributes:
        schema: major version of the event's format, SCHEMA. Every record must state it.
        vote_id: unique name of the vote.
        cast_at: when the vote was cast: a time in RFC 3339 with an offset, from 2000 to 2099.
        model_a, model_b: names of the two models.
        winner: the outcome.
        voter_id: name of the voter. An empty text names nobody, as other placeholders do (`vocabulary.voter_identity`).
        language: language of the battle.
        category, categories: one category, and a list of categories. Together they are all categories of the vote.
        prompt_hash: hash of the prompt, by which equal prompts are recognised.
        network: name of the network from which the vote came.
        voter_since: when the voter's account was created, in the same form as `cast_at`.
        style_a, style_b: style of the answers of the two models.
        anonymous: false if the vote was cast with the names of the models in view.
        refusal: whether a model refused to answer.
        deduplicated: whether the publisher's deduplication of prompts left the vote out.
        identity_leak: whether the conversation reveals which model answers.
        turn: which turn of its session the vote is about, from 1.
        session: name of the session, which can identify a person as much as `voter_id` does.
    """

    # Has no default, because defaults are omitted and every record must state its schema.
    schema: int
    vote_id: Name
    cast_at: Time
    model_a: Name
    model_b: Name
    winner: Outcome
    voter_id: VoterId | None = None
    language: Name | None = None
    category: Name | None = None
    prompt_hash: Name | None = None
    network: Name | None = None
    voter_since: Time | None = None
    style_a: Style | None = None
    style_b: Style | None = None
    anonymous: bool | None = None
    refusal: bool | None = None
    deduplicated: bool | None = None
    identity_leak: bool | None = None
    turn: Turn | None = None
    session: VoterId | None = None
    categories: Labels | None = None


@lru_cache(maxsize=100_000)
def category_list(category: str | None, categories: tuple[str, ...] | None) -> str | None:
    """Return all categories of a vote as a sorted JSON list.

    The result is None if the vote has no category, or none besides `category`.

    >>> category_list("maths", ("code", "maths")), category_list("maths", ("maths",))
    ('["code","maths"]', None)
    """
    labels = {*(categories or ()), *(() if category is None else (category,))}
    if not labels or labels == {category}:
        return None
    return json.dumps(sorted(labels), ensure_ascii=False, separators=(",", ":"))


VOTE_FIELDS = frozenset(Vote.__struct_fields__)
"""The keys that a vote may have. Other keys of a record are ignored."""

NOT_IN_IDS = frozenset(
    {"vote_id", "anonymous", "refusal", "deduplicated", "identity_leak", "turn", "session", "categories"}
)
"""Fields that derived vote ids do not depend on. The votes of a file therefore keep their ids when a later version of
the project reads more columns of the file into these fields."""

_encoder = msgspec.json.Encoder(order="sorted")


def encode_event(event: msgspec.Struct | dict[str, object]) -> bytes:
    """Return an event as canonical JSON: sorted keys, no spaces, absent optional fields left out.

    For events of strings and integers, this is the canonical form of RFC 8785.
    """
    return _encoder.encode(event)


def canonical_record(record: dict[str, object]) -> bytes:
    """Return the canonical JSON of an event without the fields NOT_IN_IDS, from which a vote's id is derived."""
    return _encoder.encode({k: v for k, v in record.items() if k not in NOT_IN_IDS and v is not None})


def derive_vote_id(record: dict[str, object], occurrence: int) -> str:
    """Return the id of a vote that has none.

    Args:
        record: the event as a dictionary. Fields in NOT_IN_IDS do not change the id.
        occurrence: number of identical records before this one in the same file.

    Returns:
        64 lower-case hexadecimal digits: SHA-256 of the canonical record and the occurrence.
    """
    return hashlib.sha256(canonical_record(record) + b"#%d" % occurrence).hexdigest()
