"""Hashes prompts so that copies and near copies of a prompt get the hash of the first one.

Case, spaces and punctuation of a prompt do not change its hash. Near copies are found by MinHash over runs of
characters, in any language. For each recent prompt, a hash and a MinHash signature are remembered, never the text. Both
are computed with a secret key, so nobody can find a prompt by hashing a list of candidates. Signatures are stored in a
file, so that the next run finds the same copies.

If a prompt was hashed before `flush`, it gets the same hash again after a crash, as long as it is remembered.
"""

import fcntl
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from datasketch import MinHash

from pipeline.formats.plain_words import plain_prompt
from pipeline.stream.band_index import BandIndex
from pipeline.stream.durable_file import write_durably

LIMIT = 20_000
"""Default for the number of prompts that are remembered. They need about 90 MB of memory."""

SIMILAR = 0.8
"""Least Jaccard similarity of near copies: of all runs of characters that two prompts have, the share that both have.
The share is estimated by MinHash."""

# Characters of a run; a script without spaces says as much with fewer.
_RUN, _SHORT_RUN = 5, 3
_LETTERS_A_SPACE = 12
# A prompt of fewer runs than this many in a row has no near copies: one other word changes most of its runs.
_LEAST_RUNS = 6
_MOST_TEXT = 8_000
_PERMUTATIONS = 64
_BANDS, _ROWS = 8, 8  # finds 99% of pairs with 90% in common, and 5% of pairs with half
_DIGEST = 32
_RECORD = _DIGEST + 4 * _PERMUTATIONS
# A prompt that shares a band with so many others is not remembered.
_MOST_ALIKE = 200
# What the numbers of signatures are derived from; no prompt, whose hash is published, is spelled with such a character.
_SIGNATURES = b"\0signatures of prompts"

Signature = npt.NDArray[np.uint32]


def _run(text: str) -> int:
    """Return the length in characters of the runs from which the signature of a text is computed.

    The length is smaller for a text with few spaces.
    """
    return _RUN if text.count(" ") * _LETTERS_A_SPACE >= len(text) else _SHORT_RUN


def _mix(numbers: Signature) -> Signature:
    """Mix the bits of numbers with MurmurHash3's finaliser, as `MinHash.update_batch` does before its permutations."""
    mixed = numbers ^ (numbers >> np.uint32(16))
    mixed = mixed * np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    return np.asarray(mixed ^ (mixed >> np.uint32(16)))


