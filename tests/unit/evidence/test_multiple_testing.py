"""e-BH and e-LOND against another library, a worked example, and the rate they promise."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from online_fdr.core.abstract.abstract_gamma_seq import AbstractGammaSequence
from online_fdr.e_values import ELond as OtherELond
from online_fdr.e_values import e_bh as other_e_bh
from scipy.stats import norm

from pipeline.evidence import LOG_UNIT, multiple_testing

e_values = st.lists(st.floats(1e-6, 1e7), max_size=30)
levels = st.sampled_from([0.01, 0.05, 0.2, 0.9])


def units(values: list[float]) -> np.ndarray:
    return np.floor(np.log(np.array(values, dtype=np.float64)) / LOG_UNIT).astype(np.int64)


def test_a_worked_example() -> None:
    # m = 5, α = .1: the thresholds m/(αk) are 50, 25, 16.7, 12.5, 10; the third largest is the last above its own.
    assert multiple_testing.e_bh(units([30.0, 1.0, 17.0, 60.0, 11.0]), 0.1).tolist() == [True, False, True, True, False]
    assert multiple_testing.e_bh(units([49.0, 1.0, 1.0, 1.0, 1.0]), 0.1).tolist() == [False] * 5


@given(e_values, levels)
@settings(deadline=None)
def test_e_bh_rejects_what_another_library_rejects(values: list[float], alpha: float) -> None:
    rounded = np.exp(units(values) * LOG_UNIT).tolist()
    needed = [len(values) / (alpha * k) for k in range(1, len(values) + 1)]
    close = any(math.isclose(v, n, rel_tol=1e-9) for v in rounded for n in needed)
    if not close:  # at a threshold to the last bit two roundings may differ
        assert multiple_testing.e_bh(units(values), alpha).tolist() == other_e_bh(rounded, alpha)


def test_no_hypotheses_are_no_discoveries() -> None:
    assert multiple_testing.e_bh(np.zeros(0, dtype=np.int64), 0.1).tolist() == []


class _Gamma(AbstractGammaSequence):
    def __init__(self) -> None:
        super().__init__(1.0)

    def calc_gamma(self, j: int, **kwargs: object) -> float:  # noqa: ARG002
        return multiple_testing.lond_weight(j)


@given(st.lists(st.floats(0, 1e6), max_size=40), levels)
@settings(deadline=None)
def test_e_lond_discovers_what_another_library_discovers(values: list[float], alpha: float) -> None:
    ours, other = multiple_testing.ELond(alpha), OtherELond(alpha, _Gamma())
    for value in values:
        ours, found = ours.submit_family(np.array([value]))
        assert found.tolist() == [other.test_one(value)]
    assert (ours.submitted, ours.rejected) == (len(values), other.num_reject)


def test_an_empty_family_uses_up_no_level() -> None:
    state = multiple_testing.ELond(0.1, 3, 1)
    assert state.submit_family(np.zeros(0))[0] == state


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30), levels)
def test_each_of_a_family_has_its_part_of_the_level(values: list[float], alpha: float) -> None:
    start = multiple_testing.ELond(alpha, 5, 2)
    end, found = start.submit_family(np.array(values))
    assert found.tolist() == [e / len(values) >= 1 / start.level for e in values]
    assert (end.submitted, end.rejected) == (6, 2 + sum(found.tolist()))


def test_families_over_many_days_keep_the_false_share_below_alpha() -> None:
    rng, shares = np.random.default_rng(4), []
    for _ in range(200):
        state, false, true = multiple_testing.ELond(0.1), 0, 0
        for _day in range(30):
            z = rng.normal(np.where(np.arange(20) < 2, 8.0, 0.0))
            p = 2 * norm.sf(np.abs(z))
            state, found = state.submit_family(0.5 / np.sqrt(p))
            false, true = false + int(found[2:].sum()), true + int(found[:2].sum())
        shares.append(false / max(false + true, 1))
        assert state.rejected == false + true
    assert np.mean(shares) <= 0.1
    assert true > 10  # it does discover


def test_the_levels_of_all_hypotheses_that_will_ever_come_sum_to_at_most_alpha() -> None:
    head = math.fsum(multiple_testing.lond_weight(t) for t in range(1, 200_001))
    # Σ over the rest of c/(t ln²(t + 1)) is at most ∫ c dt/(t ln² t) = c/ln 200,000, with c = t ln²(t + 1) γ_t.
    tail = multiple_testing.lond_weight(1) * math.log(2) ** 2 / math.log(200_000)
    assert 0.99 < head + tail <= 1.0


def test_among_keys_of_which_a_few_are_wrong_the_false_share_is_below_alpha() -> None:
    rng = np.random.default_rng(9)
    shares = []
    for _ in range(400):
        wrong = np.arange(100) < 10
        z = rng.normal(np.where(wrong, 4.0, 0.0))
        ratio = np.floor((3 * z - 4.5) / LOG_UNIT).astype(np.int64)  # of a shift by 3
        found = multiple_testing.e_bh(ratio, 0.1)
        shares.append((found & ~wrong).sum() / max(found.sum(), 1))
    assert np.mean(shares) <= 0.1
    assert np.mean(shares) > 0  # it does discover
