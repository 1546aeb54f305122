"""Defines the schemas in which votes are written: our own vote event, a flat table, and arena-human-preference-140k.

Each schema holds every field of a vote, so a file that is written in it can be read again as the same votes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.events.vote import Style
from pipeline.formats.vote_columns import VOTE_COLUMNS

_FEATURES = Style.__struct_fields__
_SIDES = ("a", "b")

CATEGORY_TAGS: Mapping[str, tuple[str, ...]] = {
    "creative_writing_v0.1": ("creative_writing",),
    "criteria_v0.1": (
        "complexity", "creativity", "domain_knowledge", "problem_solving", "real_world", "specificity",
        "technical_accuracy",
    ),
    "if_v0.1": ("if",),
    "math_v0.1": ("math",),
}  # fmt: skip
"""Tag of arena-human-preference-140k → its labels."""

# A vote has totals, the public set counts by kind of header, list or mark: the sum over the keys is the same.
_TOTAL = pa.struct([("total", pa.int32())])
_METADATA = {
    "tokens": ("sum_assistant_{}_tokens", pa.int32()),
    "headers": ("header_count_{}", _TOTAL),
    "lists": ("list_count_{}", _TOTAL),
    "bold": ("bold_count_{}", _TOTAL),
    "emoji": ("emoji_count_{}", pa.int32()),
}
_TAGS = pa.struct(
    [(tag, pa.struct([(label, pa.bool_()) for label in labels])) for tag, labels in CATEGORY_TAGS.items()]
)
_ADDED = (
    "session", "category", "categories", "prompt_hash", "network", "voter_since", "anonymous", "refusal",
    "deduplicated", "identity_leak",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """A schema in which votes are written to a file.

    Attributes:
        name: name of the schema on the command line.
        columns: the columns of a file.
        build: converts a batch of votes from the columns VOTE_COLUMNS to the columns `columns`.
        events: whether JSON records are vote events. A vote event has no key for an absent field.
    """

    name: str
    columns: pa.Schema
    build: Callable[[pa.RecordBatch], pa.RecordBatch]
    events: bool = False


def _flat_columns() -> pa.Schema:
    plain = [field for field in VOTE_COLUMNS if field.name not in ("schema", "style_a", "style_b")]
    return pa.schema([*plain, *(pa.field(f"{feature}_{side}", pa.int32()) for side in _SIDES for feature in _FEATURES)])


def _flatten(votes: pa.RecordBatch) -> pa.RecordBatch:
    """Return votes with one column for each style count, and without the column `schema`."""
    columns = {name: votes[name] for name in votes.schema.names}
    for side in _SIDES:
        columns |= {f"{feature}_{side}": pc.struct_field(votes[f"style_{side}"], feature) for feature in _FEATURES}
    return pa.record_batch([columns[name] for name in _FLAT.names], schema=_FLAT)


def _metadata_type() -> pa.DataType:
    return pa.struct([(name.format(side), kind) for side in _SIDES for name, kind in _METADATA.values()])


def _preference_columns() -> pa.Schema:
    public = [
        ("id", pa.string()), ("model_a", pa.string()), ("model_b", pa.string()), ("winner", pa.string()),
        ("evaluation_session_id", pa.string()), ("evaluation_order", pa.int32()), ("conv_metadata", _metadata_type()),
        ("category_tag", _TAGS), ("language", pa.string()), ("is_code", pa.bool_()),
        ("timestamp", pa.timestamp("us", "UTC")),
    ]  # fmt: skip
    return pa.schema([*(pa.field(name, kind) for name, kind in public), *(VOTE_COLUMNS.field(n) for n in _ADDED)])


def _to_preference(votes: pa.RecordBatch) -> pa.RecordBatch:
    renamed = {
        "id": "vote_id", "evaluation_session_id": "voter_id", "evaluation_order": "turn", "timestamp": "cast_at"
    }  # fmt: skip
    made = {"conv_metadata": _metadata(votes), "category_tag": _tags(votes["category"], votes["categories"])}
    arrays = [made.get(name) for name in _PREFERENCE.names]
    filled = [
        votes[renamed.get(name, name)] if array is None else array
        for name, array in zip(_PREFERENCE.names, arrays, strict=True)
    ]
    return pa.record_batch(filled, schema=_PREFERENCE)


def _metadata(votes: pa.RecordBatch) -> pa.StructArray:
    """Return the column `conv_metadata`, which has the style counts of both answers; null if neither answer has any."""
    arrays: list[pa.Array] = []
    for side in _SIDES:
        style = votes[f"style_{side}"]
        for feature, (_, kind) in _METADATA.items():
            counts = pc.struct_field(style, feature)
            if pa.types.is_struct(kind):
                counts = pa.StructArray.from_arrays([counts], fields=list(kind), mask=pc.is_null(counts))
            arrays.append(counts)
    absent = pc.and_(pc.is_null(votes["style_a"]), pc.is_null(votes["style_b"]))
    return pa.StructArray.from_arrays(arrays, fields=list(_metadata_type()), mask=absent)


def _tags(category: pa.Array, categories: pa.Array) -> pa.StructArray:
    """Return the column `category_tag`: true or false for each public label; null where a vote has no category."""
    known: dict[frozenset[str] | None, int] = {}
    rows = np.fromiter(
        (
            known.setdefault(None if one is None and not labels else frozenset((one, *(labels or ()))), len(known))
            for one, labels in zip(category.to_pylist(), categories.to_pylist(), strict=True)
        ),
        dtype=np.int32,
        count=len(category),
    )
    return pa.array([None if labels is None else _tags_of(labels) for labels in known], _TAGS).take(pa.array(rows))


def _tags_of(labels: frozenset[str]) -> dict[str, dict[str, bool]]:
    return {tag: {label: label in labels for label in public} for tag, public in CATEGORY_TAGS.items()}


_FLAT = _flat_columns()
_PREFERENCE = _preference_columns()

VOTE = OutputSchema("vote", VOTE_COLUMNS, lambda votes: votes, events=True)
TABLE = OutputSchema("table", _FLAT, _flatten)
PREFERENCE_140K = OutputSchema("140k", _PREFERENCE, _to_preference)

OUTPUT_SCHEMAS: Mapping[str, OutputSchema] = {one.name: one for one in (VOTE, TABLE, PREFERENCE_140K)}
"""The schemas in which `convert` can write votes, by name."""
