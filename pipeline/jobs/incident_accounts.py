"""Finds for operators what the alerts of an incident say about each account, and whether the account's votes count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.incident_text import AccountStanding, IncidentStanding
from pipeline.jobs import moderation
from pipeline.store.alerting import account_records
from pipeline.store.boards import snapshots, voter_labels

_SEVERITIES = ("critical", "warning")


def read_standing(
    connection: Connection, voters: Sequence[str], alerts: Sequence[Mapping[str, Any]]
) -> IncidentStanding:
    """Read the accounts of an incident, and whether their votes count.

    Args:
        connection: reads the store, with a role that may read voters.
        voters: pseudonyms of the accounts of the incident. An erased voter has a label instead of a pseudonym.
        alerts: all alerts of the incident, as `alert_queries.read_alerts` returns them.

    Returns:
        The accounts, and the number of votes that would count again if the incident were resolved.
    """
    expected, newest = moderation.expected_exclusions(connection), snapshots.latest(connection)
    published = voter_labels.resolve(connection, newest.body["exclusions"] if newest is not None else ())
    left_out = {one["target"] for one in published if one["kind"] == "voter"}
    accounts = []
    for row in account_records.list_accounts(connection, voters, alerts):
        mine = [one for one in alerts if one["subject"]["id"] == row["voter"]]
        excluded = ("voter", row["voter"]) in expected
        accounts.append(
            AccountStanding(
                voter=row["voter"],
                codename=row["codename"],
                votes=row["votes"],
                alert_ids=tuple(row["alert_ids"]),
                severity=min((one["severity"] for one in mine), key=_place, default="warning"),
                e_value=max((one["e_value"] for one in mine if one["e_value"] is not None), default=None),
                excluded_by=row["excluded_by"],
                counts_next=not excluded,
                counts_now=row["voter"] not in left_out,
            )
        )
    back = moderation.preview_resolve(connection, [one["id"] for one in alerts]).votes_in
    return IncidentStanding(tuple(accounts), back)


def _place(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
