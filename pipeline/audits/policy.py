"""Evaluates a policy: five recommended rules for leaderboards, each with parameters and a verdict.

no_retraction            neither a published score nor the score of a tested private variant was withdrawn
private_variants         no provider ever had more than `most` private variants under test at the same time
deprecation_by_license   licence groups lose models at similar rates: the shares of retired models differ by at most
                         `most_apart`, or Fisher's exact test (1922) gives p above `level` for every two groups
fair_sampling            models are sampled as declared, and nearly as active sampling would sample them. Active
                         sampling draws a pair with n votes of variance v in proportion to √(v/n) − √(v/(n+1)), the
                         gain in precision of one more vote (Chiang et al. 2024, "Chatbot Arena", equation 9)
public_removal           every removal has a public notice; a model with at most `votes` votes in `days` days counts as
                         removed, also if a notice came later or the model was shown again

Source: Singh et al. 2025, "The Leaderboard Illusion", section 6.

A rule that cannot be evaluated is neither passed nor failed. The rules about retractions, private variants and removals
are evaluated over the whole registry: what was wrong in the past still fails after it ended.

Blind spot: whether a notice is true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import scipy

from pipeline.audits.finding import Finding
from pipeline.audits.shares import OPEN, PROPRIETARY
from pipeline.audits.variants import ConcurrentVariants
from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts
from pipeline.vocabulary.arrays import Float64
from pipeline.vocabulary.time import format_rfc3339

RULES: Mapping[str, Mapping[str, float]] = {
    "no_retraction": {},
    "private_variants": {"most": 3},
    "deprecation_by_license": {"most_apart": 0.10, "level": 0.01},
    "fair_sampling": {"most_distance": 0.5},
    "public_removal": {"votes": 10, "days": 52},
}
"""Name of a rule → its parameters with the values of the shipped policy."""


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """The verdict on one rule.

    Attributes:
        rule: name of the rule.
        passed: whether the board follows the rule; None if the rule cannot be evaluated.
        what: one sentence with the figures.
        parameters: name → value of each parameter of the rule.
        evidence: name → figure.
    """

    rule: str
    passed: bool | None
    what: str
    parameters: Mapping[str, float]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """The figures and findings on which the policy's rules are evaluated.

    Attributes:
        retractions: the findings of the audit `score_retraction`.
        most_tested: provider → the largest set of private variants that it had under test at the same time.
        retired: licence group → number of retired models.
        listed: licence group → number of models that were ever public, retired models included.
        unfair: the findings about sampling (`sampling_findings`); None if no sampling policy is declared.
        distance: total variation distance between the models' actual shares of battles and their shares under active
            sampling (module docstring); None if not known.
        removals: model → how it was removed, for each model that was removed without a public notice.
        pauses: model → the period in which it was not shown, for each other model that was not shown for a time before
            any notice (`sampling_pauses`).
    """

    retractions: Sequence[Finding]
    most_tested: Mapping[str, ConcurrentVariants]
    retired: Mapping[str, int]
    listed: Mapping[str, int]
    unfair: Sequence[Finding] | None
    distance: float | None
    removals: Mapping[str, str]
    pauses: Mapping[str, str] = field(default_factory=dict)


def parse_policy(policy: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Check a policy file and return rule → parameter → value. Missing parameters get the values of the shipped policy.

    A rule that the file does not name is left out.

    Raises:
        BadCounts: a rule or parameter is unknown, or a value is not a number of at least 0.
    """
    result: dict[str, dict[str, float]] = {}
    for rule, given in policy.items():
        if rule not in RULES or not isinstance(given, Mapping):
            raise BadCounts(f"expected a rule of {', '.join(RULES)}, got {rule!r}")
        for name, value in given.items():
            number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
            if name not in RULES[rule] or not number:
                known = ", ".join(RULES[rule]) or "no parameter"
                raise BadCounts(f"{rule}: expected {known}, each a number of at least 0, got {name} = {value!r}")
        result[rule] = {**RULES[rule], **given}
    return result


def evaluate_policy(policy: Mapping[str, Mapping[str, float]], facts: PolicyFacts) -> tuple[PolicyVerdict, ...]:
    """Return the verdict on every rule of a policy.

    Args:
        policy: rule → its parameters, from `parse_policy`.
        facts: the figures and findings on which the rules are evaluated.
    """
    return tuple(_EVALUATORS[rule](given, facts) for rule, given in policy.items())


