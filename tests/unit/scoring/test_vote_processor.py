"""The voter detectors over batches: which states are read, and what the results depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detectors import VOTER
from pipeline.events.vote_batch import VoteBatch
from pipeline.evidence import Reference
from pipeline.scoring import vote_processor
from pipeline.scoring.vote_processor import DetectorStates
from pipeline.vocabulary.fates import ACCEPTED, LATE, QUARANTINED
from tests.unit.scoring.batches import batch_of

voters = st.none() | st.integers(-2, 3)


@given(st.lists(st.tuples(st.integers(0, 2), voters, st.integers(0, 2)), max_size=20))
def test_the_states_read_are_those_of_voters_with_a_visible_vote(
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
    """Voters 1 (always left, on every partition) and 2 (both sides in turn), and votes without a voter."""
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
def test_evidence_does_not_depend_on_where_a_batch_is_split(cut: int) -> None:
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


def test_a_stored_state_is_used_on_its_own_partition_only() -> None:
    batch, models = stream(60, 1)
    fate = np.zeros(len(batch), dtype=np.int8)
    before = observe(batch, models, fate, {}).states
    later = replace(batch, offset=batch.offset + 1000)
    elsewhere = {9: before[0]}
    assert observe(later, models, fate, elsewhere).states == before
    assert observe(later, models, fate, before).states != before
