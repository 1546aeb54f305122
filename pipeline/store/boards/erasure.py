"""Forgetting who cast a vote: its blind and its private fields, never its leaf.

Laws: after it nobody can show, or try out, what the leaf's commitment was of; proofs, counts and ratings stay as they
are; a vote that was left out by its voter's name stays left out, by its own id. Alerts and exclusions keep the
pseudonym that they were raised about: it is a keyed hash, and the reason why votes do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import format_pseudonym
from pipeline.ledger.merkle import WIDTH
from pipeline.store.boards import exclusions
from pipeline.store.db import schema
from pipeline.store.log import leaf_index
from pipeline.store.votes.ingest import VotePosition

_NOTHING = {
    "voter": 0,
    "language": 0,
    "category": 0,
    "network": 0,
    "prompt": 0,
    "voter_since": None,
    "style": None,
}


def of_voter(connection: Connection, voter: int, now: int) -> int:
    """Erase all sealed votes of a voter, and what detectors remember of the voter.

    Returns:
        Votes erased.
    """
    v, state = schema.vote.c, schema.voter_state.c
    rows = connection.execute(
        sa.select(v.partition_no, v.offset, v.vote_id).where(v.voter == voter, v.voter != 0)
    ).all()
    label = format_pseudonym(voter)
    for one in exclusions.current(connection):
        if (one.kind, one.target) == ("voter", label):
            for row in rows:
                exclusions.add(connection, "exclude", "vote", row.vote_id, one.reason, one.name, now)
    erased = of_votes(connection, [(row.partition_no, row.offset) for row in rows])
    connection.execute(sa.delete(schema.voter_state).where(state.voter == voter))
    return erased


def of_votes(connection: Connection, which: Iterable[VotePosition]) -> int:
    """Erase votes.

    Returns:
        Votes erased: those among them that are sealed. The others have no leaf yet, and can be erased after a seal.
    """
    leaves = leaf_index.find_leaves(connection, which)
    v, b = schema.vote.c, schema.blind.c
    for part, offset in leaves:
        connection.execute(sa.update(schema.vote).where(v.partition_no == part, v.offset == offset).values(**_NOTHING))
    for first, blinds in _rows_of_blinds(connection, leaves.values()):
        wiped = bytearray(blinds)
        for at in leaves.values():
            if first <= at < first + len(blinds) // WIDTH:
                wiped[(at - first) * WIDTH : (at - first + 1) * WIDTH] = bytes(WIDTH)
        connection.execute(sa.update(schema.blind).where(b.first_leaf == first).values(blinds=bytes(wiped)))
    return len(leaves)


def erased(connection: Connection, which: Collection[VotePosition]) -> set[VotePosition]:
    """Those of some votes that were erased."""
    leaves = leaf_index.find_leaves(connection, which)
    blinds = dict(_rows_of_blinds(connection, leaves.values()))
    starts = sorted(blinds)
    found = set()
    for place, at in leaves.items():
        first = max(one for one in starts if one <= at)
        if not any(blinds[first][(at - first) * WIDTH : (at - first + 1) * WIDTH]):
            found.add(place)
    return found


def _rows_of_blinds(connection: Connection, leaves: Iterable[int]) -> list[tuple[int, bytes]]:
    b = schema.blind.c
    wanted = set()
    starts = list(connection.scalars(sa.select(b.first_leaf).order_by(b.first_leaf)))
    for at in leaves:
        wanted.add(max(one for one in starts if one <= at))
    return [
        (int(row.first_leaf), bytes(row.blinds))
        for row in connection.execute(sa.select(b.first_leaf, b.blinds).where(b.first_leaf.in_(sorted(wanted))))
    ]
