"""Finds the votes that exclusions exclude, counts them by pair of models, and attributes them to exclusions."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import format_pseudonym
from pipeline.store.boards import voter_labels
from pipeline.store.boards.exclusion_list import KINDS
from pipeline.store.cold import vote_table
from pipeline.store.db import dialect, schema
from pipeline.store.log import leaf_index, retractions
from pipeline.store.votes.ingest import VotePosition, find_by_vote_id
from pipeline.store.votes.vote_selections import VoteSelection, vote_columns
from pipeline.vocabulary.fates import COUNTED

VotesByPosition = dict[VotePosition, Any]
"""Votes by (partition, offset). A vote is a row of partition_no, offset, voter, model_a, model_b, outcome, flags."""


def find_votes(
    connection: Connection,
    log_size: int | None,
    voters: Collection[int],
    vote_ids: Collection[str] = (),
    selections: Collection[VoteSelection] = (),
    *,
    except_ids: Collection[str] = (),
    except_selections: Collection[VoteSelection] = (),
    fates: Sequence[int] = COUNTED,
) -> VotesByPosition:
    """Find the votes that some voters cast, that have some ids, or that some selections select.

    Retracted votes are left out.

    Args:
        connection: reads the store.
        log_size: only votes among the first `log_size` leaves of the vote log; None for all committed votes.
        voters: pseudonyms of the voters.
        vote_ids: ids of further votes.
        selections: selections of further votes.
        except_ids: ids of votes that are left out of the result.
        except_selections: selections of votes that are left out of the result.
        fates: only votes with these fates, as indices into FATES.

    Returns:
        Position (partition_no, offset) of a vote → the vote as a row of the store.
    """
    # Retracted votes are in no count already.
    omitted = find_by_vote_id(connection, except_ids) | retractions.retracted_positions(connection, log_size)
    omitted |= {
        (row.partition_no, row.offset) for one in except_selections for row in one.read_votes(connection, fates)
    }
    found: list[Any] = [row for selection in selections for row in selection.read_votes(connection, fates)]
    table = vote_table.votes_of(connection, voters) if voters else schema.vote
    for chunk in _chunks(sorted(voters)):
        query = sa.select(*vote_columns(connection, table))
        found += connection.execute(query.where(table.c.voter.in_(chunk), table.c.fate.in_(fates)))
    named = find_by_vote_id(connection, vote_ids)
    table = vote_table.votes_at(connection, named)
    for part, offset in named:
        at = (table.c.partition_no == part, table.c.offset == offset, table.c.fate.in_(fates))
        found += connection.execute(sa.select(*vote_columns(connection, table)).where(*at))
    ends = None if log_size is None else leaf_index.next_offsets(connection, log_size)
    return {
        (row.partition_no, row.offset): row
        for row in found
        if (ends is None or row.offset < ends.get(row.partition_no, 0))
        and (row.partition_no, row.offset) not in omitted
    }


def find_excluded(
    connection: Connection, log_size: int | None, entries: Iterable[Mapping[str, str]], fates: Sequence[int] = COUNTED
) -> VotesByPosition:
    """Find the votes that a list of exclusions excludes. Retracted votes are left out.

    Args:
        connection: reads the store.
        log_size: only votes among the first `log_size` leaves of the vote log; None for all committed votes.
        entries: exclusions, each with `kind` and `target`. The label of an erased voter selects no vote.
        fates: only votes with these fates, as indices into FATES.

    Returns:
        Position (partition_no, offset) of a vote → the vote as a row of the store.
    """
    targets: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for entry in voter_labels.resolve(connection, entries):
        targets[entry["kind"]].append(entry["target"])
    voters = voter_labels.pseudonyms(targets["voter"])
    selections = [VoteSelection.parse(text) for text in targets["votes"]]
    return find_votes(connection, log_size, voters, targets["vote"], selections, fates=fates)


def read_votes_at(connection: Connection, positions: Iterable[VotePosition]) -> VotesByPosition:
    """Return the votes at the given positions, as position (partition_no, offset) → row of the store.

    A position without a vote is left out.
    """
    positions = list(positions)
    table = vote_table.votes_at(connection, positions)
    v, columns = table.c, vote_columns(connection, table)
    by_part: dict[int, list[int]] = {}
    for part, offset in positions:
        by_part.setdefault(part, []).append(offset)
    rows: list[Any] = []
    for part, offsets in by_part.items():
        for chunk in _chunks(sorted(offsets)):
            rows += connection.execute(sa.select(*columns).where(v.partition_no == part, v.offset.in_(chunk)))
    return {(row.partition_no, row.offset): row for row in rows}


def count_by_pair(votes: Mapping[VotePosition, Any]) -> list[tuple[int, int, int, int]]:
    """Count votes by their two models and outcome.

    Args:
        votes: position of a vote → the vote as a row of the store.

    Returns:
        Sorted tuples (model_a, model_b, outcome, number of votes), with model numbers and outcome codes.
    """
    counts = Counter((row.model_a, row.model_b, row.outcome) for row in votes.values())
    return [(*cell, number) for cell, number in sorted(counts.items())]


def attribute_to_entries(
    connection: Connection, votes: Mapping[VotePosition, Any], entries: Sequence[Mapping[str, str]]
) -> dict[VotePosition, int]:
    """Find, for each excluded vote, the first exclusion that excludes it.

    Args:
        connection: reads the store.
        votes: position (partition_no, offset) → the excluded vote.
        entries: exclusions, each with `kind` and `target`.

    Returns:
        Position of a vote → index of the exclusion in `entries`. The index is `len(entries)` if none excludes the vote.
    """
    entries = voter_labels.resolve(connection, entries)
    by_target: dict[tuple[str, str], int] = {}
    by_position: dict[VotePosition, int] = {}
    for index, entry in enumerate(entries):
        by_target.setdefault((entry["kind"], entry["target"]), index)
        if entry["kind"] == "vote":
            named = find_by_vote_id(connection, [entry["target"]])
        elif entry["kind"] == "votes":
            rows = VoteSelection.parse(entry["target"]).read_votes(connection)
            named = {(row.partition_no, row.offset) for row in rows}
        else:
            continue
        for position in named:
            by_position.setdefault(position, index)
    none = len(entries)
    return {
        position: min(by_position.get(position, none), by_target.get(("voter", format_pseudonym(row.voter)), none))
        for position, row in votes.items()
    }


def _chunks(values: Sequence[Any]) -> list[list[Any]]:
    return [list(values[start : start + dialect.CHUNK]) for start in range(0, len(values), dialect.CHUNK)]
