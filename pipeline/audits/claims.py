"""`benchmark_claim`, `perturbation_gap`, `arena_gap`: claimed scores against measured scores.

benchmark_claim    z = (claimed p − measured q)/√(p(1−p)/n + q(1−q)/m), unpooled variances, n and m questions.
                   Published: GSM8K 92.1 → 78.8 (n = 1,319) z = 9.9, HumanEval 74.3 → 62.9 (n = 164) z = 2.2, which is
                   not below .01.
perturbation_gap   the same questions in another wording. A harder wording costs every model something, so a model's
                   loss is compared with the median loss of its peers.
arena_gap          difference in differences: a model trained on an arena's prompts gains on benchmarks of such prompts
                   and on no others. Published: with 0, 30, 70% of the training from an arena the score was 23.5, 42.7,
                   49.9% on one benchmark and 66.5, 64.4, 65.9% on another (Singh et al. 2025, "The Leaderboard
                   Illusion", section 4).

Laws: proportions are in [0, 1]; a test fires only in the suspected direction, with the two-sided p-value.
Blind spot: a different prompt, harness or number of shots explains a gap as well as a false claim does. Two results on
the same questions are correlated: the independent standard errors used here are then too large, never too small.

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
    """A share of n questions that were answered correctly.

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
        """Variance of the share. A share of 0 or 1 is moved by half an answer (Agresti-Coull), so it is never 0."""
        inside = min(max(self.share, 0.5 / self.n), 1 - 0.5 / self.n)
        return inside * (1 - inside) / self.n


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """A difference of two scores, tested against its expected value.

    Attributes:
        gap: the difference in the suspected direction.
        expected: expected value of `gap`.
        z: gap − expected, in standard errors of the gap.
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
        """Whether the gap is larger than expected, at level ALPHA."""
        return self.gap > self.expected and self.p_value < ALPHA


def score_pair(claimed: float, claimed_n: int | None, measured: float, n: int) -> tuple[Score, Score]:
    """Return the claimed and the measured score as shares. If either is above 1, both are taken as percentages.

    Raises:
        BadCounts: as for `Score`.
    """
    scale = 100.0 if max(claimed, measured) > 1 else 1.0
    return Score(claimed / scale, claimed_n or n), Score(measured / scale, n)


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """A claimed score with its source, and a measured score with its evaluator."""

    model: str
    benchmark: str
    claimed: Score
    measured: Score
    source: str
    evaluator: str


def benchmark_claim(model: str, benchmark: str, claimed: Score, measured: Score) -> ScoreTest:
    """Test a claimed score against a measured one."""
    gap = claimed.share - measured.share
    return _tested(model, benchmark, gap, 0.0, claimed.variance + measured.variance)


def claim_finding(test: ScoreTest, claimed: Score, measured: Score, source: str, evaluator: str) -> Finding | None:
    """Return the finding about a claim. None if the test does not fire."""
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
    """The loss of a score (share before − share after) when n questions are worded otherwise, and its variance."""

    n: int
    loss: float
    variance: float


def drop_of_scores(before: Score, after: Score) -> AccuracyDrop:
    """Return the loss from two scores alone. Treats the questions as different, which is conservative."""
    return AccuracyDrop(min(before.n, after.n), before.share - after.share, before.variance + after.variance)


def perturbation_gap(benchmark: str, drops: Mapping[str, AccuracyDrop]) -> tuple[ScoreTest, ...]:
    """Test each model's loss against the median loss of the others.

    The variance includes the variance of the median, (1.2533 s)²/m for m normal losses with standard deviation s.

    Raises:
        BadCounts: fewer than three models, so that there are no peers.
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
    """Test whether a model gained more on arena-like prompts than on others.

    Args:
        arena, other: a score of the model to compare with (a base or sibling model), then the model's own score.
    """
    gained, elsewhere = arena[1].share - arena[0].share, other[1].share - other[0].share
    variance = sum(score.variance for score in (*arena, *other))
    return _tested(model, benchmark, gained, elsewhere, variance)


def arena_finding(test: ScoreTest, base: str, other: str) -> Finding:
    """Return the finding about a model that gained more on arena-like prompts than elsewhere."""
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
