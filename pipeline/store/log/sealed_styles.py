"""Packs and reads the sealed votes with style counts, for ratings under style control.

These ratings need the style of every vote, not sums over votes. Each segment therefore stores one compressed block of
votes. The block has the counted votes with style counts of both answers, about 25 bytes for each vote. A refresh reads
these blocks instead of the votes.

A block begins with a tag: "F" if it has the flags of the votes, "L" if it was sealed before votes had flags. A block
without a tag was sealed before late votes counted, so it has accepted votes only.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.votes.ingest import VotePosition
from pipeline.store.votes.packed_positions import pack_position, pack_positions
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64
from pipeline.vocabulary.fates import ACCEPTED, COUNTED
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT

# The first byte of a block with late votes, without and with flags; compressed bytes begin with another one.
_WITH_LATE, _WITH_FLAGS = b"L", b"F"
_FIELDS = 10
_SIDE = _FIELDS // 2
_DTYPE = np.dtype(
    [
        ("position", "<i8"), ("model_a", "<i4"), ("model_b", "<i4"), ("outcome", "<i4"), ("style", "<i4", (_FIELDS,)),
        ("flags", "<i4"),
    ]
)  # fmt: skip
# The columns of a block by its tag.
_NAMES = tuple(_DTYPE.names or ())
_WITHOUT_FLAGS = _NAMES[:-1]


@dataclass(frozen=True, slots=True, eq=False)
class StyledVotes:
    """Holds votes with the style counts of both answers, as arrays of length n.

    Attributes:
        position: int64[n], partition_no and offset, packed into one integer (`pack_position`).
        model_a, model_b: int32[n], model numbers of the store (model_no).
        outcome: int32[n], index into OUTCOMES.
        style: int32[n, 10], numbers of tokens, headers, lists, bold words and emoji of answer a, then of answer b.
        flags: int32[n], bits of `vote_flags`.
    """

    position: Int64
    model_a: Int32
    model_b: Int32
    outcome: Int32
    style: Int32
    flags: Int32

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.position)

    def without(self, positions: Collection[VotePosition]) -> StyledVotes:
        """Return the votes that are not at one of the given positions (partition_no, offset)."""
        out = np.array([pack_position(*one) for one in positions], dtype=np.int64)
        return self.where(~np.isin(self.position, out))

    def where(self, kept: Bool) -> StyledVotes:
        """Return the votes at which the mask `kept`, bool[n], is True."""
        return StyledVotes(*(getattr(self, name)[kept] for name in _NAMES))


@dataclass(frozen=True, slots=True, eq=False)
class StyleMoments:
    """Holds sums of style counts over the answers of one model, from which mean and variance are computed.

    Attributes:
        n: number of answers.
        sums, squares: float64[5], Σx and Σx² of the numbers of tokens, headers, lists, bold words and emoji.
    """

    n: int
    sums: Float64
    squares: Float64

    def plus(self, other: StyleMoments) -> StyleMoments:
        """Return the sums over the answers of both objects."""
        return StyleMoments(self.n + other.n, self.sums + other.sums, self.squares + other.squares)


def has_late(packed: bytes | None) -> bool:
    """Return whether a packed block may have late votes. False for None, which stands for an empty block."""
    return packed is not None and packed[:1] in (_WITH_LATE, _WITH_FLAGS)


def build_block(partition_no: int, batch: pa.RecordBatch, *, late: bool = True) -> npt.NDArray[np.void]:
    """Return the counted votes of a batch that have style counts of both answers, as a structured array.

    Args:
        partition_no: partition number (partition_no) of the batch.
        batch: votes with the columns of `arrow_reader.VOTE_SCHEMA`.
        late: whether late votes are included.
    """
    if batch["style"].null_count == len(batch):
        return np.zeros(0, dtype=_DTYPE)
    counted = pa.array(COUNTED if late else [ACCEPTED], pa.int32())
    styled = batch.filter(pc.and_(pc.is_in(batch["fate"], counted), batch["style"].is_valid()))
    block = np.zeros(len(styled), dtype=_DTYPE)
    block["position"] = pack_positions(partition_no, styled["offset"].to_numpy())
    for name in ("model_a", "model_b", "outcome", "flags"):
        block[name] = styled[name].to_numpy()
    block["style"] = np.frombuffer(b"".join(styled["style"].to_pylist()), dtype="<i4").reshape(-1, _FIELDS)
    return block[(block["style"] >= 0).all(axis=1)]


def pack(blocks: list[npt.NDArray[np.void]], frequent: Int64 | None = None) -> bytes | None:
    """Join the blocks of a segment and pack them as bytes.

    Args:
        blocks: blocks of votes, from `build_block`.
        frequent: int64[m], packed positions (`pack_position`) of the votes outside the samples of frequent prompts.
            These votes get the flag FREQUENT_PROMPT. None is the same as no vote.

    Returns:
        The packed block, or None if there is no vote.
    """
    whole = np.concatenate(blocks) if blocks else np.zeros(0, dtype=_DTYPE)
    if frequent is not None and len(frequent):
        whole["flags"] |= np.where(np.isin(whole["position"], frequent), FREQUENT_PROMPT, 0).astype(np.int32)
    # Column by column: similar bytes are neighbours, and compress to half.
    raw = b"".join(np.ascontiguousarray(whole[name]).tobytes() for name in _NAMES)
    return _WITH_FLAGS + zlib.compress(raw, 1) if len(whole) else None


def matches(blocks: list[npt.NDArray[np.void]], packed: bytes | None, ignored: Collection[int] = ()) -> bool:
    """Return whether a packed block has exactly the votes of the given blocks.

    Args:
        blocks: blocks of votes, from `build_block`.
        packed: the result of `pack`. Its flag FREQUENT_PROMPT is not compared, because only a seal decides about it. If
            the packed block has no flags, no flags are compared.
        ignored: packed positions (`pack_position`) of votes in `packed` that are not compared.
    """
    whole, found = np.concatenate(blocks) if blocks else np.zeros(0, dtype=_DTYPE), unpack(packed)
    kept = ~np.isin(found["position"], np.array([*ignored], dtype=np.int64))
    names = _WITHOUT_FLAGS
    if packed is not None and packed[:1] == _WITH_FLAGS:
        names, found["flags"] = _NAMES, found["flags"] & ~FREQUENT_PROMPT
    return all(np.array_equal(whole[name], found[name][kept]) for name in names)


def read_votes(connection: Connection, log_size: int, first: int = 0) -> StyledVotes:
    """Return the counted votes with style counts in the leaves `first` to `log_size` − 1, by leaf index.

    Both sizes must be sizes of the log after a seal.
    """
    s = schema.segment.c
    which = (s.log_size > first, s.log_size <= log_size, s.styles.is_not(None))
    query = sa.select(s.styles).where(*which).order_by(s.segment_no)
    parts = [unpack(bytes(raw)) for raw in connection.scalars(query)]
    columns = [np.concatenate([part[name] for part in parts] or [np.zeros(0, _DTYPE)[name]]) for name in _NAMES]
    return StyledVotes(*columns)


def read_moments(connection: Connection, log_size: int, models: Collection[int]) -> dict[int, StyleMoments]:
    """Sum the style counts and their squares over the answers of a model, for some models.

    Args:
        connection: reads the store.
        log_size: only votes among the first `log_size` leaves of the vote log.
        models: model numbers (model_no) of these models.

    Returns:
        Model number → sums over the answers of the model. All sums are 0 for a model without answers.
    """
    axis = np.array(sorted(models), dtype=np.int64)
    n, sums, squares = np.zeros(len(axis), np.int64), np.zeros((len(axis), _SIDE)), np.zeros((len(axis), _SIDE))
    s = schema.segment.c
    query = sa.select(s.styles).where(s.log_size <= log_size, s.styles.is_not(None)).order_by(s.segment_no)
    for raw in connection.scalars(query) if len(axis) else ():
        part = unpack(bytes(raw))
        for side, half in (("model_a", part["style"][:, :_SIDE]), ("model_b", part["style"][:, _SIDE:])):
            rows = np.isin(part[side], axis)
            code = np.searchsorted(axis, part[side][rows])
            n += np.bincount(code, minlength=len(axis))
            for k in range(_SIDE):
                x = half[rows, k].astype(np.float64)
                sums[:, k] += np.bincount(code, weights=x, minlength=len(axis))
                squares[:, k] += np.bincount(code, weights=x**2, minlength=len(axis))
    return {int(no): StyleMoments(int(n[i]), sums[i], squares[i]) for i, no in enumerate(axis)}


def unpack(raw: bytes | None) -> dict[str, npt.NDArray[Any]]:
    """Unpack a block that `pack` returned.

    Args:
        raw: the packed block. None, for a segment without a block, gives empty columns.

    Returns:
        Name of a column → values of the votes. If the block has no flags, all flags are 0.
    """
    flat = b"" if raw is None else zlib.decompress(raw[1:] if has_late(raw) else raw)
    names = _NAMES if raw is not None and raw[:1] == _WITH_FLAGS else _WITHOUT_FLAGS
    votes, start = len(flat) // sum(_DTYPE[name].itemsize for name in names), 0
    found: dict[str, npt.NDArray[Any]] = {"flags": np.zeros(votes, dtype=np.int32)}
    for name in names:
        kind = _DTYPE[name]
        end = start + votes * kind.itemsize
        found[name] = np.frombuffer(flat[start:end], dtype=kind.base).reshape(votes, *kind.shape)
        start = end
    return found
