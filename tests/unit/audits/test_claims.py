"""Claims: the published table, the tests' own error rates, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audits.claims import (
    AccuracyDrop,
    Score,
    arena_gap,
    benchmark_claim,
    claim_finding,
    drop_of_scores,
    perturbation_gap,
    score_pair,
)
from pipeline.audits.finding import p_to_e_value
from pipeline.errors import BadCounts


@pytest.mark.parametrize(
    ("benchmark", "claimed", "measured", "n", "z", "fires"),
    [
        ("GSM8K", 92.1, 78.8, 1319, 9.9, True),
        ("HumanEval", 74.3, 62.9, 164, 2.2, False),
        ("MMLU", 86.5, 71.2, 14042, 32.0, True),
        ("GSM8K", 78.8, 92.1, 1319, -9.9, False),  # a claim that is too modest is no matter
    ],
)
def test_the_published_claims(benchmark: str, claimed: float, measured: float, n: int, z: float, fires: bool) -> None:
    pair = score_pair(claimed, None, measured, n)
    found = benchmark_claim("m", benchmark, *pair)
    assert found.z == pytest.approx(z, abs=0.06)
    assert found.fires is fires
    finding = claim_finding(found, *pair, "paper", "lab")
    assert (finding is not None) is fires
    if finding is not None:
        assert finding.e_value == p_to_e_value(found.p_value)
        assert f"claimed {claimed}% (paper), measured {measured}%" in finding.what


def test_shares_and_percentages_are_told_apart() -> None:
    assert score_pair(0.5, 10, 0.4, 20) == (Score(0.5, 10), Score(0.4, 20))
    assert score_pair(50, None, 1, 20) == (Score(0.5, 20), Score(0.01, 20))
    with pytest.raises(BadCounts, match=r"got 1\.2"):
        score_pair(120, None, 50, 10)
    with pytest.raises(BadCounts, match="at least one question"):
        score_pair(0.5, None, 0.5, 0)


def test_a_true_claim_fires_in_at_most_one_of_a_hundred() -> None:
    rng = np.random.default_rng(1)
    scores = rng.binomial(500, 0.8, size=(4000, 2)) / 500
    fired = sum(benchmark_claim("m", "b", Score(a, 500), Score(b, 500)).fires for a, b in scores)
    assert fired / 4000 < 0.01


def _drop(before: np.ndarray, after: np.ndarray) -> AccuracyDrop:
    return drop_of_scores(Score(float(before.mean()), len(before)), Score(float(after.mean()), len(after)))


def test_one_model_loses_more_than_its_peers() -> None:
    rng = np.random.default_rng(2)
    before = rng.random((8, 1000)) < 0.8
    loss = np.array([0.05] * 7 + [0.25])  # the last has learnt the questions by heart
    after = before & (rng.random((8, 1000)) > loss[:, None])
    drops = {f"m{i}": _drop(before[i], after[i]) for i in range(8)}
    assert [t.model for t in perturbation_gap("b", drops) if t.fires] == ["m7"]
    with pytest.raises(BadCounts, match="at least three"):
        perturbation_gap("b", {"m0": drops["m0"], "m1": drops["m1"]})


def test_where_all_lose_alike_nobody_stands_out() -> None:
    rng = np.random.default_rng(3)
    fired = 0
    for _ in range(300):
        before = rng.random((6, 400)) < 0.7
        after = before & (rng.random((6, 400)) > 0.1)
        drops = {str(i): _drop(before[i], after[i]) for i in range(6)}
        fired += sum(t.fires for t in perturbation_gap("b", drops))
    assert fired / 1800 < 0.01


def test_training_on_arena_prompts_shows_on_arena_prompts_alone() -> None:
    """The published arena shares of 0, 30 and 70% of the training."""
    arena = [Score(s, 500) for s in (0.235, 0.427, 0.499)]
    other = [Score(s, 14042) for s in (0.665, 0.644, 0.659)]
    for k in (1, 2):
        assert arena_gap("m", "arena", (arena[0], arena[k]), (other[0], other[k])).fires
    # A model that is better everywhere is just better.
    assert not arena_gap("m", "arena", (Score(0.3, 500), Score(0.5, 500)), (Score(0.4, 500), Score(0.6, 500))).fires


def test_a_score_of_all_or_nothing_is_not_certain() -> None:
    assert Score(1.0, 10).variance > 0
    assert not benchmark_claim("m", "b", Score(1.0, 10), Score(0.9, 10)).fires
