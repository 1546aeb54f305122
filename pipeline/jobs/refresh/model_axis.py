"""Converts stored counts to pair counts.

Stored counts name a model by its number in the store. Pair counts name it by its code, which is its position on an axis
of models.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.ratings import PairCounts
from pipeline.ratings.pair_sums import sum_rows
from pipeline.vocabulary.outcomes import OUTCOMES


class ModelAxis:
    """Converts the model numbers of a store (model_no) to codes on the model axis.

    The axis has all models of the store, in the order of their numbers.

    Attributes:
        names: number of a model → its name.
        labels: the names of the models, in the order of their numbers. A code is a position in this tuple.
        positions: int64, number of a model (model_no) → its code; 0 for a number that no model has.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        """Build the axis from `names`: number of a model (model_no) → its name."""
        axis = sorted(names)
        self.names = names
        self.labels = tuple(names[number] for number in axis)
        self.positions = np.zeros((axis[-1] if axis else 0) + 1, dtype=np.int64)
        self.positions[axis] = np.arange(len(axis))

    def pairs(self, rows: Any) -> PairCounts:
        """Sum rows (model_a, model_b, outcome, …, votes) to pair counts.

        The first two columns are model numbers, the third is the code of the outcome, and the last is the number of
        votes.
        """
        cells = np.asarray(rows, dtype=np.int64).reshape(len(rows), -1) if len(rows) else _NO_CELLS
        a, b = self.positions[cells[:, 0]], self.positions[cells[:, 1]]
        outcome, size, outcomes = cells[:, 2], max(1, len(self.labels)), len(OUTCOMES)
        # As pair counts have them: the smaller code first, with a win of the other model where the two changed places.
        outcome = np.where((a > b) & (outcome < 2), 1 - outcome, outcome)
        keys = (np.minimum(a, b) * size + np.maximum(a, b)) * outcomes + outcome
        found, votes = sum_rows(keys, cells[:, -1:], size * size * outcomes)
        cell_pair = found // outcomes  # ascending, as `found` is
        begins = np.diff(cell_pair, prepend=-1) > 0
        pair, row = cell_pair[begins], np.cumsum(begins) - 1
        table = np.zeros((len(pair), outcomes), dtype=np.int64)
        table[row, found % outcomes] = votes[:, 0]
        kept = table.any(axis=1)
        low, high = (codes.astype(np.int32) for codes in np.divmod(pair[kept], size))
        return PairCounts(self.labels, low, high, *table[kept].T)


_NO_CELLS = np.zeros((0, 4), dtype=np.int64)
