"""Window counts: exact in any order and any grouping, bounded, and all in the bytes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evidence import EXPECTED_UNIT, Reference
from pipeline.scoring import window_builder, window_codec, window_counter
from pipeline.scoring.window import COHORTS, MEASURES
from pipeline.scoring.window_counter import MAX_ROWS, WINDOW_WIDTH, WindowCounts, WindowVotes

BOARD = Reference(1, np.array([1, 2, 3]), np.array([0.5, 0.0, -0.5]), np.zeros((3, 3)), 0.3, (3.0, 7.0))
UNKNOWN = 4

one_vote = st.tuples(
    st.integers(0, 2),  # window
    st.integers(1, 2),  # partition
    st.booleans(),  # late
    st.permutations([1, 2, 3, UNKNOWN]).map(lambda p: p[:2]),
    st.integers(0, 3),  # outcome
    st.integers(0, 1),  # side
    st.integers(0, 2),  # cohort
    st.integers(-1, 3),  # network
    st.integers(-1, 3),  # prompt
)


def counted(rows: list[tuple]) -> WindowVotes:  # type: ignore[type-arg]
    window, part, late, models, outcome, side, cohort, network, prompt = zip(*rows, strict=True) if rows else [()] * 9
    ints = [np.array(column, dtype=np.int64) for column in (part, outcome, side, cohort, network, prompt)]
    return WindowVotes(
        ints[0],
        np.array(window, dtype=np.int64) * WINDOW_WIDTH + 5,
        np.array(late, dtype=np.bool_),
        np.array(models, dtype=np.int64).reshape(-1, 2),
        ints[1].astype(np.int8),
        ints[2].astype(np.uint8),
        *ints[3:],
    )


def slow(rows: list[tuple]) -> dict[tuple[int, int], Counter[tuple[int, ...]]]:  # type: ignore[type-arg]
    """(window, partition) → (kind, group, model, measure) → sum."""
    total: dict[tuple[int, int], Counter[tuple[int, ...]]] = {}
    theta = dict(zip([1, 2, 3], BOARD.theta.tolist(), strict=True))
    for window, part, late, models, outcome, side, cohort, network, prompt in rows:
        into = total.setdefault((window, part), Counter())
        if late:
            continue
        for place, model in enumerate(models):
            other = models[1 - place]
            won, lost = outcome == place, outcome == 1 - place
            values = {0: 1, 1: side == place, 2: won, 3: lost}
            if UNKNOWN not in models:
                p = [0.7 / (1 + np.exp(theta[b] - theta[a])) for a, b in ((model, other), (other, model))]
                values |= {4: 1, 5: won, 6: lost, 7: int(np.ceil(p[0] * 1024)), 8: int(np.ceil(p[1] * 1024))}
            for kind, group in ((0, cohort), (1, network), (2, prompt)):
                if group >= 0:
                    for measure, value in values.items():
                        into[kind, group, model, measure] += int(value)
        if network >= 0:
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
def test_however_votes_are_cut_the_sum_is_the_same(rows: list[tuple], cuts: set[int]) -> None:  # type: ignore[type-arg]
    rows = [(0, 1, *r[2:]) for r in rows]
    parts = [rows[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True)]
    counts = [window_counter.count_votes(counted(part), BOARD)[0].counts for part in parts if part]
    (whole,) = window_counter.count_votes(counted(rows), BOARD)
    assert window_counter.add_counts(*counts).tolist() == whole.counts.tolist()
    assert window_counter.add_counts(*reversed(counts)).tolist() == whole.counts.tolist()


def busy(seed: int, votes: int, networks: int = 2**32) -> WindowVotes:
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 4, votes)
    return WindowVotes(
        np.ones(votes, dtype=np.int64),
        np.zeros(votes, dtype=np.int64),
        np.zeros(votes, dtype=np.bool_),
        np.stack([a, a % 3 + 1], axis=1),
        rng.integers(0, 4, votes).astype(np.int8),
        rng.integers(0, 2, votes).astype(np.uint8),
        rng.integers(0, 3, votes),
        rng.integers(0, networks, votes),
        rng.integers(0, 2**32, votes),
    )


@pytest.mark.parametrize("networks", [300, 2**32])
def test_a_busy_window_is_bounded_and_the_bits_that_stay_do_not_depend_on_the_order(networks: int) -> None:
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


def test_the_busiest_window_fits_into_64_kib_beside_its_networks_traffic() -> None:
    counts = window_counter.count_votes(busy(1, 100_000, 300), BOARD)[0].counts
    assert len(window_codec.pack_counts(counts)) <= 64 * 1024


@given(st.lists(one_vote, max_size=25))
@settings(deadline=None)
def test_bytes_hold_all_there_is_to_know(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    for one in window_counter.count_votes(counted(rows), None):
        again = window_codec.unpack_counts(window_codec.pack_counts(one.counts))
        assert again.dtype == np.int64
        assert again.tolist() == one.counts.tolist()


@pytest.mark.parametrize("most", [1, 2**31 - 1, 2**31, 2**62])
def test_numbers_of_every_size_survive_the_bytes(most: int) -> None:
    rows = np.zeros((3, len(window_counter.COLUMNS)), dtype=np.int64)
    rows[:, 3] = [0, 7, most]
    rows[:, 1] = [0, 2**32 - 1, 2**31]
    assert window_codec.unpack_counts(window_codec.pack_counts(rows)).tolist() == rows.tolist()
    none = np.zeros((0, len(window_counter.COLUMNS)), dtype=np.int64)
    assert window_codec.unpack_counts(window_codec.pack_counts(none)).shape == none.shape


@given(st.lists(one_vote, max_size=25))
@settings(deadline=None)
def test_a_merged_window_is_the_same_whatever_the_partitions_and_numbers(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    """Detectors see names; which number a model has depends on who came first."""
    rows = [(0, *r[1:]) for r in rows]
    one = [(0, 1, *r[2:]) for r in rows]
    swapped = {1: 9, 2: 3, 3: 2, UNKNOWN: 5}
    renumbered = [(*r[:3], [swapped[m] for m in r[3]], *r[4:]) for r in rows]
    names = {1: "a", 2: "b", 3: "c", UNKNOWN: "d"}
    other_names = {swapped[number]: name for number, name in names.items()}
    networks = {0: "AS1", 1: "AS2"}
    first, *others = [
        window_builder.build_window(0, window_counter.count_votes(counted(rows), None), names, networks, {}),
        window_builder.build_window(0, window_counter.count_votes(counted(one), None), names, networks, {}),
        window_builder.build_window(
            0, window_counter.count_votes(counted(renumbered), None), other_names, networks, {}
        ),
    ]
    for window in others:
        for name in ("start", "end", "accepted", "late", "models", "votes_of"):
            assert getattr(window, name) == getattr(first, name)
        assert window.totals.tolist() == first.totals.tolist()
        for name in ("cohorts", "networks", "prompts"):
            mine, other = getattr(window, name), getattr(first, name)
            assert (mine.group, mine.model, mine.counts.tolist()) == (other.group, other.model, other.counts.tolist())


def test_votes_on_a_later_name_are_the_first_name_s() -> None:
    rows = [(0, 1, False, [1, 2], 0, 0, 1, 0, -1), (0, 1, False, [3, 2], 0, 0, 1, 0, -1)]
    parts = window_counter.count_votes(counted(rows), None)
    window = window_builder.build_window(0, parts, {1: "old", 2: "b", 3: "new"}, {0: "AS1"}, {"new": "old"})
    assert window.models == ("b", "old")
    assert window.totals[:, MEASURES.index("appearances")].tolist() == [2, 2]
    assert window.networks.group == ("AS1", "AS1")
    assert window.votes_of == {"AS1": 2}
    assert window.cohorts.group == (COHORTS[1], COHORTS[1])


def test_a_window_without_votes_has_none() -> None:
    window = window_builder.build_window(7 * WINDOW_WIDTH, [], {}, {}, {})
    assert (window.start, window.end, window.accepted, window.models) == (7 * WINDOW_WIDTH, 8 * WINDOW_WIDTH, 0, ())
    assert window.totals.shape == (0, len(MEASURES))


def test_what_the_snapshot_expects_is_rounded_up_by_less_than_a_unit() -> None:
    exact = 0.7 / (1 + np.exp(BOARD.theta[None, :] - BOARD.theta[:, None]))
    assert (BOARD.expected_wins * EXPECTED_UNIT >= exact - 1e-12).all()
    assert (BOARD.expected_wins * EXPECTED_UNIT < exact + EXPECTED_UNIT).all()
