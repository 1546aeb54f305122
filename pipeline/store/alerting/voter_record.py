"""Counts and lists the votes of an alert.

These are the votes of the alert's voter on the models that the alert names, or the votes that an alert about windows
selects.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import parse_pseudonym
from pipeline.store.cold import cold_votes, vote_table
from pipeline.store.cold.cold_votes import VoteFilter
from pipeline.store.db import dialect, schema
from pipeline.store.db.sort_order import CodePointOrder
from pipeline.store.votes.dictionary import model_names
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.time import format_rfc3339

_WON, _LOST, _TIED = "won", "lost", "tied"


def read_record(connection: Connection, subject: str, partition_no: int, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Count how a voter voted, in total and on each model that the evidence of an alert names.

    Args:
        connection: reads the store.
        subject: the voter's pseudonym, 16 hexadecimal digits.
        partition_no: partition number (partition_no) of the voter's partition.
        evidence: evidence of the alert, in which models have names, not numbers.

    Returns:
        {"battles", "left", "right", "tied", "models": {name: {"battles", "won", "lost", "tied"}}}: numbers of votes.
        `left` and `right` are votes for model a and for model b.
    """
    voter = parse_pseudonym(subject)
    v = vote_table.votes_of(connection, [voter]).c
    query = sa.select(v.model_a, v.model_b, v.outcome, sa.func.count().label("votes"))
    query = query.where(v.voter == voter, v.partition_no == partition_no, v.fate.in_(COUNTED))
    rows = connection.execute(query.group_by(v.model_a, v.model_b, v.outcome)).all()
    name = model_names(connection)
    models = {
        str(one["model"]): dict.fromkeys(("battles", _WON, _LOST, _TIED), 0)
        for one in evidence["likeliest"]
        if "model" in one
    }
    whole = dict.fromkeys(("battles", "left", "right", _TIED), 0)
    for a, b, outcome, votes in rows:
        whole["battles"] += votes
        whole[("left", "right", _TIED, _TIED)[outcome]] += votes
        for model, result in ((name[a], (_WON, _LOST, _TIED, _TIED)), (name[b], (_LOST, _WON, _TIED, _TIED))):
            if model in models:
                models[model]["battles"] += votes
                models[model][result[outcome]] += votes
    return {**whole, "models": models}


def has_voter(connection: Connection, voter: int) -> bool:
    """Return whether any stored vote has this pseudonym as its voter."""
    v = schema.vote.c
    if connection.scalar(sa.select(v.offset).where(v.voter == voter, v.voter != 0).limit(1)) is not None:
        return True
    wanted = VoteFilter(voters=np.array([voter], dtype=np.int64))
    return voter != 0 and next(cold_votes.find(connection, wanted), None) is not None


def count_selected(connection: Connection, selection: VoteSelection) -> dict[str, int]:
    """Count the votes of a selection.

    Returns:
        {"votes", "voters"}: the number of counted votes, and the number of different voters who cast them. "voters" is
        missing if the database role may not read voters.
    """
    table = selection.table(connection)
    v = table.c
    numbers = [sa.func.count().label("votes")]
    if dialect.may_read(connection, "vote", "voter"):
        numbers.append(sa.func.count(v.voter.distinct()).label("voters"))
    row = (
        connection.execute(sa.select(*numbers).where(v.fate.in_(COUNTED), *selection.conditions(table)))
        .mappings()
        .one()
    )
    return {name: int(number) for name, number in row.items()}


def newest_of_voter(connection: Connection, subject: str, partition_no: int, limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` votes of a voter in a partition, the newest first.

    Args:
        connection: reads the store, with a role that may read voters.
        subject: pseudonym of the voter, 16 hexadecimal digits.
        partition_no: the partition number of the store (partition_no).
        limit: largest number of votes.

    Returns:
        {"vote_id", "cast_at", "model_a", "model_b", "winner"} of each vote.
    """
    voter = parse_pseudonym(subject)
    table = vote_table.votes_of(connection, [voter])
    v = table.c
    return _list(connection, table, [v.voter == voter, v.partition_no == partition_no], [v.offset.desc()], limit)


def newest_selected(connection: Connection, selection: VoteSelection, end: int, limit: int) -> list[dict[str, Any]]:
    """Return the newest counted votes of a selection that were cast before a time, newest first.

    Args:
        connection: reads the store.
        selection: the selection.
        end: the time, in microseconds since 1970 UTC.
        limit: largest number of votes.

    Returns:
        {"vote_id", "cast_at", "model_a", "model_b", "winner"} of each vote.
    """
    table = selection.table(connection)
    v = table.c
    chosen = [v.fate.in_(COUNTED), v.cast_at < end, *selection.conditions(table)]
    return _list(connection, table, chosen, [v.cast_at.desc(), CodePointOrder(v.vote_id)], limit)


def _list(
    connection: Connection,
    table: sa.FromClause,
    chosen: Sequence[sa.ColumnElement[bool]],
    order: Sequence[sa.ColumnElement[Any]],
    limit: int,
) -> list[dict[str, Any]]:
    v, known = table.c, model_names(connection)
    query = sa.select(v.vote_id, v.cast_at, v.model_a, v.model_b, v.outcome).where(*chosen)
    return [
        {
            "vote_id": vote.vote_id,
            "cast_at": format_rfc3339(vote.cast_at),
            "model_a": known[vote.model_a],
            "model_b": known[vote.model_b],
            "winner": OUTCOMES[vote.outcome],
        }
        for vote in connection.execute(query.order_by(*order).limit(limit))
    ]
