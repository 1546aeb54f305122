"""Computes the sums of a fit under style control over the parts of a log: gradients and information matrices.

Each step of the fit maps the parts. A worker reads a part, sorts its votes by pair, and returns sums by pair, of some
hundred kB. If the engine is threads of this process, the sorted votes of the first parts are kept between the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from pipeline.compute.runner import Runner
from pipeline.compute.style_blocks import SIDE
from pipeline.compute.styled_parts import StyledPart, StyledVotes
from pipeline.ratings import STYLE_FEATURES, PairCounts, style_contrast
from pipeline.ratings.vote_rows import SEPARATION_SLACK, GramBlocks, LikelihoodSums, VoteRows
from pipeline.vocabulary.arrays import Float64, Int64

# Votes whose sorted rows are kept in this process: 48 bytes each.
_KEPT_VOTES = 6_000_000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class FittedAxis:
    """The models and features of a fit, which select the votes that the fit uses.

    Attributes:
        place: int64, number of a model (model_no) → its code among the fitted models, −1 for any other model.
        size: K, the number of fitted models.
        features: positions in STYLE_FEATURES of the F fitted features.
    """

    place: Int64
    size: int
    features: tuple[int, ...]

    def rows(self, part: StyledPart, threads: int | None) -> VoteRows:
        """Read a part of the log, and return its votes between two fitted models, sorted by pair of models.

        Args:
            part: the part of the log.
            threads: number of threads that later sum the rows (`VoteRows.threads`).
        """
        votes = part.read()
        a, b = self.place[votes["model_a"]], self.place[votes["model_b"]]
        fitted = (a >= 0) & (b >= 0)
        style, outcome = votes["style"], votes["outcome"]
        if not fitted.all():
            a, b, style, outcome = a[fitted], b[fitted], style[fitted], outcome[fitted]
        of_a, of_b = (list(style[:, [start + one for one in self.features]].T) for start in (0, SIDE))
        names = [STYLE_FEATURES[one] for one in self.features]
        rows = VoteRows(a, b, outcome, style_contrast(of_a, of_b, names), self.size)
        rows.threads = threads
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class RatedPart:
    """An item over which `Runner.map` runs: a part of the votes, or the part's sorted votes if they were kept.

    Attributes:
        number: position of the part in the log.
        part: the part; None if `kept` is given.
        kept: the sorted votes; None if they were not kept.
        axis: the models and features of the fit.
    """

    number: int
    part: StyledPart | None
    kept: VoteRows | None
    axis: FittedAxis

    @property
    def name(self) -> str:
        """The name of the part in messages."""
        return f"part {self.number} of the votes with style counts" if self.part is None else self.part.name

    @property
    def sent_bytes(self) -> int:
        """About how many bytes must be sent to a worker for this part; 0 if its sorted votes were kept."""
        return 0 if self.part is None else self.part.sent_bytes

    def rows(self, threads: int | None = 1) -> VoteRows:
        """Return the sorted votes of the part: `kept` if given, otherwise the votes of `part`, sorted here.

        Args:
            threads: number of threads that later sum the rows. It is used only if the votes are sorted here.
        """
        return self.kept if self.part is None and self.kept is not None else self.axis.rows(self._given(), threads)

    def _given(self) -> StyledPart:
        if self.part is None:
            raise ValueError("expected a part or its sorted votes, got neither")
        return self.part


class StyleSums:
    """Gives a fit under style control the sums over its votes that it needs (`ratings.vote_rows.SummedVotes`).

    The votes are read part by part for each sum, so they need not fit into memory.

    Attributes:
        low, high: int64[P], the two model codes of each pair, as in `VoteRows`.
        votes: int64[P], number of votes of each pair.

    Args:
        votes: the votes, in parts.
        counts: the votes between the fitted models, counted by pair.
        squares: float64[F], for each feature the sum of its squared contrasts over the votes between fitted models.
        axis: the models and features of the fit.
        runner: runs the summing of each part.
    """

    def __init__(
        self, votes: StyledVotes, counts: PairCounts, squares: Float64, axis: FittedAxis, runner: Runner
    ) -> None:
        self.low, self.high = counts.a.astype(np.int64), counts.b.astype(np.int64)
        self.votes = counts.table().sum(axis=1)
        self._given, self._squares, self._axis, self._runner = votes, squares, axis, runner
        self._kept: dict[int, VoteRows] = {}
        self._left = _KEPT_VOTES if runner.in_process else 0

    def second_moments(self) -> Float64:
        """Return float64[F], the mean square of each feature over all votes."""
        result: Float64 = self._squares / max(int(self.votes.sum()), 1)
        return result

    def sums_at(
        self, theta: Float64, gamma: Float64, weight: Float64, *, information: bool = False, scatter: bool = False
    ) -> LikelihoodSums:
        """Compute the derivatives of the log-likelihood at (θ, γ) in one pass over the parts.

        Args:
            theta: float64[K], strengths of the models.
            gamma: float64[F], coefficients of the features.
            weight: float64[P], must be 1 for each pair.
            information: whether to compute the attribute `information` of the result.
            scatter: whether to compute the attribute `scatter` of the result.

        Returns:
            The first derivatives, and the attributes that were asked for.

        Raises:
            ValueError: a weight is not 1.
        """
        if (weight != 1).any():
            raise ValueError("expected the weight 1 of every vote")
        function = partial(sum_rows, theta=theta, gamma=gamma, information=information, scatter=scatter)
        pairs, features = len(self.low), len(gamma)
        total = LikelihoodSums(
            np.zeros(pairs),
            np.zeros(features),
            _no_blocks(pairs, features) if information else None,
            _no_blocks(pairs, features) if scatter else None,
        )
        keys = self.low * self._axis.size + self.high
        for key, sums in self._map(function):
            at = np.searchsorted(keys, key)
            total.pairs[at] += sums.pairs
            np.add(total.features, sums.features, out=total.features)
            _add(total.information, sums.information, at)
            _add(total.scatter, sums.scatter, at)
        return total

    def separated_along(self, theta: Float64, gamma: Float64) -> bool:
        """Return whether the direction (θ, γ) predicts no vote wrongly; see `VoteRows.separated_along`.

        Args:
            theta: float64[K], the direction of the strengths.
            gamma: float64[F], the direction of the coefficients.
        """
        largest = max(self._map(partial(_largest_along, theta=theta, gamma=gamma)), default=0.0)
        against = partial(_contradicts, theta=theta, gamma=gamma, slack=SEPARATION_SLACK * largest)
        return largest > 0 and not any(self._map(against))

    def _map(self, function: Callable[[VoteRows], Result]) -> Iterator[Result]:
        if self._runner.in_process:
            return self._runner.map(partial(self._apply_and_keep, function), self._items())
        return self._runner.map(partial(_apply, function), self._items())

    def _items(self) -> Iterator[RatedPart]:
        unread = self._given.parts([at for at in range(len(self._given)) if at not in self._kept])
        kept = dict(self._kept)
        for number in range(len(self._given)):
            part = None if number in kept else next(unread)
            yield RatedPart(number, part, kept.get(number), self._axis)

    def _apply_and_keep(self, function: Callable[[VoteRows], Result], item: RatedPart) -> Result:
        rows = item.rows(None)
        size = int(rows.votes.sum())
        if item.kept is None and size <= self._left:
            self._kept[item.number] = rows
            self._left -= size
        return function(rows)


def sum_rows(
    rows: VoteRows, theta: Float64, gamma: Float64, information: bool, scatter: bool
) -> tuple[Int64, LikelihoodSums]:
    """Compute the derivatives of the log-likelihood over the votes of a part.

    Args:
        rows: the votes, sorted by pair.
        theta: float64[K], strengths of the models.
        gamma: float64[F], coefficients of the features.
        information: whether to compute the attribute `information` of the sums.
        scatter: whether to compute the attribute `scatter` of the sums.

    Returns:
        Two values: int64, the key low·K + high of each pair of the part; and the sums.
    """
    ones = np.ones(len(rows.votes))
    sums = rows.sums_at(theta, gamma, ones, information=information, scatter=scatter)
    return rows.low * len(theta) + rows.high, sums


def _apply(function: Callable[[VoteRows], Result], item: RatedPart) -> Result:
    return function(item.rows())


def _largest_along(rows: VoteRows, theta: Float64, gamma: Float64) -> float:
    return rows.largest_along(theta, gamma)


def _contradicts(rows: VoteRows, theta: Float64, gamma: Float64, slack: float) -> bool:
    return rows.contradicts(theta, gamma, slack)


def _no_blocks(pairs: int, features: int) -> GramBlocks:
    return GramBlocks(np.zeros(pairs), np.zeros((features, pairs)), np.zeros((features, features)))


def _add(total: GramBlocks | None, added: GramBlocks | None, at: Int64) -> None:
    if total is None or added is None:
        return
    total.pairs[at] += added.pairs
    total.cross[:, at] += added.cross
    np.add(total.features, added.features, out=total.features)
