"""What a strict reader refuses and a fast decoder lets through.

The decoder (msgspec) takes the last of two equal keys, any nesting and any character. A cheap
count over the raw bytes proves most votes clean; only the others take the slow, exact road.

The proof: without a backslash every quote is structural, two for each key and two for each string
value. A decoded vote says how many quotes its known fields need. More means an unknown key, an
explicit null or a repeated key, so equality proves that no key is repeated. The keys within a style may
be left out, so a vote with a style is clean only if it is its own canonical form, byte for byte.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Sequence
from operator import attrgetter

from pipeline.events.vote import Vote, to_bytes

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
# Categories of characters that do not show, or that reorder what does: control, format
# (bidirectional marks are among them), surrogates, line and paragraph separators.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Two quotes a key and two a string value: schema is a number; vote_id, cast_at, model_a, model_b
# and winner are strings.
_QUOTES_REQUIRED = 2 + 5 * 4


class DuplicateKey(ValueError):
    """A JSON object has the same key twice."""


def expected_quotes(vote: Vote) -> int:
    """The number of quote signs in a vote without styles whose keys each stand once."""
    quotes = _QUOTES_REQUIRED
    for value in (
        vote.voter_id,
        vote.language,
        vote.category,
        vote.prompt_hash,
        vote.network,
        vote.voter_since,
    ):
        if value is not None:
            quotes += 4
    return quotes


def plainly_clean(raw: bytes, vote: Vote) -> bool:
    """True if counts alone prove that the bytes hide nothing; False says only "look closer"."""
    if vote.style_a is not None or vote.style_b is not None:
        return raw.isascii() and b"\\" not in raw and raw.decode("ascii").isprintable() and raw == to_bytes(vote)
    return (
        raw.isascii()
        and raw.count(b'"') == expected_quotes(vote)
        and b"\\" not in raw
        and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH
        and raw.decode("ascii").isprintable()
    )


def all_plainly_clean(raws: Sequence[bytes], votes: Sequence[Vote]) -> bool:
    """True if counts over all records together prove that none hides anything; False says only "look closer".

    A record has at least one brace, and at least the quotes that its vote needs. So where the sums are no larger than
    that, no record has more.
    """
    if max(map(len, raws), default=0) > MAX_BYTES:
        return False
    optional = ("voter_id", "language", "category", "prompt_hash", "network", "voter_since")
    absent = sum(list(map(attrgetter(name), votes)).count(None) for name in optional)
    together = b"".join(raws)
    return (
        together.isascii()
        and together.count(b'"') == len(votes) * (_QUOTES_REQUIRED + 4 * len(optional)) - 4 * absent
        and b"\\" not in together
        and together.count(b"{") + together.count(b"[") == len(votes)
        and together.decode("ascii").isprintable()
    )


def fault(raw: bytes) -> tuple[str, str] | None:
    """The exact check of one JSON text that the decoder has accepted.

    Returns:
        (reason, detail) of the first thing that is wrong, or None.
    """
    try:
        value = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except DuplicateKey as error:
        return "duplicate_key", str(error)
    except RecursionError:
        return "too_deep", f"expected at most {MAX_DEPTH} levels"
    except ValueError as error:
        return "malformed", str(error)
    return _walk(value, 1)


def hidden(text: str) -> str | None:
    """What is wrong with a string that people will read, or None. The string itself is not told."""
    if text.isascii():
        if text.isprintable():
            return None
    elif not unicodedata.is_normalized("NFC", text):
        return "expected normal form C (NFC)"
    for char in text:
        if unicodedata.category(char) in HIDDEN:
            return f"expected characters that show, got U+{ord(char):04X}"
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
        wrong = hidden(value)
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


def _children(value: dict[str, object] | list[object], where: str) -> list[tuple[object, str]]:
    if isinstance(value, list):
        return [(child, where) for child in value]
    return [*((key, "a key") for key in value), *((child, ascii(key)) for key, child in value.items())]
