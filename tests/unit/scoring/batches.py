"""Batches of votes by their columns."""

import numpy as np

from pipeline.events.vote_batch import VoteBatch
from pipeline.vocabulary.time import NO_TIME

MINUTE = 60 * 1_000_000


DAY = 24 * 60 * MINUTE


def batch_of(
    cast: list[int],
    *,
    appended: list[int] | None = None,
    partition: list[int] | None = None,
    voter: list[int | None] | None = None,
    outcome: list[int] | None = None,
    side: list[int] | None = None,
    since: list[int] | None = None,
    offset: list[int] | None = None,
) -> VoteBatch:
    n = len(cast)
    voters = voter or [1] * n
    return VoteBatch(
        partition=np.array(partition or [0] * n, dtype=np.int32),
        offset=np.array(offset or range(n), dtype=np.int64),
        appended_at=np.array(appended or cast, dtype=np.int64),
        cast_at=np.array(cast, dtype=np.int64),
        key=np.arange(2 * n, dtype=np.uint64).reshape(n, 2),
        side=np.array(side or [0] * n, dtype=np.uint8),
        vote_id=[str(i) for i in range(n)],
        model_a=["a"] * n,
        model_b=["b"] * n,
        outcome=np.array(outcome or [0] * n, dtype=np.int8),
        voter=np.array([v or 0 for v in voters], dtype=np.int64),
        has_voter=np.array([v is not None for v in voters], dtype=np.bool_),
        language=[None] * n,
        category=[None] * n,
        prompt=np.zeros(n, dtype=np.int64),
        network=[None] * n,
        voter_since=np.array(since or [NO_TIME] * n, dtype=np.int64),
        style=np.full((n, 10), -1, dtype=np.int32),
        of_file=np.zeros(n, dtype=np.bool_),
        flags=np.zeros(n, dtype=np.int32),
        turn=np.zeros(n, dtype=np.int32),
        session=np.zeros(n, dtype=np.int64),
        categories=[None] * n,
    )
