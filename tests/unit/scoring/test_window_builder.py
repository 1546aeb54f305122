"""A window merged from its partitions."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scoring import window_builder, window_counter
from pipeline.scoring.window import COHORTS, MEASURES
from pipeline.scoring.window_counter import WINDOW_WIDTH
from tests.unit.scoring.window_votes import UNKNOWN, counted, one_vote


@given(st.lists(one_vote, max_size=25))
@settings(deadline=None)
def test_a_merged_window_does_not_depend_on_partitions_and_numbers(rows: list[tuple]) -> None:  # type: ignore[type-arg]
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


def test_votes_on_a_later_name_count_for_the_first_name() -> None:
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
