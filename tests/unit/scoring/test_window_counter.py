"""Window counts: agreement with slow loops, exact sums in any order and grouping, bounded size."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evidence import EXPECTED_UNIT
from pipeline.scoring import window_counter
from pipeline.scoring.window import MEASURES
from pipeline.scoring.window_counter import MAX_ROWS, WINDOW_WIDTH, WindowCounts
from pipeline.vocabulary.fates import ACCEPTED, LATE, QUARANTINED
from pipeline.vocabulary.time import NO_TIME
from tests.unit.scoring.batches import DAY, batch_of
from tests.unit.scoring.window_votes import BOARD, UNKNOWN, busy, counted, one_vote


def slow(rows: list[tuple]) -> dict[tuple[int, int], Counter[tuple[int, ...]]]:  # type: ignore[type-arg]
    """(window, partition) → (kind, group, model, measure) → sum."""
    total: dict[tuple[int, int], Counter[tuple[int, ...]]] = {}
    theta = dict(zip([1, 2, 3], BOARD.theta.tolist(), strict=True))
    for window, part, late, models, outcome, side, cohort, network, prompt in rows:
        into = total.setdefault((window, part), Counter())
        for place, model in enumerate(models):
            other = models[1 - place]
            won, lost = outcome == place, outcome == 1 - place
            values = {0: not late, 1: not late and side == place, 2: won, 3: lost}
            if UNKNOWN not in models:
                p = [0.7 / (1 + np.exp(theta[b] - theta[a])) for a, b in ((model, other), (other, model))]
                values |= {4: 1, 5: won, 6: lost, 7: int(np.ceil(p[0] * 1024)), 8: int(np.ceil(p[1] * 1024))}
            for kind, group in ((0, cohort), (1, network), (2, prompt)):
                if group >= 0:
                    for measure, value in values.items():
                        into[kind, group, model, measure] += int(value)
        if network >= 0 and not late:
            into[3, network, 0, 0] += 1
    return total


def as_counter(one: WindowCounts) -> Counter[tuple[int, ...]]:
    return Counter(
        {
            (kind, group, model, measure): value
            for kind, group, model, *values in one.counts.tolist()
            for measure, value in enumerate(values)
        }
    )


@given(st.lists(one_vote, max_size=25))
@settings(deadline=None)
def test_counts_are_those_of_a_slow_loop(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    found = window_counter.count_votes(counted(rows), BOARD)
    expected = slow(rows)
    assert [(w.start // WINDOW_WIDTH, w.partition) for w in found] == sorted(expected)
    for one in found:
        mine = [r for r in rows if (r[0], r[1]) == (one.start // WINDOW_WIDTH, one.partition)]
        assert (one.accepted, one.late) == (sum(not r[2] for r in mine), sum(r[2] for r in mine))
        assert +as_counter(one) == +expected[one.start // WINDOW_WIDTH, one.partition]


@given(st.lists(one_vote, min_size=1, max_size=25), st.sets(st.integers(1, 24), max_size=3))
@settings(deadline=None)
def test_the_sum_does_not_depend_on_how_votes_are_split(rows: list[tuple], cuts: set[int]) -> None:  # type: ignore[type-arg]
    rows = [(0, 1, *r[2:]) for r in rows]
    parts = [rows[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True)]
    counts = [window_counter.count_votes(counted(part), BOARD)[0].counts for part in parts if part]
    (whole,) = window_counter.count_votes(counted(rows), BOARD)
    assert window_counter.add_counts(*counts).tolist() == whole.counts.tolist()
    assert window_counter.add_counts(*reversed(counts)).tolist() == whole.counts.tolist()


@pytest.mark.parametrize("networks", [300, 2**32])
def test_a_busy_window_is_bounded_and_its_hash_bits_do_not_depend_on_the_order(networks: int) -> None:
    parts = [
        window_counter.count_votes(busy(seed, votes, networks), BOARD)[0].counts
        for seed, votes in enumerate((400, 5000, 20, 9000))
    ]
    whole = window_counter.add_counts(*parts)
    assert (
        window_counter.add_counts(
            window_counter.add_counts(parts[3], parts[0]), window_counter.add_counts(parts[2], parts[1])
        ).tolist()
        == whole.tolist()
    )
    for kind in (window_counter.NETWORK, window_counter.PROMPT):
        mine = whole[whole[:, 0] & 3 == kind]
        assert len(mine) <= MAX_ROWS
        assert len(np.unique(mine[:, 0])) == 1
        assert mine[:, 3].sum() == 2 * 14420  # nothing is lost: every vote is in some row
    exact = networks == 300
    assert (whole[whole[:, 0] & 3 == window_counter.NETWORK][0, 0] == window_counter.NETWORK) == exact


def test_expected_wins_are_rounded_up_by_less_than_a_unit() -> None:
    exact = 0.7 / (1 + np.exp(BOARD.theta[None, :] - BOARD.theta[:, None]))
    assert (BOARD.expected_wins * EXPECTED_UNIT >= exact - 1e-12).all()
    assert (BOARD.expected_wins * EXPECTED_UNIT < exact + EXPECTED_UNIT).all()


window_votes = st.tuples(
    st.integers(0, 1),  # partition
    st.integers(-2, 2).map(lambda k: k * window_counter.WINDOW_WIDTH)
    | st.integers(-2, 3).map(lambda k: k * window_counter.WINDOW_WIDTH - 1),
    st.tuples(st.integers(0, 3), st.integers(1, 3)).map(lambda t: (t[0], (t[0] + t[1]) % 4)),
    st.integers(0, 3),  # outcome
    st.integers(0, 1),  # side
    st.sampled_from([NO_TIME, -7 * DAY - 1, -7 * DAY, -8 * DAY, 0]),
    st.integers(0, 2),  # fate
)


def test_windows_count_networks_and_prompts_of_votes_that_have_them() -> None:
    prompts = np.array([-1, 2**40 + 3, 0], dtype=np.int64)
    batch = replace(batch_of([5, 6, 7]), network=["AS1", None, "AS1"], prompt=prompts)
    models = np.array([[0, 1], [0, 1], [1, 0]])
    (found,) = window_counter.count_batch(batch, models, np.array([0, 0, 2], dtype=np.int8), batch.cast_at, None)
    rows = [[kind, group, model] for kind, group, model, *_ in found.counts.tolist()]
    cohorts = [[window_counter.COHORT, 0, 0], [window_counter.COHORT, 0, 1]]
    network = [[window_counter.NETWORK, window_counter.network_hash("AS1"), model] for model in (0, 1)]
    asked = [[window_counter.PROMPT, group, model] for group in (3, 2**32 - 1) for model in (0, 1)]
    assert rows == [*cohorts, *network, *asked, [window_counter.TRAFFIC, window_counter.network_hash("AS1"), 0]]


@given(st.lists(window_votes, max_size=25))
@settings(max_examples=200, deadline=None)
def test_window_counts_are_those_of_a_slow_loop(rows: list[tuple]) -> None:
    rows = sorted(rows, key=lambda r: r[0])
    part, cast, models, outcome, side, since, fate = zip(*rows, strict=True) if rows else ([],) * 7
    batch = batch_of(list(cast), partition=list(part), outcome=list(outcome), side=list(side), since=list(since))
    votes: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    cells: dict[tuple[int, int], dict[tuple[int, int], list[int]]] = defaultdict(dict)
    for p, at, pair, won, chosen, born, f in rows:
        if f == QUARANTINED:
            continue
        key = (at // (300 * 1_000_000) * 300 * 1_000_000, p)
        votes[key][f] += 1
        cohort = 0 if born == NO_TIME else 2 if at - born <= 7 * DAY else 1
        for place in (0, 1):
            cell = cells[key].setdefault((window_counter.COHORT, cohort, pair[place]), [0] * len(MEASURES))
            on_time = f == ACCEPTED
            for i, yes in enumerate((on_time, on_time and chosen == place, won == place, won == 1 - place)):
                cell[i] += yes
    found = window_counter.count_batch(
        batch, np.array(models, dtype=np.int64).reshape(-1, 2), np.array(fate, dtype=np.int8), batch.cast_at, None
    )
    assert [(w.start, w.partition) for w in found] == sorted(votes)
    for window in found:
        key = (window.start, window.partition)
        assert (window.accepted, window.late) == (votes[key][ACCEPTED], votes[key][LATE])
        expected = [[*cell, *values] for cell, values in sorted(cells[key].items())]
        assert window.counts.tolist() == expected
        assert window.counts.dtype == np.int64


@given(st.lists(window_votes, max_size=25), st.integers(0, 25))
@settings(max_examples=60, deadline=None)
def test_window_counts_of_two_batches_add_up_to_those_of_one(rows: list[tuple], cut: int) -> None:
    def counted(some: list[tuple]) -> dict[tuple[int, int], list]:
        part, cast, models, outcome, side, since, fate = zip(*some, strict=True) if some else ([],) * 7
        batch = batch_of(list(cast), partition=list(part), outcome=list(outcome), side=list(side), since=list(since))
        pairs = np.array(models, dtype=np.int64).reshape(-1, 2)
        found = window_counter.count_batch(batch, pairs, np.array(fate, dtype=np.int8), batch.cast_at, None)
        return {(w.start, w.partition): [w.accepted, w.late, w.counts] for w in found}

    whole, first, second = counted(rows), counted(rows[:cut]), counted(rows[cut:])
    assert set(whole) == set(first) | set(second)
    for key, (accepted, late, counts) in whole.items():
        parts = [half[key] for half in (first, second) if key in half]
        assert (accepted, late) == (sum(p[0] for p in parts), sum(p[1] for p in parts))
        assert counts.tolist() == window_counter.add_counts(*(p[2] for p in parts)).tolist()
