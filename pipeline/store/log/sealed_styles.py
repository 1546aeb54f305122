"""Stores and reads the sealed votes with style counts, for ratings under style control.

These ratings need the style of every vote, not sums over votes. Each segment therefore stores one compressed block of
its counted votes with style counts of both answers (`compute.style_blocks`). A refresh reads these blocks instead of
the votes, in parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.compute import style_blocks
from pipeline.compute.style_blocks import BLOCK, FIELDS
from pipeline.compute.styled_parts import PART_LEAVES, StyledPart
from pipeline.store.db import schema
from pipeline.store.votes.ingest import VotePosition
from pipeline.store.votes.packed_positions import pack_position, pack_positions
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import ACCEPTED, COUNTED
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT


@dataclass(frozen=True, slots=True, eq=False)
class StyledLog:
    """Reads the counted votes with style counts in a range of leaves, part by part.

    A part is a shorter range of leaves, so that not all votes are in memory at once. The connection must be open while
    votes are read.

    Attributes:
        connection: reads the store.
        leaves: for each part, its first leaf and the leaf after its last leaf, in the order of the log.
        without: int64[m], packed positions (`pack_position`) of votes that do not count, ascending.
        rules: bits of `vote_flags`. A vote with one of these bits does not count.
        models: int64[k], model numbers (model_no). A vote on one of these models does not count.
    """

    connection: Connection
    leaves: tuple[tuple[int, int], ...]
    without: Int64
    rules: int = 0
    models: Int64 = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of parts into which the log is divided for reading."""
        return len(self.leaves)

    def without_models(self, numbers: Collection[int]) -> StyledLog:
        """Return a log of the same leaves in which votes on these models (model_no) do not count either."""
        return replace(self, models=np.array(sorted({*self.models.tolist(), *numbers}), dtype=np.int64))

    def parts(self, numbers: Sequence[int] | None = None) -> Iterator[StyledPart]:
        """Yield parts of the votes, in the given order. A part is read only when it is asked for.

        Args:
            numbers: indices of the parts; None for all parts.
        """
        s, r = schema.segment.c, schema.segment_range.c
        for at in range(len(self)) if numbers is None else numbers:
            # By their leaves: a query cannot name each of ten thousands of small segments.
            here = _with_blocks(*self.leaves[at])
            query = sa.select(s.styles).where(here).order_by(s.log_size)
            packed = tuple(bytes(raw) for raw in self.connection.scalars(query))
            without = self.without[:0]
            if len(self.without):
                ranges = sa.select(r.partition_no, r.first_offset, r.next_offset).where(
                    r.segment_no.in_(sa.select(s.segment_no).where(here))
                )
                inside = [self._inside(*row) for row in self.connection.execute(ranges)]
                without = np.concatenate([without, *inside])
            yield StyledPart(*self.leaves[at], packed, without, self.rules, self.models)

    def _inside(self, partition_no: int, first: int, end: int) -> Int64:
        """Return the positions in `without` that are in a range of offsets."""
        bounds = [pack_position(partition_no, first), pack_position(partition_no, end)]
        return self.without[slice(*np.searchsorted(self.without, bounds).tolist())]


def build_block(partition_no: int, batch: pa.RecordBatch, *, late: bool = True) -> npt.NDArray[np.void]:
    """Return the counted votes of a batch that have style counts of both answers, as a structured array.

    Args:
        partition_no: partition number (partition_no) of the batch.
        batch: votes with the columns of `arrow_reader.VOTE_SCHEMA`.
        late: whether late votes are included.
    """
    if batch["style"].null_count == len(batch):
        return np.zeros(0, dtype=BLOCK)
    counted = pa.array(COUNTED if late else [ACCEPTED], pa.int32())
    styled = batch.filter(pc.and_(pc.is_in(batch["fate"], counted), batch["style"].is_valid()))
    block = np.zeros(len(styled), dtype=BLOCK)
    block["position"] = pack_positions(partition_no, styled["offset"].to_numpy())
    for name in ("model_a", "model_b", "outcome", "flags"):
        block[name] = styled[name].to_numpy()
    block["style"] = np.frombuffer(b"".join(styled["style"].to_pylist()), dtype="<i4").reshape(-1, FIELDS)
    return block[(block["style"] >= 0).all(axis=1)]


def pack(blocks: list[npt.NDArray[np.void]], frequent: Int64 | None = None) -> bytes | None:
    """Join the blocks of a segment and pack them as bytes.

    Args:
        blocks: blocks of votes, from `build_block`.
        frequent: int64[m], packed positions (`pack_position`) of the votes outside the samples of frequent prompts.
            These votes get the flag FREQUENT_PROMPT. None means that there are no such votes.

    Returns:
        The packed block, or None if there is no vote.
    """
    whole = np.concatenate(blocks) if blocks else np.zeros(0, dtype=BLOCK)
    if frequent is not None and len(frequent):
        whole["flags"] |= np.where(np.isin(whole["position"], frequent), FREQUENT_PROMPT, 0).astype(np.int32)
    return style_blocks.pack(whole)


def matches(blocks: list[npt.NDArray[np.void]], packed: bytes | None, ignored: Collection[int] = ()) -> bool:
    """Return whether a packed block has exactly the votes of the given blocks.

    Args:
        blocks: blocks of votes, from `build_block`.
        packed: the result of `pack`. Its flag FREQUENT_PROMPT is not compared, because only a seal decides about it. If
            the packed block has no flags, no flags are compared.
        ignored: packed positions (`pack_position`) of votes in `packed` that are not compared.
    """
    whole, found = np.concatenate(blocks) if blocks else np.zeros(0, dtype=BLOCK), style_blocks.unpack(packed)
    kept = ~np.isin(found["position"], np.array([*ignored], dtype=np.int64))
    names = style_blocks.WITHOUT_FLAGS
    if packed is not None and packed[:1] == style_blocks.WITH_FLAGS:
        names, found["flags"] = style_blocks.NAMES, found["flags"] & ~FREQUENT_PROMPT
    return all(np.array_equal(whole[name], found[name][kept]) for name in names)


def read_log(
    connection: Connection, log_size: int, without: Collection[VotePosition] = (), rules: int = 0, first: int = 0
) -> StyledLog:
    """Prepare to read the counted votes with style counts in the leaves `first` to `log_size` − 1.

    No vote is read yet; `StyledLog.parts` reads them.

    Args:
        connection: reads the store. It must be open while the votes are read.
        log_size: a size of the log after a seal.
        without: positions (partition_no, offset) of votes that do not count.
        rules: bits of `vote_flags`. A vote with one of these bits does not count.
        first: the first leaf, where an earlier seal ended.
    """
    s = schema.segment.c
    leaves: list[tuple[int, int]] = []
    query = sa.select(s.log_size, s.leaves).where(_with_blocks(first, log_size)).order_by(s.log_size)
    for end, size in connection.execute(query):
        if leaves and end - leaves[-1][0] <= PART_LEAVES:
            leaves[-1] = (leaves[-1][0], end)
        else:
            leaves.append((end - size, end))
    positions = np.array(sorted(pack_position(*one) for one in without), dtype=np.int64)
    return StyledLog(connection, tuple(leaves), positions, rules)


def _with_blocks(first: int, end: int) -> sa.ColumnElement[bool]:
    """Return the condition for the segments of the leaves `first` to `end` − 1 that have a block."""
    s = schema.segment.c
    return sa.and_(s.log_size > first, s.log_size <= end, s.styles.is_not(None))
