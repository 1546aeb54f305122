"""CUSUMs of many voters at once are those of a loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evidence.cusums import cusums

rows = st.lists(st.tuples(st.integers(0, 4), st.integers(-(10**7), 10**7)), max_size=40)


@given(rows, st.lists(st.integers(-(10**8), 10**8), min_size=5, max_size=5))
def test_they_are_those_of_a_loop(steps: list[tuple[int, int]], prior: list[int]) -> None:
    steps = sorted(steps, key=lambda s: s[0])
    now, expected = list(prior), []
    for group, step in steps:
        now[group] = max(now[group], 0) + step
        expected.append(now[group])
    group, values = (np.array(column, dtype=np.int64) for column in zip(*steps, strict=True)) if steps else ([], [])
    found = cusums(np.array(values, dtype=np.int64), np.array(group, dtype=np.int64), np.array(prior))
    assert found.tolist() == expected
