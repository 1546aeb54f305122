"""Voters who choose by style, or always press "both bad", are warned of; honest habits are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backlog import BacklogEvaluation, BacklogFindings, BacklogVotes, habit_nulls
from pipeline.backlog.voter_habits import LEAST_VOTES, HabitColumns
from tests.streams.habits import RULES, HabitSpec, HabitVotes, make_habits

SPEC = HabitSpec(votes=20_000, seed=1)


def evaluate(made: HabitVotes) -> tuple[BacklogVotes, BacklogFindings]:
    given = BacklogVotes.from_columns(
        SPEC.models, made.voter, made.model_a, made.model_b, made.outcome, made.at.astype(np.int64)
    )
    habits = HabitColumns(made.style[given.row], made.outcome[given.row] == 3)
    return given, BacklogEvaluation(given, b"key", habits=habits).run()


@pytest.mark.long
def test_attackers_who_choose_by_one_rule_are_named_with_their_habit() -> None:
    made = make_habits(SPEC, dict.fromkeys(RULES, 4), each=120)
    given, found = evaluate(made)
    named = {int(given.names[one.voter]): one for one in found.habits}
    words = {"longer": "longer answers", "shorter": "shorter answers", "lists": "more lists", "emoji": "more emoji",
             "both bad": "both answers are bad"}  # fmt: skip
    for rule in RULES:
        mine = [named[voter] for voter, own in made.rule.items() if own == rule and voter in named]
        assert len(mine) >= 3, rule
        assert all(words[rule] in one.habit for one in mine), rule
        assert all(one.votes >= LEAST_VOTES and one.expected < one.hits <= one.votes for one in mine)
    assert not set(named) - set(made.rule)


@pytest.mark.long
@pytest.mark.parametrize("tails", [0, 4])
def test_honest_habits_are_not_named(tails: int) -> None:
    _, found = evaluate(make_habits(replace(SPEC, seed=7, tails=tails, style_sd=0.5, bad_sd=1.2)))
    assert len(found.habits) <= 1


def test_the_spread_of_a_habit_is_estimated() -> None:
    rng = np.random.default_rng(3)
    voter = np.repeat(np.arange(3_000), 10)
    for spread in (0.6, 1.2):
        z = rng.normal(0, spread, 3_000)
        chance = 1 / (1 + np.exp(-(z - 1.0)))
        hit = (rng.random(30_000) < chance[voter]).astype(float)
        mean = np.full(30_000, hit.mean())
        assert abs(habit_nulls.habit_spread(voter, hit, mean) - spread) < 0.2


def test_ratios_have_an_expectation_of_at_most_one_for_voters_of_the_mixture() -> None:
    rng = np.random.default_rng(4)
    votes, mean = 60, 0.2
    for spread in (0.5, 1.0):
        z = rng.normal(0, spread, 400_000)
        z[: int(len(z) * habit_nulls.WIDE_SHARE)] *= habit_nulls.WIDE
        shift = np.log(mean / (1 - mean)) * np.sqrt(1 + 0.346 * z.var())
        hits = rng.binomial(votes, 1 / (1 + np.exp(-(z + shift))))
        grid = np.arange(votes + 1)
        chance = np.full(votes + 1, float((1 / (1 + np.exp(-(z + shift)))).mean()))
        ratios = np.exp(habit_nulls.log_ratios(grid, np.full(votes + 1, votes), chance, spread))
        assert ratios[hits].mean() <= 1.05, spread


def test_a_board_without_style_counts_has_no_findings_about_style() -> None:
    made = make_habits(replace(SPEC, votes=6_000), {"longer": 3}, each=120)
    _, found = evaluate(replace(made, style=np.zeros_like(made.style)))
    assert not any("prefers" in one.habit for one in found.habits)
