"""What a sweep reads of the store: votes as columns, and the votes of every published snapshot."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store import schema
from pipeline.stream.processor import ACCEPTED

# Rows of one statement: some 5 MB of Python objects at a time, however long the log is.
_ROWS = 50_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class VoteColumns:
    """Accepted votes, int64[n] each, in the order of partition and offset.

    Attributes:
        voter: pseudonym, 0 for absent.
        model_a, model_b: the store's numbers.
        outcome: a position in OUTCOMES.
        cast_at: microseconds since 1970 UTC.
        prompt: 64 bits of its hash, 0 for absent.
        category: the store's number of the term, 0 for absent.
    """

    voter: Ints
    model_a: Ints
    model_b: Ints
    outcome: Ints
    cast_at: Ints
    prompt: Ints
    category: Ints


_NAMES = tuple(field.name for field in fields(VoteColumns))


def vote_columns(connection: Connection) -> VoteColumns:
    """Every accepted vote that is sealed."""
    v, p = schema.vote.c, schema.partition.c
    parts: list[Ints] = []
    for part, end in connection.execute(sa.select(p.partition_no, p.sealed_offset).order_by(p.partition_no)).all():
        after = -1
        while True:
            query = sa.select(v.offset, *(v[name] for name in _NAMES)).where(
                v.partition_no == part, v.offset > after, v.offset < end, v.fate == ACCEPTED
            )
            rows = connection.execute(query.order_by(v.offset).limit(_ROWS)).all()
            if not rows:
                break
            parts.append(np.array(rows, dtype=np.int64)[:, 1:])
            after = int(rows[-1][0])
    table = np.concatenate(parts) if parts else np.zeros((0, len(_NAMES)), dtype=np.int64)
    return VoteColumns(*(np.ascontiguousarray(column) for column in table.T))


def snapshot_votes(connection: Connection, view: str = "raw") -> list[tuple[int, int, dict[str, int]]]:
    """Every published snapshot: its sequence number, when it was published, and the votes of each model in a view."""
    s, r = schema.snapshot.c, schema.snapshot_row.c
    query = (
        sa.select(s.sequence, s.published_at, r.model, r.votes)
        .join(schema.snapshot_row, r.snapshot_id == s.snapshot_id)
        .where(s.sequence.is_not(None), r.view == view)
        .order_by(s.sequence, r.model)
    )
    found: dict[tuple[int, int], dict[str, int]] = {}
    for sequence, at, model, votes in connection.execute(query):
        found.setdefault((int(sequence), int(at)), {})[model] = int(votes)
    return [(sequence, at, votes) for (sequence, at), votes in found.items()]
