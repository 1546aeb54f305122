"""Hashes all texts of a column at once, eight bytes of every text at a time.

Each text has two hashes of 64 bits. Their seeds are drawn anew in each process, so nobody can make a file in which two
texts have the same hashes.
"""

import secrets

import numpy as np
import pyarrow as pa

from pipeline.vocabulary.arrays import Int64, UInt64

HALF = np.uint64(32)

_SEEDS = np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64))
_WORD = 8
# The odd multipliers of the finaliser of splitmix64.
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_WORD + 1)], dtype=np.uint64)


def hash_texts(texts: pa.StringArray) -> UInt64:
    """Return uint64[2, n], two hashes of the UTF-8 bytes of each text; a null has the hashes of an empty text."""
    start, length, words = _layout(texts)
    first, second = (length.astype(np.uint64) ^ seed for seed in _SEEDS)
    shortest, longest = int(length.min(initial=length.max(initial=0))), int(length.max(initial=0))
    for done in range(0, longest, _WORD):
        if done + _WORD <= shortest:
            _absorb(first, second, words[start + done])
            continue
        rows = np.flatnonzero(length > done)
        word = words[start[rows] + done] & _MASKS[np.minimum(length[rows] - done, _WORD)]
        parts = first[rows], second[rows]
        _absorb(*parts, word)
        first[rows], second[rows] = parts
    return np.stack([first, second])


def _absorb(first: UInt64, second: UInt64, word: UInt64) -> None:
    """Update the two hashes of each text, in place, with a word: the next eight bytes of the text as a number."""
    first ^= word
    first *= _FIRST
    first ^= first >> HALF
    second *= _SECOND
    second += word ^ (word >> HALF)


def _layout(texts: pa.StringArray) -> tuple[Int64, Int64, UInt64]:
    """Return where each text lies in the data of all texts.

    Returns:
        Three values: int64[n], the first byte of each text; int64[n], its number of bytes; and a uint64 array, whose
        entry i is the number in the eight bytes from byte i on.
    """
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64), np.zeros(1, np.uint64)
    ends = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    padded = np.concatenate([np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]], np.zeros(_WORD, np.uint8)])
    words: UInt64 = np.ndarray((len(padded) - _WORD + 1,), dtype="<u8", buffer=padded, strides=(1,))
    return ends[:-1] - ends[0], np.diff(ends), words
