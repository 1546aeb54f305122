"""Represents votes as columns of integer codes, for ratings that need more of each vote than its pair and outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..vocabulary.arrays import Bool, Int8, Int32, Int64
from ..vocabulary.large_arrays import select_large
from .pair_counts import PairCounts
from .style_features import STYLE_FEATURES

_Integer = TypeVar("_Integer", bound=np.integer[Any])
# Votes that are counted by pair at a time.
_PIECE = 1 << 18

GROUPS = ("category", "language")
"""The properties of a vote by which votes are split into group boards."""

NUMBERS = ("cast_at", "voter_since", "session", "network", "turn")
"""The properties of a vote that no rating needs, but a report does."""


@dataclass(frozen=True, slots=True, eq=False)
class BattleColumns:
    """N votes as columns, one row for each vote.

    Attributes:
        models: names of the K models, sorted.
        a, b: int32[N], positions of the two models in `models`.
        outcome: int32[N], position of the outcome in `OUTCOMES`.
        voters: names of the voters, sorted.
        voter: int64[N], position of the voter in `voters`, −1 if the voter is unknown.
        groups: name in GROUPS → a pair. The first is the sorted labels. The second is int32[N], the position of each
            vote's label among them, −1 for no label.
        style: two arrays int32[N, 5], the style counts of the answers of a and of b. The columns are in the order of
            `STYLE_FEATURES`; all are −1 if the answer has no counts.
        flags: for each flag, such as `anonymous`, int8[N]: 1 for true, 0 for false, −1 if the vote does not state it.
        categories: a pair. The first is the labels. The second is int64[N]: bit k of a vote's number is set if the vote
            has label k. Both are empty if no vote has a label.
        prompt: int64[N], equal numbers for votes on equal prompts, 0 for a vote without a prompt; None if prompts were
            not collected.
        numbers: name in NUMBERS → int64[N], for the properties that were collected. Times are microseconds since 1970
            UTC, NO_TIME for none. A session or a network is a hash of its name, 0 for none. A turn is its number, 0 for
            none.
        repeated: number of records left out because an earlier record has the same id.
        conflicting: number of repeated records whose battle, outcome or voter differs from the earlier record's.
        more_categories: number of labels without a bit in `categories`, because all 63 bits were taken.
    """

    models: tuple[str, ...]
    a: Int32
    b: Int32
    outcome: Int32
    voters: Sequence[str]
    voter: Int64
    groups: Mapping[str, tuple[tuple[str, ...], Int32]]
    style: tuple[Int32, Int32]
    flags: Mapping[str, Int8] = field(default_factory=dict)
    categories: tuple[tuple[str, ...], Int64] = ((), np.zeros(0, dtype=np.int64))
    prompt: Int64 | None = None
    numbers: Mapping[str, Int64] = field(default_factory=dict)
    repeated: int = 0
    conflicting: int = 0
    more_categories: int = 0

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.a)

    @property
    def codes(self) -> tuple[Int32, Int32, Int32]:
        """The columns `a`, `b` and `outcome`, in the order in which the estimators take them."""
        return self.a, self.b, self.outcome

    @property
    def has_style(self) -> Bool:
        """bool[N], true for each vote of which both answers have style counts."""
        of_a, of_b = self.style
        return np.asarray((of_a[:, 0] >= 0) & (of_b[:, 0] >= 0))

    @property
    def has_voters(self) -> bool:
        """Whether at least one vote has a known voter."""
        return bool((self.voter != -1).any())

    def without_repeats(self, identity: Int64) -> "BattleColumns":
        """Return the votes except repeats. A repeat is a vote with the id of an earlier vote.

        The result's `repeated` is the number of repeats left out. `conflicting` is the number of repeats that differ
        from the earlier vote. If there are no repeats, the votes are returned unchanged.

        Args:
            identity: int64[N], equal numbers for votes with equal ids; −1 for a vote without an id, which is never a
                repeat.
        """
        known = np.flatnonzero(identity >= 0)
        _, first, group = np.unique(identity[known], return_index=True, return_inverse=True)
        earlier = np.arange(len(self))
        earlier[known] = known[first[group.ravel()]]
        repeat = np.flatnonzero(earlier != np.arange(len(self)))
        if not len(repeat):
            return self
        body = np.column_stack([self.a, self.b, self.outcome, self.voter])
        conflicting = (body[repeat] != body[earlier[repeat]]).any(axis=1)
        kept = self.select(earlier == np.arange(len(self)))
        return replace(kept, repeated=len(repeat), conflicting=int(conflicting.sum()))

    def select(self, rows: Bool) -> "BattleColumns":
        """Return the votes where `rows` (bool[N]) is true.

        Models without a remaining vote are dropped from `models`. The names of voters and the labels stay.
        """
        a, b = select_large(self.a, rows), select_large(self.b, rows)
        met = sum(np.bincount(side, minlength=len(self.models)) for side in (a, b)) > 0
        used, place = np.flatnonzero(met), np.cumsum(met, dtype=np.int32) - 1
        labels, bits = self.categories
        return replace(
            self,
            models=tuple(self.models[code] for code in used.tolist()),
            a=place[a],
            b=place[b],
            outcome=select_large(self.outcome, rows),
            voter=_select(self.voter, rows),
            groups={name: (names, _select(codes, rows)) for name, (names, codes) in self.groups.items()},
            style=(_select(self.style[0], rows), _select(self.style[1], rows)),
            flags={name: _select(values, rows) for name, values in self.flags.items()},
            categories=(labels, _select(bits, rows) if labels else bits),
            prompt=None if self.prompt is None else _select(self.prompt, rows),
            numbers={name: _select(values, rows) for name, values in self.numbers.items()},
        )

    def select_counts(self, rows: Bool) -> PairCounts:
        """Return the pair counts of the votes where `rows` (bool[N]) is true.

        The `models` of the result are all models.
        """
        return PairCounts.from_codes(self.models, *(column[rows] for column in self.codes))

    def pair_counts(self) -> PairCounts:
        """Return the pair counts of all votes. They are counted a piece at a time, so that the memory is bounded."""
        starts = range(0, max(1, len(self)), _PIECE)
        parts = (PairCounts.from_codes(self.models, *(c[at : at + _PIECE] for c in self.codes)) for at in starts)
        return PairCounts.merge(parts) if len(starts) > 1 else next(parts)

    def narrowed(self, *, voters: bool, style: bool, group: str) -> "BattleColumns":
        """Return the votes without the columns that a rating does not need.

        A column that is left out is filled with −1 and takes no memory. `flags` and `numbers` are always left out.
        `categories` are left out unless `group` is "category".

        Args:
            voters: whether voters are needed.
            style: whether style counts are needed.
            group: the name in GROUPS that is needed; "" for none.
        """
        votes = len(self)
        return replace(
            self,
            voters=self.voters if voters else (),
            voter=self.voter if voters else np.broadcast_to(np.int64(-1), (votes,)),
            groups={name: found if name == group else no_group(votes) for name, found in self.groups.items()},
            style=self.style if style else (no_style(votes), no_style(votes)),
            flags={},
            categories=self.categories if group == "category" else ((), np.zeros(0, dtype=np.int64)),
            prompt=None,
            numbers={},
        )


def no_style(votes: int) -> Int32:
    """Return int32[votes, 5] filled with −1 (no style counts).

    The array is a view of one number and takes no memory.
    """
    return np.broadcast_to(np.int32(-1), (votes, len(STYLE_FEATURES)))


def no_group(votes: int) -> tuple[tuple[str, ...], Int32]:
    """Return the entry of `BattleColumns.groups` for votes without labels: (), and int32[votes] filled with −1.

    The array is a view of one number and takes no memory.
    """
    return (), np.broadcast_to(np.int32(-1), (votes,))


def _select(values: npt.NDArray[_Integer], rows: Bool) -> npt.NDArray[_Integer]:
    """Return the rows of a column where `rows` is true.

    A column that is filled with −1 and takes no memory gives such a column again.
    """
    if any(values.strides):
        return select_large(values, rows)
    return np.broadcast_to(values.dtype.type(-1), (int(np.count_nonzero(rows)), *values.shape[1:]))
