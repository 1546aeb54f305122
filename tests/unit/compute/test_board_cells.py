"""Counts by board: sums, differences and bytes against counters."""

from __future__ import annotations

import base64
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute import board_cells
from pipeline.compute.board_cells import ALL, Boards, Cells, Label, LabelCodes

CELL = st.tuples(st.integers(1, 5), st.integers(1, 2**27 - 1), st.integers(0, 3), st.integers(0, 2), st.integers(0, 31))
CELLS = st.dictionaries(CELL, st.integers(-3, 9).filter(bool), max_size=12)
LABELS = st.just(ALL) | st.builds(Label, st.sampled_from(["category", "language"]), st.text(max_size=3))
BOARDS = st.dictionaries(LABELS, CELLS, max_size=4)


def made(cells: dict[tuple[int, ...], int]) -> Cells:
    columns = np.array([*cells], dtype=np.int64).reshape(-1, 5)
    return board_cells.count(board_cells.cell_keys(*columns.T), np.array([*cells.values()], dtype=np.int64))


def read(cells: Cells) -> dict[tuple[int, ...], int]:
    return {tuple(row[:5]): row[5] for row in cells.rows().tolist()}


@given(CELLS, CELLS)
def test_a_sum_and_a_difference_are_those_of_counters(
    one: dict[tuple[int, ...], int], other: dict[tuple[int, ...], int]
) -> None:
    for sign in (1, -1):
        expected = Counter(one)
        for cell, votes in other.items():
            expected[cell] += sign * votes
        found = made(one).plus(made(other), sign)
        assert read(found) == {cell: votes for cell, votes in expected.items() if votes}
        assert (np.diff(found.key) > 0).all()


@given(BOARDS)
def test_packed_boards_are_read_as_they_were(boards: dict[Label, dict[tuple[int, ...], int]]) -> None:
    found = {label: made(cells) for label, cells in boards.items()}
    again = board_cells.unpack(board_cells.pack(found))
    assert again.keys() == found.keys()
    assert board_cells.first_difference(found, again) is None


# Stored bytes: stores have them, so a change needs a migration.
GOLDEN = (
    "SAAAAFtbImFsbCIsICIiLCAyXSwgWyJjYXRlZ29yeSIsICJcdTAwZTkgXCJ4XCIiLCAxXSwgWyJsYW5ndWFnZSIsICJkZSIsIDBd"
    "XSi1L/0gMDUBAOAABAAAEAAAAN/////f//9/BQD+/wEAAAAAAAAAAwBgYNzAhphL"
)


def test_bytes_that_a_store_has_are_read() -> None:
    assert board_cells.unpack(base64.b64decode(GOLDEN)).keys() == {
        ALL, Label("category", 'é "x"'), Label("language", "de"),
    }  # fmt: skip
    found = board_cells.unpack(base64.b64decode(GOLDEN))
    assert read(found[ALL]) == {(1, 2, 0, 0, 0): 5, (2**27 - 1, 1, 3, 2, 31): -2}
    assert read(found[Label("category", 'é "x"')]) == {(1, 2, 0, 0, 0): 1}
    assert read(found[Label("language", "de")]) == {}


def test_the_first_board_that_differs_is_named() -> None:
    cells = made({(1, 2, 0, 0, 0): 3})
    one: Boards = {ALL: cells, Label("category", "b"): cells, Label("category", "a"): board_cells.NOTHING}
    assert board_cells.first_difference(one, {ALL: cells, Label("category", "b"): cells}) is None
    assert board_cells.first_difference(one, {ALL: cells}) == Label("category", "b")


@pytest.mark.parametrize("block", [7, 1_000, board_cells._BLOCK])
@given(st.lists(st.tuples(CELL, st.integers(0, 3), st.integers(-1, 1)), max_size=60))
@settings(max_examples=40, deadline=None)
def test_a_vote_counts_once_on_each_of_its_boards(block: int, votes: list[tuple[tuple[int, ...], int, int]]) -> None:
    lists, languages = [(), ("a",), ("b", "a"), ("ä", "b", "c")], ["de", "en"]
    expected: Counter[tuple[Label, tuple[int, ...]]] = Counter()
    for cell, code, language in votes:
        boards = [ALL, *(Label("category", one) for one in lists[code])]
        boards += [Label("language", languages[language])] if language >= 0 else []
        expected.update((board, cell) for board in boards)
    codes = (np.array([vote[at] for vote in votes], dtype=np.int64) for at in (1, 2))
    list_code, language_code = codes
    key = board_cells.cell_keys(*np.array([vote[0] for vote in votes], dtype=np.int64).reshape(-1, 5).T)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board_cells, "_BLOCK", block)
        found = board_cells.count_boards(key, LabelCodes(lists, list_code, languages, language_code))
    assert {(label, cell): votes for label, cells in found.items() for cell, votes in read(cells).items()} == expected
