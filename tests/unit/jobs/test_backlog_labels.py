"""Labels of prompts and sessions get the positive numbers of their order, in pieces of any size."""

import numpy as np
import pytest

from pipeline.jobs.backlog.backlog_input import _positive
from pipeline.vocabulary import large_arrays


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_labels_are_numbered_in_their_order(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(large_arrays, "PIECE", size)
    label = np.array([7, 0, -3, 7, 9, 0, -3, 12, 12], dtype=np.int64)
    assert _positive(label).tolist() == [3, 0, 1, 3, 4, 0, 1, 5, 5]
    assert _positive(label[:0]).tolist() == []
