"""Maps records of public battle files to the fields of a vote event.

A format is one function here, and a line in `record_reader` that recognises the format. A function maps names and
spellings only: an unknown outcome is passed on, and the decoder rejects it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.events.vote import Style
from pipeline.formats.time_parsing import to_rfc3339

Record = Mapping[str, Any]
Fields = dict[str, Any]

WINNERS = {
    "tie (bothbad)": "both_bad",
    "tie(bothbad)": "both_bad",
    "bothbad": "both_bad",
    "both bad": "both_bad",
}
# FastChat stores the client's address as judge. Behind a proxy on the same host it is the proxy's address for every
# vote (as for the 2,061 votes of the public GenAI-Arena file), which identifies no voter.
_PROXY_JUDGES = frozenset({"arena_user", "arena_user_::1", "arena_user_127.0.0.1", "arena_user_localhost"})


def _winner(value: Any) -> Any:
    return WINNERS.get(value, value) if isinstance(value, str) else value


def _text(value: Any) -> str | None:
    """Return an identifier as text, None if it is absent."""
    if value is None or value == "" or value != value:
        return None
    return str(value)


def map_fastchat(record: Record) -> Fields:
    """Map FastChat battles: question_id, model_a, model_b, winner, judge, anony, language, tstamp."""
    judge = _text(record.get("judge"))
    return {
        "vote_id": _text(record.get("question_id")),
        "cast_at": to_rfc3339(record.get("tstamp"), "tstamp"),
        "model_a": record.get("model_a"),
        "model_b": record.get("model_b"),
        "winner": _winner(record.get("winner")),
        "voter_id": None if judge in _PROXY_JUDGES else judge,
        "language": _text(record.get("language")),
    }


def map_preference_140k(record: Record) -> Fields:
    """Map the 140k preference schema: id, evaluation_session_id, conv_metadata, language, timestamp.

    An evaluation session belongs to one person, so the session is the voter.
    """
    metadata = record.get("conv_metadata") or {}
    return {
        "vote_id": _text(record.get("id")),
        "cast_at": to_rfc3339(record.get("timestamp"), "timestamp"),
        "model_a": record.get("model_a"),
        "model_b": record.get("model_b"),
        "winner": _winner(record.get("winner")),
        "voter_id": _text(record.get("evaluation_session_id")),
        "language": _text(record.get("language")),
        "style_a": _style(metadata, "a"),
        "style_b": _style(metadata, "b"),
    }


def _style(metadata: Any, side: str) -> Any:
    """Return the style counts in the metadata of one side. Anything else is passed on for the decoder to reject."""
    if not isinstance(metadata, Mapping):
        return metadata
    tokens = metadata.get(f"sum_assistant_{side}_tokens")
    if tokens is None or tokens != tokens:
        return None
    return {
        "tokens": _whole(tokens),
        "headers": _sum(metadata.get(f"header_count_{side}")),
        "lists": _sum(metadata.get(f"list_count_{side}")),
        "bold": _sum(metadata.get(f"bold_count_{side}")),
    }


def _sum(counts: Any) -> Any:
    """Return a count as it is, or counts by level as their sum."""
    if not isinstance(counts, Mapping):
        return _whole(counts or 0)
    parts = [_whole(v or 0) for v in counts.values()]
    return sum(parts) if all(isinstance(part, int) for part in parts) else counts


def _whole(value: Any) -> Any:
    """Return a whole number that a table stores as a float as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _counts(record: Record, side: str, features: list[str]) -> Any:
    """Return the style from columns tokens_a, tokens_b, …; None if all of these are absent."""
    found = {name: record.get(f"{name}_{side}") for name in features}
    given = {name: _number(value) for name, value in found.items() if not (value is None or value == "")}
    return given or None


def _number(value: Any) -> Any:
    """Convert a count that a text table stores as digits. Anything else is left for the decoder to reject."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else _whole(value)


SYNONYMS: dict[str, tuple[str, ...]] = {
    "vote_id": ("vote_id", "id", "question_id", "battle_id"),
    "cast_at": ("cast_at", "created_at", "timestamp", "tstamp", "time", "date"),
    "model_a": ("model_a", "model_a_name", "left_model"),
    "model_b": ("model_b", "model_b_name", "right_model"),
    "winner": ("winner", "outcome"),
    "voter_id": ("voter_id", "voter", "judge", "user_id", "visitor_id", "worker"),
    "language": ("language", "lang"),
    "category": ("category",),
    "prompt_hash": ("prompt_hash",),
    "network": ("network",),
    "voter_since": ("voter_since",),
}
"""Names of our fields in public tables, most common first. A header is used for one field only."""

_OTHERS = {"schema", "style_a", "style_b", "evaluation_session_id", "conv_metadata"}


def used_columns(headers: list[str], chosen: Mapping[str, str]) -> list[str]:
    """Return the columns of a table that a mapper reads; others, such as conversations, are not read."""
    flat = {f"{feature}_{side}" for feature in Style.__struct_fields__ for side in ("a", "b")}
    known = {name for names in SYNONYMS.values() for name in names} | set(chosen.values()) | flat | _OTHERS
    return [name for name in headers if name in known]


def table_mapper(headers: list[str], chosen: Mapping[str, str]) -> Callable[[Record], Fields]:
    """Return a function that maps rows of a table with these headers to our fields.

    Args:
        headers: the columns of the table.
        chosen: our field → column, used instead of SYNONYMS; "" leaves a field out.
    """
    flat = {side: [f for f in Style.__struct_fields__ if f"{f}_{side}" in headers] for side in ("a", "b")}
    by_field = {
        field: chosen.get(field, next((n for n in names if n in headers), "")) for field, names in SYNONYMS.items()
    }

    def read(record: Record) -> Fields:
        fields: Fields = {f: record.get(column) if column else None for f, column in by_field.items()}
        for name in ("vote_id", "voter_id", "language", "category", "prompt_hash", "network"):
            fields[name] = _text(fields[name])
        for name in ("cast_at", "voter_since"):
            fields[name] = to_rfc3339(fields[name], by_field[name])
        fields["winner"] = _winner(fields["winner"])
        for name in ("style_a", "style_b"):
            if record.get(name) is not None:
                style = record[name]
                fields[name] = {k: v for k, v in style.items() if v is not None} if isinstance(style, dict) else style
            elif flat[name[-1]]:
                fields[name] = _counts(record, name[-1], flat[name[-1]])
        if record.get("schema") is not None:
            fields["schema"] = record["schema"]
        return fields

    return read
