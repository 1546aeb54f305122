"""Packed counts: every number survives, and a busy window stays small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scoring import window_codec, window_counter
from tests.unit.scoring.window_votes import BOARD, busy, counted, one_vote


def test_the_busiest_window_fits_into_64_kib_beside_its_networks_traffic() -> None:
    counts = window_counter.count_votes(busy(1, 100_000, 300), BOARD)[0].counts
    assert len(window_codec.pack_counts(counts)) <= 64 * 1024


@given(st.lists(one_vote, max_size=25))
@settings(deadline=None)
def test_packed_arrays_survive_their_bytes(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    for one in window_counter.count_votes(counted(rows), None):
        again = window_codec.unpack_counts(window_codec.pack_counts(one.counts))
        assert again.dtype == np.int64
        assert again.tolist() == one.counts.tolist()


@pytest.mark.parametrize("most", [1, 2**31 - 1, 2**31, 2**62])
def test_numbers_of_every_size_survive_the_bytes(most: int) -> None:
    rows = np.zeros((3, len(window_counter.COLUMNS)), dtype=np.int64)
    rows[:, 3] = [0, 7, most]
    rows[:, 1] = [0, 2**32 - 1, 2**31]
    assert window_codec.unpack_counts(window_codec.pack_counts(rows)).tolist() == rows.tolist()
    none = np.zeros((0, len(window_counter.COLUMNS)), dtype=np.int64)
    assert window_codec.unpack_counts(window_codec.pack_counts(none)).shape == none.shape
