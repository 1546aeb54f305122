"""Measures power and false findings of the tests for cohorts and habits, for the part `groups` of `bench evidence`.

Both tests are parts of the evaluation of a backlog. For cohorts, 100 accounts cast one or two votes each for one model.
They vote among 12,000 honest votes in 200 networks; one honest account in ten has an unknown age. For habits, some
voters choose the longer answer, or press "both bad", in nineteen of twenty votes. Some of the honest voters decide up
to a third of their votes by length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.backlog import BacklogEvaluation, BacklogFindings, BacklogVotes, cohorts
from pipeline.backlog.voter_habits import HabitColumns
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.backlog_stream import MODELS, BacklogStream, make_stream
from pipeline.vocabulary.arrays import Int8, Int64

_HONEST, _NETWORKS, _UNKNOWN = 12_000, 200, 0.1
# The level of each kind of cohorts in the first nightly run.
_ALPHA = 0.01
_RULES, _EACH = 5, 150
# How a voter's share of votes that are decided by length is spread, and how readily "both bad" is pressed.
_BY_LENGTH, _LENGTH_SD, _BOTH_BAD, _BAD_SD = 0.06, 0.1, -2.0, 0.9


def groups(scale: float = 1.0) -> Iterator[AccuracyFigure]:
    """Measure power and false findings of the tests for cohorts and habits, and yield each figure.

    Args:
        scale: the number of simulated boards as a fraction of the full number.
    """
    boards = max(round(6 * scale), 1)
    for each in (1, 2):
        attacks = [make_stream(4_000 + seed, _HONEST, "target only", 100 // each, each) for seed in range(boards)]
        for kind, what in ((cohorts.NETWORK, "of one network"), (cohorts.AGE, "of unknown age")):
            named = sum(_names_target(one, _cohorts(one, kind)) for one in attacks) / boards
            least = 0.95 if kind == cohorts.NETWORK else None
            yield AccuracyFigure(f"100 votes {what}, {each} an account: target named", named, "of runs", at_least=least)
    clean = [make_stream(4_500 + seed, _HONEST) for seed in range(boards)]
    false = sum(len(some) for one in clean for kind in (cohorts.NETWORK, cohorts.AGE)
                for some in _cohorts(one, kind).groups.values())  # fmt: skip
    yield AccuracyFigure("honest boards: cohorts named", float(false), f"in {boards} boards", at_most=0)
    yield from _habits(boards)


def _cohorts(stream: BacklogStream, kind: str) -> BacklogFindings:
    votes = stream.votes()
    draw = np.random.default_rng([len(votes.names), 1])
    weight = np.arange(1, _NETWORKS + 1) ** -0.9
    network = draw.choice(_NETWORKS, len(votes.names), p=weight / weight.sum()) + 2
    unknown = draw.random(len(votes.names)) < _UNKNOWN
    group = network if kind == cohorts.NETWORK else np.where(unknown, 1, 2 + network % (len(cohorts.AGE_NAMES) - 1))
    group[stream.attackers] = 1
    cohort = cohorts.Cohorts(kind, group[votes.voter].astype(np.int32))
    return BacklogEvaluation(votes, b"bench", cohorts=[cohort], alpha=_ALPHA).run()


def _names_target(stream: BacklogStream, found: BacklogFindings) -> bool:
    named = [(one.model, one.direction) for some in (found.pools, *found.groups.values()) for one in some]  # type: ignore[attr-defined]
    return (stream.target, "promotes") in named


def _habits(boards: int) -> Iterator[AccuracyFigure]:
    """Measure for how many of the voters with a habit, and of the honest voters, a warning is raised."""
    named, false, voters = np.zeros(2), 0, 0
    for seed in range(boards):
        votes, habits, rule = _board_of_habits(seed)
        found = BacklogEvaluation(votes, b"bench", habits=habits).run().habits
        of_rule = rule[[one.voter for one in found]]
        named += [int((of_rule == 1).sum()), int((of_rule == 2).sum())]
        false, voters = false + int((of_rule == 0).sum()), voters + int((rule == 0).sum())
    for number, what in zip(named.tolist(), ("prefers longer answers", 'presses "both bad"'), strict=True):
        yield AccuracyFigure(f"{what}, {_EACH} votes: warned", number / (boards * _RULES), "of voters", at_least=0.85)
    yield AccuracyFigure("honest voters warned of a habit", false / voters, "of voters", at_most=0.01)


def _board_of_habits(seed: int) -> tuple[BacklogVotes, HabitColumns, Int64]:
    """Simulate a board with habits.

    Returns:
        The votes; their columns for the test of habits; and int64[voters], the habit of each voter: 0 for none, 1 for
        the longer answer, 2 for "both bad".
    """
    stream = make_stream(4_800 + seed, _HONEST, "random clicks", 2 * _RULES, _EACH)
    draw = np.random.default_rng([seed, 2])
    votes = stream.votes()
    rule = np.zeros(len(votes.names), dtype=np.int64)
    rule[stream.attackers] = 1 + np.arange(2 * _RULES) % 2
    own, n, people = rule[votes.voter], len(votes.voter), len(rule)
    style: Int8 = draw.integers(-1, 2, (n, 5)).astype(np.int8)
    by_length = np.where(own == 1, 0.95, draw.normal(_BY_LENGTH, _LENGTH_SD, people)[votes.voter])
    decides = (draw.random(n) < np.abs(by_length)) & (style[:, 0] != 0) & (own != 2)
    chosen = np.where((style[:, 0] > 0) == (by_length > 0), 0, 1)
    readiness = draw.normal(_BOTH_BAD, _BAD_SD, people)[votes.voter]
    both_bad = draw.random(n) < np.where(own == 2, 0.95, 1 / (1 + np.exp(-readiness)))
    both_bad &= ~decides
    outcome = np.where(both_bad, 3, np.where(decides, chosen, votes.outcome))
    again = BacklogVotes.from_columns(
        MODELS, votes.names[votes.voter], votes.model_a, votes.model_b, outcome, votes.at, votes.network
    )
    return again, HabitColumns(style[again.row], both_bad[again.row]), rule
