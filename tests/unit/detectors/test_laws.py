"""The laws of voter detectors, run over every listed one, so a new detector is tested once it is listed.

The laws are in the docstring of `VoterDetector` (pipeline/scoring/detector_contracts.py).
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.detectors import VOTER
from pipeline.events.pseudonym import format_pseudonym
from pipeline.evidence import Reference
from pipeline.scoring.detector_contracts import VoterDetector, VoterVotes
from pipeline.scoring.signals import CRITICAL, LEVELS, AlertSignal

every_detector = pytest.mark.parametrize("detector", VOTER, ids=lambda d: d.name)

MODELS = 12
UNKNOWN = MODELS  # a number that the snapshot lacks
TICK = 1_700_001  # microseconds between two offsets


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Stream:
    """Votes of one partition in the order of offsets."""

    voter: np.ndarray  # a position in `names`
    a: np.ndarray
    b: np.ndarray
    outcome: np.ndarray
    offset: np.ndarray
    prompt: np.ndarray
    names: np.ndarray

    def take(self, rows: np.ndarray) -> "Stream":
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "names"})

    def __len__(self) -> int:
        return len(self.voter)


def board(models: int = MODELS, votes_each: int = 2000, seed: int = 0) -> tuple[Reference, np.ndarray]:
    """A snapshot estimated from so many votes a model, and the truth behind it."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 0.75, models)
    error = 2.2 / np.sqrt(votes_each)
    theta = truth + rng.normal(0, error, models)
    return Reference(4, np.arange(models), theta, np.eye(models) * error**2, 0.32, (3.2, 6.8)), truth


def honest(truth: np.ndarray, voters: int, each: int, seed: int, taste: float = 0.5, tie: float = 0.5) -> Stream:
    """Voters with a taste of their own for every model and a readiness of their own to tie."""
    rng = np.random.default_rng(seed)
    likes = truth + rng.normal(0, taste, (voters, len(truth)))
    ease = np.log(0.32 / 0.68) + rng.normal(0, tie, voters)
    n = voters * each
    voter = rng.permutation(np.repeat(np.arange(voters), each))
    a = rng.integers(0, len(truth), n)
    b = (a + rng.integers(1, len(truth), n)) % len(truth)
    win = rng.random(n) < sigmoid(likes[voter, a] - likes[voter, b])
    outcome = np.where(rng.random(n) < sigmoid(ease[voter]), rng.integers(2, 4, n), np.where(win, 0, 1))
    names = rng.integers(-(2**63), 2**63 - 1, voters)
    prompt = np.where(rng.random(n) < 0.073, rng.integers(1, 50, n), rng.integers(50, 2**62, n))
    return Stream(voter, a, b, outcome.astype(np.int8), np.arange(n) * 3 + 10, prompt, np.sort(names))


