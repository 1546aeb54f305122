"""Finds models whose answers changed their style: in some weeks they are longer, or have more lists, than in others.

Both answers of a battle have the same prompt. For this test, the answer that has more of a feature, such as lists,
counts as the winner. `ModelPeriods` then finds periods of four weeks in which a model has more, or less, of the feature
than in all its other weeks, given its opponents. Voters choose different prompts, which shifts the results of single
voters. The e-value is an average over the distribution of these shifts, as it is for the tastes of voters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from pipeline.backlog.backlog_votes import BacklogCells, BacklogVotes
from pipeline.backlog.model_periods import PERIOD, ModelPeriods, PeriodFinding, split_periods
from pipeline.backlog.pool_rounds import ALPHA
from pipeline.backlog.voter_habits import FEATURES, LESS
from pipeline.backlog.voter_rounds import Progress, no_progress
from pipeline.backlog.voter_values import VoterEvaluator
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int64
from pipeline.vocabulary.large_arrays import keep, pieces
from pipeline.vocabulary.time import NO_TIME

# No e-value of a feature reaches its bound if no model and period deviates by as many standard errors.
_NEAR = 3.5
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class StyleFinding:
    """A model whose answers have another style in some periods of four weeks than in its other periods.

    Attributes:
        model: number of the model.
        first, end: start and end of one or more successive periods, in microseconds since 1970 UTC.
        style: the style in these periods, compared with the others, such as "longer answers".
        log_e: ln of the e-value of the period that differs most. The null hypothesis is that the style is the same in
            all periods.
        voters: number of voters on the model in the period. With several periods, the largest of their numbers.
        tests: number of tests of this feature of style: one for each model and period.
    """

    model: int
    first: int
    end: int
    style: str
    log_e: float
    voters: int
    tests: int


@dataclass(frozen=True)
class AnswerStyles:
    """Compares the style of a model's answers in a period of four weeks with their style in all other periods.

    Attributes:
        votes: the n votes of the backlog.
        style: int8[n, 5], for each feature 1 if answer a has more of it, −1 if b has more, 0 if equal or unknown.
        progress: called after each pass over the votes.
    """

    votes: BacklogVotes
    style: Int8
    progress: Progress = no_progress

    def find(self, excluded: Bool, alpha: float = ALPHA) -> list[StyleFinding]:
        """Return the models whose style changed, the strongest finding first.

        One finding is returned for each model and feature. If a model differs in several periods, the finding is about
        the latest of these periods. If the style changed only once and long ago, the finding is about the first four
        weeks after the change.

        Args:
            excluded: bool[v], voters whose votes do not count.
            alpha: the tolerated probability of a false finding, over all features.
        """
        found = [
            finding
            for feature in range(len(FEATURES))
            for finding in self._of_feature(feature, excluded, alpha / len(FEATURES))
        ]
        return sorted(found, key=lambda one: -one.log_e)

    def _of_feature(self, feature: int, excluded: Bool, alpha: float) -> list[StyleFinding]:
        sign = self.style[:, feature]
        rows = np.flatnonzero((sign != 0) & (self.votes.at != NO_TIME))
        if not len(rows) or not _may_differ(self.votes.take(rows), sign[rows]):
            return []
        compared = self.votes.take(rows).with_outcomes(keep(np.where(sign[rows] > 0, 0, 1).astype(np.int8)))
        evaluator = VoterEvaluator(compared, BacklogCells.of(compared), None)
        found = ModelPeriods(evaluator, self.progress).find(excluded, alpha)
        return [
            _latest([one for one in found if one.model == model], feature, compared)
            for model in {one.model for one in found}
        ]


def _latest(found: Sequence[PeriodFinding], feature: int, compared: BacklogVotes) -> StyleFinding:
    """Combine the findings about one model to one finding, about the latest periods that differ in one direction.

    If a style changed once and long ago, the findings are about the periods before the change, because most periods
    have the new style. The result is then about the four weeks after these periods, with the new style.

    A style counts as changed if there are votes after the found periods, and if the earlier votes, if there are any,
    have a style nearer to the found periods than the later votes.

    Args:
        found: the findings about one feature of one model.
        feature: position of the feature in `FEATURES`.
        compared: the votes on two answers that differ in the feature. The answer with more of it is the winner.
    """
    periods = sorted(found, key=lambda one: one.first)
    newest = periods[-1]
    run = list(takewhile(lambda one: one.direction == newest.direction, reversed(periods)))
    first, end, voters = run[-1].first, newest.end, max(one.voters for one in run)
    more = newest.direction == "promotes"
    before, within, after = (
        _share(compared, newest.model, *span) for span in ((NO_TIME + 1, first), (first, end), (end, _NEVER))
    )
    if after is not None and within is not None and (before is None or abs(before - within) < abs(before - after)):
        first, end, more = end, end + PERIOD, not more
        voters = len(np.unique(compared.voter[_on(compared, newest.model, first, end)]))
    style = (FEATURES if more else LESS)[feature]
    return StyleFinding(newest.model, first, end, style, max(one.log_e for one in found), voters, newest.tests)


def _share(compared: BacklogVotes, model: int, first: int, end: int) -> float | None:
    """Return the share of wins in a model's battles in [first, end), times as for `_on`; None without battles."""
    rows = _on(compared, model, first, end)
    won = compared.outcome[rows] == np.where(compared.model_a[rows] == model, 0, 1)
    return float(won.mean()) if len(rows) else None


