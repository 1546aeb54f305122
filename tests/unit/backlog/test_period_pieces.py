"""The evidence about the periods of a model does not depend on how its votes are divided into pieces."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backlog import BacklogVotes, model_periods
from pipeline.backlog.backlog_votes import BacklogCells
from pipeline.backlog.model_periods import ModelPeriods, split_periods
from pipeline.backlog.voter_values import VoterEvaluator


def _evaluated(votes: BacklogVotes) -> tuple[np.ndarray, np.ndarray]:
    periods = ModelPeriods(VoterEvaluator(votes, BacklogCells.of(votes), None))
    period, start, _ = split_periods(votes.at)
    nobody = np.zeros(len(votes.names), dtype=np.bool_)
    return periods._evaluate(period, len(start), np.zeros(len(votes.at), dtype=np.bool_), nobody)


@pytest.mark.parametrize("size", [1, 64, 1_000])
def test_the_evidence_of_periods_is_the_same_in_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, count, models = np.random.default_rng(3), 5_000, 6
    a = rng.integers(0, models, count)
    b = (a + rng.integers(1, models, count)) % models
    at = rng.integers(0, 3 * model_periods.PERIOD, count)
    outcome = np.where((a == 0) & (at > 2 * model_periods.PERIOD), 0, rng.integers(0, 4, count)).astype(np.int8)
    votes = BacklogVotes.from_columns(models, rng.integers(1, 200, count), a, b, outcome, at, np.zeros(count))
    logs, voters = _evaluated(votes)
    assert voters.min() > 0
    assert np.isfinite(logs).all()
    monkeypatch.setattr(model_periods, "PIECE", size)
    in_pieces = _evaluated(votes)
    assert (in_pieces[0] == logs).all()
    assert (in_pieces[1] == voters).all()
