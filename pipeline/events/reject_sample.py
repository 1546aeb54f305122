"""Makes samples of rejected records. A sample serves to recognise a record and says nothing about a person.

The sample of a JSON object has only the fields in KEPT_FIELDS. The sample of any other record is its shape: its bytes
with letters and digits replaced.
"""

import json
import re
from ipaddress import ip_address
from typing import Any

SAMPLE_BYTES = 200
"""Largest length, in bytes, of the sample of a record that is no JSON object."""

KEPT_FIELDS = frozenset(
    {
        "schema", "vote_id", "id", "question_id", "battle_id",
        "cast_at", "created_at", "timestamp", "tstamp", "time", "date",
        "model_a", "model_a_name", "left_model", "model_b", "model_b_name", "right_model",
        "winner", "outcome", "language", "lang", "category", "categories", "style_a", "style_b",
        "anonymous", "anony", "refusal", "is_refusal", "deduplicated", "identity_leak", "turn",
        "tokens", "headers", "lists", "bold", "emoji",
        "event_id", "at", "type", "model", "provider", "visibility", "license", "family", "checkpoint_digest", "as",
        "variants_tested", "to", "reason", "notice_url", "weights", "benchmark", "score", "source", "n", "evaluator",
        "perturbed", "paired_with", "arena_like",
    }
)  # fmt: skip
"""The fields that a sample keeps. They say nothing about a person: voters, addresses and prompts are not among them."""

# Not kept, but no name of a person either: their values may stand in an explanation.
_HARMLESS = frozenset({"voter_since", "prompt_hash"})

REMOVED = "(removed)"
"""The text in place of removed content. In a sample, the field with this name has the number of removed fields."""

_MAX_BYTES = 64 * 1024
_MAX_TEXT = 200
_MAX_ITEMS = 50
_V4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_V6 = re.compile(r"(?<![\w:])[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F.:]*")
_MAIL = re.compile(r"[^\s@'\"<>]+@[^\s@'\"<>]+")
_WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
_LITERALS = frozenset({b"true", b"false", b"null"})
_LETTER, _DIGIT = re.compile(rb"[A-Za-z\x80-\xff]"), re.compile(rb"[0-9]")


def sample_record(raw: bytes) -> bytes:
    """Return a sample of a record: the KEPT_FIELDS of a JSON object as JSON, or the `shape` of any other record."""
    try:
        value = json.loads(raw) if len(raw) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return shape(raw)
    return json.dumps(_kept(value, _personal_values(value), 1), ensure_ascii=False).encode("utf-8", "backslashreplace")


def shape(raw: bytes) -> bytes:
    """Return the first SAMPLE_BYTES bytes of a record with letters as x and digits as 0.

    Names in KEPT_FIELDS and the words true, false and null stay readable.

    >>> shape(b'{"judge": "172.17.0.1", "winner": tie')
    b'{"xxxxx": "000.00.0.0", "winner": xxx'
    """
    return _WORD.sub(_masked, raw[: 4 * SAMPLE_BYTES])[:SAMPLE_BYTES]


def clean_text(text: str, personal: frozenset[str] = frozenset()) -> str:
    """Return a text with e-mail addresses, IP addresses and the texts in `personal` replaced by REMOVED."""
    for value in personal:
        text = text.replace(value, REMOVED)
    text = _MAIL.sub(REMOVED, _V4.sub(REMOVED, text))
    return _V6.sub(lambda found: REMOVED if _is_address(found[0]) else found[0], text)


def clean_detail(raw: bytes, detail: str) -> str:
    """Return the detail of a reject with everything removed that could identify a person.

    Args:
        raw: the rejected record; values of its fields outside KEPT_FIELDS are removed from the detail.
        detail: what was expected and what was found.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return clean_text(detail)
    return clean_text(detail, _personal_values(value) if isinstance(value, dict) else frozenset())


def _kept(record: dict[str, Any], personal: frozenset[str], depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in record.items():
        if name in KEPT_FIELDS and len(kept) < _MAX_ITEMS:
            kept[name] = _kept_value(name, value, personal, depth)
    before = record.get(REMOVED)  # of a sample that is sampled again
    removed = len(record) - len(kept) + (before - 1 if isinstance(before, int) else 0)
    return kept | {REMOVED: removed} if removed else kept


def _kept_value(name: str, value: Any, personal: frozenset[str], depth: int) -> Any:
    if isinstance(value, str):
        return clean_text(value[:_MAX_TEXT], personal)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list) and name == "categories":
        texts = [one for one in value[:_MAX_ITEMS] if isinstance(one, str)]
        return [clean_text(one[:_MAX_TEXT], personal) for one in texts]
    if isinstance(value, dict) and depth == 1 and name in {"style_a", "style_b"}:
        return _kept(value, personal, depth + 1)
    return REMOVED


def _personal_values(record: dict[str, Any]) -> frozenset[str]:
    """Return the values of the fields that a sample does not keep, as texts. No other field may contain them either."""
    found = (value for name, value in record.items() if name not in KEPT_FIELDS | _HARMLESS)
    texts = (str(value) for value in found if isinstance(value, str | int | float) and not isinstance(value, bool))
    return frozenset(text for text in texts if 4 <= len(text) <= _MAX_TEXT)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _masked(found: re.Match[bytes]) -> bytes:
    word = found[0]
    if word in _LITERALS or word.decode("latin-1") in KEPT_FIELDS:
        return word
    return _DIGIT.sub(b"0", _LETTER.sub(b"x", word))
