"""A leaning is a model that a voter chooses or rejects far more often than honest voters do."""

from __future__ import annotations

import numpy as np

from pipeline.incidents.claims import HABIT, LIFTED, LOWERED, MODEL, Claim
from pipeline.incidents.leanings import aims_behind, find_leanings
from pipeline.vocabulary.outcomes import OUTCOME_CODES

WON_A, WON_B, TIE = (OUTCOME_CODES[name] for name in ("model_a", "model_b", "tie"))


def test_a_voter_leans_to_the_model_that_a_tenth_of_its_votes_are_for() -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 50, 100)
    b = (a + rng.integers(1, 50, 100)) % 50
    outcome = rng.integers(0, 3, 100)
    a[:12], b[:12], outcome[:6], outcome[6:12] = 60, np.arange(12), WON_A, WON_A
    a[6:12], b[6:12], outcome[6:12] = np.arange(6), 60, WON_B
    assert find_leanings(a, b, outcome, 100) == [(60, LIFTED, 0.12)]
    outcome[:6], outcome[6:12] = WON_B, WON_A
    assert find_leanings(a, b, outcome, 100) == [(60, LOWERED, 0.12)]
    outcome[:12] = TIE
    assert find_leanings(a, b, outcome, 100) == []


def test_few_votes_and_small_boards_show_no_leaning() -> None:
    one, two = np.zeros(4, dtype=np.int64), np.ones(4, dtype=np.int64)
    assert find_leanings(one, two, np.full(4, WON_A), 100) == []
    many = np.resize(np.array([0, 1, 2, 3]), 100)
    assert find_leanings(many, (many + 1) % 4, np.full(100, WON_A), 4) == []
    assert find_leanings(one[:0], two[:0], one[:0], 0) == []


def test_votes_without_an_aim_may_follow_any_leaning_and_a_habit_only_one_of_half_of_the_votes() -> None:
    some, most = Claim(MODEL, "a", LIFTED), Claim(MODEL, "b", LOWERED)
    leanings = {some: 0.1, most: 0.5}
    assert aims_behind(Claim(HABIT, "clicks at random"), leanings) == {some, most}
    assert aims_behind(Claim(HABIT, "always votes for the left side"), leanings) == {most}
    assert aims_behind(Claim(MODEL, "c", LIFTED), leanings) == set()
