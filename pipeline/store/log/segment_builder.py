"""Builds a segment: its leaves, their hashes, its file and its counts.

Four threads share the work. The first reads votes in advance. The second joins the private fields that leaves commit to
(`arrow_reader.read_prepared`). The caller's thread hashes. The fourth counts votes and writes the file. Only hashing
holds Python's lock; the database, Arrow and the disk work without it.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy.engine import Connection

from pipeline.ledger import leaf_encoding, segment, tiles
from pipeline.ledger.merkle import WIDTH, Frontier
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import retractions, sealed_styles, vote_leaves
from pipeline.store.log.sealed_counts import SealedCounts, SegmentCounter
from pipeline.store.log.sealed_labels import LabelCollector, LabelledVotes
from pipeline.store.votes.arrow_reader import OffsetRange, read_prepared, to_numpy
from pipeline.vocabulary.arrays import Int64

# A segment is built in memory, some 300 bytes a vote.
MAX_VOTES = 1_000_000


@dataclass(slots=True)
class SegmentRange:
    """Describes the offsets of one partition that a segment covers, and which of them have a vote.

    Attributes:
        part: partition number of the store (partition_no).
        first: first offset of the range.
        first_leaf: index of the leaf of the range's first vote.
        end: the offset after the last one of the range.
        offsets: the offsets that have a vote, as a list of int64 arrays to be joined.
    """

    part: int
    first: int
    first_leaf: int
    end: int
    offsets: list[Int64] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BuiltSegment:
    """Describes a finished segment, whose file is on the disk.

    Attributes:
        sha256: SHA-256 of the file in hexadecimal digits.
        counts: counts of the segment's votes.
    """

    sha256: str
    counts: SealedCounts


class SegmentBuilder:
    """Builds one segment in a `with` block. Nothing is stored unless `finish` is called.

    Attributes:
        first_leaf: number of leaves of the log before the segment.
        size: number of leaves of the segment so far.
        ranges: the ranges of offsets in the segment.
        blinds: 32 bytes for each leaf, zeros for retractions, as a list of pieces to be joined.
        retractions: the retractions among the leaves.
        growth: the hashes that the segment adds to the log, one item for each batch of leaves.
        styled: blocks of votes with style counts (`sealed_styles.build_block`).
    """

    def __init__(self, files: LedgerFiles, frontier: Frontier, names: vote_leaves.LeafNames) -> None:
        """Begin a segment.

        Args:
            files: the ledger's files, to which the segment's file is added.
            frontier: the right edge of the log, which grows with the segment.
            names: the names for the numbers in votes.
        """
        self.first_leaf = frontier.size
        self.size = 0
        self.ranges: list[SegmentRange] = []
        self.blinds: list[bytes] = []
        self.retractions: list[retractions.PendingRetraction] = []
        self.growth: list[tiles.LogGrowth] = []
        self.styled: list[npt.NDArray[np.void]] = []
        self._frontier, self._names = frontier, names
        self._counter, self._labels = SegmentCounter(), LabelCollector(names.terms)
        self._draft = files.draft()
        self._file: segment.SegmentWriter | None = None
        self._thread = ThreadPoolExecutor(1)
        self._tasks: list[Future[None]] = []
        self._labelled: list[Future[None]] = []

    def __enter__(self) -> Self:
        """Return the builder."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Discard the segment if `finish` was not called."""
        self._thread.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.abort()
        self._draft.discard()

    def add_votes(self, connection: Connection, ranges: list[OffsetRange]) -> list[OffsetRange]:
        """Append votes as leaves, until the ranges are read or the segment has at least MAX_VOTES votes.

        Args:
            connection: reads the store.
            ranges: (partition_no, first offset, end) of each range.

        Returns:
            The ranges that are left to read. If a range was read in part, only its rest is included.
        """

        def prepare(part: int, batch: pa.RecordBatch) -> tuple[bytes, pa.BinaryArray]:
            blinds = secrets.token_bytes(WIDTH * len(batch))
            return blinds, vote_leaves.blinded_fields(batch, part, blinds, self._names)

        begun = 0
        with closing(read_prepared(connection, ranges, prepare)) as batches:
            for at, batch, (blinds, blinded) in batches:
                self._begin(ranges[begun : at + 1])
                begun = at + 1
                self._add_batch(batch, blinds, blinded)
                if self.size >= MAX_VOTES:
                    part, _, end = ranges[at]
                    self.ranges[-1].end = int(self.ranges[-1].offsets[-1][-1]) + 1
                    rest = [(part, self.ranges[-1].end, end)] if self.ranges[-1].end < end else []
                    return [*rest, *ranges[at + 1 :]]
        self._begin(ranges[begun:])
        return []

    def add_retractions(self, pending: list[retractions.PendingRetraction]) -> None:
        """Append retractions as leaves, and subtract the retracted votes from the segment's counts."""
        if not pending:
            return
        self.retractions = pending
        rows = retractions.build_leaves([(0, one.vote_id, one.retracts, one.reason, one.at) for one in pending])
        self._append(rows, bytes(WIDTH * len(pending)))
        self._tasks.append(self._thread.submit(self._counter.subtract, [one.cell for one in pending]))

    def labelled_votes(self) -> LabelledVotes:
        """Return the votes of the segment with their labels.

        The call waits until all votes are read, but not until the file of the segment is complete.
        """
        for task in self._labelled:
            task.result()
        return self._labels.votes()

    def finish(self) -> Callable[[], BuiltSegment]:
        """Begin to complete the file and to flush it to the disk, in another thread.

        Returns:
            A function that waits until the file is stored, and returns the finished segment. It raises Unavailable if
            the ledger's folder cannot be written to.
        """
        last = self._thread.submit(lambda: (self._counter.result(), self._keep()))

        def wait() -> BuiltSegment:
            for task in self._tasks:
                task.result()
            counts, digest = last.result()
            return BuiltSegment(digest, counts)

        return wait

    def _keep(self) -> str:
        if self._file is not None:
            self._file.close()
        return self._draft.keep()

    def _write(self, leaves: pa.Table, hashes: bytes) -> None:
        if self._file is None:
            self._file = segment.SegmentWriter(self._draft)
        self._file.append(leaves, hashes)

    def _begin(self, ranges: list[OffsetRange]) -> None:
        self.ranges += [SegmentRange(part, first, self.first_leaf + self.size, end) for part, first, end in ranges]

    def _add_batch(self, batch: pa.RecordBatch, blinds: bytes, blinded: pa.BinaryArray) -> None:
        """Append a batch of n votes, which belong to the last item of `ranges`.

        Args:
            batch: the votes.
            blinds: their blinds, 32·n bytes.
            blinded: for each vote, the blind followed by the private fields (`vote_leaves.blinded_fields`).
        """
        current = self.ranges[-1]
        current.offsets.append(to_numpy(batch, "offset"))
        self._tasks.append(self._thread.submit(self._counter.add_votes, batch))
        self._labelled.append(self._thread.submit(self._labels.add_votes, batch))
        self._append(vote_leaves.build_leaves(batch, self._names, leaf_encoding.sha256_each(blinded)), blinds)
        self.styled.append(sealed_styles.build_block(current.part, batch))

    def _append(self, leaves: pa.Table, blinds: bytes) -> None:
        hashes = leaf_encoding.hashes(leaves)
        self._tasks.append(self._thread.submit(self._write, leaves, hashes))
        self.growth.append(tiles.LogGrowth(self._frontier.size, tuple(self._frontier.extend(hashes))))
        self.blinds.append(blinds)
        self.size += len(leaves)
