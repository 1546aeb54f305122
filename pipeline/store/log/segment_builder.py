"""A segment while it is put together: leaves, hashes, file, counts.

Four threads share the work. One reads votes ahead, one joins what is committed to (`stored_votes.prepared`), the caller
hashes, one counts and writes the file: the database, Arrow and the disk work without Python's lock, which hashing
holds.
"""

from __future__ import annotations

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

from pipeline.ledger import leaf, segment, tiles
from pipeline.ledger.merkle import WIDTH, Frontier
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import leaves, retractions, styles
from pipeline.store.log.sealed_counts import Counting, SealedCounts
from pipeline.store.votes import arrow_reader
from pipeline.store.votes.arrow_reader import OffsetRange, to_numpy
from pipeline.vocabulary.arrays import Int64

# Votes of a segment at most: it is made in memory, some 200 bytes a vote.
MOST_VOTES = 1_000_000


@dataclass(slots=True)
class Taken:
    """What a segment takes of a partition: offsets from `first` to `end`, of which some hold votes."""

    part: int
    first: int
    first_leaf: int
    end: int
    offsets: list[Int64] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Built:
    """A segment whose file is on the disk.

    Attributes:
        sha256: of its file.
        counts: of its votes.
    """

    sha256: str
    counts: SealedCounts


class Building:
    """A segment that is being put together; left without `finish`, it leaves nothing.

    Attributes:
        first_leaf: the log's size before it.
        size: leaves so far.
        taken: ranges of partitions.
        blinds: 32 bytes a leaf, those of retractions zero.
        back: retractions.
        grown: what the log has grown by, step by step.
        styled: votes with style counts.
    """

    def __init__(self, files: LedgerFiles, frontier: Frontier, texts: leaves.Texts) -> None:
        """Begin.

        Args:
            files: where the segment's file goes.
            frontier: the log's right edge; grows.
            texts: names.
        """
        self.first_leaf = frontier.size
        self.size = 0
        self.taken: list[Taken] = []
        self.blinds: list[bytes] = []
        self.back: list[retractions.Waiting] = []
        self.grown: list[tiles.LogGrowth] = []
        self.styled: list[npt.NDArray[np.void]] = []
        self._frontier, self._texts = frontier, texts
        self._counting = Counting()
        self._draft = files.draft()
        self._file: segment.SegmentWriter | None = None
        self._thread = ThreadPoolExecutor(1)
        self._writing: list[Future[None]] = []

    def __enter__(self) -> Self:
        """Go on."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Nothing is left of what is not done."""
        self._thread.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.abandon()
        self._draft.discard()

    def read(self, connection: Connection, ranges: list[OffsetRange]) -> list[OffsetRange]:
        """Append the votes of ranges, until the segment is full.

        Returns:
            What is left of the ranges.
        """

        def blinded(part: int, batch: pa.RecordBatch) -> tuple[bytes, pa.BinaryArray]:
            blinds = secrets.token_bytes(WIDTH * len(batch))
            return blinds, leaves.blinded(batch, part, blinds, self._texts)

        taken = 0
        with closing(arrow_reader.read_prepared(connection, ranges, blinded)) as batches:
            for at, batch, made in batches:
                self._take(ranges[taken : at + 1])
                taken = at + 1
                self._add(batch, *made)
                if self.size >= MOST_VOTES:
                    part, _, end = ranges[at]
                    self.taken[-1].end = int(self.taken[-1].offsets[-1][-1]) + 1
                    rest = [(part, self.taken[-1].end, end)] if self.taken[-1].end < end else []
                    return [*rest, *ranges[at + 1 :]]
        self._take(ranges[taken:])
        return []

    def take_back(self, waiting: list[retractions.Waiting]) -> None:
        """Append retractions: what they take back counts no more."""
        if not waiting:
            return
        self.back = waiting
        rows = retractions.rows([(0, one.vote_id, one.retracts, one.reason, one.at) for one in waiting])
        self._append(rows, bytes(WIDTH * len(waiting)))
        self._writing.append(self._thread.submit(self._counting.take_back, [one.cell for one in waiting]))

    def finish(self) -> Callable[[], Built]:
        """Begin to write the file to its end and to keep it.

        Returns:
            What waits for it. Raises Unavailable: the ledger's folder cannot be written to.
        """
        last = self._thread.submit(lambda: (self._counting.done(), self._keep()))

        def wait() -> Built:
            for one in self._writing:
                one.result()
            counts, digest = last.result()
            return Built(digest, counts)

        return wait

    def _keep(self) -> str:
        if self._file is not None:
            self._file.close()
        return self._draft.keep()

    def _write(self, made: pa.Table, hashes: bytes) -> None:
        if self._file is None:
            self._file = segment.SegmentWriter(self._draft)
        self._file.add(made, hashes)

    def _take(self, ranges: list[OffsetRange]) -> None:
        self.taken += [Taken(part, first, self.first_leaf + self.size, end) for part, first, end in ranges]

    def _add(self, batch: pa.RecordBatch, blinds: bytes, blinded: pa.BinaryArray) -> None:
        """Append votes of the last range."""
        here = self.taken[-1]
        here.offsets.append(to_numpy(batch, "offset"))
        self._writing.append(self._thread.submit(self._counting.add, batch))
        self._append(leaves.public(batch, self._texts, leaf.sha256_each(blinded)), blinds)
        self.styled.append(styles.block(here.part, batch))

    def _append(self, made: pa.Table, blinds: bytes) -> None:
        hashes = leaf.hashes(made)
        self._writing.append(self._thread.submit(self._write, made, hashes))
        self.grown.append(tiles.LogGrowth(self._frontier.size, tuple(self._frontier.extend(hashes))))
        self.blinds.append(blinds)
        self.size += len(made)
