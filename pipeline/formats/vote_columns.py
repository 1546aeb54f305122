"""Represents votes as Arrow columns, one for each field of our own vote event.

Every file that we write has the columns in this order.

A vote without a time has a null in `cast_at`. Such a vote can be rated, and is written without a time.
"""

from collections.abc import Container, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.events.vote import Style, Vote
from pipeline.vocabulary.voter_identity import find_voter

TIME = pa.timestamp("us", "UTC")
STYLE = pa.struct([(name, pa.int32()) for name in Style.__struct_fields__])

CODE_COLUMN = "is_code"
"""The column for the flag `code`: whether the conversation is about code. Vote events have no such field, and a reader
of events ignores the key."""

VOTE_COLUMNS = pa.schema(
    [
        ("schema", pa.int64()),
        ("vote_id", pa.string()),
        ("cast_at", TIME),
        ("model_a", pa.string()),
        ("model_b", pa.string()),
        ("winner", pa.string()),
        ("voter_id", pa.string()),
        ("session", pa.string()),
        ("turn", pa.int32()),
        ("language", pa.string()),
        ("category", pa.string()),
        ("categories", pa.list_(pa.string())),
        ("prompt_hash", pa.string()),
        ("network", pa.string()),
        ("voter_since", TIME),
        ("anonymous", pa.bool_()),
        ("refusal", pa.bool_()),
        ("deduplicated", pa.bool_()),
        ("identity_leak", pa.bool_()),
        (CODE_COLUMN, pa.bool_()),
        ("style_a", STYLE),
        ("style_b", STYLE),
    ]
)
"""The fields of a vote, and CODE_COLUMN; a field that a vote does not state is null."""


def to_columns(votes: Sequence[Vote], untimed: Container[int], code: Sequence[bool | None]) -> pa.RecordBatch:
    """Return votes as a batch with the columns of VOTE_COLUMNS.

    Ids of voters and sessions are written in one spelling. Ids that identify nobody become null.

    Args:
        votes: decoded votes.
        untimed: positions of the votes that have no time; their `cast_at` is a placeholder and becomes null.
        code: for each vote, whether it is about code; None if the file does not say.
    """
    columns: dict[str, list[Any]] = {
        name: list(code) if name == CODE_COLUMN else [getattr(vote, name) for vote in votes]
        for name in VOTE_COLUMNS.names
    }
    columns["cast_at"] = [None if row in untimed else time for row, time in enumerate(columns["cast_at"])]
    for name in ("voter_id", "session"):
        columns[name] = [find_voter(text) for text in columns[name]]
    columns["categories"] = [sorted({*labels}) if labels else None for labels in columns["categories"]]
    for side in ("style_a", "style_b"):
        columns[side] = [None if style is None else msgspec.structs.asdict(style) for style in columns[side]]
    arrays = [pa.array(columns[field.name], field.type) for field in VOTE_COLUMNS]
    return pa.record_batch(arrays, schema=VOTE_COLUMNS)
