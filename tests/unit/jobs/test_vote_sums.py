"""Sums over blocks of votes equal sums over all votes, in any blocks and in any order of time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audits import lockstep
from pipeline.jobs.audits.vote_sums import VoteSummer
from pipeline.ratings import PairCounts
from pipeline.store.boards.audit_queries import VoteColumns
from pipeline.vocabulary.time import DAY, HOUR

MODELS = ("ant", "bee", "cat", "dog")
START = 20_500 * DAY
RELEASED = {"bee": START + 3 * DAY, "dog": START - DAY}


def draw(seed: int, size: int) -> VoteColumns:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, size), rng.integers(0, 4, size)
    at = START + rng.integers(0, 9 * DAY // HOUR, size) * HOUR + rng.integers(0, 5, size)
    return VoteColumns(
        rng.integers(0, 6, size), a, b, rng.integers(0, 4, size), at, rng.integers(0, 3, size), rng.integers(0, 3, size)
    )


def part(votes: VoteColumns, rows: slice) -> VoteColumns:
    return VoteColumns(*(getattr(votes, name)[rows] for name in VoteColumns.__dataclass_fields__))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 60), max_size=5), st.integers(0, 5), st.integers(0, 12))
def test_sums_of_blocks_are_sums_of_all_votes(seed: int, sizes: list[int], old: int, days: int) -> None:
    votes = draw(seed, sum(sizes))
    newest = int(votes.cast_at.max(initial=0))
    summer, start = VoteSummer(MODELS, newest, RELEASED, compared=seed % 40), 0
    for number, size in enumerate(sizes):
        summer.add(part(votes, slice(start, start + size)), old=number < old)
        start += size
    sums, compared = summer.sums(), summer.take_compared()
    given_votes = votes.filter(votes.model_a != votes.model_b)
    a, b, at = given_votes.model_a, given_votes.model_b, given_votes.cast_at
    assert sums.votes == len(a)
    expected = PairCounts.from_codes(MODELS, a, b, given_votes.outcome)
    assert [getattr(sums.counts(), name).tolist() for name in ("a", "b")] == [expected.a.tolist(), expected.b.tolist()]
    assert np.array_equal(sums.counts().table(), expected.table())
    for category, number in sums.categories().items():
        rows = given_votes.category == category
        of = PairCounts.from_codes(MODELS, a[rows], b[rows], given_votes.outcome[rows])
        assert (number, sums.counts(category).table().tolist()) == (rows.sum(), of.table().tolist())
    for code in range(4):
        on = (a == code) | (b == code)
        assert sums.recent(days)[code] == (on & (at > newest - days * DAY)).sum()
        assert sums.first_at[code] == at[on].min(initial=np.iinfo(np.int64).max)
        released = RELEASED.get(MODELS[code])
        assert sums.before_release[code] == (0 if released is None else (on & (at <= released)).sum())
        for day, row in zip(sums.days.tolist(), sums.appearances, strict=True):
            assert row[code] == (on & (at // DAY == day)).sum()
    assert sums.battles.sum() == len(a)
    assert sums.days.tolist() == np.unique(at // DAY).tolist()
    assert compared is not None
    kept = part(votes, slice(sum(sizes[:old]), None))
    kept = kept.filter(kept.model_a != kept.model_b)
    assert compared.left_out == len(a) - len(kept.voter)
    assert compared.voter.tolist() == np.where(kept.voter == 0, -1, kept.voter).tolist()
    assert compared.when.tolist() == (kept.cast_at // lockstep.BUCKET).tolist()
    assert compared.prompt.tolist() == kept.prompt.tolist()


def test_votes_that_nobody_compares_are_not_kept() -> None:
    summer = VoteSummer(MODELS, 0, {}, compared=None)
    summer.add(draw(1, 50))
    assert summer.take_compared() is None


def test_times_that_do_not_fit_in_32_bits_are_kept() -> None:
    votes = draw(2, 3)
    apart = np.zeros(3, dtype=np.int64), np.ones(3, dtype=np.int64)
    far = replace(votes, model_a=apart[0], model_b=apart[1], cast_at=votes.cast_at + 2**61)
    summer = VoteSummer(MODELS, int(far.cast_at.max()), {}, compared=3)
    summer.add(far)
    compared = summer.take_compared()
    assert compared is not None
    assert compared.when.tolist() == (far.cast_at // lockstep.BUCKET).tolist()
