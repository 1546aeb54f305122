"""Computes the pseudonym of a voter, a keyed hash of the voter's id, and converts it to text and back."""

import hashlib
import re
import struct
from functools import lru_cache
from typing import Any

from pipeline.vocabulary.voter_identity import find_voter, spell_voter

# Bytes of a block of SHA-256.
_BLOCK = 64


def pseudonym(key: bytes, voter_id: str) -> int:
    """Return the pseudonym of a voter id: the first 64 bits of HMAC-SHA-256, as a signed integer.

    All spellings of an id (`voter_identity.spell_voter`) give the same pseudonym. Among 10 million voters, two have the
    same pseudonym with probability 3e-6; without the key nobody can search for two such ids.
    """
    started, finish = _keyed_hashes(key)
    inner, outer = started.copy(), finish.copy()
    inner.update(spell_voter(voter_id).encode())
    outer.update(inner.digest())
    return int(_first_64_bits(outer.digest())[0])


_first_64_bits = struct.Struct(">q").unpack_from


@lru_cache(maxsize=8)
def _keyed_hashes(key: bytes) -> tuple[Any, Any]:
    """Return the inner and the outer hash of HMAC-SHA-256 (RFC 2104), each already fed with the block of the key.

    Copying these two objects takes half the time of `hmac.digest`, which prepares the key for each text.
    """
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return tuple(hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))  # type: ignore[return-value]  # two pads


def session_name(session: str | None) -> str | None:
    """Return the text that is hashed for a session's pseudonym; None for a session that identifies nothing.

    The text has hidden characters, which no voter id has, so a session never has the pseudonym of a voter.
    """
    named = find_voter(session)
    return None if named is None else f"\0session\0{named}"


def key_id(key: bytes) -> str:
    """Return 16 hexadecimal digits that identify a voter key without revealing it."""
    return hashlib.sha256(b"leaderboard-integrity voter key\0" + key).hexdigest()[:16]


def format_pseudonym(pseudonym: int) -> str:
    """Return a pseudonym as people see it: 16 hexadecimal digits."""
    return f"{pseudonym & 0xFFFFFFFFFFFFFFFF:016x}"


def parse_pseudonym(text: str) -> int:
    """Return the pseudonym that a text of 16 hexadecimal digits stands for.

    Raises:
        ValueError: the text is not 16 lower-case hexadecimal digits.
    """
    if not re.fullmatch("[0-9a-f]{16}", text):
        raise ValueError(f"expected 16 lower-case hexadecimal digits, got {text!r}")
    value = int(text, 16)
    return value - (1 << 64) if value >= 1 << 63 else value
