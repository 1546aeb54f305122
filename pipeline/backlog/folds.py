"""Assigns voters to folds by a keyed hash, so that nobody who does not know the key can choose a fold.

A voter is evaluated by a reference that was fitted on the votes of the other folds. The hash mixes the voter's
pseudonym with 64 bits of the key by the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
"""

import hashlib

import numpy as np

from pipeline.vocabulary.arrays import Int8, Int64, UInt64

FOLDS = 5
"""K, the number of folds."""

_KEY = b"leaderboard-integrity folds of voters\0"


def hash_voters(names: Int64, key: bytes) -> UInt64:
    """Return uint64[v], the keyed hash of each pseudonym.

    Args:
        names: int64[v], the pseudonyms, or numbers of other things that are assigned to folds, such as groups.
        key: the secret key of the folds.
    """
    secret = np.frombuffer(hashlib.sha256(_KEY + key).digest()[:16], dtype="<u8")
    mixed = names.astype(np.int64).view(np.uint64) ^ secret[0]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) + secret[1])


def fold_of(hashes: UInt64, folds: int = FOLDS) -> Int8:
    """Return int8[v], the fold of each voter, from 0 to `folds` − 1.

    Args:
        hashes: uint64[v], from `hash_voters`.
        folds: number of folds.
    """
    return np.asarray((hashes >> np.uint64(32)) % np.uint64(folds)).astype(np.int8)


def fold_key_id(key: bytes) -> str:
    """Return 16 hexadecimal digits that identify the key of the folds without revealing it."""
    return hashlib.sha256(_KEY + b"id\0" + key).hexdigest()[:16]
