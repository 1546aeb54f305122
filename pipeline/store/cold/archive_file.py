"""Writes and reads an archive file: the rows and the blinds of votes, encrypted in chunks.

A chunk has at most CHUNK_VOTES votes of one partition, in the order of their offsets. Its rows (`vote_rows.pack`) and
its blinds (32 bytes a vote) are two ciphertexts of AES-256-GCM: those who need a vote need not decrypt its blind, and
the reader of a few votes decrypts a few chunks. A last ciphertext has the pairs (voter, chunk): the reader of a voter's
votes decrypts this, and the voter's chunks. The file has these ciphertexts one after another and nothing else. Its
directory, and its key, are in its row of the table `cold_file`.

Each file has a random key of its own, which is stored encrypted with the archive key (AES key wrap, RFC 3394). The
nonce of a ciphertext is its number in the file: a key is used for one file only, so no nonce is used twice, and a
ciphertext that was moved to another place or another file does not decrypt. An erasure writes a new file with a new
key. What is left of the old file, also on a disk that was not overwritten, can then no longer be decrypted.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.errors import MissingKey, Refuted
from pipeline.ledger.merkle import WIDTH
from pipeline.store.db.archive_folder import ArchiveFolder
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.packing import pack_integers, unpack_integers

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.store.cold.vote_rows import PackedRows

CHUNK_VOTES = 2_048
"""Largest number of votes of a chunk. To read one vote, its whole chunk is decrypted."""

_AAD = b"leaderboard-integrity archived votes 1"
_KEY_BYTES = 32
# Number, as a nonce, of the ciphertext with the voters: beyond those of all chunks.
_VOTERS = 2**64
_PAIR = np.dtype([("voter", "<i8"), ("chunk", "<i4")])


@dataclass(frozen=True, slots=True)
class Chunks:
    """The directory of a file: arrays int64[c] with one value for each of its c chunks.

    Attributes:
        partition: partition numbers (partition_no).
        first, last: offsets of the first and of the last vote.
        votes: numbers of votes.
        rows, blinds: lengths of the two ciphertexts in bytes.
    """

    partition: Int64
    first: Int64
    last: Int64
    votes: Int64
    rows: Int64
    blinds: Int64

    @property
    def start(self) -> Int64:
        """Position in the file of each chunk's rows, int64[c]; its blinds follow."""
        lengths = self.rows + self.blinds
        begins: Int64 = np.cumsum(lengths) - lengths
        return begins

    def pack(self) -> bytes:
        """Return this directory of chunks as bytes."""
        return pack_integers(self.partition, self.first, self.last, self.votes, self.rows, self.blinds)

    @classmethod
    def unpack(cls, raw: bytes) -> Chunks:
        """Return the chunks that `pack` packed."""
        return cls(*unpack_integers(raw).reshape(6, -1))

    def within(self, part: int, first: int, end: int) -> list[int]:
        """Return the numbers of the chunks that may have votes at offsets [first, end) of a partition."""
        there = (self.partition == part) & (self.last >= first) & (self.first < end)
        return [int(one) for one in np.flatnonzero(there)]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written, flushed, and read back.

    Attributes:
        sha256: SHA-256 of the file, its name.
        size: number of bytes.
        data_key: the key of the file, encrypted with the archive key.
        chunks: the directory of the file's chunks.
    """

    sha256: str
    size: int
    data_key: bytes
    chunks: Chunks


Part: TypeAlias = "tuple[int, pa.RecordBatch, bytes]"
"""(partition_no, n votes with the columns `vote_rows.ROWS`, 32·n bytes of blinds)"""


def chunked(parts: Iterable[Part]) -> Iterator[Part]:
    """Split batches of votes into the chunks of a file."""
    for part, batch, blinds in parts:
        for at in range(0, len(batch), CHUNK_VOTES):
            yield part, batch.slice(at, CHUNK_VOTES), blinds[at * WIDTH : (at + CHUNK_VOTES) * WIDTH]


def write(folder: ArchiveFolder, chunks: Iterable[Part]) -> WrittenFile:
    """Write an archive file, flush it to the disk, read it back, and compare it with the votes.

    Args:
        folder: the archive.
        chunks: the chunks of the file, as `chunked` yields them.

    Raises:
        Unavailable: the folder cannot be written to.
        MissingKey: there is no archive key.
        Refuted: what was read back differs from what was written.
    """
    from pipeline.store.cold import vote_rows  # noqa: PLC0415 - imports Arrow, which short commands do not need

    wrapped, key = _new_key(folder.key())
    listed: list[tuple[int, ...]] = []
    plain: list[bytes] = []
    voters: list[Int64] = []

    def pieces() -> Iterator[bytes]:
        for part, batch, blinds in chunks:
            rows = vote_rows.pack(batch)
            plain.append(_digest(rows, blinds))
            sealed = [_seal(key, 2 * len(listed), rows), _seal(key, 2 * len(listed) + 1, blinds)]
            offsets = batch["offset"]
            ends = offsets[0].as_py(), offsets[len(batch) - 1].as_py()
            listed.append((part, *ends, len(batch), len(sealed[0]), len(sealed[1])))
            voters.append(np.unique(batch["voter"].to_numpy()))
            yield from sealed
        yield _seal(key, _VOTERS, _pairs(voters).tobytes())

    digest, size = folder.put(pieces())
    written = WrittenFile(digest, size, wrapped, Chunks(*np.array(listed, dtype=np.int64).reshape(-1, 6).T.copy()))
    with ArchiveFile.open(folder, digest, wrapped, written.chunks) as found:
        again = [_digest(found.packed(at), found.blinds(at)) for at in range(len(listed))]
        pairs = found.pairs()
    if again != plain or not np.array_equal(pairs, _pairs(voters)):
        raise Refuted("archive", str(folder.path(digest)), "expected the votes that were written, read others back")
    return written


class ArchiveFile:
    """Reads an archive file; a context manager."""

    def __init__(self, data: Any, key: Any, chunks: Chunks, where: str) -> None:
        self._data, self._key, self.chunks, self._where = data, key, chunks, where
        self._start = chunks.start

    @classmethod
    def open(cls, folder: ArchiveFolder, sha256: str, data_key: bytes, chunks: Chunks) -> ArchiveFile:
        """Open an archive file.

        Args:
            folder: the archive.
            sha256: SHA-256 of the file.
            data_key: key of the file, encrypted with the archive key.
            chunks: directory of the file.

        Raises:
            MissingKey: there is no archive key, or the file was written with another archive key.
            Unavailable: the file is missing.
        """
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap  # noqa: PLC0415

        try:
            key = aes_key_unwrap(folder.key(), data_key)
        except InvalidUnwrap:
            raise MissingKey(
                "expected the key with which the votes were archived, got another one (INTEGRITY_ARCHIVE_KEY or "
                "archive.key): restore it from a backup"
            ) from None
        return cls(folder.open(sha256), _cipher(key), chunks, str(folder.path(sha256)))

    def __enter__(self) -> ArchiveFile:
        """Return the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._data.close()

    def packed(self, at: int) -> bytes:
        """Return the packed rows of a chunk.

        Raises:
            Refuted: the file was changed or is incomplete.
        """
        return self._unseal(2 * at, int(self._start[at]), int(self.chunks.rows[at]))

    def rows(self, at: int) -> PackedRows:
        """Return the rows of a chunk."""
        from pipeline.store.cold.vote_rows import PackedRows  # noqa: PLC0415 - imports Arrow, which short commands do not need

        return PackedRows(self.packed(at))

    def blinds(self, at: int) -> bytes:
        """Return the blinds of a chunk, 32 bytes for each vote; zeros for an erased vote."""
        start = int(self._start[at] + self.chunks.rows[at])
        return self._unseal(2 * at + 1, start, int(self.chunks.blinds[at]))

    def pairs(self) -> npt.NDArray[np.void]:
        """Return which voters have votes in which chunks: a sorted structured array of pairs (voter, chunk)."""
        start = int((self.chunks.rows + self.chunks.blinds).sum())
        return np.frombuffer(self._unseal(_VOTERS, start, len(self._data) - start), dtype=_PAIR)

    def chunks_of(self, voters: Int64) -> list[int]:
        """Return the numbers of the chunks that have a vote of one of the voters, ascending."""
        pairs, asked = self.pairs(), np.sort(voters)
        low, high = (np.searchsorted(pairs["voter"], asked, side=side) for side in ("left", "right"))
        chunks = [pairs["chunk"][a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True) if a < b]
        return [int(one) for one in np.unique(np.concatenate(chunks))] if chunks else []

    def _unseal(self, number: int, start: int, length: int) -> bytes:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        try:
            found: bytes = self._key.decrypt(_nonce(number), self._data[start : start + length], _AAD)
        except InvalidTag:
            raise Refuted("archive", self._where, "the archive's file was changed: restore it from a backup") from None
        return found


def _new_key(archive_key: bytes) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap  # noqa: PLC0415

    key = secrets.token_bytes(_KEY_BYTES)
    return aes_key_wrap(archive_key, key), key


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # slow to import

    return AESGCM(key)


def _seal(key: bytes, number: int, plain: bytes) -> bytes:
    sealed: bytes = _cipher(key).encrypt(_nonce(number), plain, _AAD)
    return sealed


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _pairs(voters: list[Int64]) -> npt.NDArray[np.void]:
    found = np.zeros(sum(map(len, voters)), dtype=_PAIR)
    found["voter"] = np.concatenate([np.zeros(0, dtype=np.int64), *voters])
    found["chunk"] = np.repeat(np.arange(len(voters)), [len(one) for one in voters])
    return found[np.lexsort((found["chunk"], found["voter"]))]


def _digest(rows: bytes, blinds: bytes) -> bytes:
    return hashlib.sha256(rows + blinds).digest()
