"""Cohorts are named: by network, account age, prompt and session; honest cohorts are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backlog import BacklogEvaluation, BacklogFindings, BacklogVotes, cohorts
from pipeline.vocabulary.time import DAY, HOUR, NO_TIME
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import NEVER, BoardSpec, Votes, make_board

SPEC = BoardSpec(days=28, votes_a_day=400.0, models=12, taste=0.3, newcomer_ties=0.2, seed=5)
TARGET = 7
# About the level at which a kind of cohorts is tested in a nightly run.
ALPHA = 1e-3


def backlog(votes: Votes) -> BacklogVotes:
    return BacklogVotes.from_columns(
        SPEC.models, votes.voter.astype(np.int64) + 1, votes.model_a, votes.model_b, votes.outcome, votes.at,
        votes.network + 1,
    )  # fmt: skip


def kinds(votes: Votes, given: BacklogVotes, session: np.ndarray) -> list[cohorts.Cohorts]:
    since = np.where(votes.since == NEVER, NO_TIME, votes.since)[given.row]
    prompts = np.unique(votes.prompt, return_inverse=True)[1][given.row].astype(np.int32) + 1
    return [
        cohorts.by_first_vote(cohorts.NETWORK, given, given.network),
        cohorts.by_age(given, since),
        cohorts.by_label(cohorts.PROMPT, given, prompts),
        cohorts.by_label(cohorts.SESSION, given, session[given.row].astype(np.int32)),
    ]


def evaluate(votes: Votes, session: np.ndarray | None = None) -> tuple[BacklogVotes, BacklogFindings]:
    given = backlog(votes)
    sessions = (votes.sitting if session is None else session) % 2**30 + 1
    return given, BacklogEvaluation(given, b"key", cohorts=kinds(votes, given, sessions), alpha=ALPHA).run()


def found(findings: BacklogFindings) -> dict[str, list[tuple[int, str]]]:
    return {kind: [(one.model, one.direction) for one in some] for kind, some in findings.groups.items() if some}


# 60 accounts with two votes on the target each within a day, so that nobody is evidence alone.
FARM = Attack("promote", 70, 2, target=TARGET, first_day=12, days=1.0, age_days=300, abstain=True, networks=150)


@pytest.mark.long
def test_a_network_is_named_after_a_day_of_a_hundred_votes() -> None:
    honest = make_board(SPEC)
    votes = honest.votes.merge(make_attack(honest, replace(FARM, accounts=50, networks=1, first_network=900)))
    _, findings = evaluate(votes.take(votes.at < SPEC.start + 13 * DAY))
    assert found(findings) == {"network": [(TARGET, "promotes")]}
    assert findings.groups["network"][0].group == 901


@pytest.mark.long
def test_a_network_that_tells_losses_as_ties_is_named_after_two_days_of_a_hundred_votes() -> None:
    honest = make_board(SPEC)
    farm = Attack("losses to ties", 200, 1, target=TARGET, first_day=12, days=2.0, abstain=True, first_network=900)
    votes = honest.votes.merge(make_attack(honest, farm))
    _, findings = evaluate(votes.take(votes.at < SPEC.start + 14 * DAY))
    assert found(findings) == {"network": [(TARGET, "promotes")]}


@pytest.mark.long
def test_accounts_of_unknown_age_of_one_age_under_one_prompt_and_in_one_session_are_named() -> None:
    """Four attacks on four models, each scattered over the board's networks."""
    honest = make_board(SPEC)
    farms = [replace(FARM, target=target, number=target) for target in (1, 3, 5, 8)]
    unknown, newest, prompt, session = (make_attack(honest, farm) for farm in farms)
    votes = honest.votes.merge(
        replace(unknown, since=np.full(len(unknown), NEVER)),
        replace(newest, since=newest.at - 3 * DAY),
        replace(prompt, prompt=np.full(len(prompt), 77)),
        session,
    )
    shared = np.where(votes.voter // 1_000_000_000 == 9, 1, votes.sitting % 2**30 + 2)
    given, findings = evaluate(votes, shared)
    assert {kind: sorted(some) for kind, some in found(findings).items()} == {
        "age": [(1, "promotes"), (3, "promotes")], "prompt": [(5, "promotes")], "session": [(8, "promotes")],
    }  # fmt: skip
    ages = {one.model: cohorts.AGE_NAMES[one.group - 1] for one in findings.groups["age"]}
    assert ages == {1: "accounts of unknown age", 3: "accounts from a day to a week old"}
    members = findings.groups["session"][0].members
    real = np.searchsorted(given.names, np.unique(session.voter) + 1)
    assert len(members) >= 30
    assert set(members.tolist()) <= set(real.tolist())


@pytest.mark.long
def test_honest_cohorts_are_not_named() -> None:
    _, findings = evaluate(make_board(replace(SPEC, seed=11, supporters=0.05)).votes)
    assert not found(findings)


def test_ages_are_divided_at_their_bounds_and_unknown_ages_are_apart() -> None:
    age = np.array([0, HOUR, HOUR + 1, DAY, 7 * DAY, 31 * DAY, 800 * DAY, 0])
    at = 900 * DAY + np.arange(8)
    given = BacklogVotes.from_columns(2, np.arange(8) + 1, np.zeros(8), np.ones(8), np.zeros(8), at)
    since = np.where(np.arange(8) < 7, at - age, NO_TIME)
    assert cohorts.by_age(given, since).group.tolist() == [2, 2, 3, 3, 4, 6, 8, 1]
    assert cohorts.by_age(given, at + HOUR).group.tolist() == [2] * 8, "an account made after its vote is new"


def test_a_label_of_few_voters_is_no_cohort() -> None:
    voter = np.array([1, 2, 3, 4, 5, 1, 2, 3, 4, 4])
    label = np.array([7, 7, 7, 7, 7, 9, 9, 9, 9, 9])
    given = BacklogVotes.from_columns(2, voter, np.zeros(10), np.ones(10), np.zeros(10), np.arange(10))
    assert set(cohorts.by_label(cohorts.PROMPT, given, label[given.row]).group.tolist()) == {0, 7}