def mixed(seed: int, n: int = 240) -> Stream:
    """Honest voters, pressers of one side, friends of a model and random clickers; some models are unknown."""
    _, truth = board()
    stream = honest(truth, 8, n // 8, seed)
    outcome, a, b = stream.outcome.copy(), stream.a.copy(), stream.b.copy()
    outcome[stream.voter == 1] = 0
    mine = (stream.voter == 2) & ((a < 4) | (b < 4))
    outcome[mine] = np.where(a[mine] < b[mine], 0, 1)
    outcome[stream.voter == 3] = np.random.default_rng(seed).integers(0, 4, (stream.voter == 3).sum())
    rare = stream.offset % 11 == 0
    a[rare & (b != 0)] = UNKNOWN
    # A script: one vote upon the other, on one pair under one prompt.
    hasty, offset = stream.voter == 4, stream.offset.copy()
    a[hasty], b[hasty] = 3, 5
    prompt = np.where(hasty, 99, stream.prompt)
    order = np.concatenate([np.flatnonzero(~hasty), np.flatnonzero(hasty)])
    mixed_up = replace(stream, a=a, b=b, outcome=outcome, prompt=prompt).take(order)
    return replace(mixed_up, offset=offset)


def call(
    detector: VoterDetector,
    stream: Stream,
    states: dict[int, bytes],
    reference: Reference,
    partition: int = 5,
    first: int = 0,
) -> list[AlertSignal]:
    """One call with one chunk of a stream; the states are brought up to date, as a store would.

    The chunk is read from a partition, or a file, whose first offset is offset `first` of the stream.
    """
    here, voter = np.unique(stream.voter, return_inverse=True)
    order = np.argsort(voter, kind="stable")
    votes = VoterVotes(
        voter[order],
        stream.names[here],
        partition,
        stream.offset[order] - first,
        stream.offset[order] * TICK,
        stream.a[order],
        stream.b[order],
        stream.outcome[order],
        stream.prompt[order],
    )
    names = votes.names.tolist()
    # A state goes through bytes of its own, as it does through a database.
    prior = [bytes(bytearray(states[name])) if name in states else None for name in names]
    after, raised = detector.observe(votes, prior, reference)
    assert len(after) == len(names)
    assert all(type(state) is bytes for state in after)
    states.update(zip(names, after, strict=True))
    return raised


def run(
    detector: VoterDetector, stream: Stream, reference: Reference, cuts: Iterable[int] = ()
) -> tuple[dict[int, bytes], list[AlertSignal]]:
    states: dict[int, bytes] = {}
    raised: list[AlertSignal] = []
    for rows in np.split(np.arange(len(stream)), sorted(cuts)):
        if len(rows):
            raised += call(detector, stream.take(rows), states, reference)
    return states, raised


def test_every_detector_is_known_in_the_store_by_a_byte_of_its_own() -> None:
    tags = [detector.tag for detector in VOTER]
    assert len(set(tags)) == len(tags)
    assert all(1 <= tag <= 255 for tag in tags)


@pytest.mark.long
@every_detector
@given(seed=st.integers(0, 50), cuts=st.sets(st.integers(1, 239), max_size=8))
@settings(max_examples=60, deadline=None)
def test_however_the_votes_are_cut_states_and_alerts_are_the_same_to_the_bit(
    detector: VoterDetector, seed: int, cuts: set[int]
) -> None:
    reference, _ = board()
    stream = mixed(seed)
    assert run(detector, stream, reference, cuts) == run(detector, stream, reference)


@every_detector
@pytest.mark.parametrize("seed", range(6))
def test_one_call_with_hundreds_of_votes_of_a_voter_equals_many_calls(detector: VoterDetector, seed: int) -> None:
    """More votes than a state keeps pending, on models that the voter knows and on new ones."""
    reference, truth = board(models=40, seed=seed)
    stream = honest(truth, 4, 400, seed)
    outcome = stream.outcome.copy()
    outcome[stream.voter == 1] = 0
    stream = replace(stream, outcome=outcome)
    states, raised = run(detector, stream, reference)
    assert run(detector, stream, reference, range(37, len(stream), 37)) == (states, raised)


def without_place(one: AlertSignal) -> AlertSignal:
    return replace(one, partition=0, offset=0)


@every_detector
@given(seed=st.integers(0, 50), moves=st.lists(st.integers(0, 240), min_size=8, max_size=8))
@settings(max_examples=15, deadline=None)
def test_evidence_moves_with_the_voter_over_partitions_and_files(
    detector: VoterDetector, seed: int, moves: list[int]
) -> None:
    """Each voter goes on in another partition after so many votes of the stream; its offsets begin at 0 again."""
    reference, _ = board()
    stream = mixed(seed)
    later = np.arange(len(stream)) >= np.array(moves)[stream.voter]
    states: dict[int, bytes] = {}
    raised = []
    for partition, rows in ((5, ~later), (9, later)):
        if rows.any():
            part = stream.take(rows)
            raised += call(detector, part, states, reference, partition, int(part.offset[0]))
    whole, alerts = run(detector, stream, reference)
    assert states == whole

    def key(one: AlertSignal) -> tuple[int, str, str]:
        return one.at, one.subject, one.direction

    assert sorted(map(without_place, raised), key=key) == sorted(map(without_place, alerts), key=key)


@every_detector
def test_a_call_a_vote_is_the_same_as_one_call(detector: VoterDetector) -> None:
    reference, _ = board()
    stream = mixed(7)
    states, raised = run(detector, stream, reference)
    assert run(detector, stream, reference, range(1, len(stream))) == (states, raised)
    assert raised


@every_detector
def test_a_state_survives_its_bytes(detector: VoterDetector) -> None:
    reference, _ = board()
    stream = mixed(8)
    whole = run(detector, stream, reference)
    half = np.arange(len(stream)) < len(stream) // 2
    states: dict[int, bytes] = {}
    first = call(detector, stream.take(half), states, reference)
    stored = {name: state.hex() for name, state in states.items()}
    restored = {name: bytes.fromhex(state) for name, state in stored.items()}
    other = copy.deepcopy(detector)
    second = call(other, stream.take(~half), restored, board()[0])
    assert (restored, first + second) == whole


@every_detector
def test_the_same_votes_give_the_same_and_nothing_else_changes(detector: VoterDetector) -> None:
    reference, _ = board()
    stream = mixed(9)
    kept, output = copy.deepcopy(stream), repr(detector)
    once, again = run(detector, stream, reference), run(detector, stream, reference)
    assert once == again
    assert [r.alert_id for r in once[1]] == [r.alert_id for r in again[1]]
    assert repr(detector) == output
    assert all(np.array_equal(getattr(stream, f.name), getattr(kept, f.name)) for f in fields(Stream))


@every_detector
@given(seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_voters_know_nothing_of_each_other(detector: VoterDetector, seed: int) -> None:
    reference, _ = board()
    stream = mixed(seed)
    states, raised = run(detector, stream, reference)
    alone_raised: list[AlertSignal] = []
    for voter, name in enumerate(stream.names.tolist()):
        alone, output = run(detector, stream.take(stream.voter == voter), reference)
        assert alone == {name: states[name]}
        assert {r.subject for r in output} <= {format_pseudonym(name)}
        alone_raised += output
    assert sorted(alone_raised, key=lambda r: (r.offset, r.direction)) == raised


@every_detector
def test_models_that_the_snapshot_lacks_are_no_evidence(detector: VoterDetector) -> None:
    reference, truth = board()
    stream = honest(truth, 5, 60, 1)
    left = replace(stream, outcome=np.zeros_like(stream.outcome))
    for unknown in (UNKNOWN, 10**6):
        for strange in (replace(left, a=np.full_like(left.a, unknown)), replace(left, b=np.full_like(left.b, unknown))):
            states, raised = run(detector, strange, reference)
            assert raised == []
            # A voter of such votes alone is a voter who is not known.
            assert call(detector, stream, states, reference) == run(detector, stream, reference)[1]
            assert states == run(detector, stream, reference)[0]


@every_detector
def test_votes_on_unknown_models_between_others_change_nothing(detector: VoterDetector) -> None:
    reference, _ = board()
    stream = mixed(4)
    known = (stream.a < MODELS) & (stream.b < MODELS)
    assert 0 < known.sum() < len(stream)
    assert run(detector, stream, reference) == run(detector, stream.take(known), reference)


@every_detector
def test_no_votes_change_nothing(detector: VoterDetector) -> None:
    reference, _ = board()
    none = np.zeros(0, dtype=np.int64)
    nothing = VoterVotes(none, none, 0, none, none, none, none, none.astype(np.int8), none)
    assert detector.observe(nothing, [], reference) == ([], [])


@every_detector
def test_an_alert_has_a_place_a_level_and_evidence(detector: VoterDetector) -> None:
    reference, _ = board()
    stream = mixed(7)
    _, raised = run(detector, stream, reference)
    assert [r.offset for r in raised] == sorted(r.offset for r in raised)
    place = {int(o): int(v) for o, v in zip(stream.offset, stream.voter, strict=True)}
    reported: dict[tuple[str, str], int] = {}
    for r in raised:
        assert (r.detector, r.subject_kind, r.partition) == (detector.name, "voter", 5)
        assert r.subject == format_pseudonym(int(stream.names[place[r.offset]]))
        assert r.at == r.offset * TICK
        assert r.e_value is None or r.e_value >= LEVELS[r.level - 1]
        assert r.severity == "warning" or r.e_value is None or r.e_value >= CRITICAL
        assert reported.get((r.subject, r.direction), 0) < r.level <= len(LEVELS)
        assert r.evidence
        reported[r.subject, r.direction] = r.level


def proved(raised: Sequence[AlertSignal]) -> set[str]:
    return {r.subject for r in raised if r.evidence.get("proved", True)}


@pytest.mark.long
@every_detector
@pytest.mark.parametrize("seed", [1, 2])
def test_on_clean_data_false_alarms_are_at_most_one_in_a_hundred(detector: VoterDetector, seed: int) -> None:
    # 600 voters × 200 votes: one in a hundred is 6, and 3 standard deviations of noise are 7.3 more.
    reference, truth = board(models=30, seed=seed)
    stream = honest(truth, 600, 200, seed)
    _, raised = run(detector, stream, reference, range(30_000, 120_000, 30_000))
    assert len(proved(raised)) <= 6 + 3 * np.sqrt(6)


@every_detector
def test_on_clean_data_a_board_of_few_models_and_rough_estimates_is_as_quiet(detector: VoterDetector) -> None:
    reference, truth = board(models=4, votes_each=100, seed=3)
    _, raised = run(detector, honest(truth, 600, 200, 5), reference)
    assert len(proved(raised)) <= 6 + 3 * np.sqrt(6)


@every_detector
def test_a_script_that_presses_one_side_under_one_prompt_is_missed_by_no_detector(detector: VoterDetector) -> None:
    # A detector that never alerts would pass the tests on clean data.
    reference, truth = board(models=30, seed=1)
    stream = honest(truth, 20, 200, 1)
    by_voter = stream.take(np.argsort(stream.voter, kind="stable"))
    same = np.full(len(stream), 3)
    script = replace(by_voter, a=same, b=same + 1, outcome=np.zeros_like(stream.outcome), prompt=same)
    _, raised = run(detector, replace(script, offset=stream.offset), reference)
    assert len(proved(raised)) == 20
