"""Counts votes by pair of models and outcome, the sufficient statistic of a Bradley-Terry fit.

Counts are exact integers, so votes that are counted in portions and then merged give the same result as votes
that are counted together. A tie and a "both bad" are half a win for each side (`win_matrix`). The constructors `from_…`
return sorted pairs with a < b, each pair once, and no pair without votes.

Not handled: voters, times and style features (`battle_columns`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int32, Int64
from ..vocabulary.outcomes import OUTCOMES
from . import validation
from .encoding import CodedColumn, encode_columns
from .pair_sums import add_to_matrix, count_by_pair, merge_unordered_pairs

_COLUMNS = ("wins_a", "wins_b", "ties", "both_bad")


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """The number of votes for each of P pairs of models, by outcome.

    Attributes:
        models: names of the K models; a code is a position in this tuple. A model may have no votes.
        a: int32[P], code of the first model of each pair.
        b: int32[P], code of the second model of each pair.
        wins_a: int64[P], number of votes for a.
        wins_b: int64[P], number of votes for b.
        ties: int64[P], number of votes with the outcome `tie`.
        both_bad: int64[P], number of votes with the outcome `both_bad`.

    Raises:
        BadCounts: a number is negative, fractional or missing, columns differ in length, a code is out of range, or a
            model is paired with itself. The message names the pair and the row.
    """

    models: tuple[str, ...]
    a: Int32
    b: Int32
    wins_a: Int64
    wins_b: Int64
    ties: Int64
    both_bad: Int64

    def __post_init__(self) -> None:
        names = validation.model_names(self.models)
        a, b = (validation.codes(values, what, len(names)) for what, values in (("a", self.a), ("b", self.b)))
        if a.shape != b.shape:
            raise BadCounts(f"expected a and b of one length, got {len(a)} and {len(b)}")
        validation.refuse_self_pairs(a, b, names)
        columns = {what: validation.counts(getattr(self, what), what, names, a, b) for what in _COLUMNS}
        votes = sum(float(column.sum(dtype=np.float64)) for column in columns.values())
        if votes > validation.MOST_VOTES:
            raise BadCounts(f"expected at most 2^53 votes, got {votes:.4g}")
        for what, value in {"models": names, "a": a, "b": b, **columns}.items():
            object.__setattr__(self, what, value)

    @classmethod
    def from_rows(
        cls, models: Sequence[str], a: npt.ArrayLike, b: npt.ArrayLike, outcome_counts: npt.ArrayLike
    ) -> PairCounts:
        """Add up a table of counts whose rows are in any order; a pair may have several rows.

        Args:
            models: K names.
            a: code of the first model of each row.
            b: code of the second model of each row.
            outcome_counts: [rows, 4], number of votes by outcome, in the order of `OUTCOMES`.

        Raises:
            BadCounts: a number is negative, fractional or missing, columns differ in length, a code is out of range, or
                a model is paired with itself. The message names the pair and the row.
        """
        table = np.asarray(outcome_counts)
        if table.ndim != 2 or table.shape[1] != len(OUTCOMES):
            raise BadCounts(f"expected outcome_counts of shape (P, 4), got {table.shape}")
        given = cls(tuple(models), np.asarray(a), np.asarray(b), *table.T)
        return _canonical(given.models, given.a, given.b, given.table())

    @classmethod
    def from_codes(
        cls, models: Sequence[str], a: npt.ArrayLike, b: npt.ArrayLike, outcome: npt.ArrayLike
    ) -> PairCounts:
        """Count N votes that are given as integer codes of the two models and of the outcome.

        Args:
            models: K names.
            a, b: N codes each, the two models of each vote.
            outcome: N codes, positions in `OUTCOMES`.

        Raises:
            BadCounts: a code is out of range or a model meets itself. The message names the row.
        """
        names = validation.model_names(models)
        left, right = validation.codes(a, "a", len(names)), validation.codes(b, "b", len(names))
        result = validation.codes(outcome, "outcome", len(OUTCOMES))
        if not left.shape == right.shape == result.shape:
            raise BadCounts(f"expected one length, got {len(left)} a, {len(right)} b, {len(result)} outcome")
        axis, outcomes = np.arange(len(names), dtype=np.int32), np.arange(len(OUTCOMES), dtype=np.int32)
        return _counted(names, CodedColumn(axis, left), CodedColumn(axis, right), CodedColumn(outcomes, result))

    @classmethod
    def from_labels(cls, model_a: Iterable[Any], model_b: Iterable[Any], winner: Iterable[Any]) -> PairCounts:
        """Count N votes that are given as text. The `models` of the result are the sorted names.

        Args:
            model_a, model_b: N names each, the two models of each vote.
            winner: N outcomes, each one of `OUTCOMES`.

        Raises:
            BadCounts: an outcome is unknown, a name is not text, or a model meets itself. The message names the row.
        """
        return _counted(*encode_columns(model_a, model_b, winner))

    @staticmethod
    def merge(parts: Iterable[PairCounts]) -> PairCounts:
        """Add up pair counts that have the same models in the same order.

        Raises:
            BadCounts: `parts` is empty or its elements have different models.
        """
        every = list(parts)
        if not every:
            raise BadCounts("expected at least one part to merge, got none")
        for place, part in enumerate(every):
            _same_axis(every[0], part, f"part {place}")
        a, b = np.concatenate([p.a for p in every]), np.concatenate([p.b for p in every])
        return _canonical(every[0].models, a, b, np.concatenate([p.table() for p in every]))

    def minus(self, other: PairCounts) -> PairCounts:
        """Return these counts without the votes of `other`, for example all votes without the excluded votes.

        Raises:
            BadCounts: `other` has different models, or has more votes of a pair and outcome than these counts.
        """
        _same_axis(self, other, "other")
        a, b = np.concatenate([self.a, other.a]), np.concatenate([self.b, other.b])
        return _canonical(self.models, a, b, np.concatenate([self.table(), -other.table()]))

    def subset(self, codes: npt.ArrayLike) -> PairCounts:
        """Return the counts of the votes between some models, given by their codes.

        The `models` of the result are only these models, sorted by code.
        """
        kept = np.unique(np.asarray(codes, dtype=np.int64))
        place = np.full(len(self.models), -1)
        place[kept] = np.arange(len(kept))
        rows = (place[self.a] >= 0) & (place[self.b] >= 0)
        names = tuple(self.models[code] for code in kept)
        return _canonical(names, place[self.a[rows]], place[self.b[rows]], self.table()[rows])

    def without_empty_models(self) -> PairCounts:
        """Return the counts without the models in `models` that have no votes. The votes stay the same."""
        battles = self.battles_per_model()
        return self if battles.all() else self.subset(np.flatnonzero(battles))

    def without_models(self, names: Collection[str]) -> PairCounts:
        """Return the counts without the votes on the models in `names`. These models stay in `models`."""
        if not names:
            return self
        kept = np.array([name not in names for name in self.models], dtype=np.bool_)
        rows = kept[self.a] & kept[self.b]
        return _canonical(self.models, self.a[rows], self.b[rows], self.table()[rows])

    def decisive(self) -> PairCounts:
        """Return the counts of the decisive votes. All models stay; pairs without a decisive vote are dropped."""
        none = np.zeros_like(self.ties)
        clear = replace(self, ties=none, both_bad=none)
        return _canonical(clear.models, clear.a, clear.b, clear.table())

    def table(self) -> Int64:
        """Return the number of votes of each pair by outcome: int64[P, 4], columns in the order of `OUTCOMES`."""
        return np.stack([self.wins_a, self.wins_b, self.ties, self.both_bad], axis=1)

    def win_matrix(self) -> Float64:
        """Return float64[K, K]: number of votes for i over j, plus half of the pair's ties and "both bad" votes."""
        return self.decisive_matrix() + self.tie_matrix() / 2

    def decisive_matrix(self) -> Float64:
        """Return float64[K, K]: number of decisive votes for i over j."""
        return add_to_matrix(len(self.models), (self.a, self.b, self.wins_a), (self.b, self.a, self.wins_b))

    def tie_matrix(self) -> Float64:
        """Return float64[K, K], symmetric: number of votes between i and j that have no winner."""
        none = self.ties + self.both_bad
        return add_to_matrix(len(self.models), (self.a, self.b, none), (self.b, self.a, none))

    def battles_per_model(self) -> Int64:
        """Return int64[K], the number of votes on each model, ties included."""
        result = np.zeros(len(self.models), dtype=np.int64)
        votes = self.table().sum(axis=1)
        np.add.at(result, self.a, votes)
        np.add.at(result, self.b, votes)
        return result

    @property
    def total(self) -> int:
        """The number of votes."""
        return int(self.table().sum())

    def tie_share(self) -> float:
        """Return the share of votes that have no winner.

        Raises:
            BadCounts: there are no votes.
        """
        if self.total == 0:
            raise BadCounts("expected at least one vote for a tie share, got none")
        return int(self.ties.sum() + self.both_bad.sum()) / self.total


def _counted(models: tuple[str, ...], a: CodedColumn, b: CodedColumn, outcome: CodedColumn) -> PairCounts:
    """Return the counts of N votes whose codes were checked before."""
    pairs, table = count_by_pair(a, b, outcome, len(models))
    first, second = np.divmod(pairs, max(len(models), 1))
    if (first == second).any():
        validation.refuse_self_pairs(a.codes, b.codes, models)
    return _canonical(models, first, second, table)


def _same_axis(first: PairCounts, other: PairCounts, what: str) -> None:
    if first.models != other.models:
        sizes = f"{len(first.models)} models, got {len(other.models)}"
        raise BadCounts(f"expected {what} on the same axis of {sizes} of another axis")


def _canonical(models: tuple[str, ...], a: npt.NDArray[Any], b: npt.NDArray[Any], table: Int64) -> PairCounts:
    low, high, summed = merge_unordered_pairs(a, b, table, len(models))
    return PairCounts(models, low, high, *summed.T)
