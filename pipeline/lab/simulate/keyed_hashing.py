"""Computes random numbers from keys by hashing.

A voter's taste for a model must be the same at every vote. A table of 55,000 voters × 129 models would be large, and
most of its values would never be used. A hash of (seed, purpose, voter, model) gives the same number at every vote
without a table.

The hash function is the finaliser of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
generators", OOPSLA).

If all keys except the last are fixed, the hash is a bijection of the last key. Ids therefore do not collide.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from pipeline.vocabulary.arrays import Float64, UInt64

# One number per purpose, so that a vote id and a prompt with the same number share nothing.
TASTE, TIES, VOTE_HIGH, VOTE_LOW, VOTER, PROMPT = range(6)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def hash_keys(seed: int, purpose: int, *keys: npt.ArrayLike) -> UInt64:
    """Hash keys to numbers of 64 bits.

    Args:
        seed: seed of the stream, taken modulo 2⁶⁴.
        purpose: a constant of this module that distinguishes uses of the same keys.
        keys: arrays of integers ≥ 0, which are broadcast against each other.

    Returns:
        uint64, an array of the shape to which the keys are broadcast. It has one element if all keys are single
        numbers.
    """
    state = np.array([seed % 2**64], dtype=np.uint64)
    for key in (purpose, *keys):
        state = _finalise(state ^ np.asarray(key).astype(np.uint64))
    return state


def hash_normal(seed: int, purpose: int, *keys: npt.ArrayLike) -> Float64:
    """Compute a standard normal number for each key: the normal quantile of its hash.

    Args:
        seed: seed of the stream, taken modulo 2⁶⁴.
        purpose: a constant of this module that distinguishes uses of the same keys.
        keys: arrays of integers ≥ 0, which are broadcast against each other.

    Returns:
        float64, an array of the shape to which the keys are broadcast.
    """
    # 53 bits fill a double; adding a half excludes 0 and 1, whose quantiles are infinite.
    uniform = ((hash_keys(seed, purpose, *keys) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(ndtri(uniform), dtype=np.float64)


def to_hex(values: UInt64) -> list[str]:
    """Format each number of `values`, uint64[n], as 16 lower-case hexadecimal digits."""
    text = values.astype(">u8").tobytes().hex()
    return [text[i : i + 16] for i in range(0, len(text), 16)]


def _finalise(state: UInt64) -> UInt64:
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
