"""`voter_rate` and `duplicate_votes` against slow loops written from their docstrings, and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pipeline.detectors import VOTER
from pipeline.evidence import Reference
from pipeline.scoring.detector_contracts import VoterVotes

RATE, DUPLICATES = (next(d for d in VOTER if d.name == name) for name in ("voter_rate", "duplicate_votes"))
BOARD = Reference(1, np.arange(1, 9), np.zeros(8), np.zeros((8, 8)), 0.3, (3.0, 7.0))
SECOND = 1_000_000
# 2⁻¹⁰ nats: both detectors keep ln M in these, rounded down.
UNIT = 2.0**-10

Vote = tuple[int, int, int, int, int]
"""Voter, microseconds, models a and b, prompt."""


def levels(w: int) -> int:
    return sum(w * UNIT >= math.log(level) for level in (1e4, 1e6, 1e8, 1e10))


@dataclass
class SlowRate:
    last: int = 0
    w: int = 0
    reported: int = 0

    def see(self, at: int, a: int, b: int, prompt: int) -> tuple[int, float] | None:
        del prompt
        if at <= 0 or at % (60 * SECOND) == 0 or not {a, b} <= set(range(1, 9)):
            return None
        second = at // SECOND
        gap = min(abs(second - self.last) + 1, 100_000)
        step = math.floor((math.log(5) - 4 / 30 * gap) / UNIT) if self.last else 0
        self.last, self.w = second, max(self.w, 0) + step
        return reported(self)


@dataclass
class SlowDuplicates:
    w: int = 0
    reported: int = 0
    lately: list[Any] = field(default_factory=list)

    def see(self, at: int, a: int, b: int, prompt: int) -> tuple[int, float] | None:
        del at
        if not prompt or not {a, b} <= set(range(1, 9)):
            return None
        what = (frozenset((a, b)), prompt)
        ratio = 0.5 / 0.01 if what in self.lately else 0.5 / 0.99
        self.w = max(self.w, 0) + math.floor(math.log(ratio) / UNIT)
        self.lately = [*self.lately, what][-4:]
        return reported(self)


def reported(voter: SlowRate | SlowDuplicates) -> tuple[int, float] | None:
    level = levels(voter.w)
    if level <= voter.reported:
        return None
    voter.reported = level
    return level, math.exp(voter.w * UNIT)


def run(detector: Any, votes: list[Vote], cuts: Iterable[int] = ()) -> list[tuple[int, int, int, float]]:
    """(offset, voter, level, e-value) of every alert; the votes come in several calls."""
    states: dict[int, bytes] = {}
    found = []
    for first, end in zip([0, *cuts], [*cuts, len(votes)], strict=True):
        table = np.array(votes[first:end], dtype=np.int64).reshape(-1, 5)
        names, voter = np.unique(table[:, 0], return_inverse=True)
        order = np.argsort(voter, kind="stable")
        at, a, b, prompt = table[order, 1:].T
        given = VoterVotes(
            voter[order], names, 0, first + order, at, a, b, np.zeros(len(order), dtype=np.int8), prompt
        )  # fmt: skip
        after, raised = detector.observe(given, [states.get(int(name)) for name in names], BOARD)
        states |= dict(zip(names.tolist(), after, strict=True))
        assert [one.offset for one in raised] == sorted(one.offset for one in raised)
        assert all(one.severity == ("critical" if one.level > 1 else "warning") for one in raised)
        found += [(one.offset, votes[one.offset][0], one.level, one.e_value) for one in raised]
    return found


def loop(voter: Callable[[], Any], votes: list[Vote]) -> list[tuple[int, int, int, Any]]:
    voters: dict[int, Any] = {}
    found = []
    for offset, (who, *rest) in enumerate(votes):
        output = voters.setdefault(who, voter()).see(*rest)
        if output:
            found.append((offset, who, output[0], pytest.approx(output[1], rel=1e-9)))
    return found


def stream(seed: int, n: int = 400) -> list[Vote]:
    """Six voters, some fast, some with repeats; some votes on the minute, without a prompt, or on unknown models."""
    rng = np.random.default_rng(seed)
    clock = np.full(6, 50_000 * SECOND)
    votes = []
    for _ in range(n):
        who = int(rng.integers(0, 6))
        pause = rng.choice([0, 1, 3, 9, 13, 20, 200, 200_000], p=[0.1, 0.2, 0.4, 0.15, 0.05, 0.05, 0.04, 0.01])
        clock[who] += int(pause) * SECOND
        at = int(clock[who]) + int(rng.integers(0, SECOND))
        a, b = (int(k) for k in rng.choice(9, 2, replace=False))
        prompt = int(rng.integers(0, 3 + 40 * (who % 2)))
        if who % 2 == 0:
            a, b = (1, 2) if rng.random() < 0.6 else (2, 1)
        votes.append((who, at if rng.random() > 0.03 else 60 * SECOND * int(rng.integers(0, 9)), a, b, prompt))
    return votes


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("detector", "voter"), [(RATE, SlowRate), (DUPLICATES, SlowDuplicates)], ids=["rate", "twice"])
def test_alerts_are_those_of_a_slow_loop_however_votes_are_cut(detector: Any, voter: Any, seed: int) -> None:
    votes = stream(seed)
    expected = loop(voter, votes)
    assert expected
    assert run(detector, votes) == expected
    assert run(detector, votes, [1, 2, 50, 51, 180, 333]) == expected


def test_a_vote_per_second_is_an_alert_at_the_eighth() -> None:
    # Two seconds at most: ln 5 − 8/30 = 1.342 a vote; 10⁴, 10⁶, 10⁸, 10¹⁰ after 7, 11, 14, 18 gaps.
    votes = [(7, (100 + k) * SECOND, 1, 2, k + 1) for k in range(19)]
    assert [(offset, level) for offset, _, level, _ in run(RATE, votes)] == [(7, 1), (11, 2), (14, 3), (18, 4)]


def test_a_vote_in_twelve_seconds_is_slow_enough_and_one_in_eleven_is_not() -> None:
    def alarms(gap: int) -> int:
        # On no minute: 31 s past it and on.
        return len(run(RATE, [(7, (31 + gap * k) * SECOND + 1, 1, 2, 1) for k in range(4000)]))

    assert alarms(12) == 0
    assert alarms(11) > 0  # at most twelve: ln 5 − 48/30 is .009 a vote


def test_times_that_go_back_and_times_on_the_minute() -> None:
    back = [(7, (1000 - k) * SECOND + 5, 1, 2, 1) for k in range(12)]
    assert [(offset, level) for offset, _, level, _ in run(RATE, back)] == [(7, 1), (11, 2)]
    rounded = [(7, 600 * SECOND, 1, 2, 1)] * 50
    assert run(RATE, rounded) == []
    assert run(RATE, [(7, 0, 1, 2, 1), (7, -5, 1, 2, 1)] * 30) == []


def test_three_repeats_in_a_row_are_an_alert() -> None:
    # ln 50 = 3.912 each: 10⁴, 10⁶, 10⁸, 10¹⁰ after 3, 4, 5, 6 repeats.
    votes = [(7, 1, 1 + k % 2, 2 - k % 2, 99) for k in range(7)]
    found = run(DUPLICATES, votes)
    assert [(offset, level) for offset, _, level, _ in found] == [(3, 1), (4, 2), (5, 3), (6, 4)]
    assert found[0][3] == pytest.approx(50**3, rel=0.003)


def test_four_prompts_in_turn_repeat_and_five_do_not() -> None:
    def turns(prompts: int) -> list[Vote]:
        return [(7, 1, 1, 2, 1 + k % prompts) for k in range(40)]

    # Four are new (ln(.5/.99) each, never below 0 but for the last), and the third repeat counts three.
    assert [offset for offset, *_ in run(DUPLICATES, turns(4))][:1] == [6]
    assert run(DUPLICATES, turns(5)) == []


def test_other_pairs_other_prompts_and_no_prompts_are_no_repeats() -> None:
    others = [(7, 1, 1, 2 + k % 6, 99) for k in range(40)]
    assert run(DUPLICATES, others) == []
    assert run(DUPLICATES, [(7, 1, 1, 2, 0)] * 20) == []
    assert run(DUPLICATES, [(7, 1, 1, 77, 99)] * 20) == []


def test_a_repeat_pays_for_five_other_votes() -> None:
    """3.912 against .683 each: two repeats, five others, and the next repeats count from there."""
    votes = [(7, 1, 1, 2, 9)] * 3 + [(7, 1, 1, 2, 100 + k) for k in range(5)] + [(7, 1, 1, 2, 9)] * 3
    # 7.824 − 3.415 = 4.409; the ninth prompt is forgotten by then (−.683), so two repeats later 11.55 ≥ 9.21.
    assert [offset for offset, *_ in run(DUPLICATES, votes)] == [10]
