"""An imported history is evaluated by cross-fitting: on streams that are independent of the product."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backlog import BacklogEvaluation, BacklogFindings, BacklogVotes, cohorts
from pipeline.backlog.backlog_votes import BacklogCells
from pipeline.backlog.folds import hash_voters
from pipeline.backlog.pool_rounds import VoterPools
from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.backlog.voter_values import VoterEvaluator
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import BoardSpec, Votes, make_board

SMALL = BoardSpec(days=56, votes_a_day=215.0, models=20, taste=0.4, seed=3)
TARGET = 7


def columns(votes: Votes) -> BacklogVotes:
    return BacklogVotes.from_columns(
        SMALL.models, votes.voter.astype(np.int64) + 1, votes.model_a, votes.model_b, votes.outcome, votes.at,
        votes.network + 1,
    )  # fmt: skip


def attackers(given: BacklogVotes, votes: Votes) -> set[int]:
    names = np.unique(votes.voter[votes.attack]) + 1
    return set(np.searchsorted(given.names, names).tolist())


def evaluate(votes: Votes, **options: object) -> tuple[BacklogVotes, BacklogFindings]:
    given = columns(votes)
    return given, BacklogEvaluation(given, b"key", **options).run()  # type: ignore[arg-type]


@pytest.mark.long
def test_six_voters_of_150_votes_in_one_file_are_found_and_nobody_else() -> None:
    board = make_board(SMALL)
    attack = make_attack(board, Attack("promote", 6, 150, target=TARGET, first_day=20, days=5, abstain=True))
    votes = board.votes.merge(attack)
    given, found = evaluate(votes, nested="always")
    assert {one.voter for one in found.voters if one.strict is not None and one.strict >= 1e4} == attackers(
        given, votes
    )
    assert {one.voter for one in found.voters if one.e_value >= 1e4} == attackers(given, votes)
    assert all(
        one.likeliest[0]["what"] == "promotes" and one.likeliest[0]["model"] == TARGET for one in found.voters[:6]
    )
    assert found.evaluated.all()
    cells = BacklogCells.of(given)
    fitter = ReferenceFitter(given, cells, np.zeros(len(given.voter), dtype=np.int64), 1)
    theta = fitter.fit_without([[]], found.unusual)[0].theta  # type: ignore[union-attr]
    rank, true = ((-x).argsort().argsort()[TARGET] for x in (theta, board.strengths))
    assert abs(int(rank) - int(true)) <= 2


@pytest.mark.long
def test_aged_accounts_with_six_votes_each_are_named_together() -> None:
    board = make_board(SMALL)
    attack = make_attack(
        board,
        Attack("promote", 45, 6, target=TARGET, first_day=10, days=21, age_days=200, networks=45, abstain=True),
    )
    votes = board.votes.merge(attack)
    given, found = evaluate(votes)
    assert [(one.model, one.direction) for one in found.pools] == [(TARGET, "promotes")]
    members, real = set(found.pools[0].members.tolist()), attackers(given, votes)
    assert len(members & real) >= 0.85 * len(real)
    assert len(members - real) <= 3, "each of them has a chance of up to a tenth of not belonging"
    assert not found.voters, "no single one of them has evidence of its own"


@pytest.mark.long
def test_an_honest_board_has_no_finding() -> None:
    _, found = evaluate(make_board(replace(SMALL, seed=4)).votes)
    assert not found.voters
    assert not found.pools
    assert not found.periods


@pytest.mark.long
def test_accounts_of_one_network_are_named_by_the_network() -> None:
    board = make_board(SMALL)
    attack = Attack("promote", 25, 4, target=TARGET, first_day=10, days=30, abstain=True, first_network=900)
    votes = board.votes.merge(make_attack(board, attack))
    given = columns(votes)
    networks = cohorts.by_first_vote(cohorts.NETWORK, given, given.network)
    found = BacklogEvaluation(given, b"key", cohorts=[networks], alpha=1e-9).run()
    assert [(one.group, one.model) for one in found.groups["network"]] == [(901, TARGET)]
    assert set(found.groups["network"][0].members.tolist()) <= attackers(given, votes)


@pytest.mark.long
def test_accounts_with_one_vote_each_show_in_the_model_of_four_weeks() -> None:
    board = make_board(SMALL)
    attack = Attack("promote", 270, 1, target=TARGET, first_day=2, days=20, networks=270, abstain=True)
    _, found = evaluate(board.votes.merge(make_attack(board, attack)))
    assert [(one.model, one.direction) for one in found.periods] == [(TARGET, "promotes")]
    assert not found.pools, "nobody can be named"


def test_findings_do_not_depend_on_the_order_of_rows() -> None:
    board = make_board(replace(SMALL, days=20))
    votes = board.votes.merge(make_attack(board, Attack("promote", 4, 60, target=TARGET, first_day=4, abstain=True)))
    _, first = evaluate(votes)
    shuffled = votes.take(np.random.default_rng(1).permutation(len(votes)))
    order = np.argsort(shuffled.at, kind="stable")
    _, second = evaluate(shuffled.take(order))
    assert [(one.voter, one.e_value) for one in first.voters] == [(one.voter, one.e_value) for one in second.voters]
    assert len(first.voters) == 4


def test_votes_that_cannot_be_compared_are_not_evaluated() -> None:
    few = make_board(replace(SMALL, days=1, votes_a_day=4.0)).votes
    _, found = evaluate(few)
    assert not found.evaluated.any()
    assert not found.voters


def test_at_most_three_votes_of_a_voter_on_a_model_count_in_a_reference() -> None:
    n = 40
    given = BacklogVotes.from_columns(
        3, np.full(n, 5), np.tile([0, 1], n // 2), np.full(n, 2), np.zeros(n, dtype=np.int64), np.arange(n)
    )
    kept = BacklogCells.of(given).capped_votes(3)
    assert np.bincount(given.model_b[kept], minlength=3)[2] == 3


def test_pooled_evidence_of_a_quiet_board_stays_below_the_threshold() -> None:
    given = columns(make_board(replace(SMALL, days=30, seed=9)).votes)
    evaluator = VoterEvaluator(given, BacklogCells.of(given))
    nobody = np.zeros(len(given.names), dtype=np.bool_)
    found, logs = VoterPools(evaluator, hash_voters(given.names, b"key")).find(nobody)
    assert not found
    assert logs.max() < 3.0
