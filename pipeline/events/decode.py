"""Decodes bytes into votes, registry events or issued battles.

Every record becomes an event or a reject; none raises an exception.

Not handled: late and future votes (`pipeline.scoring.fate`), repeated ids (`pipeline.stream.deduplication`).
"""

import hashlib
import json
import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from pipeline.events import registry_events, reject_sample
from pipeline.events.battle_issued import BATTLE_FIELDS, BattleIssued, decode_battle
from pipeline.events.registry_events import REGISTRY_FIELDS, RegistryEvent
from pipeline.events.strict_checks import (
    MAX_BYTES,
    MAX_DEPTH,
    are_all_provably_clean,
    find_fault,
    is_provably_clean,
    parse_strictly,
)
from pipeline.events.unread_text import keep_fields
from pipeline.events.vote import MAX_LABELS_BYTES, SCHEMA, VOTE_FIELDS, Vote, category_list, encode_event
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.time import END_TIME, FIRST_TIME, to_microseconds
from pipeline.vocabulary.visible_text import visible

REASONS = frozenset(
    {
        "empty", "malformed", "bad_utf8", "too_large", "too_deep", "duplicate_key", "text", "missing_field",
        "wrong_type", "unknown_outcome", "bad_time", "unknown_schema", "self_battle",
    }
)  # fmt: skip
"""The reasons for which `decode_votes` rejects records."""

