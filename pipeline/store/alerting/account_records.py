"""Summarizes the accounts of an incident for operators: their alerts, votes, times and exclusions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.codenames import codename
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.store.boards import exclusion_list
from pipeline.store.boards.voter_labels import is_label
from pipeline.store.cold import vote_table
from pipeline.store.db import dialect
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.time import format_rfc3339


def list_accounts(
    connection: Connection, voters: Sequence[str], alerts: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return one dictionary for each account, ordered by number of votes, the largest first.

    Args:
        connection: reads the store, with a role that may read voters.
        voters: the accounts, each as a pseudonym of 16 hexadecimal digits. An erased voter is given by the label that
            replaces the pseudonym, and has no votes here.
        alerts: the alerts of one incident, as `alert_queries.read_alerts` returns them.

    Returns:
        {"voter", "codename", "votes", "networks", "first", "last", "alert_ids", "detectors", "excluded_by"}.

        "voter" is the pseudonym or label as given; "voter" and "codename" are for operators only. "votes" is the number
        of counted votes of the account, and "networks" is the number of networks that these votes came from. "first"
        and "last" are the times of the first and the last of these votes in RFC 3339, None for an account without
        votes. "alert_ids" lists the given alerts about the account, and "detectors" lists the detectors of these
        alerts. "excluded_by" is the author of the exclusion of the voter, None if the voter is not excluded.
    """
    votes = _count_votes(connection, voters)
    excluded = {one.target: one.name for one in exclusion_list.read_active(connection) if one.kind == "voter"}
    mine: dict[str, list[Mapping[str, Any]]] = {}
    for alert in alerts:
        mine.setdefault(alert["subject"]["id"], []).append(alert)
    rows = [
        {
            "voter": voter,
            "codename": codename(voter),
            **votes.get(voter, {"votes": 0, "networks": 0, "first": None, "last": None}),
            "alert_ids": [one["id"] for one in mine.get(voter, [])],
            "detectors": sorted({one["detector"] for one in mine.get(voter, [])}),
            "excluded_by": excluded.get(voter),
        }
        for voter in voters
    ]
    return sorted(rows, key=lambda row: (-row["votes"], row["voter"]))


def _count_votes(connection: Connection, voters: Sequence[str]) -> dict[str, dict[str, Any]]:
    number = {parse_pseudonym(one): one for one in voters if not is_label(one)}
    v, values = vote_table.votes_of(connection, number).c, list(number)
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(values), dialect.CHUNK):
        query = sa.select(
            v.voter, sa.func.count(), sa.func.count(sa.func.nullif(v.network, 0).distinct()),
            sa.func.min(v.cast_at), sa.func.max(v.cast_at),
        )  # fmt: skip
        query = query.where(v.voter.in_(values[start : start + dialect.CHUNK]), v.fate.in_(COUNTED)).group_by(v.voter)
        for voter, votes, networks, first, last in connection.execute(query):
            found[number[int(voter)]] = {
                "votes": int(votes),
                "networks": int(networks),
                "first": format_rfc3339(int(first)),
                "last": format_rfc3339(int(last)),
            }
    return found
