"""Baselines: each rule compared with a slow loop from its formula, and with published figures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.evidence import Reference
from pipeline.lab.redteam.baseline_comparison import compare_with_baselines
from pipeline.lab.redteam.baselines import BASELINES, VOTES_USED, outcome_probabilities
from pipeline.scoring.detector_contracts import VoterVotes

THETA = (0.9, 0.0, -1.2)
TIES = 0.3
BOARD = Reference(1, np.arange(3), np.array(THETA), np.zeros((3, 3)), TIES, (3.0, 7.0))
HOUR = 3_600_000_000

Row = tuple[int, int, int, int, int]
pairs = st.sampled_from([(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)])
one = st.tuples(st.integers(0, 2), pairs, st.integers(0, 3), st.integers(0, 5 * HOUR)).map(
    lambda t: (t[0], *t[1], t[2], t[3])
)


def votes_of(rows: list[Row]) -> VoterVotes:
    table = np.array(sorted(rows, key=lambda row: row[0]), dtype=np.int64).reshape(-1, 5)
    voter, a, b, outcome, at = table.T
    place = np.arange(len(table))
    return VoterVotes(voter, np.arange(3), 0, place, at, a, b, outcome.astype(np.int8), place * 0)


def of_voter(rows: list[Row], voter: int) -> list[Row]:
    return [row for row in rows if row[0] == voter][:VOTES_USED]


def probabilities(a: int, b: int) -> tuple[float, float, float]:
    win = 1 / (1 + math.exp(THETA[b] - THETA[a]))
    return (1 - TIES) * win, (1 - TIES) * (1 - win), TIES


def p_value(row: Row) -> float:
    _, a, b, outcome, _ = row
    first, second = min(a, b), max(a, b)
    wins, _, tie = probabilities(first, second)
    if outcome >= 2:
        return wins + tie
    return wins if (a, b)[outcome] == first else 1.0


@given(st.lists(one, max_size=300))
@settings(max_examples=60, deadline=None)
def test_the_rules_equal_a_slow_loop(rows: list[Row]) -> None:
    votes = votes_of(rows)
    scores = {name: rule.score(votes, BOARD) for name, rule in BASELINES.items()}
    for voter in range(3):
        mine = of_voter(rows, voter)
        m, best, sums, least = 0.0, -math.inf, 0.0, 1.0
        for place, row in enumerate(mine, 1):
            m -= math.log(2 * p_value(row))
            best = max(best, m)
            sums -= 2 * math.log(p_value(row))
            if place in (20, 40, 60, 80, 100):
                least = min(least, float(stats.chi2.sf(sums, 2 * place)))
        if mine:
            assert scores["production rule"][voter] == pytest.approx(best, abs=1e-3)
            assert scores["Fisher"][voter] == pytest.approx(1 - 5 * least, abs=1e-3)
        logs = [math.log(probabilities(row[1], row[2])[min(row[3], 2)]) for row in mine]
        mean = [sum(p * math.log(p) for p in probabilities(row[1], row[2])) for row in mine]
        square = [sum(p * math.log(p) ** 2 for p in probabilities(row[1], row[2])) for row in mine]
        spread = sum(s - x**2 for s, x in zip(square, mean, strict=True))
        expected = (sum(mean) - sum(logs)) / math.sqrt(spread) if spread else 0.0
        assert scores["likelihood ratio"][voter] == pytest.approx(expected, abs=1e-9)
        times = [row[4] for row in rows if row[0] == voter]
        most = max((sum(t <= u < t + HOUR for u in times) for t in times), default=0)
        assert scores["30 an hour"][voter] == most


def test_probabilities_are_of_the_model_with_the_lower_number() -> None:
    shown, outcome = outcome_probabilities(votes_of([(0, 0, 2, 0, 0), (1, 2, 0, 1, 0), (2, 2, 0, 3, 0)]), BOARD)
    assert shown[0].tolist() == pytest.approx(shown[1].tolist())
    assert shown[0].tolist() == pytest.approx(probabilities(0, 2))
    assert outcome.tolist() == [0, 0, 2]


def test_a_model_that_the_snapshot_lacks_is_no_evidence() -> None:
    for name in ("production rule", "Fisher", "likelihood ratio"):
        votes = votes_of([(0, 0, 9, 0, k) for k in range(60)])
        assert not BASELINES[name].flags(votes, BOARD)[0], name


@pytest.mark.long
def test_voter_bias_finds_voters_for_one_model_and_the_baselines_do_not() -> None:
    # As published: rules that look for unusual voters miss voters who are unusual about one model alone.
    found = {peer.voters: peer for peer in compare_with_baselines(voters=60, seed=4)}
    honest, target = found["honest"], found["target only at 20%, normal"]
    assert honest.ours[0] <= 0.01
    assert target.ours[0] >= 0.65  # of voters with a hundred votes, twenty of them on the target; by 200 votes all
    for name in BASELINES:
        assert honest.fixed[name] <= 0.011
        assert target.fixed[name] <= 0.5
        assert target.fixed[name] < target.ours[0]
    assert found["omnidirectional"].published["likelihood ratio"] == 1.0
    assert found["random clicks"].published["production rule"] <= 0.2  # published: one tenth
