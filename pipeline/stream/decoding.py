"""Decodes a polled batch into votes and rejects, before the worker opens a transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.events import Reject, VoteBatch, to_columns
from pipeline.events.chunk import Chunk
from pipeline.events.record_origins import JoinedOrigins
from pipeline.events.record_signature import NO_MARKS, RecordMarks
from pipeline.scoring.signals import AlertSignal
from pipeline.stream.record_screening import RecordScreen, decode_marked_votes
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.voter_identity import Network, find_voter


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The r records of one poll, decoded, in the order of partition_no and offset.

    Attributes:
        votes: the valid records, as votes.
        rejects: the invalid records. The field `position` of a reject is an index into the r records.
        partition: int64[r], partition number (partition_no) of each record.
        offset: int64[r], offset of each record.
        appended_at: int64[r], append time of each record, in microseconds since 1970 UTC.
        origins: for each record, the file and the record number from which it was published; None if unknown.
        signals: alerts about records, for example about votes whose pseudonyms were computed with another key.
    """

    votes: VoteBatch
    rejects: list[Reject]
    partition: Int64
    offset: Int64
    appended_at: Int64
    origins: Sequence[str | None]
    signals: list[AlertSignal] = field(default_factory=list)


class PseudonymCache:
    """Computes the pseudonyms of voter ids and of sessions, and keeps the results in memory.

    An id that identifies nobody, such as a placeholder or the address of a proxy, gets 0. The cache is a dictionary
    that is emptied when it is full. Looking up the ids of a batch takes 0.5 ms; with an LRU cache of cachetools it
    would take 11 ms.
    """

    def __init__(self, pseudonym: Callable[[str], int], proxies: Sequence[Network] = (), size: int = 200_000) -> None:
        """Create a cache.

        Args:
            pseudonym: function from a voter id to its pseudonym.
            proxies: addresses and networks of proxies. An id that is such an address identifies nobody.
            size: largest number of ids in the cache; each takes about 100 bytes.
        """
        self._pseudonym, self._proxies, self._size = pseudonym, proxies, size
        self._known = self._empty()

    def __call__(self, voters: Sequence[str | None]) -> Int64:
        """Return the pseudonym of each id, int64[n]; 0 for None and for an id that identifies nobody."""
        if len(self._known) > self._size:
            self._known = self._empty()
        return np.fromiter(map(self._known.__getitem__, voters), dtype=np.int64, count=len(voters))

    def _empty(self) -> "_PseudonymTable":
        return _PseudonymTable(self._pseudonym_of)

    def _pseudonym_of(self, voter: str | None) -> int:
        named = find_voter(voter, self._proxies)
        return 0 if named is None else self._pseudonym(named)


class _PseudonymTable(dict[str | None, int]):
    """A dictionary from voter ids to pseudonyms that computes the pseudonym of an id that is missing."""

    def __init__(self, compute: Callable[[str | None], int]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, key: str | None) -> int:
        value = self[key] = self._compute(key)
        return value


def decode_chunks(
    chunks: Sequence[Chunk],
    partition_no: Mapping[int, int],
    pseudonyms: Callable[[Sequence[str | None]], Int64],
    screen: RecordScreen | None = None,
) -> DecodedBatch:
    """Decode polled records into votes and rejects.

    Args:
        chunks: polled records, one chunk for each partition and at least one chunk.
        partition_no: source's number of a partition → store's number of the partition.
        pseudonyms: a function that takes voter ids and returns their pseudonyms, int64[n].
        screen: checks the headers of the records; default: no checks.

    Returns:
        The votes and the rejects, in the order of partition_no and offset.
    """
    ordered = in_order(chunks, partition_no)
    lengths = [len(chunk.values) for chunk in ordered]
    partition = np.repeat([partition_no[chunk.partition] for chunk in ordered], lengths).astype(np.int64)
    offset = np.concatenate([chunk.offsets for chunk in ordered])
    appended = np.concatenate([chunk.appended_at for chunk in ordered])
    screen, marks = screen or RecordScreen(), _marks(ordered)
    values = [value for chunk in ordered for value in chunk.values]
    votes, positions, rejects, voter, session = decode_marked_votes(values, marks, screen.verifier, pseudonyms)
    at = np.array(positions, dtype=np.int64)
    of_file = np.repeat([chunk.of_file for chunk in ordered], lengths).astype(np.bool_)
    places = partition[at].astype(np.int32), offset[at], appended[at]
    batch = to_columns(votes, *places, lambda _: voter, of_file[at], session)
    # A file has no append time: it is the cast time, unless that lies in the future of the first reading.
    np.minimum(batch.appended_at, batch.cast_at, out=batch.appended_at, where=batch.of_file)
    signals = [_other_key(screen, key, batch, row) for row, key in _rows_of_other_keys(screen, marks, positions)]
    return DecodedBatch(batch, rejects, partition, offset, appended, join_origins(ordered), signals)


def in_order(chunks: Sequence[Chunk], partition_no: Mapping[int, int]) -> list[Chunk]:
    """Sort the chunks of a poll by the store's number of their partition.

    Args:
        chunks: polled records, one chunk for each partition.
        partition_no: source's number of a partition → store's number of the partition.
    """
    return sorted(chunks, key=lambda chunk: partition_no[chunk.partition])


def join_origins(ordered: Sequence[Chunk]) -> Sequence[str | None]:
    """Join the origins of several chunks. An origin is a file and a record number; None for a record without one.

    Origins of records of a file are built only when they are read from the result, to save time.

    Args:
        ordered: at least one chunk, in the order of the result.
    """
    return JoinedOrigins([chunk.origins for chunk in ordered]) if len(ordered) > 1 else ordered[0].origins


def _marks(chunks: Sequence[Chunk]) -> list[RecordMarks] | None:
    if all(chunk.marks is None for chunk in chunks):
        return None
    return [mark for chunk in chunks for mark in chunk.marks or [NO_MARKS] * len(chunk.values)]


def _rows_of_other_keys(
    screen: RecordScreen, marks: list[RecordMarks] | None, positions: Sequence[int]
) -> list[tuple[int, str]]:
    if marks is None or not screen.own_key:
        return []
    return screen.other_keys([marks[position] for position in positions])


def _other_key(screen: RecordScreen, key: str, votes: VoteBatch, row: int) -> AlertSignal:
    """Return an alert about a vote whose pseudonym was not made with this store's voter key."""
    what = "votes were published with pseudonyms of another voter key: one voter may have two pseudonyms here"
    return AlertSignal(
        detector="voter_key",
        subject_kind="board",
        subject="votes",
        direction=f"pseudonyms by key {key}",
        severity="warning",
        e_value=None,
        level=1,
        partition=int(votes.partition[row]),
        offset=int(votes.offset[row]),
        at=int(votes.cast_at[row]),
        evidence={"what": what, "expected_key": screen.own_key, "found_key": key},
    )
