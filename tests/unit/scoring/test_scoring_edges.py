"""Where the rules of windows, fates and signals begin and end: each limit from both sides."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.evidence import Reference
from pipeline.registry import Registry
from pipeline.scoring import window_codec, window_counter
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.fate import MAX_AHEAD, assign_fate
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.vote_processor import PartitionVotes, run_detectors_on_partition
from pipeline.scoring.window_builder import build_window
from pipeline.scoring.window_counter import COLUMNS, WindowCounts, WindowVotes, count_votes
from pipeline.scoring.window_processor import FalseAlarmLimits, WindowNames, window_context, windows_between
from pipeline.vocabulary.time import NO_TIME
from tests.unit.audits.events import day, policy, submitted

MINUTE = 60_000_000
FIVE = 5 * MINUTE
WEEK = 7 * 24 * 60 * MINUTE


# --- windows ----------------------------------------------------------------------------------------------------------


def test_a_window_begins_with_its_first_microsecond() -> None:
    times = np.array([0, 1, FIVE - 1, FIVE, 3 * FIVE - 1, -1])
    assert window_counter.window_start(times).tolist() == [0, 0, 0, FIVE, 2 * FIVE, -FIVE]


def test_an_account_of_seven_days_is_new_and_a_microsecond_more_is_not() -> None:
    now = 50 * WEEK
    since = np.array([now - WEEK, now - WEEK - 1, now, now + 5, NO_TIME])
    assert window_counter.account_cohorts(np.full(5, now), since).tolist() == [2, 1, 2, 2, 0]


def test_a_network_s_hash_is_the_first_32_bits_of_sha_256() -> None:
    assert window_counter.network_hash("AS64500") == int(sha256(b"AS64500").hexdigest()[:8], 16)


def votes_on(networks: list[int], prompts: list[int], **columns: Any) -> WindowVotes:
    n = len(networks)
    values = {
        "partition": np.ones(n, dtype=np.int64), "at": np.zeros(n, dtype=np.int64),
        "late": np.zeros(n, dtype=np.bool_), "models": np.tile([1, 2], (n, 1)), "outcome": np.zeros(n, dtype=np.int8),
        "side": np.zeros(n, dtype=np.uint8), "cohort": np.zeros(n, dtype=np.int64),
        "network": np.array(networks), "prompt": np.array(prompts),
    }  # fmt: skip
    return WindowVotes(**{**values, **columns})


def test_2048_rows_of_a_kind_are_kept_whole_and_one_more_is_cut_to_sixteen_bits() -> None:
    """1,024 prompts under two models each are 2,048 rows; their low sixteen bits are alike in pairs."""
    prompts = [(k % 2 << 16) | (k // 2) for k in range(1_026)]
    (few,) = count_votes(votes_on([-1] * 1_024, prompts[:1_024]), None)
    mine = few.counts[few.counts[:, 0] & 3 == window_counter.PROMPT]
    assert (len(mine), set(mine[:, 0].tolist())) == (2_048, {window_counter.PROMPT})
    (many,) = count_votes(votes_on([-1] * 1_026, prompts), None)
    mine = many.counts[many.counts[:, 0] & 3 == window_counter.PROMPT]
    assert set(mine[:, 0].tolist()) == {window_counter.PROMPT + 4}
    assert sorted(set(mine[:, 1].tolist())) == list(range(513))
    assert mine[:, 3].tolist() == [2] * 1_026
    window = build_window(0, [many], {1: "a", 2: "b"}, {}, {})
    assert {"0/16", "1ff/16", "200/16"} <= set(window.prompts.group)


def test_bits_are_dropped_until_the_rows_fit() -> None:
    """3,000 hashes that differ in their low twelve bits alone: ten of them give 1,024 groups of two models."""
    (counts,) = count_votes(votes_on([-1] * 3_000, list(range(3_000))), None)
    mine = counts.counts[counts.counts[:, 0] & 3 == window_counter.PROMPT]
    assert (set(mine[:, 0].tolist()), len(mine)) == ({window_counter.PROMPT + 4 * 3}, 2_048)
    # A group of the low ten bits has two or three of 0 … 2,999.
    expected = np.bincount(np.arange(3_000) % 1_024)
    assert mine[mine[:, 2] == 1][:, 3].tolist() == expected.tolist()


def test_an_unknown_network_is_shown_as_eight_digits() -> None:
    (counts,) = count_votes(votes_on([0xAB, 0xFFFFFFFF, 7], [0xCD, -1, -1]), None)
    window = build_window(0, [counts], {1: "a", 2: "b"}, {7: "AS7"}, {})
    assert window.votes_of == {"000000ab": 1, "ffffffff": 1, "AS7": 1}
    assert set(window.networks.group) == {"000000ab", "ffffffff", "AS7"}
    assert set(window.prompts.group) == {"000000cd"}


@pytest.mark.parametrize("largest", [2**29, 2**30, 2**40])
def test_rows_that_do_not_fit_into_one_number_are_sorted_all_the_same(largest: int) -> None:
    """Four kinds, 32-bit hashes and models numbered from 2²⁹ on reach 2⁶³ together."""
    models = np.array([[largest, 1], [1, largest], [5, largest]])
    high = 2**32 - 1
    (counts,) = count_votes(votes_on([high, high, 3], [-1] * 3, models=models), None)
    assert [row[:4] for row in counts.counts.tolist()] == [
        [0, 0, 1, 2], [0, 0, 5, 1], [0, 0, largest, 3],
        [1, 3, 5, 1], [1, 3, largest, 1], [1, high, 1, 2], [1, high, largest, 2],
        [3, 3, 0, 1], [3, high, 0, 2],
    ]  # fmt: skip


def test_windows_of_two_partitions_are_told_apart_and_sorted() -> None:
    columns = {
        "partition": np.array([9, 4, 9, 4]),
        "at": np.array([FIVE, 0, FIVE - 1, FIVE]),
        "late": np.array([False, True, False, False]),
    }
    found = count_votes(votes_on([-1] * 4, [-1] * 4, **columns), None)
    assert [(w.start, w.partition, w.accepted, w.late) for w in found] == [
        (0, 4, 0, 1), (0, 9, 1, 0), (FIVE, 4, 1, 0), (FIVE, 9, 1, 0),
    ]  # fmt: skip
    assert [len(w.counts) for w in found] == [2, 2, 2, 2]
    assert found[0].counts[:, 3:5].tolist() == [[0, 0], [0, 0]]  # a late vote is no appearance
    assert count_votes(votes_on([], []), None) == []


@pytest.mark.parametrize(
    ("column", "most", "layout"),
    [(3, 255, b"0"), (3, 256, b"1"), (2, 65_535, b"0"), (2, 65_536, b"1"), (11, 65_535, b"0"), (11, 65_536, b"1"),
     (9, 2**32 - 1, b"1"), (9, 2**32, b"2"), (10, 2**32, b"2")],
)  # fmt: skip
def test_counts_are_packed_in_the_narrowest_layout_that_holds_them(column: int, most: int, layout: bytes) -> None:
    rows = np.zeros((2, len(COLUMNS)), dtype=np.int64)
    rows[:, 3:] = np.arange(18).reshape(2, 9)
    rows[1, column] = most
    packed = window_codec.pack_counts([rows])[0]
    assert packed[:1] == layout
    assert window_codec.unpack_counts(packed).tolist() == rows.tolist()


# --- which windows are read -------------------------------------------------------------------------------------------


def part(number: int) -> WindowCounts:
    rows = np.zeros((1, len(COLUMNS)), dtype=np.int64)
    rows[0, [2, 3]] = 1, 1
    return WindowCounts(number * FIVE, 1, 1, 0, rows)


def read(first: int, end: int, last: int | None, *votes: int) -> list[int]:
    names = WindowNames({1: "a"}, {})
    before = None if last is None else last * FIVE
    found = windows_between([part(n) for n in votes], first * FIVE, end * FIVE, before, names, Registry())
    return [window.start // FIVE for window in found]


def test_a_silence_of_a_week_is_read_and_the_window_after_it_is_not() -> None:
    week = 7 * 288
    assert read(week - 1, week + 3, 0) == [week - 1, week]
    assert read(week + 1, week + 3, 0) == []
    assert read(week + 1, week + 4, 0, week + 2) == [week + 2, week + 3]
    assert read(0, 2, None, 5) == []


def test_a_policy_that_comes_into_force_in_a_window_or_the_one_before_is_a_change() -> None:
    registry = Registry([submitted(0, "a"), submitted(0, "b"), policy(1, {"a": 1.0, "b": 1.0})])

    def steady(start: int) -> bool:
        return window_context(SimpleNamespace(start=start, end=start + FIVE), registry, FalseAlarmLimits()).steady  # type: ignore[arg-type]

    change = day(1)  # on the border of two windows
    assert [steady(change + k * FIVE) for k in (-2, -1, 0, 1, 2)] == [True, True, False, True, True]
    later = Registry([submitted(0, "a"), submitted(0, "b"), policy(1 + 1 / 86_400, {"a": 1.0, "b": 1.0})])
    context = window_context(
        SimpleNamespace(start=change + FIVE, end=change + 2 * FIVE), later, FalseAlarmLimits(2.0, 0.3)
    )  # type: ignore[arg-type]
    assert (context.steady, context.false_alarms, context.false_share) == (False, 2.0, 0.3)
    assert FalseAlarmLimits() == FalseAlarmLimits(1.0, 0.1)


# --- fates ------------------------------------------------------------------------------------------------------------


def fates(cast: list[int], appended: list[int], before: int | None, lateness: int = 60) -> tuple[list[int], int | None]:
    batch: Any = type("Batch", (), {"__len__": lambda _: len(cast)})()
    batch.cast_at, batch.appended_at = np.array(cast), np.array(appended)
    batch.partition = np.full(len(cast), 3)
    fate, after = assign_fate(batch, {3: before}, lateness)
    return fate.tolist(), after[3]


def test_a_vote_on_the_watermark_is_in_time_and_one_before_it_is_late() -> None:
    assert fates([940, 939], [10_000] * 2, 1_000) == ([0, 1], 1_000)
    assert fates([1_200, 1_140, 1_139], [10_000] * 3, 1_000) == ([0, 0, 1], 1_200)
    assert fates([-(10**15)], [0], None) == ([0], -(10**15))


def test_a_vote_five_minutes_ahead_is_accepted_and_moves_the_watermark_to_its_append_time() -> None:
    assert fates([MAX_AHEAD + 100], [100], 0) == ([0], 100)
    assert fates([MAX_AHEAD + 101], [100], 0) == ([2], 0)
    assert MAX_AHEAD == FIVE


# --- signals ----------------------------------------------------------------------------------------------------------


def test_an_alert_s_id_is_the_hash_of_its_key_and_place() -> None:
    signal = AlertSignal("voter_rate", "voter", "00ff", "fast", "warning", 120.0, 1, 4, 77, 123)
    assert signal.alert_id == sha256(b"voter_rate|00ff|fast|4|77").hexdigest()[:16]


def test_taking_rows_keeps_the_voters_and_their_numbers() -> None:
    column = np.arange(4)
    voter, outcome = np.array([0, 0, 1, 1]), column.astype(np.int8)
    votes = VoterVotes(voter, np.array([5, 9]), 2, column, column + 10, column, column + 1, outcome, column)
    some = votes.take(column >= 2)
    assert (some.voter.tolist(), some.offset.tolist(), some.at.tolist()) == ([1, 1], [2, 3], [12, 13])
    raised = some.alert(1, "d", "way", "critical", None, 2, {"what": "x"})
    assert (raised.subject, raised.partition, raised.offset, raised.at) == ("0000000000000009", 2, 3, 13)


class Remembering:
    """A detector whose state is the number of votes of a voter."""

    name = "remembering"
    tag = 9

    def observe(self, votes: VoterVotes, prior: Any, reference: Any, earlier: Any = None) -> tuple[list[bytes], list]:
        del reference, earlier
        number = np.bincount(votes.voter, minlength=len(votes.names)).tolist()
        return [bytes([(state or b"\0")[0] + n]) for state, n in zip(prior, number, strict=True)], []


def test_each_detector_reads_its_own_state_of_each_voter() -> None:
    given = PartitionVotes(
        *(np.array(c) for c in ([8, 5, 8], [1, 2, 3], [1, 2, 3], [1] * 3, [2] * 3, [0] * 3, [0] * 3, [0] * 3))
    )
    board = Reference(1, np.arange(3), np.zeros(3), np.zeros((3, 3)), 0.3, (3.0, 7.0))
    asked: list[Any] = []

    def prior(partition: int, voters: Any) -> list[Any]:
        asked.append((partition, list(voters)))
        return [None, (b"\x0a", b"\x14")]

    found = run_detectors_on_partition(4, given, prior, board, [Remembering(), Remembering()])
    assert asked == [(4, [5, 8])]
    assert found.states == {4: {5: (b"\x01", b"\x01"), 8: (b"\x0c", b"\x16")}}
    assert run_detectors_on_partition(4, given, prior, board, []).states == {}
    assert len(asked) == 1


def test_the_bits_of_shortened_hashes_are_those_of_stored_windows() -> None:
    # A stored row names its bits by their position: another list would read old rows as other groups.
    assert window_counter.HASH_BITS == (32, 16, 12, 10, 8, 6, 4, 2, 0)


def test_rows_that_are_shortened_already_stay_one_kind_with_those_that_are_not() -> None:
    measures = [1] * len(window_counter.MEASURES)
    rows = np.array([[window_counter.PROMPT, 1, 1, *measures], [window_counter.PROMPT + 4, 1, 1, *measures]])
    found = window_counter._shortened(rows)
    assert found.tolist() == [[window_counter.PROMPT + 4, 1, 1, *[2] * len(measures)]]
