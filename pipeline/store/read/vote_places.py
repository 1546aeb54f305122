"""Finds the offsets that an export reads, and the reason why a vote does not count.

If there are several reasons, only the first in this order is stated: the vote's fate, a retraction, a rule of the
method, an exclusion, an unregistered model, a model under test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.log import frequent_prompts
from pipeline.store.votes.arrow_reader import OffsetRange, to_numpy
from pipeline.vocabulary.arrays import Int32, Int64
from pipeline.vocabulary.fates import COUNTED, FATES
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT

NO_LEAF = -1
"""Replaces the leaf index if a vote is not sealed yet, and so has no leaf."""

# Low bits of a packed position are the offset, as in log/sealed_styles.py.
_OFFSETS = 2**40


@dataclass(frozen=True, slots=True)
class VoteRange:
    """A range of offsets whose votes have consecutive leaves in the vote log.

    Attributes:
        offsets: (partition_no, first offset, offset after the last one).
        first_leaf: index of the leaf of the first vote, NO_LEAF if the offsets are not sealed.
    """

    offsets: OffsetRange
    first_leaf: int


@dataclass(frozen=True, slots=True, eq=False)
class UncountedKeys:
    """Looks up why a vote does not count, by a key of the vote or of its model.

    Attributes:
        keys: int64[n], ascending: leaf indices, packed positions (`pack_positions`) or model numbers (model_no).
        reason: int32[n], for each key the index of its reason in `texts`.
        texts: the different reasons.
    """

    keys: Int64
    reason: Int32
    texts: tuple[str, ...]

    @classmethod
    def build(cls, reasons: Mapping[int, str]) -> UncountedKeys:
        """Build the look-up from a mapping of keys to reasons."""
        texts = tuple(dict.fromkeys(reasons.values()))
        number = {text: at for at, text in enumerate(texts)}
        keys = np.array(sorted(reasons), dtype=np.int64)
        return cls(keys, np.array([number[reasons[key]] for key in keys.tolist()], dtype=np.int32), texts)

    def find(self, keys: Int64) -> Int32:
        """Look up why the votes with these n keys do not count.

        Returns:
            int32[n], for each key the index of the reason in `texts`; −1 for a key that is not in the table.
        """
        if not len(self.keys):
            return np.full(len(keys), -1, dtype=np.int32)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.reason[at], -1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class CountingRules:
    """Decides which votes of an export count, and why the others do not.

    Attributes:
        by_leaf: True if the keys of `retracted` and `excluded` are leaf indices, False if they are packed positions.
        retracted, excluded: votes that do not count, with reasons.
        unregistered: model numbers (model_no) of models that are not in the registry, with reasons.
        rules: name of a rule of the method → its bit in a vote's flags.
        fates: fates of the votes that count, as indices into FATES.
        frequent: partition number (partition_no) → int64[n], ascending offsets of votes on frequent prompts that are
            outside the samples.
        under_test: model numbers (model_no) of the models that the export does not name, with reasons. A vote on such a
            model counts on the board, but the export marks it as left out.
    """

    by_leaf: bool
    retracted: UncountedKeys
    excluded: UncountedKeys
    unregistered: UncountedKeys
    rules: Mapping[str, int] = field(default_factory=dict)
    fates: tuple[int, ...] = COUNTED
    frequent: Mapping[int, Int64] = field(default_factory=dict)
    under_test: UncountedKeys = field(default_factory=lambda: UncountedKeys.build({}))

    def reasons(self, part: int, batch: pa.RecordBatch, leaves: Int64) -> pa.StringArray:
        """Return why each vote does not count, null for a vote that counts.

        Args:
            part: partition number (partition_no) of the votes.
            batch: n votes with the columns of `arrow_reader.VOTE_SCHEMA`.
            leaves: int64[n], index of the leaf of each vote, or NO_LEAF.
        """
        keys = leaves if self.by_leaf else pack_positions(part, to_numpy(batch, "offset"))
        texts: list[str] = []
        found = np.full(len(batch), -1, dtype=np.int32)

        def apply(reason: Int32, names: tuple[str, ...]) -> None:
            named = (found < 0) & (reason >= 0)
            found[named] = reason[named] + len(texts)
            texts.extend(names)

        fate, flags = to_numpy(batch, "fate"), to_numpy(batch, "flags")
        outside = np.isin(to_numpy(batch, "offset"), self.frequent.get(part, np.zeros(0, dtype=np.int64)))
        flags = np.where(outside, flags | FREQUENT_PROMPT, flags)
        apply(np.where(np.isin(fate, self.fates), -1, fate).astype(np.int32), FATES)
        apply(self.retracted.find(keys), self.retracted.texts)
        for name, bit in self.rules.items():
            apply(np.where(flags & bit, 0, -1).astype(np.int32), (f"rule: {name}",))
        apply(self.excluded.find(keys), self.excluded.texts)
        for models in (self.unregistered, self.under_test):
            for side in ("model_a", "model_b"):
                apply(models.find(to_numpy(batch, side)), models.texts)
        return pa.array(texts or [""]).take(pa.array(found, mask=found < 0))


def read_frequent(connection: Connection, ranges: Sequence[VoteRange]) -> dict[int, Int64]:
    """Find the votes on frequent prompts that are not in the prompt's sample, for `CountingRules.frequent`.

    At most about a tenth of all votes are found.

    Returns:
        Partition number (partition_no) → int64[n], the ascending offsets of these votes within the given ranges.
    """
    found: dict[int, list[Int64]] = {}
    for one in ranges:
        found.setdefault(one.offsets[0], []).append(frequent_prompts.read_marked(connection, *one.offsets))
    return {part: np.sort(np.concatenate(offsets)) for part, offsets in found.items()}


def pack_positions(part: int, offsets: Int64) -> Int64:
    """Pack the positions of n votes of one partition into int64[n], integers that sort by offset.

    Args:
        part: partition number (partition_no) of all votes.
        offsets: int64[n], offset of each vote.
    """
    return part * _OFFSETS + offsets


def sealed_ranges(connection: Connection, log_size: int | None) -> list[VoteRange]:
    """Return the ranges of offsets of all sealed votes, in the order of the log.

    There is one range for each segment and partition.

    Args:
        connection: connection to the store.
        log_size: only segments within the first `log_size` leaves of the log; None for all segments.
    """
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
    """Return the ranges of offsets that are committed but not sealed yet, at most one for each partition."""
    p = schema.partition.c
    query = sa.select(p.partition_no, p.sealed_offset, p.next_offset).order_by(p.partition_no)
    rows = connection.execute(query.where(p.next_offset > p.sealed_offset))
    return [VoteRange((part, first, end), NO_LEAF) for part, first, end in rows]
