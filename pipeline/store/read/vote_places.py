"""Which offsets hold the votes of an export, and why a vote among them does not count.

Law: of several reasons the first in this order counts: the vote's fate, a retraction, a rule of the method, an
exclusion, a model that the registry does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.votes.arrow_reader import OffsetRange, to_numpy
from pipeline.vocabulary.arrays import Int32, Int64
from pipeline.vocabulary.fates import COUNTED, FATES

NO_LEAF = -1
"""Leaf of a vote that is not sealed yet."""

# Low bits of a packed position are the offset, as in log/sealed_styles.py.
_OFFSETS = 2**40


@dataclass(frozen=True, slots=True)
class VoteRange:
    """Offsets whose votes have consecutive leaves.

    Attributes:
        offsets: partition, first offset, end.
        first_leaf: leaf of the first vote, NO_LEAF if the offsets are not sealed.
    """

    offsets: OffsetRange
    first_leaf: int


@dataclass(frozen=True, slots=True, eq=False)
class UncountedKeys:
    """What does not count, by number, each with a reason.

    Attributes:
        keys: int64[n], ascending: leaves, packed positions (`pack_positions`), or numbers of models.
        reason: int32[n], for each key a position in `texts`.
        texts: the reasons.
    """

    keys: Int64
    reason: Int32
    texts: tuple[str, ...]

    @classmethod
    def build(cls, reasons: Mapping[int, str]) -> UncountedKeys:
        """Return keys with their reasons."""
        texts = tuple(dict.fromkeys(reasons.values()))
        number = {text: at for at, text in enumerate(texts)}
        keys = np.array(sorted(reasons), dtype=np.int64)
        return cls(keys, np.array([number[reasons[key]] for key in keys.tolist()], dtype=np.int32), texts)

    def find(self, keys: Int64) -> Int32:
        """Return for each key the position of its reason in `texts`, −1 for a key that is not listed."""
        if not len(self.keys):
            return np.full(len(keys), -1, dtype=np.int32)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.reason[at], -1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class CountingRules:
    """What decides whether a vote counts.

    Attributes:
        by_leaf: `retracted` and `excluded` are keyed by leaf, otherwise by packed position.
        retracted, excluded: votes that do not count.
        rules: name of each rule of the method → its bit in a vote's flags.
        unregistered: models that the registry does not know, keyed by their numbers.
        fates: fates of the votes that count.
    """

    by_leaf: bool
    retracted: UncountedKeys
    excluded: UncountedKeys
    unregistered: UncountedKeys
    rules: Mapping[str, int] = field(default_factory=dict)
    fates: tuple[int, ...] = COUNTED

    def reasons(self, part: int, batch: pa.RecordBatch, leaves: Int64) -> pa.StringArray:
        """Return for each vote why it does not count, null if it counts.

        Args:
            part: partition of the votes.
            batch: votes with the columns of `arrow_reader.VOTE_SCHEMA`.
            leaves: the leaf of each vote, or NO_LEAF.
        """
        keys = leaves if self.by_leaf else pack_positions(part, to_numpy(batch, "offset"))
        texts: list[str] = []
        found = np.full(len(batch), -1, dtype=np.int32)

        def apply(reason: Int32, names: tuple[str, ...]) -> None:
            named = (found < 0) & (reason >= 0)
            found[named] = reason[named] + len(texts)
            texts.extend(names)

        fate, flags = to_numpy(batch, "fate"), to_numpy(batch, "flags")
        apply(np.where(np.isin(fate, self.fates), -1, fate).astype(np.int32), FATES)
        apply(self.retracted.find(keys), self.retracted.texts)
        for name, bit in self.rules.items():
            apply(np.where(flags & bit, 0, -1).astype(np.int32), (f"rule: {name}",))
        apply(self.excluded.find(keys), self.excluded.texts)
        for side in ("model_a", "model_b"):
            apply(self.unregistered.find(to_numpy(batch, side)), self.unregistered.texts)
        return pa.array(texts or [""]).take(pa.array(found, mask=found < 0))


def pack_positions(part: int, offsets: Int64) -> Int64:
    """Return positions of one partition as one number each."""
    return part * _OFFSETS + offsets


def sealed_ranges(connection: Connection, log_size: int | None) -> list[VoteRange]:
    """Return the ranges of votes among the first `log_size` leaves, in the order of the log; None: of the whole log."""
    r, s = schema.segment_range.c, schema.segment.c
    query = (
        sa.select(r.partition_no, r.first_offset, r.next_offset, r.first_leaf)
        .join(schema.segment, s.segment_no == r.segment_no)
        .order_by(s.log_size, r.first_leaf, r.partition_no)
    )
    if log_size is not None:
        query = query.where(s.log_size <= log_size)
    return [VoteRange((part, first, end), leaf) for part, first, end, leaf in connection.execute(query)]


def unsealed_ranges(connection: Connection) -> list[VoteRange]:
    """Return the offsets of committed votes that no seal has taken yet."""
    p = schema.partition.c
    query = sa.select(p.partition_no, p.sealed_offset, p.next_offset).order_by(p.partition_no)
    rows = connection.execute(query.where(p.next_offset > p.sealed_offset))
    return [VoteRange((part, first, end), NO_LEAF) for part, first, end in rows]
