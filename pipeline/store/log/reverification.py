"""Checks the public log against the stored votes: builds every leaf again from its vote and compares the two.

For a vote that was changed, removed or added, the error names the leaf, or the partition and the offset. For a vote
whose private fields were erased, only the public part of the leaf is compared. Every difference that is found is an
error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import chain

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.compute.runner import Runner
from pipeline.compute.styled_parts import PART_LEAVES
from pipeline.errors import Refuted
from pipeline.ledger.merkle import Frontier
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import (
    vote_leaves,
)
from pipeline.store.log.segment_comparison import SealedRow, VerifiedSegment, verify_segment


@dataclass(frozen=True, slots=True)
class ReverifiedLog:
    """Counts what `reverify_log` compared.

    Attributes:
        segments: number of segments.
        leaves: number of leaves in these segments.
        erased: number of votes whose private fields were erased.
    """

    segments: int
    leaves: int
    erased: int


LogSource = Callable[[], AbstractContextManager[tuple[Connection, LedgerFiles]]]
"""A function that opens a store for verification: a connection, and the ledger's files. It must be picklable."""


@dataclass(frozen=True, slots=True)
class _SealedRun:
    """Consecutive segments that a worker verifies in one task: a large segment, or several small ones."""

    segments: tuple[SealedRow, ...]

    @property
    def name(self) -> str:
        """The name of the segments in messages."""
        return f"segments {self.segments[0].segment_no} to {self.segments[-1].segment_no}"

    @property
    def sent_bytes(self) -> int:
        """Number of bytes of votes that are sent to the worker: 0, because the worker reads them from the store."""
        return 0


def reverify_log(
    connection: Connection, files: LedgerFiles, runner: Runner | None = None, source: LogSource | None = None
) -> ReverifiedLog:
    """Compare every segment with the stored votes: its leaves, file, counts, style counts, labels, ranges and root.

    Args:
        connection: reads the store.
        files: the files of the ledger.
        runner: runs the comparison of the segments, for example in other processes; None for this thread.
        source: opens the store in a worker of `runner`; None if there is no runner.

    Returns:
        The numbers of segments, leaves and erased votes that were compared.

    Raises:
        Refuted: a leaf or a segment is wrong, or a vote that must be sealed has no leaf. The message names the leaf,
            the segment or the vote.
        VerificationFailed: the style counts of a segment are wrong.
        Unavailable: a file of the ledger is missing.
    """
    s, frontier, erased = schema.segment.c, Frontier(), 0
    query = sa.select(s.segment_no, s.log_size - s.leaves, s.log_size, s.root, s.edge).order_by(s.log_size)
    listed = [SealedRow(*row[:4], bytes(row[4])) for row in connection.execute(query)]
    if runner is None or source is None:
        names = vote_leaves.LeafNames.load(connection)
        results: Iterator[VerifiedSegment] = (
            verify_segment(connection, files, one, names) for one in _without_gaps(listed)
        )
    else:
        results = chain.from_iterable(runner.map(partial(_verify_run, source=source), _runs(_without_gaps(listed))))
    for one, found in zip(listed, results, strict=True):
        for level, node in found.subtrees:
            frontier.append(level, node)
        if frontier.root().hex() != one.root or b"".join(frontier.edge) != one.edge:
            raise Refuted("root", one.name, f"expected root {one.root}, its votes give {frontier.root().hex()}")
        erased += found.erased
    _expect_no_vote_without_leaf(connection)
    return ReverifiedLog(len(listed), frontier.size, erased)


def _without_gaps(segments: Iterable[SealedRow]) -> Iterator[SealedRow]:
    """Yield the segments; raise `Refuted` for a segment that does not begin where the previous segment ends."""
    end = 0
    for one in segments:
        if one.first != end:
            raise Refuted("size", one.name, f"expected its first leaf to be {end}")
        end = one.end
        yield one


def _runs(segments: Iterable[SealedRow]) -> Iterator[_SealedRun]:
    """Group consecutive small segments into one task.

    Opening the store takes as long as verifying some thousand votes, so a task should have many votes.
    """
    joined: list[SealedRow] = []
    for one in segments:
        if joined and one.end - joined[0].first > PART_LEAVES:
            yield _SealedRun(tuple(joined))
            joined = []
        joined.append(one)
    if joined:
        yield _SealedRun(tuple(joined))


def _verify_run(run: _SealedRun, source: LogSource) -> list[VerifiedSegment]:
    """Compare segments with their votes in a worker."""
    with source() as (connection, files):
        names = vote_leaves.LeafNames.load(connection)
        return [verify_segment(connection, files, one, names) for one in run.segments]


def _expect_no_vote_without_leaf(connection: Connection) -> None:
    """Check that each vote up to the last sealed offset of its partition is in a segment."""
    v, p, r = schema.vote.c, schema.partition.c, schema.segment_range.c
    bounds = connection.execute(sa.select(p.partition_no, p.sealed_offset)).all()
    for part, end in bounds:
        ranges = connection.execute(
            sa.select(r.first_offset, r.next_offset).where(r.partition_no == part).order_by(r.first_offset)
        ).all()
        at = 0
        for first, following in [*ranges, (end, end)]:
            if first > at:
                found = connection.scalar(
                    sa.select(sa.func.min(v.offset)).where(v.partition_no == part, v.offset >= at, v.offset < first)
                )
                if found is not None:
                    raise Refuted("leaf", f"partition {part}, offset {found}", "expected a sealed vote, it has no leaf")
            at = max(at, following)
