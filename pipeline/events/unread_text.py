r"""Reads records that are valid JSON except in text that nobody reads: half a surrogate pair in a prompt or a comment.

Producers that cut text in the middle of an emoji write `"\ud83d"`, which RFC 8259 permits and a decoder of Unicode text
refuses. Such a record is read by its known fields alone.
"""

from collections.abc import Container, Iterator
from json import JSONDecoder

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


def split_array(raw: bytes) -> Iterator[bytes]:
    """Yield the elements of a JSON array, even if their text has half surrogate pairs.

    Raises:
        ValueError: not an array, or no surrogates, so that the error of the decoder applies.
    """
    text = raw.decode()
    at = _skip(text, 0)
    if not _has_surrogates(raw) or text[at : at + 1] != "[":
        raise ValueError("expected an array")
    decoder, at = JSONDecoder(), _skip(text, at + 1)
    while text[at : at + 1] != "]":
        _, end = decoder.raw_decode(text, at)
        yield text[at:end].encode()
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise ValueError(f"expected , or ] at character {at}")
    if _skip(text, at + 1) != len(text):
        raise ValueError(f"expected the end at character {at + 1}")


def _has_surrogates(raw: bytes) -> bool:
    return b"\\ud" in raw or b"\\uD" in raw


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in {" ", "\t", "\n", "\r"}:
        at += 1
    return at
