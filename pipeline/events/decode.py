"""Decodes bytes into votes or registry events. Every record becomes an event or a reject with a reason; nothing raises.

Not handled: time limits (`pipeline.scoring.fate`) and repeated ids (`pipeline.stream.deduplication`).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pipeline.events import registry_events
from pipeline.events.registry_events import RegistryEvent
from pipeline.events.strict_checks import MAX_BYTES, MAX_DEPTH, are_all_provably_clean, find_fault, is_provably_clean
from pipeline.events.vote import SCHEMA, Vote
from pipeline.vocabulary.outcomes import OUTCOMES

# Enough of an unreadable record to recognise its producer; the hash identifies the whole record.
SAMPLE_BYTES = 200


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is not an event.

    Attributes:
        position: 0-based position in the decoded list.
        reason: one word, as counted in metrics.
        detail: what was expected and what was found.
        sha256: SHA-256 of the whole record, so that its producer can find it.
        sample: the record without its voter id, or the first 200 bytes of an unreadable record.
    """

    position: int
    reason: str
    detail: str
    sha256: bytes
    sample: bytes


_votes = msgspec.json.Decoder(Vote)
_any = msgspec.json.Decoder(dict[str, msgspec.Raw])
_int = msgspec.json.Decoder(int)


def decode_votes(values: Sequence[bytes | None]) -> tuple[list[Vote], list[int], list[Reject]]:
    """Decode records into votes.

    Args:
        values: one JSON text each; None is a record without a value (a Kafka tombstone).

    Returns:
        The votes, their positions in `values`, and the rejects in order of position.
    """
    found: list[tuple[int, bytes, Vote]] = []
    wrong: dict[int, tuple[str, str]] = {}
    decode = _votes.decode
    for position, raw in enumerate(values):
        try:
            found.append((position, raw, decode(raw)))  # type: ignore[arg-type]  # None raises TypeError, caught below
        except (ValueError, TypeError, RecursionError) as error:
            wrong[position] = _explain(raw, error)
    positions, raws, votes = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
    if are_all_provably_clean(raws, votes):
        suspects = [i for i, v in enumerate(votes) if v.schema != SCHEMA or v.model_a == v.model_b]
    else:
        suspects = list(range(len(votes)))
    for i in suspects:
        if reason := _strict_fault(raws[i], votes[i]) or _invalid_field(votes[i]):
            wrong[positions[i]] = reason
    rejects = [_reject(position, values[position], *wrong[position]) for position in sorted(wrong)]
    if not wrong:
        return votes, positions, rejects
    kept = [i for i, position in enumerate(positions) if position not in wrong]
    return [votes[i] for i in kept], [positions[i] for i in kept], rejects


def decode_registry(values: Sequence[bytes | None]) -> tuple[list[RegistryEvent], list[int], list[Reject]]:
    """Decode records into registry events, as strictly as votes.

    Args:
        values: one JSON text each; None is a record without a value (a Kafka tombstone).

    Returns:
        The events, their positions in `values`, and the rejects in order of position.
    """
    events: list[RegistryEvent] = []
    positions: list[int] = []
    rejects: list[Reject] = []
    for position, raw in enumerate(values):
        try:
            event = registry_events.decode_event(raw)  # type: ignore[arg-type]  # None raises TypeError, caught below
            wrong = _too_large(raw or b"") or find_fault(raw or b"")
        except (ValueError, TypeError, RecursionError) as error:
            wrong = _explain(raw, error)
        if wrong:
            rejects.append(_reject(position, raw, *wrong))
        else:
            events.append(event)
            positions.append(position)
    return events, positions, rejects


def _strict_fault(raw: bytes, vote: Vote) -> tuple[str, str] | None:
    """Return reason and detail of what a strict reader rejects in a decoded vote, or None."""
    if is_provably_clean(raw, vote) and len(raw) <= MAX_BYTES:
        return None
    return _too_large(raw) or _wrong_schema(raw) or find_fault(raw)


def _invalid_field(vote: Vote) -> tuple[str, str] | None:
    if vote.schema != SCHEMA:
        return "unknown_schema", f"expected schema {SCHEMA}, got {vote.schema}"
    if vote.model_a == vote.model_b:
        return "self_battle", f"expected two models, got {vote.model_a!r} against itself"
    return None


def _too_large(raw: bytes) -> tuple[str, str] | None:
    if len(raw) > MAX_BYTES:
        return "too_large", f"expected at most {MAX_BYTES} bytes, got {len(raw)}"
    return None


def _wrong_schema(raw: bytes) -> tuple[str, str] | None:
    """Return reason and detail if the record has another major schema. This is reported before any other fault."""
    try:
        version = _int.decode(_any.decode(raw)["schema"])
    except (KeyError, ValueError, RecursionError):
        return None
    if version != SCHEMA:
        return "unknown_schema", f"expected schema {SCHEMA}, got {version}"
    return None


def _explain(raw: bytes | None, error: Exception) -> tuple[str, str]:
    """Return reason and detail of a record that the decoder rejected."""
    if raw is None:
        return "empty", "expected a JSON object, got no value"
    found = _too_large(raw) or _wrong_schema(raw)
    if found:
        return found
    if isinstance(error, RecursionError):
        return "too_deep", f"expected at most {MAX_DEPTH} levels"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return "bad_utf8", f"expected UTF-8, got byte 0x{raw[bad.start]:02x} at {bad.start}"
    if not isinstance(error, msgspec.ValidationError):
        return "malformed", str(error)
    return find_fault(raw) or _explain_field(raw, str(error))


def _explain_field(raw: bytes, message: str) -> tuple[str, str]:
    if message.startswith("Object missing required field"):
        return "missing_field", message
    if message.endswith("`$.winner`"):
        winner = json.loads(raw).get("winner")  # `find_fault` used this parser too; a stricter one may fail here
        return "unknown_outcome", f"expected one of {', '.join(OUTCOMES)}, got {str(winner)[:80]!r}"
    if message.endswith(("`$.cast_at`", "`$.voter_since`")):
        return "bad_time", message
    return "wrong_type", message


def _reject(position: int, raw: bytes | None, reason: str, detail: str) -> Reject:
    raw = raw or b""
    return Reject(position, reason, detail[:500], hashlib.sha256(raw).digest(), _sample(raw, reason))


def _sample(raw: bytes, reason: str) -> bytes:
    """Return a sample by which a producer recognises a record.

    No voter id reaches the store: it is replaced, or an unreadable record is cut where a voter id may begin.
    """
    if reason not in {"bad_utf8", "malformed", "too_large", "too_deep", "duplicate_key"}:
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return json.dumps(_without_voter(value), ensure_ascii=False).encode("utf-8", "backslashreplace")
    before, *after = _VOTER.split(raw[:SAMPLE_BYTES], maxsplit=1)
    return before + (b"(removed)" if after else b"")


def _without_voter(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "(removed)" if k == "voter_id" else _without_voter(v) for k, v in value.items()}
    return [_without_voter(v) for v in value] if isinstance(value, list) else value


# "voter" in ASCII, in UTF-16, or behind an escape.
_VOTER = re.compile(rb"v\x00?o\x00?t\x00?e\x00?r|\\u", re.IGNORECASE)
