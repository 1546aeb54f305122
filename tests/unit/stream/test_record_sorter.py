"""Records are sorted by time, whatever fits in memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stream.source.record_sorter import RecordSorter

# Few different times, so that many records are of the same one.
times = st.lists(st.integers(0, 12), max_size=60)


def read(sorter: RecordSorter, first: int = 0) -> list[tuple[int, int, bytes]]:
    found = []
    for block in sorter.read(first):
        found += list(zip(block.at.tolist(), block.number.tolist(), block.values, strict=True))
    return found


@given(times, st.integers(0, 60), st.integers(1, 7), st.sampled_from([1, 350, 10**9]))
@settings(max_examples=120, deadline=None)
def test_the_order_is_time_then_record_number_whatever_the_pieces(
    at: list[int], first: int, step: int, piece_bytes: int
) -> None:
    sorter = RecordSorter(piece_bytes, block_rows=3)
    for start in range(0, len(at), step):
        part = at[start : start + step]
        sorter.add(start, [b"record %d" % (start + i) for i in range(len(part))], np.array(part, dtype=np.int64))
    expected = sorted((time, number, b"record %d" % number) for number, time in enumerate(at))
    assert sorter.size == len(at)
    assert read(sorter) == expected
    assert read(sorter, first) == expected[first:]  # reading again gives the same
    sorter.close()


def test_pieces_are_files_that_are_deleted_when_the_sorter_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sorter = RecordSorter(piece_bytes=1)
    for number in range(3):
        sorter.add(number, [b"x"], np.array([-number]))
    assert len(list(tmp_path.rglob("*.arrow"))) == 3
    assert [number for _, number, _ in read(sorter)] == [2, 1, 0]
    sorter.close()
    assert list(tmp_path.iterdir()) == []