def _on(compared: BacklogVotes, model: int, first: int, end: int) -> Int64:
    """Return the positions of the votes on a model that were cast in [first, end), in microseconds since 1970 UTC."""
    at = compared.at
    return np.flatnonzero((at >= first) & (at < end) & ((compared.model_a == model) | (compared.model_b == model)))


def _may_differ(votes: BacklogVotes, sign: Int8) -> bool:
    """Return whether the test can find a model whose share of answers with more of a feature differs between periods.

    This check is fast. If it returns false, the test, which needs slow fits, would find nothing. If it returns true,
    the test may still find nothing, because the check takes votes as independent and opponents as equal.

    Args:
        votes: n votes on two answers that differ in the feature.
        sign: int8[n], 1 if answer a has more of the feature, −1 if b has.
    """
    period, start, _ = split_periods(votes.at)
    count = len(start)
    if count < 2:
        return False
    size = votes.models * count
    more, answers = np.zeros(size), np.zeros(size)
    for model, winner in ((votes.model_a, 1), (votes.model_b, -1)):
        for piece in pieces(len(sign)):
            side = model[piece].astype(np.int64) * count + period[piece]
            more += np.bincount(side, sign[piece] == winner, size)
            answers += np.bincount(side, minlength=size)
    return bool((_deviations(more, answers, count) >= _NEAR).any())


def _deviations(more: Float64, answers: Float64, periods: int) -> Float64:
    """Return float64[M, p]: how far a model's share in a period is from its share in all other periods.

    The share is the part of the model's answers that have more of the feature than the opponent's answer. The distance
    is in standard errors.

    Args:
        more: float64[M · p], for each model and period the number of answers with more of the feature.
        answers: float64[M · p], for each model and period the number of answers that were compared.
        periods: p, the number of periods.
    """
    more, answers = more.reshape(-1, periods), answers.reshape(-1, periods)
    rest_more, rest = (one.sum(axis=1, keepdims=True) - one for one in (more, answers))
    both = np.maximum(answers.sum(axis=1, keepdims=True), 1)
    share = more.sum(axis=1, keepdims=True) / both
    error = np.sqrt(np.maximum(share * (1 - share), 1e-9) * (1 / np.maximum(answers, 1) + 1 / np.maximum(rest, 1)))
    apart = np.abs(more / np.maximum(answers, 1) - rest_more / np.maximum(rest, 1)) / error
    return np.where((answers > 0) & (rest > 0), apart, 0.0)
