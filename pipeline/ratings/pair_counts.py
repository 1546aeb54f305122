"""Pair counts: votes by pair of models and outcome, the sufficient statistic of a Bradley-Terry fit.

Laws: sums are exact integers, so any split of the votes merges to the same counts; a tie and a "both bad" are half a
win for each side (`win_matrix`). Every constructor except the class itself returns a < b, sorted, each pair once, no
empty pair.

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
    """Votes by pair of models and outcome.

    Attributes:
        models: the K model names, the axis of the codes; a model may have no votes.
        a: int32[P], code of the first model of each pair.
        b: int32[P], code of the second model.
        wins_a: int64[P], votes for a.
        wins_b: int64[P], votes for b.
        ties: int64[P], votes for neither.
        both_bad: int64[P], votes against both.

    Raises:
        BadCounts: a negative, fractional or missing number, columns of different lengths, a code off the axis, or a
            model against itself; the message names the pair and the row.
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
        """Build from a table of pairs in any order; a pair may have several rows.

        Args:
            models: K names.
            a: P codes.
            b: P codes.
            outcome_counts: [P, 4], columns in the order of `OUTCOMES`.

        Raises:
            BadCounts: as for `PairCounts`.
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
        """Count N votes given as integer codes (outcome: an index into `OUTCOMES`).

        Raises:
            BadCounts: a code off its axis or a model against itself, with its row.
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
        """Count N votes given as text; the models are the sorted names.

        Raises:
            BadCounts: an unknown outcome, a name that is not text, or a model against itself, with its row.
        """
        return _counted(*encode_columns(model_a, model_b, winner))

    @staticmethod
    def merge(parts: Iterable[PairCounts]) -> PairCounts:
        """Add up counts that have the same models in the same order.

        Raises:
            BadCounts: no parts, or parts with different models.
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
            BadCounts: `other` has other models, or more votes of a pair.
        """
        _same_axis(self, other, "other")
        a, b = np.concatenate([self.a, other.a]), np.concatenate([self.b, other.b])
        return _canonical(self.models, a, b, np.concatenate([self.table(), -other.table()]))

    def subset(self, codes: npt.ArrayLike) -> PairCounts:
        """Return the counts of only the models with these codes, and of the votes between them."""
        kept = np.unique(np.asarray(codes, dtype=np.int64))
        place = np.full(len(self.models), -1)
        place[kept] = np.arange(len(kept))
        rows = (place[self.a] >= 0) & (place[self.b] >= 0)
        names = tuple(self.models[code] for code in kept)
        return _canonical(names, place[self.a[rows]], place[self.b[rows]], self.table()[rows])

    def without_models(self, names: Collection[str]) -> PairCounts:
        """Return the counts without votes on these models; `models` stays the same."""
        if not names:
            return self
        kept = np.array([name not in names for name in self.models], dtype=np.bool_)
        rows = kept[self.a] & kept[self.b]
        return _canonical(self.models, self.a[rows], self.b[rows], self.table()[rows])

    def decisive(self) -> PairCounts:
        """Return the counts of only the votes that have a winner."""
        none = np.zeros_like(self.ties)
        clear = replace(self, ties=none, both_bad=none)
        return _canonical(clear.models, clear.a, clear.b, clear.table())

    def table(self) -> Int64:
        """Return the votes of each pair, int64[P, 4], columns in the order of `OUTCOMES`."""
        return np.stack([self.wins_a, self.wins_b, self.ties, self.both_bad], axis=1)

    def win_matrix(self) -> Float64:
        """Return float64[K, K]: votes for i over j, plus half of the pair's ties and "both bad" votes."""
        return self.decisive_matrix() + self.tie_matrix() / 2

    def decisive_matrix(self) -> Float64:
        """Return float64[K, K]: votes for i over j, without ties."""
        return add_to_matrix(len(self.models), (self.a, self.b, self.wins_a), (self.b, self.a, self.wins_b))

    def tie_matrix(self) -> Float64:
        """Return float64[K, K], symmetric: votes between i and j that have no winner."""
        none = self.ties + self.both_bad
        return add_to_matrix(len(self.models), (self.a, self.b, none), (self.b, self.a, none))

    def battles_per_model(self) -> Int64:
        """Return int64[K], battles of each model, ties included."""
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
