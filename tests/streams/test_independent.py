"""The independent streams have the habits that their module states, and import nothing of the product."""

import subprocess
import sys

import numpy as np

from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import DAY, BoardSpec, make_board, records


def test_it_imports_nothing_of_the_product() -> None:
    code = "import sys, tests.streams.attacks; print([m for m in sys.modules if m.split('.')[0] == 'pipeline'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_votes_come_in_sittings_and_most_voters_cast_few() -> None:
    board = make_board(BoardSpec(days=7, votes_a_day=3_000))
    votes = board.votes
    assert 2_500 * 7 < len(votes) < 3_500 * 7
    assert (np.diff(votes.at) >= 0).all()
    assert (votes.model_a != votes.model_b).all()
    _, sizes = np.unique(votes.sitting, return_counts=True)
    _, totals = np.unique(votes.voter, return_counts=True)
    assert 4 < sizes.mean() < 6
    assert np.median(totals) < totals.mean() < totals.max() / 10
    assert abs((votes.outcome >= 2).mean() - board.spec.tie_share) < 0.05


def test_newcomers_viral_days_and_completion_are_as_the_board_says() -> None:
    spec = BoardSpec(days=7, votes_a_day=3_000, newcomer_ties=0.1, viral=(3,), completion_sd=0.2)
    board = make_board(spec)
    votes = board.votes
    new = votes.since >= spec.start
    assert (votes.outcome[new] >= 2).mean() < (votes.outcome[~new] >= 2).mean() - 0.1
    days = np.bincount((votes.at - spec.start) // DAY)
    assert days[3] > 2 * days[[2, 4]].mean()
    assert len(votes) < len(board.issued["at"])


def test_attackers_do_what_their_behaviour_says() -> None:
    board = make_board(BoardSpec(days=7, votes_a_day=500))
    promote = make_attack(board, Attack("promote", 20, 10, target=3, first_day=2, focus=0.5))
    on = (promote.model_a == 3) | (promote.model_b == 3)
    assert on.mean() > 0.4
    assert (np.where(promote.model_a == 3, promote.outcome == 0, promote.outcome == 1)[on]).all()
    ties = make_attack(board, Attack("losses to ties", 20, 10, target=3, abstain=True))
    assert not np.where(ties.model_a == 3, ties.outcome == 1, ties.outcome == 0).any()
    merged = board.votes.merge(promote, ties)
    assert merged.attack.sum() == 400
    assert len(list(records(merged.take(np.arange(50))))) == 50
