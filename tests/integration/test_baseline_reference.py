"""The reference of a snapshot: which votes it counts, the taste that is published, and what is stored of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from pipeline.jobs.refresh.baseline_reference import CAPS, estimate_baseline_reference
from pipeline.registry import RegisteredModel, RegistryState
from pipeline.store.boards import snapshots
from pipeline.store.boards.reference_codec import unpack_reference
from pipeline.store.log import newest_votes, seals
from pipeline.store.log.newest_votes import NewestVotes
from tests.integration.board_of_votes import OPTIONS, Board, event, using

NAMES = {f"m{i}": i + 1 for i in range(8)}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """An empty board."""
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    with using(OPTIONS):
        yield Board(url, tmp_path)


def columns(voter: Any, a: Any, b: Any, outcome: Any) -> NewestVotes:
    n = len(voter)
    codes = (np.asarray(outcome, np.int8), np.zeros(n, np.int8), np.zeros(n, np.int64))
    return NewestVotes(np.arange(n), np.asarray(voter), np.asarray(a) + 1, np.asarray(b) + 1, *codes)


def honest(seed: int, voters: int = 400, each: int = 20, taste: float = 0.4) -> NewestVotes:
    rng = np.random.default_rng(seed)
    theta, n = np.linspace(-0.7, 0.7, 8), voters * each
    voter, a = np.repeat(np.arange(voters), each) + 1, rng.integers(0, 8, n)
    b, z = (a + rng.integers(1, 8, n)) % 8, rng.normal(0, taste, (voters + 1, 8))
    won = rng.random(n) < expit(theta[a] - theta[b] + z[voter, a] - z[voter, b])
    return columns(voter, a, b, np.where(rng.random(n) < 0.3, 2 + rng.integers(0, 2, n), np.where(won, 0, 1)))


def joined(*parts: NewestVotes) -> NewestVotes:
    return NewestVotes(*(np.concatenate([vars(p)[name] for p in parts]) for name in vars(parts[0])))


def test_a_voter_with_many_votes_on_a_model_does_not_decide_what_is_honest() -> None:
    votes = honest(1)
    n = 4000
    # A fifth of all votes: one voter always votes for the weakest model.
    attack = columns(np.full(n, 9999), np.zeros(n, int), np.arange(n) % 7 + 1, np.zeros(n, int))
    before, after = (
        unpack_reference(1, estimate_baseline_reference(given, NAMES, RegistryState()).packed)
        for given in (votes, joined(votes, attack))
    )
    assert np.abs(before.theta - after.theta).max() < 0.02


def test_the_covariance_is_clustered_by_voter_and_the_taste_is_found() -> None:
    found = estimate_baseline_reference(honest(2, taste=0.8), NAMES, RegistryState())
    reference = unpack_reference(1, found.packed)
    apart = honest(2, taste=0.8)
    alone = NewestVotes(**{**vars(apart), "voter": np.zeros(len(apart.voter), np.int64)})
    kept = unpack_reference(1, estimate_baseline_reference(alone, NAMES, RegistryState()).packed)
    assert reference.taste.sd == pytest.approx(0.8, abs=0.2)
    assert found.stated is not None
    assert found.stated["taste"]["sd"] == round(reference.taste.sd, 4)
    assert found.stated["votes_per_model"] == 3
    # As many standard errors as there are votes would give, were they all of different voters; clusters add a little.
    votes = found.stated["votes"] / len(apart.voter)
    assert np.diag(reference.covariance).mean() > 1.02 * np.diag(kept.covariance).mean() / votes


def test_providers_keep_their_number_from_snapshot_to_snapshot() -> None:
    known = list(NAMES)[:6]
    state = RegistryState({name: RegisteredModel(name, "ab"[i % 2]) for i, name in enumerate(known)})
    reference = unpack_reference(1, estimate_baseline_reference(honest(3), NAMES, state).packed)
    assert reference.provider.tolist() == [1, 2, 1, 2, 1, 2, -1, -1]


def test_few_busy_voters_are_rated_with_more_votes_each() -> None:
    outcome = np.repeat([1, 0], 20)  # the newest twenty votes have one winner, with which no model can be rated
    busy = columns(np.ones(40, int), np.zeros(40, int), np.ones(40, int), outcome)
    found = estimate_baseline_reference(busy, NAMES, RegistryState())
    assert found.stated is not None
    assert found.stated["votes_per_model"] == CAPS[2]
    assert found.stated["taste"]["measured"] is False
    nothing = estimate_baseline_reference(columns([1], [0], [1], [0]), NAMES, RegistryState())
    assert (nothing.packed, nothing.stated) == (b"", None)


def test_the_snapshot_states_the_taste_and_only_sealed_votes_are_read(board: Board) -> None:
    board.vote(600)
    board.read(*(event(n, voter_id=None) for n in range(600, 620)))
    board.refresh()
    board.read(*(event(n) for n in range(620, 640)))
    with board.store() as store, store.read() as connection:
        newest = snapshots.latest(connection)
        assert newest is not None
        stated = newest.body["reference"]
        size = seals.head(connection)[0]
        votes = newest_votes.read_newest(connection, size, 10**6)
        assert len(votes.voter) == size == 620
        assert int((votes.voter == 0).sum()) == 20
        assert len(newest_votes.read_newest(connection, 0, 10**6).voter) == 0
    assert stated["voters"] == 30
    assert stated["votes"] < 620
    assert set(stated["taste"]) == {"sd", "error", "sharpness", "measured"}
    assert 0 < stated["ties"]["share"] < 0.5


def test_the_newest_segments_are_read_and_no_more(board: Board) -> None:
    for _ in range(4):
        board.vote(50)
        board.refresh()
    with board.store() as store, store.read() as connection:
        assert [len(newest_votes.read_newest(connection, 200, limit).voter) for limit in (1, 50, 51, 10**6)] == [
            50,
            50,
            100,
            200,
        ]
        assert len(newest_votes.read_newest(connection, 100, 60).voter) == 100


def test_rough_ratings_count_more_votes_only_where_most_voters_cast_more() -> None:
    rng = np.random.default_rng(4)
    voter = np.repeat(np.arange(1, 13), 120)
    a = rng.integers(0, 8, len(voter))
    b = (a + rng.integers(1, 8, len(voter))) % 8
    busy = columns(voter, a, b, rng.integers(0, 2, len(voter)))
    found = estimate_baseline_reference(busy, NAMES, RegistryState()).stated
    assert found is not None
    assert found["votes_per_model"] == CAPS[2]
    # Forty voters of a few votes each beside one with 600: that one counts no more than before.
    few, one = np.repeat(np.arange(1, 41), 5), np.full(600, 99)
    voter = np.concatenate([few, one])
    a = rng.integers(0, 8, len(voter))
    b = (a + rng.integers(1, 8, len(voter))) % 8
    mixed = columns(voter, a, b, rng.integers(0, 2, len(voter)))
    found = estimate_baseline_reference(mixed, NAMES, RegistryState()).stated
    assert found is not None
    assert found["votes_per_model"] == CAPS[0]
