"""Finds faults that the fast decoder does not see: duplicate keys, deep nesting, hidden characters.

The decoder (msgspec) accepts duplicate keys (the last one wins), any nesting and any character. An exact check is slow.
Counting the quotes in the raw bytes proves that most votes have no fault, so only the other votes are checked exactly.

The proof: without a backslash, each key and each string value has exactly two quotes. So the fields of the decoded vote
need a known number of quotes. A duplicate key, an unknown key or an explicit null adds quotes to the record. So a
record with exactly the needed number of quotes has none of these. The keys of a style are optional, and the number of
their quotes is not known in advance. A vote with a style is proved to have no fault only if its bytes equal its
canonical encoding.
"""

import json
import math
import unicodedata
from collections.abc import Container, Sequence
from operator import attrgetter

from pipeline.events.vote import Vote, encode_event

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
# Unicode categories of invisible or reordering characters: control, format (with the bidirectional marks), surrogates,
# line and paragraph separators.
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Two quotes per key and two per string value: schema is a number; vote_id, cast_at, model_a, model_b and winner are
# strings.
_QUOTES_REQUIRED = 2 + 5 * 4
_TEXTS = ("voter_id", "language", "category", "prompt_hash", "network", "voter_since")
# Fields that few records have: a key without a text, a text, and a list of texts.
_KEYS = ("anonymous", "refusal", "deduplicated", "identity_leak", "turn")
_read_texts = attrgetter(*_TEXTS)
_read_more = attrgetter(*_KEYS, "session", "categories")
_NO_MORE = (None,) * (len(_KEYS) + 2)


class DuplicateKey(ValueError):
    """Raised if a JSON object has a duplicate key."""


def expected_quotes(vote: Vote) -> int:
    """Return the number of quotes in the JSON of a vote that has no style and no duplicate key."""
    texts = _read_texts(vote)
    return _QUOTES_REQUIRED + 4 * (len(texts) - texts.count(None)) + _more_quotes(vote)


def _more_quotes(vote: Vote) -> int:
    """Return how many quotation marks the rare fields of a vote have in its JSON."""
    more = _read_more(vote)
    if more == _NO_MORE:
        return 0
    *keys, session, categories = more
    quotes = 2 * (len(keys) - keys.count(None)) + (0 if session is None else 4)
    return quotes if categories is None else quotes + 2 + 2 * len(categories)


def is_provably_clean(raw: bytes, vote: Vote) -> bool:
    """Return True if a quick check of the bytes proves that the record has no fault.

    False means that the record may have a fault or not, and that `find_fault` must decide.

    Args:
        raw: the record.
        vote: the vote that the decoder made of it.
    """
    if vote.style_a is not None or vote.style_b is not None:
        return raw.isascii() and b"\\" not in raw and raw.decode("ascii").isprintable() and raw == encode_event(vote)
    return (
        raw.isascii()
        and raw.count(b'"') == expected_quotes(vote)
        and b"\\" not in raw
        and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH
        and raw.decode("ascii").isprintable()
    )


def are_all_provably_clean(raws: Sequence[bytes], votes: Sequence[Vote]) -> bool:
    """Return True if counts over all records together prove that no record has a fault.

    False means that each record must be checked by itself.

    A record has at least one opening brace, and at least the quotes that its vote needs. If all records together have
    no more braces and quotes than these minimums, then every record has exactly its minimum.
    """
    if max(map(len, raws), default=0) > MAX_BYTES:
        return False
    absent = sum(list(map(attrgetter(name), votes)).count(None) for name in _TEXTS)
    together = b"".join(raws)
    quotes, lists = together.count(b'"') - len(votes) * (_QUOTES_REQUIRED + 4 * len(_TEXTS)) + 4 * absent, 0
    if quotes:  # fields that few votes have are counted only when needed
        categories = list(map(attrgetter("categories"), votes))
        lists = len(votes) - categories.count(None)
        quotes -= 2 * lists + 2 * sum(map(len, filter(None, categories)))
        quotes -= 4 * (len(votes) - list(map(attrgetter("session"), votes)).count(None))
        quotes -= sum(2 * (len(votes) - list(map(attrgetter(name), votes)).count(None)) for name in _KEYS)
    return (
        together.isascii()
        and quotes == 0
        and b"\\" not in together
        and together.count(b"{") + together.count(b"[") == len(votes) + lists
        and together.decode("ascii").isprintable()
    )


def find_fault(raw: bytes, fields: Container[str]) -> tuple[str, str] | None:
    """Find the first fault of a record by parsing it strictly.

    Args:
        raw: a JSON object.
        fields: the keys that are used. Text under other keys may have any character.

    Returns:
        (reason, detail) of the first fault; None if the record has no fault.
    """
    try:
        value = parse_strictly(raw)
    except DuplicateKey as error:
        return "duplicate_key", str(error)
    except RecursionError:
        return "too_deep", f"expected at most {MAX_DEPTH} levels"
    except ValueError as error:
        return "malformed", str(error)
    if not isinstance(value, dict):
        return _walk(value, 1)
    known = {key: child for key, child in value.items() if key in fields}
    return _walk(known, 1) or _too_deep([child for key, child in value.items() if key not in fields], 1)


def parse_strictly(raw: bytes) -> object:
    """Parse JSON that must not contain duplicate keys, NaN or infinities.

    Raises:
        ValueError: the bytes contain one of these, or are not JSON.
        RecursionError: the JSON is nested too deeply for the parser.
    """
    return json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)


def find_hidden_character(text: str) -> str | None:
    """Describe the fault of a text that has hidden characters or is not in Unicode normal form C.

    The description does not quote the text. The result is None for a text without a fault.
    """
    if text.isascii():
        if text.isprintable():
            return None
    elif not unicodedata.is_normalized("NFC", text):
        return "expected normal form C (NFC)"
    for char in text:
        if unicodedata.category(char) in HIDDEN_CATEGORIES:
            return f"expected visible characters, got U+{ord(char):04X}"
    return None


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey(f"expected each key once, got {key!r} twice")
            seen.add(key)
    return result


def _no_constant(name: str) -> object:
    raise ValueError(f"expected a JSON number, got {name}")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"expected a number of 64 bits, got {text[:40]}")
    return number


def _walk(value: object, depth: int, where: str = "the event") -> tuple[str, str] | None:
    if isinstance(value, str):
        wrong = find_hidden_character(value)
        return ("text", f"{wrong} in {where}") if wrong else None
    if not isinstance(value, dict | list):
        return None
    if depth > MAX_DEPTH:
        return "too_deep", f"expected at most {MAX_DEPTH} levels"
    for child, place in _children(value, where):
        wrong_child = _walk(child, depth + 1, place)
        if wrong_child:
            return wrong_child
    return None


def _too_deep(values: Sequence[object], depth: int) -> tuple[str, str] | None:
    """Return (reason, detail) if lists and objects are nested in `values` beyond MAX_DEPTH; None otherwise.

    `depth` is the depth of `values` in the record. Texts are not checked.
    """
    if depth > MAX_DEPTH:
        return "too_deep", f"expected at most {MAX_DEPTH} levels"
    for value in values:
        children = list(value.values()) if isinstance(value, dict) else value
        if isinstance(children, list) and (fault := _too_deep(children, depth + 1)):
            return fault
    return None


def _children(value: dict[str, object] | list[object], where: str) -> list[tuple[object, str]]:
    if isinstance(value, list):
        return [(child, where) for child in value]
    return [*((key, "a key") for key in value), *((child, ascii(key)) for key, child in value.items())]
