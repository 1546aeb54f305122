"""Graph health, task mix, second opinion and prompts: the published cases and slow references."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from pipeline.audits.graph_health import graph_findings, graph_health
from pipeline.audits.prompts import prompt_duplication, prompt_findings
from pipeline.audits.second_opinion import second_opinion
from pipeline.audits.task_mix import task_mix, task_mix_findings
from pipeline.errors import BadCounts, Disconnected
from pipeline.lab.simulate import real_counts
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, fit


def halves(m: int, within: int, across: int) -> PairCounts:
    """Two halves of m equal models: votes each way of a pair within, and across."""
    rows = [
        [i, j, n, n, 0, 0] for i, j in combinations(range(2 * m), 2) if (n := within if i // m == j // m else across)
    ]
    table = np.array(rows)
    return PairCounts.from_rows(tuple(f"m{k}" for k in range(2 * m)), table[:, 0], table[:, 1], table[:, 2:])


def test_a_split_board_is_refused_and_told_of() -> None:
    with pytest.raises(Disconnected) as error:
        graph_health(halves(3, 100, 0))
    assert sorted(len(part) for part in error.value.components) == [3, 3]
    (finding,) = graph_findings(halves(3, 100, 0))
    assert (finding.direction, finding.severity) == ("split", "critical")


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_a_bridge_of_one_thirty_third_is_warned_of(m: int) -> None:
    (finding,) = graph_findings(halves(m, 165, 5))
    assert (finding.direction, finding.severity) == ("weak bridge", "warning")
    assert len(finding.evidence["side"]) == m
    assert finding.evidence["crossing"] == 10 * m * m


def test_an_even_board_and_the_real_one_are_well() -> None:
    assert graph_findings(halves(3, 100, 100)) == ()
    health = graph_health(real_counts())
    assert not health.weak
    assert health.lambda2 > 0


def test_the_worst_comparison_has_the_variance_that_the_information_gives() -> None:
    counts = halves(2, 165, 5)
    health = graph_health(counts)
    inverse = np.linalg.pinv(fit(counts).hessian)
    R = [inverse[i, i] + inverse[j, j] - 2 * inverse[i, j] for i, j in combinations(range(4), 2)]
    assert health.worst_se == pytest.approx(np.sqrt(max(R)) * POINTS_PER_LOGIT)
    assert health.median_se == pytest.approx(np.sqrt(np.median(R)) * POINTS_PER_LOGIT)
    assert health.lambda2 == pytest.approx(np.linalg.eigvalsh(fit(counts).hessian)[1])


def test_the_thinnest_cut_is_the_smallest_of_all_where_all_can_be_tried() -> None:
    rng = np.random.default_rng(7)
    for _ in range(10):
        n = rng.integers(1, 100, size=15)
        rows = np.array([[i, j, k, k, 0, 0] for (i, j), k in zip(combinations(range(6), 2), n, strict=True)])
        counts = PairCounts.from_rows(tuple("abcdef"), rows[:, 0], rows[:, 1], rows[:, 2:])
        N = counts.win_matrix() + counts.win_matrix().T
        best = 1.0
        for size in (1, 2, 3):
            for side in combinations(range(6), size):
                away = [k for k in range(6) if k not in side]
                cut = N[np.ix_(side, away)].sum()
                best = min(best, cut / min(N[list(side)].sum(), N[away].sum()))
        found = graph_health(counts).conductance
        # Cheeger: the sweep cut is at most √(2 · 2 φ), and never below the best.
        assert best - 1e-12 <= found <= 2 * np.sqrt(best)


# P(row beats column) of the published example, and the share of ties that makes up the rest.
TASKS = (
    np.array([[0, 0.5, 0.6, 0.4], [0.4, 0, 0.3, 0.1], [0.4, 0.7, 0, 0.3], [0.6, 0.9, 0.7, 0]]),
    np.array([[0, 0.3, 0.3, 0.2], [0.5, 0, 0.4, 0.8], [0.5, 0.6, 0, 0.9], [0.8, 0.2, 0.1, 0]]),
)
# 9,000 votes of the first phase stand for 1,000: the order is that of the expected votes, without rounding.
VOTES = 9_000_000


def phase(shares: tuple[float, float], kept: str) -> list[PairCounts]:
    """Expected votes of one phase, task by task: every pair of the kept models equally often."""
    pairs = list(combinations([k for k, name in enumerate("ABCD") if name in kept], 2))
    parts = []
    for P, share in zip(TASKS, shares, strict=True):
        each = VOTES * share / len(pairs)
        rows = [[i, j, *np.round(each * np.array([P[i, j], P[j, i], 1 - P[i, j] - P[j, i], 0]))] for i, j in pairs]
        table = np.array(rows, dtype=np.int64)
        parts.append(PairCounts.from_rows(tuple("ABCD"), table[:, 0], table[:, 1], table[:, 2:]))
    return parts


def board(retired: str) -> dict[str, PairCounts]:
    """1,000 votes at 9:1, then 1,000 at 1:9 without the retired model."""
    before, after = phase((0.9, 0.1), "ABCD"), phase((0.1, 0.9), "ABCD".replace(retired, "") if retired else "ABCD")
    return {f"task {k + 1}": PairCounts.merge([before[k], after[k]]) for k in (0, 1)}


@pytest.mark.parametrize(
    ("retired", "order"), [("", "CDBA"), ("A", "CABD"), ("B", "CDAB"), ("C", "DBCA"), ("D", "DCAB")]
)
def test_who_is_retired_decides_the_order_of_those_who_stay(retired: str, order: str) -> None:
    tasks = board(retired)
    assert "".join(task_mix(tasks).order) == order
    W = sum(part.win_matrix() for part in tasks.values())

    def loss(theta: np.ndarray) -> float:
        return float((W * np.log1p(np.exp(theta[None, :] - theta[:, None]))).sum() / W.sum())

    slow = minimize(loss, np.zeros(4), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 9000}).x
    assert "".join("ABCD"[k] for k in np.argsort(-slow)) == order


@pytest.mark.parametrize("retired", "ABCD")
def test_at_one_mix_the_order_does_not_hang_on_who_was_retired(retired: str) -> None:
    found, fair = task_mix(board(retired)), task_mix(board("")).order

    def wrong(order: tuple[str, ...]) -> int:
        kept = [name for name in order if name != retired]
        return sum(fair.index(a) > fair.index(b) for a, b in combinations(kept, 2))

    # Without D, A and B beat each other in a circle over C: how many votes a pair has decides their order too.
    assert wrong(found.order_at_one_mix) == (1 if retired == "D" else 0)
    assert wrong(found.order_at_one_mix) <= wrong(found.order)
    assert bool(task_mix_findings(found)) == bool(found.reordered)


def test_a_steady_mix_changes_nothing() -> None:
    parts = phase((0.5, 0.5), "ABCD")
    found = task_mix({"1": parts[0], "2": parts[1]})
    assert found.order == found.order_at_one_mix
    assert task_mix_findings(found) == ()
    with pytest.raises(BadCounts, match="one axis"):
        task_mix({})


def test_another_board_s_order_is_compared_by_name() -> None:
    ours = {"Model-A 1": 4.0, "b": 3.0, "c": 2.0, "d": 1.0, "only here": 9.0}
    same = second_opinion(ours, {"model a1": 40, "B": 30, "C": 20, "D": 10, "only there": 1})
    assert (same.common, same.tau, same.rho, same.apart) == (4, pytest.approx(1), pytest.approx(1), ())
    turned = second_opinion(ours, {"model a1": 1, "B": 2, "C": 3, "D": 4})
    assert turned.tau == pytest.approx(-1)
    assert [(a.model, a.place, a.other_place) for a in turned.apart[:2]] == [("Model-A 1", 1, 4), ("d", 4, 1)]
    with pytest.raises(BadCounts, match="at least three"):
        second_opinion(ours, {"b": 1})


def test_repeated_prompts_are_counted_by_month() -> None:
    rng = np.random.default_rng(8)
    month = rng.integers(0, 4, 3000)
    prompt = rng.integers(-1, 2000, 3000)
    for one in prompt_duplication(month, prompt):
        asked = [p for m, p in zip(month, prompt, strict=True) if m == one.month and p >= 0]
        before = {p for m, p in zip(month, prompt, strict=True) if m == one.month - 1 and p >= 0}
        assert one.within == pytest.approx(1 - len(set(asked)) / len(asked))
        if one.month:
            assert one.across == pytest.approx(sum(p in before for p in asked) / len(asked))
        else:
            assert one.across is None


@pytest.mark.parametrize(("share", "reported"), [(0.073, False), (0.2, False), (0.265, True)])
def test_more_repeats_than_a_real_board_has_are_told_of(share: float, reported: bool) -> None:
    votes = 1000
    copies = int(votes * share)
    prompt = np.concatenate([np.arange(votes - copies), np.arange(copies)])
    assert bool(prompt_findings(prompt_duplication(np.zeros(votes), prompt))) is reported
