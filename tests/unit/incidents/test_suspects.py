"""Suspects vote on the target of a campaign as its accounts do; honest voters are hardly ever among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from pipeline.evidence import Reference
from pipeline.evidence.taste import Taste
from pipeline.incidents.carriers import CarriedAlert
from pipeline.incidents.claims import FACT, HABIT, LIFTED, LOWERED, MODEL, MORE, Claim
from pipeline.incidents.grouping import Incident
from pipeline.incidents.suspects import FALSE_SHARE, LEAST_VOTES, TargetVotes, find_suspects, is_established

MODELS, TARGET, TIES, TASTE = 12, 6, 0.3, 0.5
THETA = np.linspace(-1, 1, MODELS)
BOARD = Reference(
    1, np.arange(MODELS), THETA, np.eye(MODELS) * 1e-3, TIES, (3.0, 7.0), Taste(TASTE, 0.05, 0.3, MODELS)
)  # fmt: skip
MEMBERS = range(1_000, 1_030)


def campaign(
    seed: int, *, honest: int = 300, members: int = 0, effect: str = LIFTED, shift: float = 0.0
) -> TargetVotes:
    """Votes on the target: of honest voters with a taste, and of members with 14 to 22 votes, all as they should be.

    Args:
        seed: seed of the votes.
        honest: number of honest voters. They cast 3 to 25 votes on the target.
        members: number of members, whose numbers begin with those of MEMBERS.
        effect: what the members do.
        shift: number of logits by which the target has become better since it was rated.
    """
    rng = np.random.default_rng(seed)
    each = np.concatenate([rng.integers(3, 26, honest), rng.integers(14, 23, members)])
    names = np.concatenate([np.arange(1, honest + 1), np.arange(members) + MEMBERS.start])
    voter = np.repeat(names, each)
    taste = np.repeat(np.concatenate([rng.normal(0, TASTE, honest), np.zeros(members)]), each)
    rival = rng.choice(np.delete(np.arange(MODELS), TARGET), len(voter))
    wins = rng.random(len(voter)) < expit(THETA[TARGET] - THETA[rival] + taste + shift)
    tied = rng.random(len(voter)) < np.repeat(rng.beta(3, 7, len(names)), each)
    planted = voter >= MEMBERS.start
    wins[planted], tied[planted] = effect == LIFTED, False
    left = rng.random(len(voter)) < 0.5
    outcome = np.where(tied, 2, wins != left).astype(np.int8)
    a, b = np.where(left, TARGET, rival), np.where(left, rival, TARGET)
    ties = np.array([tied[voter == one].sum() for one in names])
    # As many votes on other models, with as many ties.
    return TargetVotes(voter, a, b, outcome, names, 2 * each, 2 * ties)


@pytest.mark.parametrize("effect", [LIFTED, LOWERED])
def test_the_other_members_of_a_campaign_are_suspected_once_three_are_known(effect: str) -> None:
    votes, known = campaign(1, members=30, effect=effect), set(MEMBERS[:3])
    found = find_suspects(votes, TARGET, effect, known, BOARD)
    others = set(MEMBERS[3:])
    assert len(others.intersection(found)) >= 0.95 * len(others)
    assert len(others.intersection(found)) >= 0.95 * len(found)
    assert not known.intersection(found)
    assert not set(MEMBERS).intersection(
        find_suspects(votes, TARGET, LOWERED if effect == LIFTED else LIFTED, known, BOARD)
    )


@pytest.mark.long
def test_honest_voters_are_suspected_no_more_often_than_stated() -> None:
    runs = 100
    wrong = sum(bool(find_suspects(campaign(seed), TARGET, LIFTED, set(), BOARD)) for seed in range(runs))
    assert wrong <= binom.ppf(0.999, runs, FALSE_SHARE)


@pytest.mark.long
def test_honest_voters_are_not_suspected_where_the_target_itself_became_better() -> None:
    found = [len(find_suspects(campaign(seed, shift=0.5), TARGET, LIFTED, set(), BOARD)) for seed in range(20)]
    assert np.mean(found) < 0.01 * 300


def test_the_order_of_the_votes_changes_nothing() -> None:
    votes = campaign(2, members=12)
    found = find_suspects(votes, TARGET, LIFTED, set(), BOARD)
    assert len(found) >= 10
    order = np.random.default_rng(3).permutation(len(votes.voter))
    columns = {name: getattr(votes, name)[order] for name in ("voter", "model_a", "model_b", "outcome")}
    assert find_suspects(replace(votes, **columns), TARGET, LIFTED, set(), BOARD) == found


def test_nobody_is_suspected_for_too_few_votes_or_on_a_model_that_the_snapshot_lacks() -> None:
    votes = campaign(4, members=10)
    assert find_suspects(votes, MODELS, LIFTED, set(), BOARD) == {}
    starts = np.unique(votes.voter, return_index=True)[1]
    place = np.arange(len(votes.voter)) - np.repeat(starts, np.diff([*starts, len(votes.voter)]))
    few = place < LEAST_VOTES - 1
    columns = {name: getattr(votes, name)[few] for name in ("voter", "model_a", "model_b", "outcome")}
    assert find_suspects(replace(votes, **columns), TARGET, LIFTED, set(), BOARD) == {}


def incident(claim: Claim, *, voter: int = 0, votes: int = 0) -> Incident:
    alert = CarriedAlert("a", claim, voter, 5.0, False, 0, 0, 9, np.arange(votes))
    return Incident("i", (claim,), (alert,), frozenset())


def test_suspects_are_looked_for_where_votes_lift_or_lower_a_model() -> None:
    lifted = Claim(MODEL, "m", LIFTED)
    assert is_established(incident(lifted, voter=7, votes=3), lifted)
    assert is_established(incident(lifted, votes=3), lifted)
    # A change of results is about no particular votes: the model itself may have changed.
    assert not is_established(incident(lifted), lifted)
    for claim in (Claim(MODEL, "m", MORE), Claim(HABIT, "h"), Claim(FACT, "f m", "x")):
        assert not is_established(incident(claim, voter=7, votes=3), claim)
