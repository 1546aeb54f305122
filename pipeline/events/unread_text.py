r"""Makes records decodable that the decoder refuses only because of text in fields that are not used.

Programs that cut a prompt or a comment in the middle of an emoji write half a surrogate pair, `"\ud83d"`. RFC 8259
permits this; a decoder of Unicode text refuses it. Such a record is decoded from its known fields alone.
"""

from collections.abc import Container

from pipeline.events.strict_checks import MAX_BYTES, find_fault, parse_strictly
from pipeline.events.vote import encode_event


def keep_fields(raw: bytes | None, fields: Container[str]) -> bytes | None:
    """Return a refused record reduced to its known fields, if only the text of other fields is at fault.

    Args:
        raw: a record that the decoder refused; None for a record without a value.
        fields: the keys that are kept.

    Returns:
        The reduced record as canonical JSON; None if the record has another fault.
    """
    if raw is None or len(raw) > MAX_BYTES or not _has_surrogates(raw) or find_fault(raw, fields):
        return None
    value = parse_strictly(raw)
    if not isinstance(value, dict):
        return None
    return encode_event({key: child for key, child in value.items() if key in fields})


def _has_surrogates(raw: bytes) -> bool:
    return b"\\ud" in raw or b"\\uD" in raw
