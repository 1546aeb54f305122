"""Votes to be counted into windows."""

import numpy as np
from hypothesis import strategies as st

from pipeline.evidence import Reference
from pipeline.scoring.window_counter import WINDOW_WIDTH, WindowVotes

BOARD = Reference(1, np.array([1, 2, 3]), np.array([0.5, 0.0, -0.5]), np.zeros((3, 3)), 0.3, (3.0, 7.0))


UNKNOWN = 4


one_vote = st.tuples(
    st.integers(0, 2),  # window
    st.integers(1, 2),  # partition
    st.booleans(),  # late
    st.permutations([1, 2, 3, UNKNOWN]).map(lambda p: p[:2]),
    st.integers(0, 3),  # outcome
    st.integers(0, 1),  # side
    st.integers(0, 2),  # cohort
    st.integers(-1, 3),  # network
    st.integers(-1, 3),  # prompt
)


def counted(rows: list[tuple]) -> WindowVotes:  # type: ignore[type-arg]
    window, part, late, models, outcome, side, cohort, network, prompt = zip(*rows, strict=True) if rows else [()] * 9
    ints = [np.array(column, dtype=np.int64) for column in (part, outcome, side, cohort, network, prompt)]
    return WindowVotes(
        ints[0],
        np.array(window, dtype=np.int64) * WINDOW_WIDTH + 5,
        np.array(late, dtype=np.bool_),
        np.array(models, dtype=np.int64).reshape(-1, 2),
        ints[1].astype(np.int8),
        ints[2].astype(np.uint8),
        *ints[3:],
    )


def busy(seed: int, votes: int, networks: int = 2**32) -> WindowVotes:
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 4, votes)
    return WindowVotes(
        np.ones(votes, dtype=np.int64),
        np.zeros(votes, dtype=np.int64),
        np.zeros(votes, dtype=np.bool_),
        np.stack([a, a % 3 + 1], axis=1),
        rng.integers(0, 4, votes).astype(np.int8),
        rng.integers(0, 2, votes).astype(np.uint8),
        rng.integers(0, 3, votes),
        rng.integers(0, networks, votes),
        rng.integers(0, 2**32, votes),
    )
