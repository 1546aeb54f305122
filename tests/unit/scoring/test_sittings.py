"""Sittings: the votes of a voter without a pause of half an hour count once, whatever their order and their split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring import sittings
from pipeline.scoring.sittings import SittingCounter, SittingCounts, WindowVoters, add_voters, count_voters
from pipeline.scoring.window_codec import pack_voters, unpack_voters

Vote = tuple[int, int, int]  # voter, network, window


def counted(votes: list[Vote], windows: int = 20) -> list[WindowVoters]:
    voter, network, window = np.array(votes, dtype=np.int64).reshape(-1, 3).T
    return count_voters(voter, network, window, windows)


def sittings_of(*parts: list[WindowVoters]) -> list[SittingCounts]:
    counter = SittingCounter()
    return [counter.read(i, list(windows)) for i, windows in enumerate(zip(*parts, strict=True))]


def totals(*parts: list[WindowVoters]) -> list[int]:
    return [one.total for one in sittings_of(*parts)]


def test_a_sitting_goes_on_until_half_an_hour_without_a_vote() -> None:
    busy = [(7, 5, window) for window in (0, 0, 1, 6, 12)]
    assert totals(counted(busy)) == [1] + [0] * 19
    assert totals(counted([(7, 5, 0), (7, 5, 7)])) == [1, *[0] * 6, 1, *[0] * 12]


def test_votes_without_a_voter_are_sittings_of_their_own() -> None:
    read = sittings_of(counted([(0, 5, 0), (0, 5, 0), (0, -1, 0), (3, 5, 0)]))
    assert read[0] == SittingCounts(4, 4, {5: 3})


def test_a_sitting_belongs_to_the_network_of_most_of_its_votes() -> None:
    assert sittings_of(counted([(3, 9, 0), (3, 5, 0), (3, 9, 0)]))[0].by_network == {9: 1}


@pytest.mark.long
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 3), st.integers(0, 19)), max_size=40),
    st.randoms(use_true_random=False),
    st.integers(0, 40),
)
def test_neither_order_nor_split_nor_partition_changes_the_counts(votes: list[Vote], shuffle, cut: int) -> None:  # type: ignore[no-untyped-def]
    whole = sittings_of(counted(votes))
    mixed = list(votes)
    shuffle.shuffle(mixed)
    assert sittings_of(counted(mixed)) == whole
    parts = counted(mixed[:cut]), counted(mixed[cut:])
    assert sittings_of(*parts) == whole
    added = [add_voters(list(windows)) for windows in zip(*parts, strict=True)]
    assert sittings_of(added) == whole


def test_a_window_of_too_many_voters_keeps_a_random_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sittings, "MAX_VOTERS", 100)
    rng = np.random.default_rng(1)
    voter = sittings.voter_number(rng.integers(0, 2**62, 3_000))
    votes = [(int(v), int(n), 0) for v, n in zip(voter, rng.integers(0, 3, 3_000), strict=True)]
    (whole,) = counted(votes, 1)
    assert len(whole.rows) <= 100
    halves = add_voters([*counted(votes[:1_200], 1), *counted(votes[1_200:], 1)])
    assert halves.bits == whole.bits
    assert (halves.rows == whole.rows).all()
    read = SittingCounter().read(0, [whole])
    assert 2_000 < read.total < 4_000
    assert read.counted < 200
    assert sum(read.by_network.values()) <= read.counted


def test_packing_changes_nothing() -> None:
    for rows in ([(0, -1, 0)], [(1, 2**32 - 1, 0), (2**31, 7, 0), (2**31, 7, 0)], []):
        (voters,) = counted(rows, 1)
        again = unpack_voters(pack_voters(voters))
        assert again.bits == voters.bits
        assert (again.rows == voters.rows).all()
