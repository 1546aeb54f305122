"""Finds voters with a habit that honest voters do not have: they prefer one style of answers, or press "both bad".

The habit of style is measured on decided votes whose two answers differ in one feature: length, headers, lists, bold or
emoji. The habit is how often the voter prefers the answer that has more of the feature, or less. The expected chance
follows from the strengths of the two models, shifted by the preference of all other voters. The habit of "both bad" is
how often the voter presses this button, compared with how often others press it for the two models. Pressing it rarely
or never is no evidence, because honest voters may do so.

A voter's e-value is the weighted average of the e-values of the two habits; the null hypothesis is an honest voter. The
e-value of style is the weighted average over features and directions. All chances come from voters of other folds.
`habit_nulls` has the ratios. The e-values lead to warnings only, since it is measured and not proved that honest habits
are no more extreme than assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from pipeline.backlog import habit_nulls
from pipeline.backlog.backlog_votes import TIED, BacklogVotes
from pipeline.evidence import Reference
from pipeline.evidence.honest_reference import CHANCE_UNIT
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int32, Int64
from pipeline.vocabulary.large_arrays import keep, new_large, pieces

FEATURES = ("longer answers", "answers with more headers", "answers with more lists", "answers with more bold text",
            "answers with more emoji")  # fmt: skip
"""Texts for answers with more of each feature of style, in the order of the columns of `HabitColumns.style`."""

LESS = ("shorter answers", "answers with fewer headers", "answers with fewer lists", "answers with less bold text",
        "answers with fewer emoji")  # fmt: skip
"""Texts for answers with less of each feature of style, in the order of FEATURES."""

BOTH_BAD = "both answers are bad"

LEAST_VOTES = 15
"""A habit of a voter is tested only if at least this many of the voter's votes could show the habit."""

FOUND_AT = 100.0
"""A voter with at least this e-value is reported."""

SUSPECT_AT = 10.0
"""The e-value from which a voter's votes are left out of the estimates by which the other voters are tested."""

_STYLE_WEIGHT = 0.7
_FEATURE_WEIGHTS = (0.4, 0.1, 0.2, 0.1, 0.2)
_SIDE_WEIGHTS = (0.7, 0.3)
# The habits of a voter with many votes count no more than this in the estimates about all voters.
_CAP = 6
_MOST_ROUNDS = 5
_STEPS = 8
_RIDGE = 1.0
# ln of the smallest upper bound for which the ratios are computed.
_NEAR = np.log(2.0)
_MAX_LOG = 600.0


@dataclass(frozen=True)
class HabitColumns:
    """The columns of the n votes of a backlog from which habits are evaluated.

    Attributes:
        style: int8[n, 5], for each feature 1 if answer a has more of it, −1 if b has more, 0 if equal or unknown.
        both_bad: bool[n], whether the voter pressed "both are bad".
    """

    style: Int8
    both_bad: Bool


@dataclass(frozen=True)
class HabitFinding:
    """A voter who shows a habit more often than honest voters do.

    Attributes:
        voter: integer that identifies the voter.
        habit: the habit that explains the votes best, as a part of a sentence: "prefers longer answers".
        e_value: the e-value of the voter, over all habits.
        votes: number of votes that could show the habit.
        hits: number of these votes that showed it.
        expected: the expected number of hits if the voter had no habit.
    """

    voter: int
    habit: str
    e_value: float
    votes: int
    hits: int
    expected: float


@dataclass(frozen=True)
class _Tested:
    """The evidence of t voters for one habit.

    Attributes:
        habit: the habit.
        weight: weight of the habit in a voter's e-value.
        voter: int64[t], the voters, ascending.
        votes, hits: int64[t], how many of the voter's votes could show the habit, and how many show it.
        expected: float64[t], the expected number of `hits` if the voter were like all others.
        e_value: float64[t], the e-value of each voter for this habit.
    """

    habit: str
    weight: float
    voter: Int64
    votes: Int64
    hits: Int64
    expected: Float64
    e_value: Float64


