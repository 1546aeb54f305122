r"""Reads records that are valid JSON except in text that nobody reads: half a surrogate pair in a prompt or a comment.

Producers that cut text in the middle of an emoji write `"\ud83d"`, which RFC 8259 permits and a decoder of Unicode text
refuses. Such a record is read by its known fields alone.
"""

from collections.abc import Container

from pipeline.events.strict_checks import MAX_BYTES, find_fault, parse_strictly
from pipeline.events.vote import encode_event


def keep_fields(raw: bytes | None, fields: Container[str]) -> bytes | None:
    """Return the known fields of an object, encoded anew; None if the fault is not in the text of other fields.

    Args:
        raw: a record that the decoder refused.
        fields: the keys that are read.
    """
    if raw is None or len(raw) > MAX_BYTES or not _has_surrogates(raw) or find_fault(raw, fields):
        return None
    value = parse_strictly(raw)
    if not isinstance(value, dict):
        return None
    return encode_event({key: child for key, child in value.items() if key in fields})


def _has_surrogates(raw: bytes) -> bool:
    return b"\\ud" in raw or b"\\uD" in raw
