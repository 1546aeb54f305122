"""Bytes → votes. Every record becomes a vote or a reject with a reason; nothing raises.

Not handled here: time limits (the processor knows the append time) and repeated ids (the store
knows them).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pipeline.events.hygiene import MAX_BYTES, MAX_DEPTH, fault, plainly_clean
from pipeline.events.vote import OUTCOMES, SCHEMA, Vote

# Enough of an unreadable record to recognise its producer; the hash names the rest.
SAMPLE_BYTES = 200


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is not a vote.

    Attributes:
        position: 0-based position in the list that was decoded.
        reason: one word, as counted in metrics.
        detail: what was expected and what was found.
        sha256: of the whole record, so that its producer can find it again.
        sample: the record with its voter replaced, or the first 200 bytes of what cannot be read.
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
    votes: list[Vote] = []
    positions: list[int] = []
    rejects: list[Reject] = []
    decode = _votes.decode
    for position, raw in enumerate(values):
        try:
            vote = decode(raw)  # type: ignore[arg-type]  # None raises TypeError, caught below
            if plainly_clean(raw, vote) and len(raw) <= MAX_BYTES:  # type: ignore[arg-type]
                wrong = _meaning(vote)
            else:
                wrong = _size(raw) or _schema(raw) or fault(raw) or _meaning(vote)  # type: ignore[arg-type]
        except (ValueError, TypeError, RecursionError) as error:
            wrong = _explain(raw, error)
        if wrong is None:
            votes.append(vote)
            positions.append(position)
        else:
            rejects.append(_reject(position, raw, *wrong))
    return votes, positions, rejects


def _meaning(vote: Vote) -> tuple[str, str] | None:
    if vote.schema != SCHEMA:
        return "unknown_schema", f"expected schema {SCHEMA}, got {vote.schema}"
    if vote.model_a == vote.model_b:
        return "self_battle", f"expected two models, got {vote.model_a!r} against itself"
    return None


def _size(raw: bytes) -> tuple[str, str] | None:
    if len(raw) > MAX_BYTES:
        return "too_large", f"expected at most {MAX_BYTES} bytes, got {len(raw)}"
    return None


def _schema(raw: bytes) -> tuple[str, str] | None:
    """A record of another major schema is rejected for that, whatever else we make of it."""
    try:
        version = _int.decode(_any.decode(raw)["schema"])
    except (KeyError, ValueError, RecursionError):
        return None
    if version != SCHEMA:
        return "unknown_schema", f"expected schema {SCHEMA}, got {version}"
    return None


def _explain(raw: bytes | None, error: Exception) -> tuple[str, str]:
    """Why the decoder refused a record, in our words."""
    if raw is None:
        return "empty", "expected a JSON object, got no value"
    found = _size(raw) or _schema(raw)
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
    return _explain_field(raw, str(error))


def _explain_field(raw: bytes, message: str) -> tuple[str, str]:
    if "missing required field" in message:
        return "missing_field", message
    if "$.winner" in message:
        winner = msgspec.json.decode(raw).get("winner")
        return "unknown_outcome", f"expected one of {', '.join(OUTCOMES)}, got {str(winner)[:80]!r}"
    if "$.cast_at" in message or "$.voter_since" in message:
        return "bad_time", message
    return "wrong_type", message


# A broken record may still name its voter; the name must not reach the store.
_VOTER = re.compile(rb'("voter_id"\s*:\s*)"(?:[^"\\]|\\.)*"?')


def _reject(position: int, raw: bytes | None, reason: str, detail: str) -> Reject:
    raw = raw or b""
    sample = _VOTER.sub(rb'\1"(removed)"', raw[:MAX_BYTES])
    if reason in {"bad_utf8", "malformed", "too_large", "too_deep"}:
        sample = sample[:SAMPLE_BYTES]
    return Reject(position, reason, detail[:500], hashlib.sha256(raw).digest(), sample)