@dataclass(frozen=True)
class VoterHabits:
    """Finds voters who prefer one style of answers, or press "both bad", more often than honest voters do.

    Attributes:
        votes: the votes of the backlog.
        columns: the style of the answers and the "both bad" presses in these votes.
        fold: int8[v], the fold of each voter.
    """

    votes: BacklogVotes
    columns: HabitColumns
    fold: Int8

    def find(self, references: Sequence[Reference | None], excluded: Bool) -> list[HabitFinding]:
        """Return the voters with an e-value of at least FOUND_AT, the strongest first.

        Voters who are far from all others would make honest voters seem to differ more in a habit than they do. So the
        voters with an e-value of at least SUSPECT_AT do not count in the estimates of the next round. The rounds end
        when these voters stay the same, or after five rounds.

        Args:
            references: the reference of each fold, fitted on the other folds; None for a fold that cannot be evaluated.
            excluded: bool[v], voters who count neither in the estimates nor in the findings.
        """
        suspects = excluded
        for _ in range(_MOST_ROUNDS):
            tested = [
                one
                for k, reference in enumerate(references)
                if reference is not None
                for one in self._tested(reference, (self.fold == k) & ~excluded, (self.fold != k) & ~suspects)
            ]
            total = np.zeros(len(self.votes.names))
            for one in tested:
                total[one.voter] += one.weight * one.e_value
            before, suspects = suspects, suspects | (total >= SUSPECT_AT)
            if np.array_equal(before, suspects):
                break
        return self._findings(tested, total)

    def _findings(self, tested: Sequence[_Tested], total: Float64) -> list[HabitFinding]:
        """Return the voters whose e-value `total` reaches FOUND_AT, each with the habit that adds most to `total`."""
        best: dict[int, tuple[float, HabitFinding]] = {}
        for one in tested:
            for i in np.flatnonzero(total[one.voter] >= FOUND_AT).tolist():
                v, part = int(one.voter[i]), one.weight * float(one.e_value[i])
                if part > best.get(v, (0.0, None))[0]:
                    e, votes, hits = float(total[v]), int(one.votes[i]), int(one.hits[i])
                    best[v] = part, HabitFinding(v, one.habit, e, votes, hits, float(one.expected[i]))
        return sorted((found for _, found in best.values()), key=lambda found: (-found.e_value, found.voter))

    def _tested(self, reference: Reference, own: Bool, others: Bool) -> Iterator[_Tested]:
        votes = self.votes
        i, j = (_positions(reference, model) for model in (votes.model_a, votes.model_b))
        rated = (i >= 0) & (j >= 0)
        known, mine = rated & others[votes.voter] & (votes.votes_before < _CAP), rated & own[votes.voter]
        yield from self._both_bad(i, j, len(reference.theta), known, mine)
        for feature, weight in enumerate(_FEATURE_WEIGHTS):
            shows = (self.columns.style[:, feature] != 0) & (votes.outcome != TIED)
            if (shows & known).any() and (shows & mine).any():
                yield from self._style(feature, weight * _STYLE_WEIGHT, reference, (i, j), shows & known, shows & mine)

    def _style(
        self, feature: int, weight: float, reference: Reference, models: tuple[Int32, Int32], known: Bool, mine: Bool
    ) -> Iterator[_Tested]:
        votes, theta = self.votes, reference.theta
        more_a = self.columns.style[:, feature] > 0
        hit = (votes.outcome == 0) == more_a
        first, other = np.where(more_a, models[0], models[1]), np.where(more_a, models[1], models[0])
        rows = np.flatnonzero(known)
        plain, told = theta[first[rows]] - theta[other[rows]], hit[rows].astype(float)
        shift, error = _shift(plain, told)
        spread = habit_nulls.habit_spread(votes.voter[rows].astype(np.int64), told, expit(plain + shift))
        rows = np.flatnonzero(mine)
        first, other, hit = first[rows], other[rows], hit[rows]
        for names, told, high, moved, side in (
            (FEATURES, hit, reference.high_chances[first, other], shift, _SIDE_WEIGHTS[0]),
            (LESS, ~hit, reference.high_chances[other, first], -shift, _SIDE_WEIGHTS[1]),
        ):
            chance = expit(logit(np.clip(high * CHANCE_UNIT, 1e-9, 1 - 1e-9)) + moved + 2 * error)
            yield _test(f"prefers {names[feature]}", weight * side, votes.voter[rows], told, chance, spread)

    def _both_bad(self, i: Int32, j: Int32, size: int, known: Bool, mine: Bool) -> Iterator[_Tested]:
        pressed, voter = self.columns.both_bad, self.votes.voter
        rows = np.flatnonzero(known)
        if not pressed[rows].any() or pressed[rows].all() or not mine.any():
            return
        logits = _pair_logits(i[rows], j[rows], pressed[rows], size)
        told, whose = keep(pressed[rows].astype(float)), keep(voter[rows].astype(np.int64))
        spread = habit_nulls.habit_spread(whose, told, habit_nulls.pair_chances(logits, i, j, rows))
        rows = np.flatnonzero(mine)
        chance = habit_nulls.pair_chances(logits, i, j, rows)
        yield _test(f"says too often that {BOTH_BAD}", 1 - _STYLE_WEIGHT, voter[rows], pressed[rows], chance, spread)


