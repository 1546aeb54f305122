"""The pure heart of a worker: agreement with slow loops, and the laws of time and fate."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.detectors import VOTER
from pipeline.events import vote_batch
from pipeline.events.vote_batch import VoteBatch
from pipeline.evidence import Reference
from pipeline.scoring import vote_processor, window_counter
from pipeline.scoring.fate import MAX_AHEAD, assign_fate
from pipeline.scoring.vote_processor import DetectorStates
from pipeline.scoring.window import MEASURES
from pipeline.vocabulary.fates import ACCEPTED, FATES, LATE, QUARANTINED
from pipeline.vocabulary.time import NO_TIME

MINUTE = 60 * 1_000_000
DAY = 24 * 60 * MINUTE


def batch_of(
    cast: list[int],
    *,
    appended: list[int] | None = None,
    partition: list[int] | None = None,
    voter: list[int | None] | None = None,
    outcome: list[int] | None = None,
    side: list[int] | None = None,
    since: list[int] | None = None,
    offset: list[int] | None = None,
) -> VoteBatch:
    n = len(cast)
    voters = voter or [1] * n
    return VoteBatch(
        partition=np.array(partition or [0] * n, dtype=np.int32),
        offset=np.array(offset or range(n), dtype=np.int64),
        appended_at=np.array(appended or cast, dtype=np.int64),
        cast_at=np.array(cast, dtype=np.int64),
        key=np.arange(2 * n, dtype=np.uint64).reshape(n, 2),
        side=np.array(side or [0] * n, dtype=np.uint8),
        vote_id=[str(i) for i in range(n)],
        model_a=["a"] * n,
        model_b=["b"] * n,
        outcome=np.array(outcome or [0] * n, dtype=np.int8),
        voter=np.array([v or 0 for v in voters], dtype=np.int64),
        has_voter=np.array([v is not None for v in voters], dtype=np.bool_),
        language=[None] * n,
        category=[None] * n,
        prompt=np.zeros(n, dtype=np.int64),
        network=[None] * n,
        voter_since=np.array(since or [NO_TIME] * n, dtype=np.int64),
        style=np.full((n, 10), -1, dtype=np.int32),
    )


# -- fates ------------------------------------------------------------------------------------


def slow_fates(
    batch: VoteBatch, event_time: Mapping[int, int | None], lateness: int
) -> tuple[list[int], dict[int, int | None]]:
    """The rule as the design states it, one vote at a time."""
    after, fates = dict(event_time), []
    rows = zip(batch.partition.tolist(), batch.cast_at.tolist(), batch.appended_at.tolist(), strict=True)
    for part, cast, appended in rows:
        newest = after.get(part)
        if cast > appended + 5 * MINUTE:
            fates.append(QUARANTINED)
            continue
        fates.append(LATE if newest is not None and cast < newest - lateness else ACCEPTED)
        seen = min(cast, appended)
        after[part] = seen if newest is None else max(newest, seen)
    return fates, after


# Whole minutes and a microsecond either side of them meet every limit.
near = st.tuples(st.integers(0, 20), st.integers(-1, 1)).map(lambda t: t[0] * MINUTE + t[1])
one_vote = st.tuples(st.integers(0, 2), near, near)
batches = st.lists(one_vote, max_size=30).map(
    lambda rows: batch_of([r[1] for r in rows], appended=[r[2] for r in rows], partition=sorted(r[0] for r in rows))
)
clocks = st.dictionaries(st.integers(0, 3), st.none() | near)
latenesses = st.sampled_from([0, 3 * MINUTE, 60 * MINUTE])


@given(batches, clocks, latenesses)
@settings(max_examples=300, deadline=None)
def test_fates_and_event_times_are_those_of_a_slow_loop(
    batch: VoteBatch, event_time: dict[int, int | None], lateness: int
) -> None:
    before = dict(event_time)
    fate, after = assign_fate(batch, event_time, lateness)
    assert fate.dtype == np.int8
    assert (fate.tolist(), after) == slow_fates(batch, event_time, lateness)
    assert event_time == before


@given(batches, clocks, latenesses, st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_fates_do_not_depend_on_where_a_batch_is_cut(
    batch: VoteBatch, event_time: dict[int, int | None], lateness: int, cut: int
) -> None:
    whole, after = assign_fate(batch, event_time, lateness)
    index = np.arange(len(batch))
    first, between = assign_fate(batch.take(index[:cut]), event_time, lateness)
    second, end = assign_fate(batch.take(index[cut:]), between, lateness)
    assert [*first, *second] == whole.tolist()
    assert end == after


def test_fate_codes_are_positions_and_never_move() -> None:
    # They are stored in every vote row.
    assert [FATES[code] for code in (ACCEPTED, LATE, QUARANTINED)] == ["accepted", "late", "quarantined"]
    assert MAX_AHEAD == 5 * MINUTE


def test_a_vote_from_the_future_is_quarantined_and_leaves_the_watermark() -> None:
    batch = batch_of([10 * MINUTE, DAY, 9 * MINUTE], appended=[10 * MINUTE] * 3)
    fate, after = assign_fate(batch, {}, 2 * MINUTE)
    assert fate.tolist() == [ACCEPTED, QUARANTINED, ACCEPTED]
    assert after == {0: 10 * MINUTE}
    alone, untouched = assign_fate(batch_of([DAY], appended=[0]), {0: None, 1: 5}, 0)
    assert alone.tolist() == [QUARANTINED]
    assert untouched == {0: None, 1: 5}


def test_five_minutes_ahead_is_allowed_and_moves_the_watermark_to_the_append_time_only() -> None:
    batch = batch_of([MAX_AHEAD, MAX_AHEAD + 1], appended=[0, 0])
    fate, after = assign_fate(batch, {}, 0)
    assert fate.tolist() == [ACCEPTED, QUARANTINED]
    assert after == {0: 0}


def test_a_vote_on_the_watermark_is_in_time_and_one_before_it_is_late() -> None:
    batch = batch_of([100 * MINUTE, 40 * MINUTE, 40 * MINUTE - 1, 99 * MINUTE])
    fate, after = assign_fate(batch, {}, 60 * MINUTE)
    assert fate.tolist() == [ACCEPTED, ACCEPTED, LATE, ACCEPTED]
    assert after == {0: 100 * MINUTE}


def test_history_is_welcome_before_the_first_vote_and_partitions_have_their_own_clocks() -> None:
    batch = batch_of([-300 * 365 * DAY, 5 * DAY, 0], partition=[0, 1, 1])
    fate, after = assign_fate(batch, {}, 60 * MINUTE)
    assert fate.tolist() == [ACCEPTED, ACCEPTED, LATE]
    assert after == {0: -300 * 365 * DAY, 1: 5 * DAY}


# -- repeats ----------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2**64 - 1])), max_size=20))
def test_the_first_of_equal_ids_is_the_one_a_loop_would_keep(pairs: list[tuple[int, int]]) -> None:
    expected = [pairs.index(pair) for pair in pairs]
    key = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
    assert vote_batch.first_occurrences(key).tolist() == expected
    assert vote_batch.first_occurrences(np.asfortranarray(key)).tolist() == expected


# -- states -----------------------------------------------------------------------------------

voters = st.none() | st.integers(-2, 3)


@given(st.lists(st.tuples(st.integers(0, 2), voters, st.integers(0, 2)), max_size=20))
def test_the_states_asked_for_are_those_of_voters_with_a_visible_vote(
    rows: list[tuple[int, int | None, int]],
) -> None:
    rows = sorted(rows, key=lambda r: r[0])
    batch = batch_of([0] * len(rows), partition=[r[0] for r in rows], voter=[r[1] for r in rows])
    fate = np.array([r[2] for r in rows], dtype=np.int8)
    asked: list[tuple[int, int]] = []

    def prior(part: int, voters: Sequence[int]) -> list[None]:
        asked.extend((part, voter) for voter in voters)
        return [None] * len(voters)

    models = np.tile([0, 1], (len(rows), 1))
    vote_processor.run_detectors(batch, models, fate, prior, REFERENCE, VOTER)
    wanted = {(part, voter) for part, voter, f in rows if voter is not None and f != QUARANTINED}
    assert sorted(asked) == sorted(wanted)


REFERENCE = Reference(1, np.arange(4), np.zeros(4), np.zeros((4, 4)), 0.3, (3.0, 7.0))


def stream(n: int = 120, partitions: int = 2) -> tuple[VoteBatch, np.ndarray]:
    """Voters 1 (always left, on every partition), 2 (both sides in turn) and nobody; a few bad fates."""
    voter = [(1, 2, None)[i % 3] for i in range(n)]
    batch = batch_of(
        [1000 + i for i in range(n)],
        partition=sorted(i % partitions for i in range(n)),
        offset=[50 + i for i in range(n)],
        voter=voter,
        outcome=[0 if v == 1 else i % 2 for i, v in enumerate(voter)],
    )
    a = np.arange(n) % 4
    return batch, np.column_stack([a, (a + 1 + np.arange(n) % 3) % 4])


def observe(
    batch: VoteBatch, models: np.ndarray, fate: np.ndarray, states: Mapping[int, Mapping[int, DetectorStates]]
) -> vote_processor.DetectorResults:
    def prior(part: int, voters: Sequence[int]) -> list[DetectorStates | None]:
        return [states.get(part, {}).get(voter) for voter in voters]

    return vote_processor.run_detectors(batch, models, fate, prior, REFERENCE, VOTER)


def test_before_the_first_snapshot_there_is_no_evidence() -> None:
    batch, models = stream()
    fate = np.zeros(len(batch), dtype=np.int8)
    assert vote_processor.run_detectors(
        batch, models, fate, lambda *_: [], None, VOTER
    ) == vote_processor.DetectorResults({}, [])


def test_every_visible_voter_gets_a_state_on_its_own_partition() -> None:
    batch, models = stream()
    fate = np.zeros(len(batch), dtype=np.int8)
    found = observe(batch, models, fate, {})
    assert {part: set(group) for part, group in found.states.items()} == {0: {1, 2}, 1: {1, 2}}
    assert {len(parts) for group in found.states.values() for parts in group.values()} == {len(VOTER)}
    assert {(r.partition, r.subject) for r in found.alerts} == {(0, f"{1:016x}"), (1, f"{1:016x}")}
    for r in found.alerts:
        row = batch.offset.tolist().index(r.offset)
        assert (batch.partition[row], batch.voter[row], batch.cast_at[row]) == (r.partition, 1, r.at)


@pytest.mark.parametrize("cut", [1, 30, 61, 119])
def test_evidence_does_not_depend_on_where_a_batch_is_cut(cut: int) -> None:
    batch, models = stream()
    fate = np.where(np.arange(len(batch)) % 10 == 4, QUARANTINED, ACCEPTED).astype(np.int8)
    whole = observe(batch, models, fate, {})
    states: dict[int, dict[int, DetectorStates]] = {}
    raised = []
    for rows in (np.arange(cut), np.arange(cut, len(batch))):
        part = observe(batch.take(rows), models[rows], fate[rows], states)
        for key, group in part.states.items():
            states.setdefault(key, {}).update(group)
        raised += part.alerts
    assert states == whole.states
    assert sorted(raised, key=lambda r: (r.partition, r.offset)) == whole.alerts


def test_a_quarantined_vote_and_one_without_a_voter_are_no_evidence() -> None:
    batch, models = stream()
    fate = np.where(np.arange(len(batch)) % 4 == 1, QUARANTINED, ACCEPTED).astype(np.int8)
    kept = np.flatnonzero((fate == ACCEPTED) & batch.has_voter)
    alone = observe(batch.take(kept), models[kept], fate[kept], {})
    assert observe(batch, models, fate, {}) == alone
    nobody = np.full(len(batch), QUARANTINED, dtype=np.int8)
    assert observe(batch, models, nobody, {}) == vote_processor.DetectorResults({}, [])


def test_a_late_vote_is_evidence_about_its_voter() -> None:
    batch, models = stream()
    late = np.full(len(batch), LATE, dtype=np.int8)
    accepted = np.zeros(len(batch), dtype=np.int8)
    assert observe(batch, models, late, {}) == observe(batch, models, accepted, {})
    assert observe(batch, models, late, {}).alerts


def test_a_stored_state_is_taken_up_on_its_own_partition_only() -> None:
    batch, models = stream(60, 1)
    fate = np.zeros(len(batch), dtype=np.int8)
    before = observe(batch, models, fate, {}).states
    later = replace(batch, offset=batch.offset + 1000)
    elsewhere = {9: before[0]}
    assert observe(later, models, fate, elsewhere).states == before
    assert observe(later, models, fate, before).states != before


# -- windows ----------------------------------------------------------------------------------

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
    (found,) = window_counter.count_batch(batch, models, np.array([0, 0, 2], dtype=np.int8), None)
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
        for place in (0, 1) if f == ACCEPTED else ():
            cell = cells[key].setdefault((window_counter.COHORT, cohort, pair[place]), [0] * len(MEASURES))
            for i, yes in enumerate((True, chosen == place, won == place, won == 1 - place)):
                cell[i] += yes
    found = window_counter.count_batch(
        batch, np.array(models, dtype=np.int64).reshape(-1, 2), np.array(fate, dtype=np.int8), None
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
        found = window_counter.count_batch(batch, pairs, np.array(fate, dtype=np.int8), None)
        return {(w.start, w.partition): [w.accepted, w.late, w.counts] for w in found}

    whole, first, second = counted(rows), counted(rows[:cut]), counted(rows[cut:])
    assert set(whole) == set(first) | set(second)
    for key, (accepted, late, counts) in whole.items():
        parts = [half[key] for half in (first, second) if key in half]
        assert (accepted, late) == (sum(p[0] for p in parts), sum(p[1] for p in parts))
        assert counts.tolist() == window_counter.add_counts(*(p[2] for p in parts)).tolist()