def active_shares(counts: PairCounts) -> Float64:
    """Return the share of appearances that each model would have under active sampling: float64[K] with sum 1.

    Active sampling draws a pair of models in proportion to the precision that one more vote of the pair gains (rule
    `fair_sampling` of the module). A pair without votes is treated as a pair with one vote of the largest variance.

    Args:
        counts: the votes on K models so far.

    Raises:
        BadCounts: there are fewer than two models.
    """
    if len(counts.models) < 2:
        raise BadCounts(f"expected at least two models to draw pairs of, got {len(counts.models)}")
    wins, ties = counts.decisive_matrix(), counts.tie_matrix()
    n = wins + wins.T + ties
    met = np.maximum(n, 1)
    p = np.where(n > 0, (wins + ties / 2) / met, 0.5)
    # E[y²] − p² of y = 1, ½ or 0; if all votes agree, half a vote for the other outcome is added.
    v = np.where(n > 0, np.maximum((wins + ties / 4) / met - p**2, 0.25 / met), 0.25)
    weight = np.sqrt(v / met) - np.sqrt(v / (met + 1))
    np.fill_diagonal(weight, 0.0)
    result: Float64 = weight.sum(axis=1) / weight.sum()
    return result


def total_variation(first: Float64, second: Float64) -> float:
    """Return the total variation distance of two arrays of shares: half the sum of the absolute differences, 0 to 1."""
    return float(np.abs(first - second).sum() / 2)


def _no_retraction(given: Mapping[str, float], facts: PolicyFacts) -> PolicyVerdict:
    models = sorted({finding.subject for finding in facts.retractions})
    what = f"{len(models)} models had a score that was withdrawn" if models else "no score was withdrawn"
    return PolicyVerdict("no_retraction", not models, what, given, {"models": models})


def _private_variants(given: Mapping[str, float], facts: PolicyFacts) -> PolicyVerdict:
    over = {provider: peak.most for provider, peak in facts.most_tested.items() if peak.most > given["most"]}
    allowed = f"{given['most']:g} are allowed"
    if not facts.most_tested:
        return PolicyVerdict("private_variants", not over, f"no private variant was tested; {allowed}", given, {})
    peak = max(facts.most_tested.values(), key=lambda one: one.most)
    when = format_rfc3339(peak.at, "seconds")
    what = f"the most private variants of one provider under test at once were {peak.most}, on {when}; {allowed}"
    at = {name: format_rfc3339(facts.most_tested[name].at, "seconds") for name in over}
    return PolicyVerdict("private_variants", not over, what, given, {"over": over, "at": at})


def _deprecation_by_license(given: Mapping[str, float], facts: PolicyFacts) -> PolicyVerdict:
    groups = [group for group in (OPEN, PROPRIETARY) if facts.listed.get(group)]
    evidence = {group: {"retired": facts.retired.get(group, 0), "listed": facts.listed[group]} for group in groups}
    if len(groups) < 2:
        return PolicyVerdict(
            "deprecation_by_license", None, "fewer than two licence groups are listed", given, evidence
        )
    apart: list[tuple[float, float]] = []
    for a, b in combinations(groups, 2):
        table = [[facts.retired.get(g, 0), facts.listed[g] - facts.retired.get(g, 0)] for g in (a, b)]
        shares = [row[0] / sum(row) for row in table]
        apart.append((abs(shares[0] - shares[1]), float(scipy.stats.fisher_exact(np.array(table)).pvalue)))
    failed = any(gap > given["most_apart"] and p < given["level"] for gap, p in apart)
    listed = ", ".join(f"{facts.retired.get(g, 0)} of {facts.listed[g]} {g}" for g in groups)
    gap, p = max(apart)
    what = f"retired are {listed}: {gap:.1%} apart, p = {p:.2g}"
    return PolicyVerdict("deprecation_by_license", not failed, what, given, {**evidence, "apart": gap, "p_value": p})


def _fair_sampling(given: Mapping[str, float], facts: PolicyFacts) -> PolicyVerdict:
    if facts.unfair is None:
        return PolicyVerdict(
            "fair_sampling",
            None,
            "no sampling policy was in force for a whole day with sealed votes",
            given,
            {"distance": facts.distance},
        )
    far = facts.distance is not None and facts.distance > given["most_distance"]
    shown = "unknown" if facts.distance is None else f"{facts.distance:.2f}"
    what = (
        f"{len(facts.unfair)} models, providers or licence groups are not sampled as declared; distance to the "
        f"active-sampling rule {shown}, {given['most_distance']:g} is allowed"
    )
    evidence = {"not as declared": [finding.what for finding in facts.unfair], "distance": facts.distance}
    return PolicyVerdict("fair_sampling", not facts.unfair and not far, what, given, evidence)


def _public_removal(given: Mapping[str, float], facts: PolicyFacts) -> PolicyVerdict:
    what = f"{len(facts.removals)} models were removed without a public notice"
    if facts.pauses:
        what += f"; {len(facts.pauses)} were not shown for at least {given['days']:g} days before any notice"
    evidence = {"models": dict(facts.removals), "paused": dict(facts.pauses)}
    return PolicyVerdict("public_removal", not facts.removals and not facts.pauses, what, given, evidence)


_EVALUATORS = {
    "no_retraction": _no_retraction,
    "private_variants": _private_variants,
    "deprecation_by_license": _deprecation_by_license,
    "fair_sampling": _fair_sampling,
    "public_removal": _public_removal,
}
