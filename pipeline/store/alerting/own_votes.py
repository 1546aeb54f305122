"""Reads all counted votes of single voters, and finds the models that they vote for or against unusually often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.incidents.carriers import NONE
from pipeline.incidents.claims import MODEL, Claim
from pipeline.incidents.leanings import find_leanings
from pipeline.store.cold import vote_table
from pipeline.store.db import dialect, schema
from pipeline.store.votes.packed_positions import pack_positions
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import COUNTED

_BLOCK = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class OwnVotes:
    """What is known about the counted votes of one voter.

    Attributes:
        votes: packed positions of the votes, int64[n], ascending.
        first, last: when the first and the last vote were cast, in microseconds since 1970 UTC.
        leanings: claim → share of the voter's votes that agree with it. There is one claim for each model that the
            voter votes for or against unusually often.
    """

    votes: Int64
    first: int
    last: int
    leanings: Mapping[Claim, float]


NO_VOTES = OwnVotes(NONE, 2**62, 0, {})


def read_own_votes(connection: Connection, voters: Iterable[int]) -> dict[int, OwnVotes]:
    """Return the counted votes of some voters, as pseudonym → votes. Voters without counted votes are left out.

    Args:
        connection: reads the store.
        voters: pseudonyms as integers.

    Returns:
        The votes by voter. Empty if the database role may not read voters.
    """
    values = sorted(voters)
    if not values or not dialect.may_read(connection, "vote", "voter"):
        return {}
    v = vote_table.votes_of(connection, values).c
    found: list[tuple[Int64, ...]] = []
    columns = (v.voter, v.partition_no, v.offset, v.cast_at, v.model_a, v.model_b, v.outcome)
    for start in range(0, len(values), dialect.CHUNK):
        query = sa.select(*columns).where(v.voter.in_(values[start : start + dialect.CHUNK]), v.fate.in_(COUNTED))
        found += [(b[0], pack_positions(b[1], b[2]), *b[3:]) for b in dialect.read_integers(connection, query, _BLOCK)]
    if not found:
        return {}
    voter, position, cast_at, *battles = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((position, voter))
    voter, position, cast_at = voter[order], position[order], cast_at[order]
    model_a, model_b, outcome = (column[order] for column in battles)
    named = {int(row.model_no): str(row.name) for row in connection.execute(sa.select(schema.model))}
    edges = np.flatnonzero(np.append(True, voter[1:] != voter[:-1])).tolist()
    owns = {}
    for start, end in zip(edges, [*edges[1:], len(voter)], strict=True):
        mine = slice(start, end)
        leanings = find_leanings(model_a[mine], model_b[mine], outcome[mine], len(named))
        owns[int(voter[start])] = OwnVotes(
            position[mine],
            int(cast_at[mine].min()),
            int(cast_at[mine].max()),
            {Claim(MODEL, named[model], effect): share for model, effect, share in leanings},
        )
    return owns
