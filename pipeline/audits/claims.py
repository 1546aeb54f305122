"""Runs the audits `benchmark_claim`, `perturbation_gap` and `arena_gap`, which compare scores on benchmarks.

benchmark_claim    tests a claimed share p of n questions against a measured share q of m questions with
                   z = (p − q)/√(p(1−p)/n + q(1−q)/m). Published examples: GSM8K 92.1% claimed and 78.8% measured
                   (n = 1,319) has z = 9.9. HumanEval 74.3% and 62.9% (n = 164) has z = 2.2, whose p-value is above
                   0.01.
perturbation_gap   compares scores before and after the questions are worded differently. A harder wording lowers every
                   model's score, so a model's loss is compared with the median loss of the other models.
arena_gap          compares a model's gain on arena-like benchmarks with its gain on other benchmarks. A model that was
                   trained on an arena's prompts gains on arena-like benchmarks only. Published example: with 0, 30 and
                   70% of the training data from an arena, the score was 23.5, 42.7 and 49.9% on an arena-like
                   benchmark, and 66.5, 64.4 and 65.9% on another (Singh et al. 2025, "The Leaderboard Illusion",
                   section 4).

Scores are shares in [0, 1]. A test uses the two-sided p-value and fires only if the gap has the suspected direction.

Blind spot: a different prompt, harness or number of shots can explain a gap as well as a false claim can. Two results
on the same questions are correlated. The standard errors assume independence, so for such results they are too large
and the tests are conservative.

>>> claim = benchmark_claim("m", "GSM8K", Score(0.921, 1319), Score(0.788, 1319))
>>> round(claim.z, 1), claim.fires
(9.9, True)
>>> benchmark_claim("m", "HumanEval", Score(0.743, 164), Score(0.629, 164)).fires
False
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import median

import numpy as np

from pipeline.audits.finding import ALPHA, Finding, two_sided
from pipeline.errors import BadCounts


@dataclass(frozen=True, slots=True)
class Score:
    """A benchmark score.

    Attributes:
        share: share of the questions that a model answered correctly, from 0 to 1.
        n: number of questions.

    Raises:
        BadCounts: the share is not in [0, 1], or n is below 1.
    """

    share: float
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.n < 1:
            raise BadCounts(f"expected a share in [0, 1] of at least one question, got {self.share} of {self.n}")

    @property
    def variance(self) -> float:
        """Variance p(1 − p)/n of the share p. It is never 0, because p is limited to the range 0.5/n to 1 − 0.5/n."""
        inside = min(max(self.share, 0.5 / self.n), 1 - 0.5 / self.n)
        return inside * (1 - inside) / self.n


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """The result of testing whether a difference of two scores is larger than expected.

    Attributes:
        model: name of the model.
        benchmark: name of the benchmark.
        gap: the difference of the scores as shares, positive in the suspected direction.
        expected: the expected value of `gap` under the null hypothesis.
        z: (gap − expected) divided by its standard error.
        p_value: two-sided p-value of z.
    """

    model: str
    benchmark: str
    gap: float
    expected: float
    z: float
    p_value: float

    @property
    def fires(self) -> bool:
        """Whether the gap is larger than expected and the p-value is below ALPHA."""
        return self.gap > self.expected and self.p_value < ALPHA


def score_pair(claimed: float, claimed_n: int | None, measured: float, n: int) -> tuple[Score, Score]:
    """Return two scores as shares from 0 to 1: the claimed score and the measured score.

    If either is above 1, both are taken as percentages.

    Args:
        claimed: the claimed score.
        claimed_n: number of questions of the claim; None to use `n`.
        measured: the measured score.
        n: number of questions of the measurement.

    Raises:
        BadCounts: a share is not in [0, 1], or a number of questions is below 1.
    """
    scale = 100.0 if max(claimed, measured) > 1 else 1.0
    return Score(claimed / scale, claimed_n or n), Score(measured / scale, n)


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """A claimed score, and the measured score of the same model on the same benchmark.

    Attributes:
        model: name of the model.
        benchmark: name of the benchmark.
        claimed: the claimed score.
        measured: the measured score.
        source: where the claim was published.
        evaluator: who measured the score.
    """

    model: str
    benchmark: str
    claimed: Score
    measured: Score
    source: str
    evaluator: str


def benchmark_claim(model: str, benchmark: str, claimed: Score, measured: Score) -> ScoreTest:
    """Test whether a claimed score is higher than the measured score.

    Args:
        model: name of the model.
        benchmark: name of the benchmark.
        claimed: the claimed score.
        measured: the score that a third party measured.

    Returns:
        The test; its `fires` states whether the claimed score is too high.
    """
    gap = claimed.share - measured.share
    return _tested(model, benchmark, gap, 0.0, claimed.variance + measured.variance)


def claim_finding(test: ScoreTest, claimed: Score, measured: Score, source: str, evaluator: str) -> Finding | None:
    """Return the finding about a claim that is too high; None if the test does not fire.

    Args:
        test: the test from `benchmark_claim`.
        claimed, measured: the two scores that were compared.
        source: where the score was claimed.
        evaluator: who measured the score `measured`.
    """
    if not test.fires:
        return None
    what = (
        f"{test.benchmark}: claimed {claimed.share:.1%} ({source}), measured {measured.share:.1%} of {measured.n:,} "
        f"questions by {evaluator}: {test.gap * 100:.1f} points apart, z = {test.z:.1f}"
    )
    figures = {
        "benchmark": test.benchmark, "claimed": claimed.share, "claimed_n": claimed.n, "measured": measured.share,
        "n": measured.n, "z": test.z, "source": source, "evaluator": evaluator,
    }  # fmt: skip
    direction = f"claims too much on {test.benchmark}"
    return Finding("benchmark_claim", "model", test.model, direction, "warning", what, test.p_value, figures)


@dataclass(frozen=True, slots=True)
class AccuracyDrop:
    """The loss of a score when n questions are worded differently.

    Attributes:
        n: number of questions.
        loss: share of correct answers to the original questions minus the share after the rewording.
        variance: variance of `loss`.
    """

    n: int
    loss: float
    variance: float


def drop_of_scores(before: Score, after: Score) -> AccuracyDrop:
    """Return the loss of accuracy from one score to another, with its variance.

    The two sets of questions are taken as independent, which is conservative.

    Args:
        before: score on the original questions.
        after: score on the reworded questions.
    """
    return AccuracyDrop(min(before.n, after.n), before.share - after.share, before.variance + after.variance)


def perturbation_gap(benchmark: str, drops: Mapping[str, AccuracyDrop]) -> tuple[ScoreTest, ...]:
    """Test for each model whether its loss of accuracy is larger than the median loss of the other models.

    The variance includes the variance of the median: (1.2533 s)²/m for m normal losses with standard deviation s.

    Args:
        benchmark: name of the benchmark.
        drops: model → its loss.

    Returns:
        One test for each model, in the order of `drops`.

    Raises:
        BadCounts: there are fewer than three models.
    """
    if len(drops) < 3:
        raise BadCounts(f"expected at least three models to be peers of each other, got {len(drops)}")
    result = []
    for model, drop in drops.items():
        peers = [other.loss for name, other in drops.items() if name != model]
        spread = float(np.std(peers, ddof=1))
        variance = drop.variance + (1.2533 * spread) ** 2 / len(peers)
        result.append(_tested(model, benchmark, drop.loss, median(peers), variance))
    return tuple(result)


def arena_gap(model: str, benchmark: str, arena: tuple[Score, Score], other: tuple[Score, Score]) -> ScoreTest:
    """Test whether a model gained more on arena-like prompts than on other prompts.

    Args:
        model: the model that is tested.
        benchmark: name of the arena-like benchmark.
        arena: two scores on the arena-like benchmark: of the base model, then of the tested model.
        other: two scores on the other benchmark, in the same order.

    Returns:
        The test; its `fires` states whether the gain on arena-like prompts is larger.
    """
    gained, elsewhere = arena[1].share - arena[0].share, other[1].share - other[0].share
    variance = sum(score.variance for score in (*arena, *other))
    return _tested(model, benchmark, gained, elsewhere, variance)


def arena_finding(test: ScoreTest, base: str, other: str) -> Finding:
    """Return the finding that a model gained more on arena-like prompts than on other prompts.

    The caller must check that the test fires.

    Args:
        test: the test from `arena_gap`.
        base: name of the base model.
        other: name of the other benchmark.
    """
    what = (
        f"{test.model} gained {test.gap * 100:.1f} points over {base} on {test.benchmark}, whose prompts are like the "
        f"board's, and {test.expected * 100:.1f} on {other}: z = {test.z:.1f}"
    )
    figures = {
        "base": base, "benchmark": test.benchmark, "other": other, "gained": test.gap,
        "gained_elsewhere": test.expected, "z": test.z,
    }  # fmt: skip
    direction = f"gains on {test.benchmark} more than on {other}"
    return Finding("arena_gap", "model", test.model, direction, "warning", what, test.p_value, figures)


def _tested(model: str, benchmark: str, gap: float, expected: float, variance: float) -> ScoreTest:
    z = (gap - expected) / sqrt(variance)
    return ScoreTest(model, benchmark, gap, expected, z, two_sided(z))
