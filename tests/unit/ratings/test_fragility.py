"""Fragility: the real board's figures, a two-vote board, and brute force on small ones."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from pipeline.errors import BadCounts, RatingError
from pipeline.ratings import PairCounts, fit, fit_matrix, fragility
from pipeline.ratings.fragility import RankSwap, fewest_votes_to_replace_first, fewest_votes_to_swap, neighbour_swaps
from tests.unit.ratings.strategies import NAMES, connected


def _holds(counts: PairCounts, swap: RankSwap) -> None:
    """What a swap says of itself is true on an exact refit."""
    above, below = counts.models.index(swap.above), counts.models.index(swap.below)
    theta, after = fit(counts).theta, fit(counts.minus(swap.dropped)).theta
    assert theta[above] > theta[below]
    assert after[above] < after[below]
    assert swap.votes == swap.dropped.total
    assert swap.share == swap.votes / counts.total
    assert swap.gap > 0 > swap.gap_after


def test_swaps_of_the_first_places_of_the_real_board(real: PairCounts) -> None:
    found = list(neighbour_swaps(real, 7))
    for swap in found:
        assert swap is not None
        _holds(real, swap)
    # Published bounds for #1/#2, #2/#3, #3/#4 and #6/#7 by influence, refit and bisection.
    bounds = [462, 597, 414, 150, 325, 100, 37]
    assert all(swap.votes <= most for swap, most in zip(found, bounds, strict=True))
    assert found[0].share <= 0.00028
    assert (found[0].above, found[0].below) == ("chatgpt-4o-latest", "gemini-1.5-pro-exp-0801")


def test_the_first_of_the_real_board_is_replaced_by_the_second(real: PairCounts) -> None:
    found = fewest_votes_to_replace_first(real)
    assert found is not None
    assert (found.above, found.below, found.votes) == ("chatgpt-4o-latest", "gemini-1.5-pro-exp-0801", 462)
    after = fit(real.minus(found.dropped)).theta
    assert real.models[int(np.argmax(after))] == found.below


def test_the_search_skips_no_model_that_could_need_fewer_votes(real: PairCounts) -> None:
    start = fit(real)
    first = int(np.argmax(start.theta))
    potentials = fragility._potentials(start, first)
    for k in range(0, len(start.theta), 9):
        if k != first:
            gap = float(start.theta[first] - start.theta[k])
            price = gap / (potentials[first, k] - potentials[k, k])
            least = fragility._lower_bound(real, start, potentials[:, k], gap)
            assert price <= least + 1e-9
            assert least <= fragility._Search(real, start, first, k).linear_estimate() + 1e-9
    top = np.argsort(-start.theta)[:5].tolist()
    swaps = [fewest_votes_to_swap(real, real.models[first], real.models[k]) for k in top if k != first]
    found = fewest_votes_to_replace_first(real)
    assert found is not None
    assert found.votes == min(swap.votes for swap in swaps if swap is not None)


def test_one_vote_fewer_from_the_front_of_the_order_is_not_enough(real: PairCounts) -> None:
    swap = fewest_votes_to_swap(real, "gemini-advanced-0514", "llama-3.1-405b-instruct")
    assert swap is not None
    rows = np.flatnonzero(swap.dropped.table().sum(axis=1))
    kept = swap.dropped.table()
    first = np.flatnonzero(kept[rows[0]])[0]
    kept[rows[0], first] -= 1
    less = PairCounts.from_rows(swap.dropped.models, swap.dropped.a, swap.dropped.b, kept)
    after = fit(real.minus(less)).theta
    assert after[real.models.index(swap.above)] > after[real.models.index(swap.below)]


def test_two_of_two_thousand_votes_decide_the_first_place() -> None:
    """The case of Huang et al. 2025 ("Dropping just a handful of preferences …"): a lead of two votes."""
    table = [[334, 333, 0, 0], [400, 300, 0, 0], [400, 301, 0, 0]]
    counts = PairCounts.from_rows(NAMES[:3], [0, 0, 1], [1, 2, 2], table)
    swap = fewest_votes_to_replace_first(counts)
    assert swap is not None
    assert (swap.above, swap.below, swap.votes) == ("ant", "bee", 2)
    assert swap.dropped.table().sum(axis=0)[0] == 2


def _fewest(counts: PairCounts, above: int, below: int) -> int | None:
    """By trying every way to drop 1, 2, 3 … votes; None if no three do it."""
    cells = [(k, o) for k in range(len(counts.a)) for o in range(4) if counts.table()[k, o] > 0]
    for votes in (1, 2, 3):
        for chosen in itertools.combinations_with_replacement(cells, votes):
            table = counts.table()
            for k, o in chosen:
                table[k, o] -= 1
            if (table < 0).any():
                continue
            try:
                left = PairCounts.from_rows(counts.models, counts.a, counts.b, table)
                theta = fit_matrix(left.decisive_matrix(), left.tie_matrix()).theta
            except RatingError:
                continue
            if theta[below] > theta[above] + 1e-9:
                return votes
    return None


@pytest.mark.long
@settings(max_examples=25, deadline=None)
@given(connected(3))
def test_brute_force_is_at_most_one_vote_better_on_small_boards(counts: PairCounts) -> None:
    theta = fit(counts).theta
    order = np.argsort(-theta, kind="stable")
    if theta[order[0]] - theta[order[1]] < 1e-6 or len(counts.models) > 4:
        return
    swap = fewest_votes_to_swap(counts, counts.models[order[0]], counts.models[order[1]])
    fewest = _fewest(counts, int(order[0]), int(order[1]))
    if swap is not None:
        _holds(counts, swap)
    if fewest is not None and fewest < 3:
        assert swap is not None
        assert fewest <= swap.votes <= fewest + 1


@settings(max_examples=40, deadline=None)
@given(connected(8))
def test_every_swap_that_is_found_holds_on_an_exact_refit(counts: PairCounts) -> None:
    theta = fit(counts).theta
    for i, j in itertools.permutations(range(len(theta)), 2):
        if theta[i] - theta[j] > 1e-6:
            swap = fewest_votes_to_swap(counts, counts.models[i], counts.models[j])
            if swap is not None:
                _holds(counts, swap)


@settings(max_examples=20, deadline=None)
@given(connected(8))
def test_side_and_order_of_models_do_not_matter(counts: PairCounts) -> None:
    theta = fit(counts).theta
    order = np.argsort(-theta, kind="stable")
    if theta[order[0]] - theta[order[-1]] < 1e-3:
        return
    size = len(theta)
    last = size - 1
    mirrored = PairCounts.from_rows(
        counts.models[::-1], last - counts.b, last - counts.a, counts.table()[:, [1, 0, 2, 3]]
    )
    names = counts.models[order[0]], counts.models[order[-1]]
    one, other = fewest_votes_to_swap(counts, *names), fewest_votes_to_swap(mirrored, *names)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert abs(one.votes - other.votes) <= 1


def test_k_times_the_votes_need_about_k_times_as_many(real: PairCounts) -> None:
    names = "gemini-advanced-0514", "llama-3.1-405b-instruct"
    doubled = PairCounts.from_rows(real.models, real.a, real.b, real.table() * 2)
    one, other = fewest_votes_to_swap(real, *names), fewest_votes_to_swap(doubled, *names)
    assert one is not None
    assert other is not None
    assert other.votes == pytest.approx(2 * one.votes, abs=3)


def test_a_model_that_no_set_of_votes_lifts_has_no_swap() -> None:
    counts = PairCounts.from_rows(NAMES[:2], [0], [1], [[5, 1, 0, 0]])
    # Without all five wins nothing can be compared, and with one the two are level.
    assert fewest_votes_to_swap(counts, "ant", "bee") is None
    assert fewest_votes_to_replace_first(counts) is None


def test_equal_neighbours_have_nothing_to_swap() -> None:
    counts = PairCounts.from_rows(NAMES[:2], [0], [1], [[3, 3, 0, 0]])
    assert list(neighbour_swaps(counts, 5)) == [None]


def test_bad_arguments_are_named() -> None:
    counts = PairCounts.from_rows(NAMES[:2], [0], [1], [[5, 3, 0, 0]])
    with pytest.raises(BadCounts, match="one of 2 models, got 'owl'"):
        fewest_votes_to_swap(counts, "ant", "owl")
    with pytest.raises(BadCounts, match=r"a model rated above ant, got bee, -88\.\d+ points above"):
        fewest_votes_to_swap(counts, "bee", "ant")
    with pytest.raises(BadCounts, match="a model rated above ant, got ant"):
        fewest_votes_to_swap(counts, "ant", "ant")