class NearPrompts:
    """Hashes prompts, and remembers recent prompts to find near copies.

    Attributes:
        shared: True if this process reads the file of signatures but must not add to it, for example because another
            process has locked the file.
    """

    def __init__(self, key: bytes, folder: Path | None = None, limit: int = LIMIT, *, read_only: bool = False) -> None:
        """Load the prompts that earlier runs with the same key and folder remembered. Lock the file of signatures.

        Args:
            key: secret key of the hashes, which are HMAC-SHA-256; if empty, the hashes are SHA-256 without a key.
            folder: folder of the file of signatures; None to remember prompts in this process only.
            limit: number of prompts that are remembered; 0 to find exact copies only.
            read_only: whether new prompts are remembered in this process only, and the file is not locked.
        """
        self._key, self._limit = key, limit
        seed = self._digest(_SIGNATURES)
        # Only its permutations are used: `MinHash.update_batch` takes twice as long, since it reads Python's numbers.
        drawn = MinHash(_PERMUTATIONS, int.from_bytes(seed[:4], "big"), scheme="affine32").permutations
        self._permutations: tuple[Signature, Signature] = (drawn[0][:, None], drawn[1][:, None])
        # Secret too: the seed alone has so few bits that it could be found by trying all.
        base = int.from_bytes(seed[12:20], "big") | 1
        self._factors = np.array([pow(base, n, 1 << 64) for n in range(_RUN)], dtype=np.uint64)
        self._index = BandIndex(_BANDS, _ROWS)
        self._signatures: OrderedDict[bytes, Signature] = OrderedDict()
        self._order: dict[bytes, int] = {}
        self._count = 0
        self._new, self._kept = bytearray(), 0
        self._file: int | None = None
        self.shared = read_only
        self._path = folder / f"prompts-{seed[4:12].hex()}.bin" if folder is not None and limit else None
        if self._path is not None and self._path.exists():
            self._open(self._path)

    def hash(self, prompt: str) -> str:
        """Return the hash of a prompt as 64 hexadecimal digits.

        A near copy of remembered prompts gets the hash of the oldest of these. Any other prompt gets its own hash and
        is remembered. There are two exceptions. A short prompt has no near copies and is not remembered. A prompt that
        at least 200 remembered prompts resemble is not remembered either: prompts from one template would otherwise all
        be compared with each other.
        """
        text = plain_prompt(prompt)
        digest = self._digest(text.encode("utf-8", "surrogatepass"))
        if not self._limit or len(text) < _LEAST_RUNS * _run(text) or digest in self._signatures:
            return digest.hex()
        signature = self._sign(text)
        alike = self._index.query(signature)
        first = self._first_copy(signature, alike)
        if first is not None:
            return first.hex()
        if len(alike) < _MOST_ALIKE:
            self._remember(digest, signature)
            self._new += digest + signature.astype("<u4").tobytes()
        return digest.hex()

    def flush(self) -> None:
        """Append the prompts that are new since the last flush to the file of signatures, and sync the file.

        Nothing is written if there is no folder, or if the file is read-only or locked by another process.
        """
        if self._new and self._path is not None and self._file is None and not self.shared:
            self._open(self._path)
        if self._file is None or not self._new:
            self._new.clear()
            return
        os.write(self._file, self._new)
        os.fsync(self._file)
        self._kept += len(self._new) // _RECORD
        self._new.clear()
        if self._kept > 2 * self._limit:
            self._compact()

    def close(self) -> None:
        """Write new prompts to the file of signatures, and close the file. Its lock is released."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _digest(self, data: bytes) -> bytes:
        if self._key:
            return hmac.digest(self._key, b"prompt\0" + data, "sha256")
        return hashlib.sha256(b"prompt\0" + data).digest()

    def _sign(self, text: str) -> Signature:
        """Return the MinHash signature of a text.

        It has one value for each permutation: the smallest hash of any run, which is a sequence of adjacent characters.
        """
        codes = np.frombuffer(text[:_MOST_TEXT].encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
        run = _run(text)
        starts = len(codes) - run + 1
        runs = sum((codes[n : n + starts] * self._factors[n] for n in range(1, run)), codes[:starts])
        mixed = _mix((runs >> np.uint64(16)).astype(np.uint32))
        factor, summand = self._permutations
        return np.asarray((factor * mixed + summand).min(axis=1))

    def _first_copy(self, signature: Signature, alike: Sequence[bytes]) -> bytes | None:
        """Return the digest of the oldest prompt that is a near copy; None if there is none.

        Args:
            signature: signature of the new prompt.
            alike: digests of the prompts that share a band with it.
        """
        if not alike:
            return None
        signatures = np.array([self._signatures[one] for one in alike])
        equal = np.count_nonzero(signatures == signature, axis=1)
        similar = [alike[row] for row in np.flatnonzero(equal >= SIMILAR * _PERMUTATIONS).tolist()]
        return min(similar, key=self._order.__getitem__, default=None)

    def _remember(self, digest: bytes, signature: Signature) -> None:
        if digest in self._signatures:
            return
        self._count += 1
        self._signatures[digest], self._order[digest] = signature, self._count
        self._index.insert(digest, signature)
        while len(self._signatures) > self._limit:
            oldest, old = self._signatures.popitem(last=False)
            del self._order[oldest]
            self._index.remove(oldest, old)

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        access = os.O_RDONLY if self.shared else os.O_RDWR | os.O_CREAT | os.O_APPEND
        file = os.open(path, access | os.O_CLOEXEC, 0o600)
        data = path.read_bytes()
        for at in range(0, len(data) - _RECORD + 1, _RECORD)[-self._limit :]:
            values = np.frombuffer(data, dtype="<u4", count=_PERMUTATIONS, offset=at + _DIGEST).astype(np.uint32)
            self._remember(data[at : at + _DIGEST], values)
        try:
            if not self.shared:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.shared = True
        if self.shared:
            os.close(file)
            return
        self._file, self._kept = file, len(data) // _RECORD
        if len(data) % _RECORD:  # a crash cut the last record
            os.ftruncate(file, self._kept * _RECORD)

    def _compact(self) -> None:
        """Write the file of signatures anew, with only the prompts that are remembered now."""
        data = b"".join(digest + values.astype("<u4").tobytes() for digest, values in self._signatures.items())
        assert self._path is not None and self._file is not None  # noqa: S101  # the caller has checked it
        write_durably(self._path, data)
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(self._file)
        self._file, self._kept = file, len(self._signatures)
