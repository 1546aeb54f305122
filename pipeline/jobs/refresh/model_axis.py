"""Turns stored counts, which name models by their numbers, into pair counts over the models of the store."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.ratings import PairCounts
from pipeline.ratings.pair_sums import sum_rows
from pipeline.vocabulary.arrays import Int32, Int64


class ModelAxis:
    """The models of a store as the axis of pair counts, by their numbers.

    Attributes:
        names: number → name.
        labels: the names in the order of the numbers; a code of pair counts is a position here.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        """Build the axis from `names`, number of a model (model_no) → name."""
        axis = sorted(names)
        self.names = names
        self.labels = tuple(names[number] for number in axis)
        self._position = np.zeros((axis[-1] if axis else 0) + 1, dtype=np.int64)
        self._position[axis] = np.arange(len(axis))

    def codes(self, numbers: Int64 | Int32) -> Int64:
        """Return the code of each model number (model_no)."""
        found: Int64 = self._position[numbers]
        return found

    def pairs(self, rows: Any) -> PairCounts:
        """Return the pair counts of rows (model_a, model_b, outcome, …, votes).

        A row has two model numbers, the code of the outcome, and in its last column the number of votes.
        """
        cells = np.array(rows, dtype=np.int64).reshape(len(rows), -1) if len(rows) else np.zeros((0, 4), dtype=np.int64)
        size = len(self.labels)
        pair = self._position[cells[:, 0]] * size + self._position[cells[:, 1]]
        found, votes = sum_rows(pair * 4 + cells[:, 2], cells[:, -1:], size * size * 4)
        table = np.zeros((len(found), 4), dtype=np.int64)
        table[np.arange(len(found)), found % 4] = votes[:, 0]
        found //= 4
        return PairCounts.from_rows(self.labels, found // max(1, size), found % max(1, size), table)
