"""Probes on small and odd boards: every result is finite, or says why there is none."""

import json
import math

import numpy as np
import pytest
from numpy.random import Generator

from pipeline.errors import RatingError
from pipeline.report.probe_result import ProbeOptions
from pipeline.report.probes import PROBES, run_probes
from pipeline.report.report_board import rate_report_votes
from pipeline.report.report_votes import ReportVotes

SHARES = ([0.25] * 4, [0.5, 0.5, 0, 0], [0, 0, 1, 0], [0.9, 0.05, 0.05, 0], [0.45, 0.45, 0.1, 0])


def _codes(rng: Generator, votes: int, most: int) -> np.ndarray | None:
    return None if rng.random() < 0.3 else rng.integers(-1, most, votes)


def _board(seed: int) -> ReportVotes:
    rng = np.random.default_rng(seed)
    models, votes = int(rng.integers(2, 8)), int(rng.integers(2, 300 if rng.random() < 0.7 else 12))
    a = rng.integers(0, models, votes).astype(np.int32)
    b = ((a + rng.integers(1, models, votes)) % models).astype(np.int32)
    turn, position = _codes(rng, votes, 4), _codes(rng, votes, 2)
    return ReportVotes(
        models=tuple(f"m{k}" for k in range(models)),
        model_a=a,
        model_b=b,
        outcome=rng.choice(4, votes, p=SHARES[seed % len(SHARES)]).astype(np.int32),
        position=None if position is None else position.astype(np.int8),
        voter=_codes(rng, votes, int(rng.integers(1, 60))),
        prompt=_codes(rng, votes, 50),
        session=_codes(rng, votes, 50),
        turn=None if turn is None else turn.astype(np.int32),
        provider=rng.integers(-1, 2, models).astype(np.int32),
    )


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 60, 20))
@pytest.mark.filterwarnings("error")
def test_each_result_is_finite_or_says_why_there_is_none(first: int) -> None:
    rated = 0
    for seed in range(first, first + 20):
        votes = _board(seed)
        try:
            board = rate_report_votes(votes)
        except RatingError:
            continue
        rated += 1
        results = run_probes(votes, board, ProbeOptions(rounds=30))
        assert [one.id for one in results] == [probe.id for probe in PROBES]
        for one in results:
            json.dumps(one.document(), allow_nan=False)
            assert (one.figure is None) == (one.unavailable is not None), one
            assert one.figure is None or math.isfinite(one.figure)
            assert one.interval is None or one.interval[0] <= one.interval[1]
            assert not (one.fired and one.unavailable)
    assert rated > 10


def _of_voters(voter: np.ndarray) -> ReportVotes:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, len(voter)).astype(np.int32)
    return ReportVotes(
        models=("a", "b", "c", "d"),
        model_a=a,
        model_b=((a + rng.integers(1, 4, len(voter))) % 4).astype(np.int32),
        outcome=rng.integers(0, 4, len(voter)).astype(np.int32),
        position=np.ones(len(voter), dtype=np.int8),
        voter=voter.astype(np.int64),
    )


@pytest.mark.parametrize(
    "voter", [np.zeros(400), np.arange(400) % 3, np.where(np.arange(400) < 390, 0, np.arange(400))]
)
def test_votes_of_a_few_voters_have_errors_no_smaller_than_those_of_independent_votes(voter: np.ndarray) -> None:
    """The scores of a voter who cast all votes add up to 0, so that errors clustered by voter would be none."""
    votes = _of_voters(voter)
    board = rate_report_votes(votes)
    assert votes.has_few_voters()
    assert np.linalg.eigvalsh(board.clustered.covariance - board.fitted.covariance).min() > -1e-12
    assert (board.leaderboard.upper - board.leaderboard.lower).min() > 40
    found = {one.id: one for one in run_probes(votes, board, ProbeOptions(rounds=50))}
    assert found["rank_resolution"].figure > 1
    assert not found["position_bias"].fired


def test_votes_of_many_voters_are_clustered() -> None:
    votes = _of_voters(np.arange(400) % 40)
    board = rate_report_votes(votes)
    assert not votes.has_few_voters()
    assert board.clustered.covariance != pytest.approx(board.fitted.covariance)


def test_votes_of_which_all_are_rated_are_not_copied() -> None:
    votes = _of_voters(np.arange(400) % 40)
    same = votes.between(("d", "c", "b", "a"))
    assert same.voter is votes.voter
    assert same.models[same.model_a[0]] == votes.models[votes.model_a[0]]
    fewer = votes.between(("c", "a"))
    assert {fewer.models[code] for code in {*fewer.model_a.tolist(), *fewer.model_b.tolist()}} == {"a", "c"}
    assert fewer.voter is not None and len(fewer.voter) == len(fewer) < len(votes)
