"""The members of a group are named where the others' votes are few, and beside voters with very many votes."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backlog import BacklogEvaluation, BacklogVotes
from pipeline.backlog.pool_rounds import MEMBER
from pipeline.backlog.pooled_voters import PooledCells, find_members
from pipeline.evidence.cells import WEIGHTS


def small_board(seed: int, models: int, gap: float, honest: int, accounts: int) -> BacklogVotes:
    """Models `gap` logits apart, honest voters with a few votes, and accounts with 40 votes for the weakest model."""
    draw = np.random.default_rng(seed)
    strength = np.arange(models) * gap
    voter = np.repeat(np.arange(honest) + 1, draw.integers(3, 20, honest))
    pairs = np.array([draw.choice(models, 2, replace=False) for _ in voter])
    loses = draw.random(len(voter)) > 1 / (1 + np.exp(strength[pairs[:, 1]] - strength[pairs[:, 0]]))
    bought = np.repeat(np.arange(accounts) + 1_000, 40)
    voter = np.concatenate([voter, bought])
    a = np.concatenate([pairs[:, 0], np.zeros(len(bought), dtype=np.int64)])
    b = np.concatenate([pairs[:, 1], draw.integers(1, models, len(bought))])
    outcome = np.concatenate([loses, np.zeros(len(bought), dtype=np.bool_)]).astype(np.int8)
    at, order = np.sort(draw.integers(0, 50 * 86_400_000_000, len(voter))), draw.permutation(len(voter))
    nowhere = np.zeros(len(voter), dtype=np.int64)
    return BacklogVotes.from_columns(models, voter[order], a[order], b[order], outcome[order], at, nowhere)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("models", "gap"), [(2, 6.0), (3, 7.0)])
def test_a_small_board_whose_halves_cannot_be_rated_without_the_members_is_evaluated(
    seed: int, models: int, gap: float
) -> None:
    votes = small_board(seed, models, gap, honest=40, accounts=12)
    found = BacklogEvaluation(votes, b"key").run()
    named = [one.members for one in found.pools] + [np.array([one.voter for one in found.voters], dtype=np.int64)]
    assert {int(v) for some in named for v in votes.names[some] if v >= 1_000}, "the accounts are found all the same"


def test_a_voter_with_very_many_votes_hides_no_member() -> None:
    columns = WEIGHTS.size
    logs = np.zeros((31, columns))
    logs[:10] = 8.0  # ten members
    logs[10:30] = -8.0  # twenty honest voters
    logs[30] = -5_000.0  # one honest voter with so many votes that each ratio is below the least float
    cells = PooledCells(np.arange(31), np.zeros(31, dtype=np.int64), logs)
    with np.errstate(all="raise", under="ignore"):
        posterior = find_members(cells, 0, np.zeros(31, dtype=np.int64))
        nobody = find_members(PooledCells(*(x[:0] for x in (cells.voter, cells.model, logs))), 0, np.zeros(31, int))
    assert (posterior[:10] >= MEMBER).all()
    assert (posterior[10:] < 0.1).all()
    assert not len(nobody)


@pytest.mark.parametrize("most", [0.5, 0.999])
def test_a_few_honest_voters_are_no_group(most: float) -> None:
    # Expectation maximisation without assumed values named a third of them: each of two or three voters fitted.
    draw, columns = np.random.default_rng(7), WEIGHTS.size
    chance = 1 / (1 + np.exp(-np.linspace(0.3, 3.0, columns)))  # of a win, for voters biased by so many logits
    named = voters = 0
    for _ in range(2_000):
        size = int(draw.integers(1, 7))
        wins = draw.binomial(4, 0.5, size)[:, None]
        logs = wins * np.log(2 * chance) + (4 - wins) * np.log(2 - 2 * chance)
        cells = PooledCells(np.arange(size), np.zeros(size, dtype=np.int64), logs)
        named += int((find_members(cells, 0, np.zeros(size, dtype=np.int64), most) >= MEMBER).sum())
        voters += size
    assert named / voters < 0.005


def test_members_are_found_among_few_and_among_many_voters() -> None:
    columns = WEIGHTS.size
    for honest in (0, 3, 300):
        logs = np.concatenate([np.full((6, columns), 7.0), np.full((honest, columns), -1.0)])
        cells = PooledCells(np.arange(6 + honest), np.zeros(6 + honest, dtype=np.int64), logs)
        posterior = find_members(cells, 0, np.zeros(6 + honest, dtype=np.int64), 0.5)
        assert (posterior[:6] >= MEMBER).all()
        assert (posterior[6:] < 0.5).all()
