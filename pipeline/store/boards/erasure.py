"""Erases the private fields and the blinds of votes, but keeps the leaves of the votes in the log.

The hash in a leaf covers the private fields and the blind, which is a random value. Without the blind, nobody can prove
which private fields a leaf had, or find them by trying values. Proofs, counts and ratings do not change.

If the voter was excluded, each erased vote gets its own exclusion and stays excluded. The remaining data do not link a
vote to its voter. Alerts and exclusions about the voter keep only a label, and no alert names an erased vote.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import format_pseudonym
from pipeline.ledger.merkle import WIDTH
from pipeline.store.boards import erased_traces, exclusion_list
from pipeline.store.cold import cold_erasure, cold_files, vote_table
from pipeline.store.cold.vote_positions import read_at
from pipeline.store.db import dialect, schema
from pipeline.store.log import kept_votes, leaf_index, sealed_labels
from pipeline.store.votes import window_counts
from pipeline.store.votes.ingest import VotePosition
from pipeline.vocabulary.time import DAY

_STAYS_EXCLUDED = "excluded before an erasure, and still"
_ERASED_FIELDS = {
    "voter": 0,
    "network": 0,
    "prompt": 0,
    "voter_since": None,
    "style": None,
    "turn": 0,
    "session": 0,
}
# Of a vote that was sealed with labels these are public, and boards count by them; of an older one they are private.
_LABELS = {"language": 0, "category": 0, "categories": 0}


def voter_positions(connection: Connection, voter: int) -> list[VotePosition]:
    """Return the positions (partition_no, offset) of all stored votes of a voter, sealed or not.

    Args:
        connection: reads the store.
        voter: pseudonym of the voter.
    """
    v = vote_table.votes_of(connection, [voter]).c
    rows = connection.execute(sa.select(v.partition_no, v.offset).where(v.voter == voter, v.voter != 0))
    return [(int(part), int(offset)) for part, offset in rows]


def erase_voter(connection: Connection, voter: int, now: int) -> int:
    """Erase all sealed votes of a voter, the voter's detector states, and the pseudonym in alerts and exclusions.

    If the voter is excluded, each erased vote gets its own exclusion. If a person had excluded the voter, a new
    exclusion of the pseudonym covers later votes. Votes that are not sealed yet are not erased.

    Args:
        connection: the transaction.
        voter: pseudonym of the voter.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The number of erased votes.
    """
    dialect.lock(connection, cold_files.LOCK)
    v, state = vote_table.votes_of(connection, [voter]).c, schema.voter_state.c
    rows = connection.execute(
        sa.select(v.partition_no, v.offset, v.vote_id).where(v.voter == voter, v.voter != 0)
    ).all()
    label = format_pseudonym(voter)
    active = [one for one in exclusion_list.read_active(connection) if (one.kind, one.target) == ("voter", label)]
    for one in active:
        for row in rows:
            exclusion_list.add_entry(connection, "exclude", "vote", row.vote_id, one.reason, one.name, now)
    erased = erase_votes(connection, [(row.partition_no, row.offset) for row in rows])
    connection.execute(sa.delete(schema.voter_state).where(state.voter == voter))
    erased_traces.forget_voter(connection, label, now)
    for one in active:
        # What a person decided holds for votes to come: an entry of its own, which leads to no vote and no alert.
        if one.name not in exclusion_list.POLICIES:
            exclusion_list.add_entry(connection, "exclude", "voter", label, _STAYS_EXCLUDED, one.name, now - now % DAY)
    return erased


def erase_votes(connection: Connection, positions: Iterable[VotePosition]) -> int:
    """Erase the private fields and blinds of votes.

    Votes that are not sealed have no leaf yet. They are not erased here, but can be erased after the next seal.

    Args:
        connection: the transaction.
        positions: (partition_no, offset) of each vote.

    Returns:
        The number of erased votes.
    """
    dialect.lock(connection, cold_files.LOCK)
    leaves = leaf_index.find_leaves(connection, positions)
    v, b = schema.vote.c, schema.blind.c
    erased_traces.forget_votes(connection, leaves)
    cast = read_at(connection, ("cast_at", "voter"), leaves)
    with_voter = [(part, cast_at, voter) for (part, _), (cast_at, voter) in cast.items() if voter]
    window_counts.forget_voters(connection, with_voter)
    labelled, archived = sealed_labels.labelled_from(connection), cold_files.archived_leaves(connection)
    fields = {at: {**_ERASED_FIELDS, **({} if leaf >= labelled else _LABELS)} for at, leaf in leaves.items()}
    cold_erasure.erase(connection, {at: fields[at] for at, leaf in leaves.items() if leaf < archived})
    hot = {at: leaf for at, leaf in leaves.items() if leaf >= archived}
    for part, offset in hot:
        erased_vote = sa.update(schema.vote).where(v.partition_no == part, v.offset == offset)
        connection.execute(erased_vote.values(**fields[part, offset]))
    for first, (blinds, row_leaves) in _blind_rows(connection, hot.values()).items():
        erased = bytearray(blinds)
        for leaf in row_leaves:
            erased[(leaf - first) * WIDTH : (leaf - first + 1) * WIDTH] = bytes(WIDTH)
        connection.execute(sa.update(schema.blind).where(b.first_leaf == first).values(blinds=bytes(erased)))
    kept_votes.forget(connection)
    return len(leaves)


def find_erased(connection: Connection, positions: Collection[VotePosition]) -> set[VotePosition]:
    """Return which of the given positions (partition_no, offset) have an erased vote."""
    archived = cold_files.archived_leaves(connection)
    leaves = leaf_index.find_leaves(connection, positions)
    by_leaf = {leaf: position for position, leaf in leaves.items() if leaf >= archived}
    cold = [position for position, leaf in leaves.items() if leaf < archived]
    return cold_erasure.find_erased(connection, cold) | {
        by_leaf[leaf]
        for first, (blinds, row_leaves) in _blind_rows(connection, by_leaf).items()
        for leaf in row_leaves
        if not any(blinds[(leaf - first) * WIDTH : (leaf - first + 1) * WIDTH])
    }


def _blind_rows(connection: Connection, leaves: Iterable[int]) -> dict[int, tuple[bytes, list[int]]]:
    """Find the rows of the table of blinds that contain the blinds of some leaves.

    Returns:
        First leaf of a row → two values: the blinds of the row, and the given leaves whose blinds are in the row.
    """
    b = schema.blind.c
    starts = list(connection.scalars(sa.select(b.first_leaf).order_by(b.first_leaf)))
    by_row: dict[int, list[int]] = {}
    for leaf in leaves:
        by_row.setdefault(int(starts[bisect_right(starts, leaf) - 1]), []).append(leaf)
    rows = connection.execute(sa.select(b.first_leaf, b.blinds).where(b.first_leaf.in_(sorted(by_row))))
    return {int(row.first_leaf): (bytes(row.blinds), by_row[row.first_leaf]) for row in rows}
