"""Counts votes for an alert: a voter's votes on the models that the alert names, or the votes of a selection."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import parse_pseudonym
from pipeline.store.db import dialect, schema
from pipeline.store.votes.dictionary import model_names
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.fates import COUNTED

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
    v = schema.vote.c
    query = sa.select(v.model_a, v.model_b, v.outcome, sa.func.count().label("votes"))
    query = query.where(v.voter == parse_pseudonym(subject), v.partition_no == partition_no, v.fate.in_(COUNTED))
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
    return connection.scalar(sa.select(v.offset).where(v.voter == voter, v.voter != 0).limit(1)) is not None


def count_selected(connection: Connection, selection: VoteSelection) -> dict[str, int]:
    """Count the votes of a selection.

    Returns:
        {"votes", "voters"}: the number of counted votes, and the number of different voters who cast them. "voters" is
        missing if the database role may not read voters.
    """
    v = schema.vote.c
    numbers = [sa.func.count().label("votes")]
    if dialect.may_read(connection, "vote", "voter"):
        numbers.append(sa.func.count(v.voter.distinct()).label("voters"))
    row = connection.execute(sa.select(*numbers).where(v.fate.in_(COUNTED), *selection.conditions())).mappings().one()
    return {name: int(number) for name, number in row.items()}
