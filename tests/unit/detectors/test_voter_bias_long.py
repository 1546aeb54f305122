"""`voter_bias` over many votes of one kind, against the slow loop: both directions, every level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.detectors import VoterBias
from pipeline.evidence import Reference
from pipeline.scoring.detector_contracts import VoterVotes
from tests.unit.detectors.test_voter_bias import NUMBERS, Slow, close, play, votes_of


def wide(seed: int) -> Reference:
    """Ten models far apart: who clicks at random is soon seen."""
    rng = np.random.default_rng(seed)
    return Reference(5, NUMBERS[:10], rng.normal(0, 2.0, 10), np.eye(10) * 0.002, 0.32, (3.2, 6.8))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("choose", ["random", "target", "against", "left", "right", "swap", "honest"])
def test_long_votes_of_one_kind_raise_what_the_slow_loop_raises(choose: str, seed: int) -> None:
    reference = wide(seed)
    rows = play(np.random.default_rng(100 + seed), reference, choose, 400, target=int(np.argsort(reference.theta)[5]))
    slow = Slow()
    expected = [
        (offset + 100, *one)
        for offset, (_, a, b, outcome) in enumerate(rows)
        for one in slow.see(a, b, outcome, reference)
    ]
    states: list[bytes | None] = [None]
    found = []
    for first, end in ((0, 7), (7, 40), (40, 41), (41, 400)):
        after, raised = VoterBias().observe(cut(rows, first, end), states, reference)
        states = list(after)
        found += raised
    assert [(one.offset, one.direction, one.level) for one in found] == [output[:3] for output in expected]
    for one, (*_, e_value) in zip(found, expected, strict=True):
        assert close(one.e_value or 0, e_value)
    output = {one.direction for one in found}
    assert output == set() if choose == "honest" else ("random" if choose == "random" else "biased") in output


def cut(rows: list[tuple[int, int, int, int]], first: int, end: int) -> VoterVotes:
    votes = votes_of(rows[first:end], 1)
    return replace(votes, offset=votes.offset + first, at=votes.at + first * 1000)
