"""Votes are counted in blocks, with the same result as at once."""

import numpy as np
import pytest

from pipeline.ratings import PairCounts, pair_sums


@pytest.mark.parametrize("votes", [0, 1, 255, 256, 257, 2_000])
@pytest.mark.parametrize("threads_from", [1, 10_000])
def test_counts_do_not_depend_on_the_size_of_a_block(
    monkeypatch: pytest.MonkeyPatch, votes: int, threads_from: int
) -> None:
    rng = np.random.default_rng(votes)
    a = rng.integers(0, 8, votes)
    columns = ("abcdefgh", a, (a + rng.integers(1, 8, votes)) % 8, rng.integers(0, 4, votes))
    whole = PairCounts.from_codes(*columns)
    monkeypatch.setattr(pair_sums, "_BLOCK", 1)  # blocks then have as many votes as the table has cells, 256
    monkeypatch.setattr(pair_sums, "_VOTES_FOR_THREADS", threads_from)
    found = PairCounts.from_codes(*columns)
    assert found.total == votes
    assert (found.a.tolist(), found.b.tolist(), found.table().tolist()) == (
        whole.a.tolist(), whole.b.tolist(), whole.table().tolist(),
    )  # fmt: skip
