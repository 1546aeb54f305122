"""Values are counted and selected in pieces, with the same result as at once."""

import numpy as np
import pytest

from pipeline.vocabulary import large_arrays
from pipeline.vocabulary.large_arrays import count_distinct, select_large


@pytest.mark.parametrize("piece", [1, 3, 4, 1_000])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 12, 13])
@pytest.mark.parametrize("most", [1, 2, 100])
def test_the_number_of_different_values(monkeypatch: pytest.MonkeyPatch, piece: int, length: int, most: int) -> None:
    monkeypatch.setattr(large_arrays, "PIECE", piece)
    values = np.random.default_rng(length).integers(0, most, length)
    given = values.copy()
    assert count_distinct(values) == len(set(values.tolist()))
    assert np.array_equal(values, given)


@pytest.mark.parametrize("piece", [1, 3, 1_000])
@pytest.mark.parametrize("shape", [(0,), (13,), (13, 2)])
def test_rows_are_selected_in_their_order(monkeypatch: pytest.MonkeyPatch, piece: int, shape: tuple[int, ...]) -> None:
    monkeypatch.setattr(large_arrays, "PIECE", piece)
    rng = np.random.default_rng(3)
    values, rows = rng.integers(0, 100, shape, dtype=np.int16), rng.random(shape[0]) < 0.4
    found = select_large(values, rows)
    assert found.dtype == values.dtype and found.tolist() == values[rows].tolist()
