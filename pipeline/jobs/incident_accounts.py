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
    connection: Connection, private: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]]
) -> IncidentStanding:
    """Read the accounts and the suspected accounts of an incident, and whether their votes count.

    Args:
        connection: reads the store, with a role that may read voters.
        private: the facts of the incident for operators only. "voters" are the pseudonyms of its accounts; an erased
            voter has a label instead. "suspects" has the e-values of its suspected accounts.
        alerts: all alerts of the incident, as `alert_queries.read_alerts` returns them.

    Returns:
        The accounts, and the number of votes that would count again if the incident were resolved.
    """
    expected, newest = moderation.expected_exclusions(connection), snapshots.latest(connection)
    published = voter_labels.resolve(connection, newest.body["exclusions"] if newest is not None else ())
    left_out = {one["target"] for one in published if one["kind"] == "voter"}
    e_values = private["suspects"]["e_values"]
    accounts = []
    for row in account_records.list_accounts(connection, [*private["voters"], *e_values], alerts):
        mine = [one for one in alerts if one["subject"]["id"] == row["voter"]]
        excluded = ("voter", row["voter"]) in expected
        accounts.append(
            AccountStanding(
                voter=row["voter"],
                codename=row["codename"],
                votes=row["votes"],
                alert_ids=tuple(row["alert_ids"]),
                severity=min((one["severity"] for one in mine), key=_place, default="warning"),
                e_value=max(
                    (one["e_value"] for one in mine if one["e_value"] is not None), default=e_values.get(row["voter"])
                ),
                excluded_by=row["excluded_by"],
                counts_next=not excluded,
                counts_now=row["voter"] not in left_out,
                is_suspected=row["voter"] in e_values,
            )
        )
    back = moderation.preview_resolve(connection, [one["id"] for one in alerts]).votes_in
    named, suspected = (tuple(one for one in accounts if one.is_suspected == which) for which in (False, True))
    return IncidentStanding(named, back, suspected)


def _place(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
