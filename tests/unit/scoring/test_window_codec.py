"""Packed counts: every number survives, and a busy window stays small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scoring import window_codec, window_counter
from tests.unit.scoring.window_votes import BOARD, busy, counted, one_vote


def test_the_busiest_window_fits_into_64_kib_beside_its_networks_traffic() -> None:
    counts = window_counter.count_votes(busy(1, 100_000, 300), BOARD)[0].counts
    assert len(window_codec.pack_counts([counts])[0]) <= 64 * 1024


@given(st.lists(one_vote, max_size=25))
@settings(deadline=None)
def test_packed_arrays_survive_their_bytes(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    windows = [one.counts for one in window_counter.count_votes(counted(rows), None)]
    for counts, packed in zip(windows, window_codec.pack_counts(windows), strict=True):
        again = window_codec.unpack_counts(packed)
        assert again.dtype == np.int64
        assert again.tolist() == counts.tolist()


@pytest.mark.parametrize("most", [1, 2**31 - 1, 2**31, 2**62])
def test_numbers_of_every_size_survive_the_bytes(most: int) -> None:
    rows = np.zeros((3, len(window_counter.COLUMNS)), dtype=np.int64)
    rows[:, 3] = [0, 7, most]
    rows[:, 1] = [0, 2**32 - 1, 2**31]
    none = np.zeros((0, len(window_counter.COLUMNS)), dtype=np.int64)
    windows = [none, rows, none, rows[:2], none]  # windows of several layouts, packed together
    packed = window_codec.pack_counts(windows)
    assert [window_codec.unpack_counts(raw).tolist() for raw in packed] == [counts.tolist() for counts in windows]
    assert packed == [window_codec.pack_counts([counts])[0] for counts in windows]
    assert window_codec.pack_counts([]) == []
