"""Computes sums over the votes of each pair of models, and over the answers of each model.

Only votes that state style counts are used. `count_styled` counts the votes of each pair by outcome, and sums the
squares of their style contrasts. A style contrast says how much the two answers of a vote differ in one style feature,
such as the number of tokens. A fit under style control needs these sums before it reads the votes again. They determine
which models and features the fit can have.

`sum_answers` sums the style counts of the answers of each model, and their squares. Audits compute the mean and the
standard deviation of each style feature from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.compute.runner import Runner
from pipeline.compute.style_blocks import SIDE
from pipeline.compute.styled_parts import StyledPart, StyledVotes
from pipeline.ratings import STYLE_FEATURES, PairCounts, style_contrast
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.outcomes import OUTCOMES

_OUTCOMES = len(OUTCOMES)


@dataclass(frozen=True, slots=True, eq=False)
class StyleCounts:
    """For each pair of K models: sums over the pair's votes that have style counts.

    Attributes:
        key: int64[P], low·K + high for the codes of the two models of each pair, ascending.
        outcomes: int64[P, 4], number of votes by outcome. The model with the lower code counts as model_a.
        squares: float64[P, 5], Σ z² over the votes of each pair, for each style feature. z is the contrast of the
            feature between the two answers of a vote (`ratings.style_contrast`).
    """

    key: Int64
    outcomes: Int64
    squares: Float64

    def plus(self, other: StyleCounts) -> StyleCounts:
        """Return the sums over the votes of both objects, which have the same axis."""
        key = np.union1d(self.key, other.key)
        outcomes, squares = np.zeros((len(key), _OUTCOMES), dtype=np.int64), np.zeros((len(key), SIDE))
        for one in (self, other):
            at = np.searchsorted(key, one.key)
            outcomes[at] += one.outcomes
            squares[at] += one.squares
        return StyleCounts(key, outcomes, squares)

    def pair_counts(self, models: Sequence[str]) -> PairCounts:
        """Return the votes as pair counts; `models` are the names of the K models of the axis."""
        low, high = np.divmod(self.key, max(len(models), 1))
        return PairCounts.from_rows(tuple(models), low, high, self.outcomes)

    def squares_of(self, kept: Int64, size: int) -> Float64:
        """Return the sum of the squared style contrasts (`squares`) over the votes between some of the models.

        Args:
            kept: int64, codes of these models. A vote counts if both of its models are among them.
            size: K, the number of all models.

        Returns:
            float64[5], one sum for each style feature.
        """
        low, high = np.divmod(self.key, max(size, 1))
        total: Float64 = self.squares[np.isin(low, kept) & np.isin(high, kept)].sum(axis=0)
        return total


NOTHING = StyleCounts(np.zeros(0, np.int64), np.zeros((0, _OUTCOMES), np.int64), np.zeros((0, SIDE)))


def count_styled(votes: StyledVotes, place: Int64, size: int, runner: Runner) -> StyleCounts:
    """Compute the sums over the votes of each pair of models and over the answers of each model.

    Args:
        votes: the votes.
        place: int64, number of a model (model_no) → its code on an axis of models.
        size: K, the number of models of the axis.
        runner: runs the counting of each part.
    """
    total = NOTHING
    for one in runner.map(partial(count_part, place=place, size=size), votes.parts()):
        total = total.plus(one)
    return total


def count_part(part: StyledPart, place: Int64, size: int) -> StyleCounts:
    """Count the votes of a part.

    Args:
        part: the part of the log, which this call reads.
        place: int64, number of a model (model_no) → its code on an axis of models.
        size: K, the number of models of the axis.
    """
    votes = part.read()
    a, b, outcome = place[votes["model_a"]], place[votes["model_b"]], votes["outcome"]
    outcome = np.where((a > b) & (outcome < 2), 1 - outcome, outcome)
    key, row = _numbered(np.minimum(a, b) * size + np.maximum(a, b), size * size)
    outcomes = np.bincount(row * _OUTCOMES + outcome, minlength=len(key) * _OUTCOMES).reshape(-1, _OUTCOMES)
    z = style_contrast(list(votes["style"][:, :SIDE].T), list(votes["style"][:, SIDE:].T), STYLE_FEATURES)
    squares = np.zeros((len(key), SIDE))
    for at in range(SIDE):
        squares[:, at] = np.bincount(row, z[:, at] ** 2, len(key))
    return StyleCounts(key, outcomes.astype(np.int64), squares)


def _numbered(keys: Int64, end: int) -> tuple[Int64, Int64]:
    """Return the distinct keys, ascending, and the position of each key among them. All keys are below `end`."""
    if end > 4 * len(keys):
        found, row = np.unique(keys, return_inverse=True)
        return found, row.ravel().astype(np.int64)
    found = np.flatnonzero(np.bincount(keys, minlength=end))  # a third of the time of sorting
    place = np.zeros(end, dtype=np.int64)
    place[found] = np.arange(len(found))
    return found, place[keys]


@dataclass(frozen=True, slots=True, eq=False)
class AnswerSums:
    """Sums over the answers of M models, for the mean and the variance of each style count.

    Attributes:
        answers: int64[M], number of answers of each model.
        sums, squares: float64[M, 5], Σx and Σx² over the answers, where x is the number of tokens, headers, lists, bold
            passages or emoji.
    """

    answers: Int64
    sums: Float64
    squares: Float64


def sum_answers(votes: StyledVotes, models: Int64, runner: Runner) -> AnswerSums:
    """Sum the style counts of the answers of some models, and their squares.

    Args:
        votes: the votes.
        models: int64[M], model numbers (model_no), ascending.
        runner: runs the summing of each part.
    """
    size = len(models)
    total = AnswerSums(np.zeros(size, dtype=np.int64), np.zeros((size, SIDE)), np.zeros((size, SIDE)))
    for one in runner.map(partial(sum_part, models=models), votes.parts()):
        total = AnswerSums(total.answers + one.answers, total.sums + one.sums, total.squares + one.squares)
    return total


def sum_part(part: StyledPart, models: Int64) -> AnswerSums:
    """Read a part of the log, and sum the style counts of its answers.

    Args:
        part: the part of the log.
        models: int64[M], model numbers (model_no), ascending. Answers of other models are ignored.
    """
    votes, size = part.read(), len(models)
    answers, sums, squares = np.zeros(size, dtype=np.int64), np.zeros((size, SIDE)), np.zeros((size, SIDE))
    for side, half in (("model_a", votes["style"][:, :SIDE]), ("model_b", votes["style"][:, SIDE:])):
        rows = np.isin(votes[side], models)
        code = np.searchsorted(models, votes[side][rows])
        answers += np.bincount(code, minlength=size)
        for k in range(SIDE):
            x = half[rows, k].astype(np.float64)
            sums[:, k] += np.bincount(code, weights=x, minlength=size)
            squares[:, k] += np.bincount(code, weights=x**2, minlength=size)
    return AnswerSums(answers, sums, squares)
