"""Hypothesis strategies for counts and votes."""

import itertools

import numpy as np
from hypothesis import strategies as st

from pipeline.ratings import PairCounts

NAMES = ("ant", "bee", "cat", "dog", "elk", "fox")


@st.composite
def connected(draw: st.DrawFn, most: int = 8) -> PairCounts:
    """Counts with an estimate: a cycle of wins through every model, and anything on top."""
    size = draw(st.integers(2, len(NAMES)))
    pairs = list(itertools.combinations(range(size), 2))
    cells = st.tuples(*[st.integers(0, most)] * 4)
    table = np.array(draw(st.lists(cells, min_size=len(pairs), max_size=len(pairs))), dtype=np.int64)
    for i in range(size):
        j = (i + 1) % size
        table[pairs.index((min(i, j), max(i, j))), 0 if i < j else 1] += 1
    a, b = np.array(pairs).T
    return PairCounts.from_rows(NAMES[:size], a, b, table)


@st.composite
def voted(draw: st.DrawFn) -> tuple[PairCounts, np.ndarray]:
    """A connected board, and its votes as int64[N, 4] in some order: a, b, outcome, voter (−1 unknown)."""
    counts = draw(connected(2))
    listed = listed_votes(counts)
    order = draw(st.permutations(range(len(listed))))
    voters = draw(st.lists(st.integers(-1, 5), min_size=len(listed), max_size=len(listed)))
    return counts, np.array([(*listed[k], voter) for k, voter in zip(order, voters, strict=True)])


def listed_votes(counts: PairCounts) -> list[tuple[int, int, int]]:
    """One entry a vote: a, b, outcome."""
    rows = zip(counts.a.tolist(), counts.b.tolist(), counts.table().tolist(), strict=True)
    return [(a, b, o) for a, b, row in rows for o, n in enumerate(row) for _ in range(n)]
