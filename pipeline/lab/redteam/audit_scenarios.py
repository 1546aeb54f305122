"""Runs cases with known answers through the audits: S7, S8, S12, S13, S15, S17 and published claims.

S7    the best of N undisclosed variants, N ∈ {3, 10, 27, 50}, whose true qualities have standard deviation
      τ ∈ {0, 10, 65} points
S8    two identical checkpoints: published pairs of scores, and boards with simulated votes
S12   a model is retired while the mix of tasks changes, so the order of the others depends on which model is retired
S13   a board that is split into components, and a board of two halves with 1/33 of the battles between them
S15   a first rank that depends on two votes, and the first rank of the real board
S17   a variant tuned for chat is tested (rank 2, rank 5 under style control), and another model (rank 32) is released

Source: Singh et al. 2025, "The Leaderboard Illusion"; Huang et al. 2025, "Dropping just a handful of preferences can
change top LLM rankings" (S15). The same seed gives the same table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any, Literal

import numpy as np

from pipeline.audits import claims, task_mix
from pipeline.audits.graph_health import graph_findings, graph_health
from pipeline.audits.model_releases import VariantScore, best_of_n, releases
from pipeline.audits.version_mismatch import ModelVersion, version_mismatch
from pipeline.errors import Disconnected
from pipeline.events.registry_events import Released, Submitted
from pipeline.lab.redteam.tuned_variant import simulate_tuned_variant
from pipeline.lab.simulate.pair_rates import real_counts
from pipeline.ratings import PairCounts, fewest_votes_to_replace_first, fit
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.ratings.winners_curse import debias_known_n, selection_gain, standard_error
from pipeline.registry import Registry, RegistryState

AuditRequirement = Literal["alert", "no alert", "match"]
_SE, _ROUNDS = 6.3, 400
_START = datetime(2025, 1, 1, tzinfo=UTC)
# A share of 400 rounds at .01 has a Monte Carlo error of .005.
_FALSE = 0.02


@dataclass(frozen=True)
class AuditCaseResult:
    """The result of one case for an audit.

    Attributes:
        scenario: number of the scenario.
        what: description of the case.
        found: the finding with its figures, in words.
        must: the requirement: a finding, no finding, or the published figure.
        figures: name of a figure → its value.
        passed: whether the requirement is met.
    """

    scenario: str
    what: str
    found: str
    must: AuditRequirement
    figures: dict[str, Any]
    passed: bool


def best_of_n_cases(seed: int) -> list[AuditCaseResult]:
    """Return the results of S7: the best of N variants is released, and N is not disclosed."""
    rng = np.random.default_rng(seed)
    rows = [_best(rng, n, tau) for n in (3, 10, 27, 50) for tau in (0.0, 10.0, 65.0)]
    se = standard_error(3000, 0.345)
    gain = selection_gain(50, se, 0.0).curse
    published = f"chance alone gives {gain:+.1f} points (published: +11)"
    what = "50 tests of 3,000 votes each, of equal models"
    return [*rows, AuditCaseResult("S7", what, published, "match", {"gain": gain}, abs(gain - 11.5) <= 0.1)]


def _best(rng: np.random.Generator, n: int, tau: float) -> AuditCaseResult:
    """Simulate families of `n` variants, and audit the release of the best one of each. `tau` is in points."""
    state, true = _family(n), tau * rng.standard_normal((_ROUNDS, n))
    seen = true + _SE * rng.standard_normal((_ROUNDS, n))
    order = np.argsort(-seen, axis=1)
    true, seen = np.take_along_axis(true, order, axis=1), np.take_along_axis(seen, order, axis=1)
    errors, alerted = [], 0
    for row in range(_ROUNDS):
        scores = {f"bee-v{i:02}": VariantScore(float(seen[row, i]), _SE, 2000) for i in range(n)}
        (one,) = releases(state, scores)
        alerted += any(f.direction == "N not disclosed" for f in best_of_n([one]))
        # N is not disclosed, so there are bounds: the lower one takes all variants as equally good.
        estimates = one.raw, (one.bounds or (None,))[0], debias_known_n(float(seen[row, 0]), n, _SE, tau), one.shrunk
        errors.append([float(value or 0.0) - true[row, 0] for value in estimates])
    raw, corrected, known, shrunk = np.array(errors).T
    figures = {
        "n": n, "tau": tau, "told": alerted / _ROUNDS, "gain": float(seen[:, 0].mean()), "bias": float(raw.mean()),
        "bias_corrected": float(corrected.mean()), "rmse_corrected": float(np.sqrt((corrected**2).mean())),
        "bias_tau_known": float(known.mean()), "bias_shrunk": float(shrunk.mean()),
    }  # fmt: skip
    found = (
        f"alerts: {alerted / _ROUNDS:.0%}; observed {figures['gain']:+.1f}, of it chance {figures['bias']:+.1f}; error "
        f"of the lower bound {figures['bias_corrected']:+.1f}, with τ known {figures['bias_tau_known']:+.1f}, "
        f"shrunk to its family {figures['bias_shrunk']:+.1f}"
    )
    # Four Monte Carlo errors of the mean of one score, five for an estimate that does not know τ; the RMSE bar of 3.5
    # is set for N = 27.
    error = np.sqrt(_SE**2 / _ROUNDS)
    drawn = max(abs(figures["bias"]), 5 * error)
    right = abs(figures["bias_tau_known"]) <= 4 * error and abs(figures["bias_shrunk"]) <= drawn
    precise = not (n == 27 and tau == 0) or figures["rmse_corrected"] <= 3.5
    what = f"the best of {n} variants, τ = {tau:g}, N not disclosed"
    return AuditCaseResult("S7", what, found, "alert", figures, alerted == _ROUNDS and bool(right) and precise)


def _family(n: int) -> RegistryState:
    common = {"schema": 1, "provider": "hive", "visibility": "private", "license": "proprietary"}
    events: list[Submitted | Released] = [
        Submitted(event_id=f"s{i}", at=_START, model=f"bee-v{i:02}", **common)  # type: ignore[arg-type]
        for i in range(n)
    ]
    events.append(Released(schema=1, event_id="r", at=_START + timedelta(days=9), model="bee-v00"))
    return Registry(events).as_of(2**62)


def identical_checkpoint_cases(seed: int) -> list[AuditCaseResult]:
    """Return the results of S8: two identical checkpoints, about which no finding is allowed."""
    rows = []
    for first, second, se in ((1069.0, 1052.0, 13.8), (1097.0, 1059.0, 27.2)):
        findings = version_mismatch(
            ModelVersion("one", first, se, digest="d"), ModelVersion("other", second, se, digest="d")
        )
        z = (first - second) / (se * 2**0.5)
        what = f"two identical checkpoints at {first:.0f} and {second:.0f}"
        found = f"z = {z:.2f}: " + (findings[0].what if findings else "no finding")
        rows.append(AuditCaseResult("S8", what, found, "no alert", {"z": z}, not findings))
    rng = np.random.default_rng(seed)
    fired = sum(_twins_fire(rng) for _ in range(_ROUNDS)) / _ROUNDS
    what = f"{_ROUNDS} boards drawn vote by vote, two of the models identical"
    found = f"a finding in {fired:.1%}"
    return [*rows, AuditCaseResult("S8", what, found, "no alert", {"share": fired}, fired <= _FALSE)]


def _twins_fire(rng: np.random.Generator) -> bool:
    k = 12
    theta = np.concatenate([np.linspace(-0.5, 0.5, k - 2), [0.1, 0.1]])
    pairs = np.array(list(combinations(range(k), 2)))
    p = 1 / (1 + np.exp(theta[pairs[:, 1]] - theta[pairs[:, 0]]))
    drawn = rng.multinomial(180, np.stack([0.655 * p, 0.655 * (1 - p), np.full(len(p), 0.345)], axis=1))
    table = np.c_[drawn, np.zeros(len(p), dtype=np.int64)]
    fitted = fit(PairCounts.from_rows(tuple(f"m{i:02}" for i in range(k)), pairs[:, 0], pairs[:, 1], table))
    points = fitted.theta * POINTS_PER_LOGIT
    se = np.sqrt(np.diag(fitted.covariance)) * POINTS_PER_LOGIT
    one, other = (ModelVersion(f"m{i}", float(points[i]), float(se[i])) for i in (k - 2, k - 1))
    return bool(version_mismatch(one, other))


# P(row beats column) of the two tasks of the published example; the rest are ties.
TASKS = (
    np.array([[0, 0.5, 0.6, 0.4], [0.4, 0, 0.3, 0.1], [0.4, 0.7, 0, 0.3], [0.6, 0.9, 0.7, 0]]),
    np.array([[0, 0.3, 0.3, 0.2], [0.5, 0, 0.4, 0.8], [0.5, 0.6, 0, 0.9], [0.8, 0.2, 0.1, 0]]),
)
ORDERS = {"": "CDBA", "A": "CABD", "B": "CDAB", "C": "DBCA", "D": "DCAB"}
"""Name of the retired model ("" for none) → expected order of all four models."""


def task_mix_cases(seed: int) -> list[AuditCaseResult]:  # noqa: ARG001  # expected votes: nothing is random
    """Return the results of S12: a model is retired between 1,000 votes at a task mix of 9:1 and 1,000 at 1:9."""
    rows = []
    for retired, order in ORDERS.items():
        before = _phase((0.9, 0.1), "ABCD")
        after = _phase((0.1, 0.9), "".join(m for m in "ABCD" if m != retired))
        tasks = {f"task {k + 1}": PairCounts.merge([before[k], after[k]]) for k in (0, 1)}
        found = task_mix.task_mix(tasks)
        seen = "".join(found.order)
        findings = task_mix.task_mix_findings(found)
        what = f"{retired or 'no model'} is retired while the mix of two tasks shifts from 9:1 to 1:9"
        text = f"order {seen} (published {order}), at one mix {''.join(found.order_at_one_mix)}; " + (
            findings[0].what if findings else "no pair depends on the mix"
        )
        figures = {"order": seen, "order_at_one_mix": "".join(found.order_at_one_mix), "pairs": len(found.reordered)}
        rows.append(AuditCaseResult("S12", what, text, "match", figures, seen == order))
    return rows


def _phase(shares: tuple[float, float], kept: str) -> list[PairCounts]:
    pairs = [(i, j) for i, j in combinations(range(4), 2) if "ABCD"[i] in kept and "ABCD"[j] in kept]
    parts = []
    for P, share in zip(TASKS, shares, strict=True):
        each = 9_000_000 * share / len(pairs)
        rows = [[i, j, *np.round(each * np.array([P[i, j], P[j, i], 1 - P[i, j] - P[j, i], 0]))] for i, j in pairs]
        table = np.array(rows, dtype=np.int64)
        parts.append(PairCounts.from_rows(tuple("ABCD"), table[:, 0], table[:, 1], table[:, 2:]))
    return parts


def graph_cases(seed: int) -> list[AuditCaseResult]:  # noqa: ARG001
    """Return the results of S13: a board split into components, and one of two halves with few battles between them."""
    split, bridge, even = _halves(100, 0), _halves(165, 5), _halves(100, 100)
    try:
        fit(split)
        refused = False
    except Disconnected:
        refused = True
    directions = [finding.direction for finding in graph_findings(split)]
    figures: dict[str, Any] = {"refused": refused, "told": directions}
    text = f"the fit is {'refused' if refused else 'NOT refused'}; {directions}"
    passed = refused and directions == ["split"]
    first = AuditCaseResult("S13", "two halves that were never compared", text, "alert", figures, passed)
    health, findings = graph_health(bridge), graph_findings(bridge)
    figures = {"lambda2": health.lambda2, "worst_se": health.worst_se, "crossing": health.crossing}
    text = f"λ₂ {health.lambda2:.1f}, largest standard error {health.worst_se:.0f} points; " + (
        findings[0].what if findings else "no finding"
    )
    passed = [finding.direction for finding in findings] == ["weak bridge"]
    second = AuditCaseResult("S13", "two halves compared a thirty-third as often", text, "alert", figures, passed)
    false = graph_findings(even)
    text = false[0].what if false else "no finding"
    return [first, second, AuditCaseResult("S13", "the same board, evenly compared", text, "no alert", {}, not false)]


def _halves(within: int, across: int) -> PairCounts:
    rows = [[i, j, n, n, 0, 0] for i, j in combinations(range(8), 2) if (n := within if i // 4 == j // 4 else across)]
    table = np.array(rows)
    return PairCounts.from_rows(tuple(f"m{k}" for k in range(8)), table[:, 0], table[:, 1], table[:, 2:])


def fragility_cases(seed: int) -> list[AuditCaseResult]:  # noqa: ARG001
    """Return the results of S15: a board whose first rank depends on two votes, and the real board."""
    table = [[334, 333, 0, 0], [400, 300, 0, 0], [400, 301, 0, 0]]
    two = PairCounts.from_rows(("ant", "bee", "cow"), [0, 0, 1], [1, 2, 2], table)
    return [
        _dethroned("a lead of two votes in two thousand", two, 2),
        # The published bound, found by influence, exact refit and bisection.
        _dethroned("the real board of 1,670,250 votes", real_counts(), 462),
    ]


def _dethroned(what: str, counts: PairCounts, published: int) -> AuditCaseResult:
    swap = fewest_votes_to_replace_first(counts)
    if swap is None:
        return AuditCaseResult("S15", what, "no set of votes found", "match", {}, False)
    after = fit(counts.minus(swap.dropped))
    swapped = counts.models[int(np.argmax(after.theta))] == swap.below
    found = f"without {swap.votes} votes ({swap.share:.3%}) {swap.below} is first, not {swap.above}"
    figures = {"votes": swap.votes, "share": swap.share, "published": published}
    return AuditCaseResult("S15", what, found, "match", figures, swapped and swap.votes <= published)


def tuned_variant_cases(seed: int) -> list[AuditCaseResult]:
    """Return the results of S17: a variant tuned for chat is tested, and another model is released."""
    tested, released, curse = simulate_tuned_variant(seed)
    findings = version_mismatch(tested, released, curse)
    directions = [finding.direction for finding in findings]
    what = "a chat-tuned variant is tested, another checkpoint released"
    found = (
        f"tested #{tested.rank} ({tested.rating:.0f}), under style control #{tested.style_rank}; released "
        f"#{released.rank} ({released.rating:.0f}): {', '.join(directions) or 'no finding'}"
    )
    figures = {
        "tested_rank": tested.rank, "tested_style_rank": tested.style_rank, "released_rank": released.rank,
        "told": directions,
    }  # fmt: skip
    must = {"another checkpoint", "weaker than tested", "another style: tokens"}
    falls = (tested.style_rank or 0) > (tested.rank or 0) and (released.rank or 0) > (tested.rank or 0) + 20
    return [AuditCaseResult("S17", what, found, "alert", figures, must <= set(directions) and falls)]


_CLAIMS = (
    ("GSM8K", 92.1, 78.8, 1_319, True),
    ("HumanEval", 74.3, 62.9, 164, False),
    ("MMLU", 86.5, 71.2, 14_042, True),
)
_ARENA, _OTHER = (23.5, 42.7, 49.9), (66.5, 64.4, 65.9)


def claim_cases(seed: int) -> list[AuditCaseResult]:  # noqa: ARG001
    """Return the results for published benchmark scores, and for published gains of models trained on arena votes."""
    rows = []
    for name, claimed, measured, n, fires in _CLAIMS:
        test = claims.benchmark_claim("m", name, *claims.score_pair(claimed, None, measured, n))
        text = f"z = {test.z:.1f}, p = {test.p_value:.2g}: {'a finding' if test.fires else 'no finding'}"
        what = f"{name}: claimed {claimed}, measured {measured} (n = {n:,})"
        must: AuditRequirement = "alert" if fires else "no alert"
        figures = {"z": test.z, "p_value": test.p_value}
        rows.append(AuditCaseResult("claims", what, text, must, figures, test.fires is fires))
    for share, k in (("30%", 1), ("70%", 2)):
        arena = claims.score_pair(_ARENA[0], 500, _ARENA[k], 500)
        test = claims.arena_gap("m", "arena", arena, claims.score_pair(_OTHER[0], 14_042, _OTHER[k], 14_042))
        what = f"{share} of the training from an arena: {_ARENA[0]} → {_ARENA[k]}, elsewhere {_OTHER[0]} → {_OTHER[k]}"
        rows.append(AuditCaseResult("claims", what, f"z = {test.z:.1f}", "alert", {"z": test.z}, test.fires))
    return rows


AUDIT_CASES: dict[str, Callable[[int], list[AuditCaseResult]]] = {
    "S7": best_of_n_cases,
    "S8": identical_checkpoint_cases,
    "S12": task_mix_cases,
    "S13": graph_cases,
    "S15": fragility_cases,
    "S17": tuned_variant_cases,
    "claims": claim_cases,
}
"""Name of a scenario, for `integrity redteam --scenario` → function that runs its cases."""