# Characters of a wrong value in a message.
_SHOWN = 160
# A short key of an object, not one in a text, where quotes have a backslash.
_KEY = re.compile(rb'"([A-Za-z_][A-Za-z0-9_]{0,39})"\s*:')
# Years that are within the limits of times whatever the offset from UTC.
_PLAUSIBLE_YEARS = frozenset(range(2001, 2099))
# Records of which only the shape is kept; the hash identifies the whole record.
_UNREADABLE = frozenset({"bad_utf8", "malformed", "too_large", "too_deep", "duplicate_key"})


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is not an event.

    Attributes:
        position: 0-based position in the list of records that were decoded.
        reason: one word, as counted in metrics.
        detail: what was expected and what was found.
        sha256: SHA-256 of the whole record, so that its producer can find it.
        sample: the fields of the record that say nothing about a person. If the record is not a JSON object, its shape
            (`reject_sample.shape`).
    """

    position: int
    reason: str
    detail: str
    sha256: bytes
    sample: bytes


TimedEvent = TypeVar("TimedEvent", RegistryEvent, BattleIssued)

_votes = msgspec.json.Decoder(Vote)
_any = msgspec.json.Decoder(dict[str, msgspec.Raw])
_int = msgspec.json.Decoder(int)


def decode_votes(values: Sequence[bytes | None]) -> tuple[list[Vote], list[int], list[Reject]]:
    """Decode records into votes.

    Args:
        values: one JSON text each; None is a record without a value (a Kafka tombstone).

    Returns:
        Three lists: the votes; the position of each vote in `values`; and the rejects, in order of position.
    """
    found: list[tuple[int, bytes, Vote]] = []
    wrong: dict[int, tuple[str, str]] = {}
    decode = _votes.decode
    for position, raw in enumerate(values):
        try:
            found.append((position, raw, decode(raw)))  # type: ignore[arg-type]  # None raises TypeError, caught below
        except (ValueError, TypeError, RecursionError) as error:
            vote = _decode_known_fields(raw, error)
            if isinstance(vote, Vote):
                found.append((position, encode_event(vote), vote))
            else:
                wrong[position] = vote
    positions, raws, votes = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
    if are_all_provably_clean(raws, votes) and _have_plausible_years(votes):
        suspects = [
            i
            for i, v in enumerate(votes)
            if v.schema != SCHEMA or v.model_a == v.model_b or (v.categories is not None and _long_categories(v))
        ]
    else:
        suspects = list(range(len(votes)))
    for i in suspects:
        if reason := _strict_fault(raws[i], votes[i]) or _invalid_field(raws[i], votes[i]):
            wrong[positions[i]] = reason
    rejects = [build_reject(position, values[position], *wrong[position]) for position in sorted(wrong)]
    if not wrong:
        return votes, positions, rejects
    kept = [i for i, position in enumerate(positions) if position not in wrong]
    return [votes[i] for i in kept], [positions[i] for i in kept], rejects


def decode_registry(values: Sequence[bytes | None]) -> tuple[list[RegistryEvent], list[int], list[Reject]]:
    """Decode records into registry events, as strictly as votes.

    Args:
        values: one JSON text each; None is a record without a value (a Kafka tombstone).

    Returns:
        Three lists: the events; the position of each event in `values`; and the rejects, in order of position.
    """
    return _decode_events(values, registry_events.decode_event, REGISTRY_FIELDS)


def decode_battles(values: Sequence[bytes | None]) -> tuple[list[BattleIssued], list[int], list[Reject]]:
    """Decode records of the topic of issued battles, as strictly as votes.

    Args:
        values: one JSON text each; None is a record without a value (a Kafka tombstone).

    Returns:
        Three lists: the events; the position of each event in `values`; and the rejects, in order of position.
    """
    return _decode_events(values, decode_battle, BATTLE_FIELDS)


def _decode_events(
    values: Sequence[bytes | None], decode: Callable[[bytes], TimedEvent], fields: frozenset[str]
) -> tuple[list[TimedEvent], list[int], list[Reject]]:
    events: list[TimedEvent] = []
    positions: list[int] = []
    rejects: list[Reject] = []
    for position, raw in enumerate(values):
        try:
            event = decode(raw)  # type: ignore[arg-type]  # None raises TypeError, caught below
            text = raw or b""
            wrong = _too_large(text) or find_fault(text, fields) or _bad_time(text, event, "at") or _self_battle(event)
        except (ValueError, TypeError, RecursionError) as error:
            wrong = _explain(raw, error, fields)
        if wrong:
            rejects.append(build_reject(position, raw, *wrong))
        else:
            events.append(event)
            positions.append(position)
    return events, positions, rejects


def _self_battle(event: RegistryEvent | BattleIssued) -> tuple[str, str] | None:
    """Return reason and detail of a battle of a model against itself; None for any other event."""
    if isinstance(event, BattleIssued) and event.model_a == event.model_b:
        return "self_battle", f"expected two models, got {event.model_a!r} against itself"
    return None


def _decode_known_fields(raw: bytes | None, error: Exception) -> Vote | tuple[str, str]:
    """Decode a refused record from its known fields alone. If a known field is at fault, return reason and detail."""
    known = keep_fields(raw, VOTE_FIELDS)
    if known is None:
        return _explain(raw, error, VOTE_FIELDS)
    try:
        return _votes.decode(known)
    except (ValueError, RecursionError) as other:
        return _explain(known, other, VOTE_FIELDS)


def _have_plausible_years(votes: Sequence[Vote]) -> bool:
    """Return True if all times are surely within the limits. False means that each must be checked."""
    years = {vote.cast_at.year for vote in votes}
    years |= {vote.voter_since.year for vote in votes if vote.voter_since is not None}
    return years <= _PLAUSIBLE_YEARS


def _strict_fault(raw: bytes, vote: Vote) -> tuple[str, str] | None:
    """Return reason and detail of a fault that the fast decoder accepts but a strict reader rejects, or None."""
    if is_provably_clean(raw, vote) and len(raw) <= MAX_BYTES:
        return None
    return _too_large(raw) or _wrong_schema(raw) or find_fault(raw, VOTE_FIELDS)


def _invalid_field(raw: bytes, vote: Vote) -> tuple[str, str] | None:
    if vote.schema != SCHEMA:
        return "unknown_schema", f"expected schema {SCHEMA}, got {vote.schema}"
    if vote.model_a == vote.model_b:
        return "self_battle", f"expected two models, got {vote.model_a!r} against itself"
    return _long_categories(vote) or _bad_time(raw, vote, "cast_at") or _bad_time(raw, vote, "voter_since")


def _long_categories(vote: Vote) -> tuple[str, str] | None:
    """Return (reason, detail) if all categories of a vote together have too many bytes; None otherwise."""
    text = category_list(vote.category, vote.categories)
    if text is None or len(text.encode()) <= MAX_LABELS_BYTES:
        return None
    found = len(text.encode())
    return "too_large", f"categories: expected a JSON list of at most {MAX_LABELS_BYTES} bytes, got {found}"


def _bad_time(raw: bytes, event: Vote | RegistryEvent | BattleIssued, field: str) -> tuple[str, str] | None:
    """Return (reason, detail) if the time in the field `field` is outside the limits; None otherwise."""
    time = getattr(event, field)
    if time is None or FIRST_TIME <= to_microseconds(time) < END_TIME:
        return None
    return "bad_time", _expected_time(raw, field)


def _expected_time(raw: bytes, field: str) -> str:
    found = parse_strictly(raw)  # `find_fault` has parsed it before
    value = found.get(field) if isinstance(found, dict) else None
    return f"{field}: expected RFC 3339 with an offset, from 2000 to 2099, got {visible(value)[:_SHOWN]}"


def _too_large(raw: bytes) -> tuple[str, str] | None:
    if len(raw) > MAX_BYTES:
        return "too_large", f"expected at most {MAX_BYTES} bytes, got {len(raw)}"
    return None


def _wrong_schema(raw: bytes) -> tuple[str, str] | None:
    """Return reason and detail of a record with another major schema, a fault that is reported first; else None."""
    try:
        version = _int.decode(_any.decode(raw)["schema"])
    except (KeyError, ValueError, RecursionError):
        return None
    if version != SCHEMA:
        return "unknown_schema", f"expected schema {SCHEMA}, got {version}"
    return None


def _explain(raw: bytes | None, error: Exception, fields: Container[str]) -> tuple[str, str]:
    """Return reason and detail of a record that the decoder rejected."""
    if raw is None or not raw.strip():
        return "empty", "expected a JSON object, got no value"
    found = _too_large(raw) or _wrong_schema(raw)
    if found:
        return found
    if isinstance(error, RecursionError):
        return "too_deep", f"expected at most {MAX_DEPTH} levels"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return "bad_utf8", f"expected UTF-8, got byte 0x{raw[bad.start]:02x} at {bad.start}{_field_at(raw, bad.start)}"
    fault = find_fault(raw, fields)
    if not isinstance(error, msgspec.ValidationError):
        return "malformed", f"{error}; {fault[1]}" if fault and fault[0] == "text" else str(error)
    return fault or _explain_field(raw, str(error))


def _field_at(raw: bytes, place: int) -> str:
    """Return " in 'KEY'" for the last key in the first `place` bytes of a record; "" if there is none."""
    keys = _KEY.findall(raw[:place])
    return f" in '{keys[-1].decode()}'" if keys else ""


def _explain_field(raw: bytes, message: str) -> tuple[str, str]:
    if message.startswith("Object missing required field"):
        return "missing_field", message
    if message.endswith("`$.winner`"):
        winner = json.loads(raw).get("winner")  # `find_fault` used this parser too; a stricter one may fail here
        return "unknown_outcome", f"expected one of {', '.join(OUTCOMES)}, got {str(winner)[:80]!r}"
    for field in ("cast_at", "voter_since", "at"):
        if message.endswith(f"`$.{field}`"):
            return "bad_time", _expected_time(raw, field)
    return "wrong_type", message


def build_reject(position: int, raw: bytes | None, reason: str, detail: str) -> Reject:
    """Return the reject of a record, with a sample that names no voter.

    Args:
        position: 0-based position in the list of records that were decoded.
        raw: the record, None for a record without a value.
        reason: one word, as counted in metrics.
        detail: what was expected and what was found. Personal data are removed from it.
    """
    raw = raw or b""
    sample = reject_sample.shape(raw) if reason in _UNREADABLE else reject_sample.sample_record(raw)
    detail = reject_sample.clean_detail(raw, detail) if len(raw) <= MAX_BYTES else detail
    return Reject(position, reason, detail[:500], hashlib.sha256(raw).digest(), sample)
