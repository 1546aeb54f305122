"""State per key: rows are independent of each other."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evidence import keyed_state

BLANK: dict[str, Any] = {"count": np.int64(0), "pair": np.array([1.5, -2.0])}
names = st.lists(st.text(min_size=1, max_size=4).filter(lambda t: not t.endswith("\x00")), max_size=6, unique=True)


@given(st.lists(names, max_size=5))
def test_growing_in_any_steps_gives_one_sorted_row_a_key_and_changes_no_other(steps: list[list[str]]) -> None:
    state: keyed_state.KeyedColumns = {}
    expected: dict[str, int] = {}
    for number, keys in enumerate(steps, 1):
        state, rows = keyed_state.add_keys(state, keys, BLANK)
        assert state[keyed_state.KEY][rows].tolist() == keys
        count = state["count"].copy()
        count[rows] += number
        state["count"] = count
        for key in keys:
            expected[key] = expected.get(key, 0) + number
        assert dict(zip(state[keyed_state.KEY].tolist(), state["count"].tolist(), strict=True)) == expected
        assert state[keyed_state.KEY].tolist() == sorted(expected)
        assert state["pair"].tolist() == [[1.5, -2.0]] * len(expected)


def test_a_state_with_all_the_keys_is_the_same_arrays() -> None:
    state, _ = keyed_state.add_keys({}, ["b", "a"], BLANK)
    again, rows = keyed_state.add_keys(state, ["a"], BLANK)
    assert rows.tolist() == [0]
    assert all(again[name] is state[name] for name in state)


@given(names)
def test_pruning_keeps_whole_rows(keys: list[str]) -> None:
    state, _ = keyed_state.add_keys({}, keys, BLANK)
    state["count"] = np.arange(len(keys))
    kept = keyed_state.take_rows(state, np.arange(len(keys)) % 2 == 0)
    assert kept[keyed_state.KEY].tolist() == sorted(keys)[::2]
    assert kept["count"].tolist() == list(range(0, len(keys), 2))
