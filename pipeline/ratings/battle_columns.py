"""Votes as columns of codes: the input of ratings that need more than pair counts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..vocabulary.arrays import Bool, Int32, Int64
from .pair_counts import PairCounts

GROUPS = ("category", "language")
"""The properties of a vote that boards are made for."""


@dataclass(frozen=True, slots=True, eq=False)
class BattleColumns:
    """N votes as columns.

    Attributes:
        models: K names, sorted.
        a, b: int32[N], positions of the two models in `models`.
        outcome: int32[N], position in `OUTCOMES`.
        voters: names of the voters, sorted.
        voter: int64[N], position in `voters`, −1 where unknown.
        groups: for each name in GROUPS: its labels, and int32[N] positions among them, −1 without a label.
        style: for model a and for model b: int64[N, 5] counts in the order of `STYLE_FEATURES`, −1 if unknown.
        repeated: number of records left out because their id repeats the id of an earlier record.
        conflicting: number of these records that state another battle.
    """

    models: tuple[str, ...]
    a: Int32
    b: Int32
    outcome: Int32
    voters: tuple[str, ...]
    voter: Int64
    groups: Mapping[str, tuple[tuple[str, ...], Int32]]
    style: tuple[Int64, Int64]
    repeated: int = 0
    conflicting: int = 0

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.a)

    @property
    def codes(self) -> tuple[Int32, Int32, Int32]:
        """The columns a, b and outcome: arguments of `fit_style`, `count_groups` and other estimators."""
        return self.a, self.b, self.outcome

    @property
    def has_style(self) -> Bool:
        """bool[N], true where both answers have style counts."""
        of_a, of_b = self.style
        return np.asarray((of_a[:, 0] >= 0) & (of_b[:, 0] >= 0))

    @property
    def has_voters(self) -> bool:
        """True if any vote has a voter."""
        return bool((self.voter != -1).any())

    def without_repeats(self, identity: Int64) -> "BattleColumns":
        """Return the first vote of each id, as a board counts votes.

        Args:
            identity: int64[N], equal for equal ids, −1 for a vote without an id.
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
        kept = earlier == np.arange(len(self))
        used, codes = np.unique(np.stack([self.a[kept], self.b[kept]]), return_inverse=True)
        a, b = codes.reshape(2, -1).astype(np.int32)
        return replace(
            self,
            models=tuple(self.models[code] for code in used.tolist()),
            a=a,
            b=b,
            outcome=self.outcome[kept],
            voter=self.voter[kept],
            groups={name: (labels, codes[kept]) for name, (labels, codes) in self.groups.items()},
            style=(self.style[0][kept], self.style[1][kept]),
            repeated=len(repeat),
            conflicting=int(conflicting.sum()),
        )

    def pair_counts(self) -> PairCounts:
        """Return all votes as `PairCounts`."""
        return PairCounts.from_codes(self.models, *self.codes)
