"""A backlog is evaluated in pieces: the cells, the cohorts and the findings do not depend on the size of a piece."""

import json
from dataclasses import fields

import numpy as np
import pytest

from pipeline.backlog import BacklogEvaluation, BacklogVotes, backlog_votes, cohorts, voter_values
from pipeline.backlog.backlog_votes import BacklogCells
from pipeline.spilled_arrays import spilled_arrays
from pipeline.vocabulary import large_arrays

_VOTES, _MODELS, _VOTERS = 6_000, 12, 400


def _votes() -> BacklogVotes:
    rng = np.random.default_rng(5)
    a = rng.integers(0, _MODELS, _VOTES)
    b = (a + rng.integers(1, _MODELS, _VOTES)) % _MODELS
    voter, at = rng.integers(0, _VOTERS, _VOTES), rng.integers(0, 10**13, _VOTES)
    network = 1 + voter % 7
    outcome = np.where((a == 0) & (network == 3), 0, rng.integers(0, 4, _VOTES))
    return BacklogVotes.from_columns(_MODELS, voter, a, b, outcome, at, network)


def _in_pieces(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (large_arrays, backlog_votes):
        monkeypatch.setattr(module, "PIECE", size)
    monkeypatch.setattr(voter_values, "_PIECE_VOTES", size)


def _columns(cells: BacklogCells) -> list[list[int]]:
    return [getattr(cells, one.name).tolist() for one in fields(cells)]


@pytest.mark.parametrize("size", [1, 37, 1000])
def test_cells_do_not_depend_on_the_size_of_a_piece(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    votes, providers = _votes(), np.array([0, 0, 2, 2, 2, -1, 6, 6, 8, 9, 10, 10])
    whole = [BacklogCells.of(votes), BacklogCells.of_providers(votes, providers, 2)]
    _in_pieces(monkeypatch, size)
    assert [_columns(one) for one in (BacklogCells.of(votes), BacklogCells.of_providers(votes, providers, 2))] == [
        _columns(one) for one in whole
    ]


def _evaluated(votes: BacklogVotes) -> str:
    kinds = [
        cohorts.by_first_vote(cohorts.NETWORK, votes, votes.network),
        cohorts.by_label(cohorts.PROMPT, votes, votes.row.astype(np.int32) % 40),
    ]
    found = BacklogEvaluation(votes, b"key", cohorts=kinds).run()
    groups = {
        kind: [(one.group, one.model, one.log_e, one.members.tolist(), one.tests) for one in several]
        for kind, several in found.groups.items()
    }
    return json.dumps([found.rounds, groups, [(one.voter, one.e_value) for one in found.voters]])


@pytest.mark.long
def test_findings_do_not_depend_on_the_size_of_a_piece_or_the_place_of_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _evaluated(_votes())
    assert json.loads(whole)[1]["network"], "expected the cohort that promotes a model"
    _in_pieces(monkeypatch, 500)
    monkeypatch.setattr("pipeline.spilled_arrays.SMALLEST", 1)
    with spilled_arrays(resident_mb=0):
        assert _evaluated(_votes()) == whole