def _positions(reference: Reference, models: Int32) -> Int32:
    """Return int32[n], the position in the reference of each model, −1 for a model that it lacks."""
    found = new_large((len(models),), np.int32)
    for piece in pieces(len(models)):
        found[piece] = reference.index_of(models[piece].astype(np.int64))
    return found


def _test(habit: str, weight: float, voter: np.ndarray, hit: Bool, chance: Float64, spread: float) -> _Tested:
    """Compute each voter's e-value for one habit. Voters with few votes or too little evidence are left out.

    Args:
        habit: name of the habit.
        weight: weight of the habit in the voter's e-value.
        voter: int[n], the voter of each vote, ascending.
        hit: bool[n], whether each vote shows the habit.
        chance: float64[n], the chance that the same vote of an average voter shows the habit.
        spread: the standard deviation over honest voters of the logit of showing the habit.
    """
    numbers, first = np.unique(voter, return_index=True)
    count = np.diff(np.append(first, len(voter)))
    hits, expected = (np.add.reduceat(x, first) for x in (hit.astype(np.int64), chance))
    upper = habit_nulls.upper_logs(hits, count, expected / count)
    near = (count >= LEAST_VOTES) & (upper > _NEAR)
    numbers, count, hits, expected = numbers[near], count[near], hits[near], expected[near]
    e = np.exp(np.minimum(habit_nulls.log_ratios(hits, count, expected / count, spread), _MAX_LOG))
    return _Tested(habit, weight, numbers.astype(np.int64), count, hits, expected, e)


def _shift(logits: Float64, hit: Float64) -> tuple[float, float]:
    """Fit one shift that is added to all logits. Return the shift and its standard error.

    Args:
        logits: float64[n], predicted logit of the habit in each vote.
        hit: float64[n], 1 if the vote shows the habit, else 0.
    """
    shift, weight = 0.0, 1.0
    for _ in range(_STEPS):
        p = expit(logits + shift)
        weight = float((p * (1 - p)).sum()) + _RIDGE
        shift += float(np.clip((float((hit - p).sum()) - _RIDGE * shift) / weight, -1, 1))
    return shift, weight**-0.5


def _pair_logits(i: Int32, j: Int32, hit: Bool, size: int) -> Float64:
    """Estimate the logit of the chance of "both bad" for each pair of models. Returns float64[size, size].

    The logit is a constant plus one term for each of the two models. A ridge penalty draws the terms of models with few
    votes towards 0.

    Args:
        i, j: int32[n], the two models of each vote.
        hit: bool[n], whether the vote is "both bad".
        size: number of models.
    """
    code = np.minimum(i, j).astype(np.int64) * size + np.maximum(i, j)
    votes, hits = (np.bincount(code, x, size * size).reshape(size, size) for x in (np.ones(len(code)), hit))
    at = np.nonzero(votes)
    n, k = votes[at], hits[at]
    share = k.sum() / n.sum()
    theta, constant = np.zeros(size), float(logit(np.clip(share, 1e-6, 1 - 1e-6)))
    for _ in range(_STEPS):
        p = expit(constant + theta[at[0]] + theta[at[1]])
        residual, weight = k - n * p, n * p * (1 - p)
        constant += float(np.clip(residual.sum() / max(weight.sum(), 1e-9), -1, 1))
        residual = k - n * expit(constant + theta[at[0]] + theta[at[1]])
        slope = sum(np.bincount(side, residual, size) for side in at) - _RIDGE * theta
        curve = np.zeros((size, size))
        for left in at:
            for right in at:
                np.add.at(curve, (left, right), weight)
        theta = theta + np.clip(np.linalg.solve(curve + _RIDGE * np.eye(size), slope), -1, 1)
    return constant + theta[:, None] + theta[None, :]
