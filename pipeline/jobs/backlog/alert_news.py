"""Selects the alerts of an evaluation that say more than the alerts in the store.

An alert that a person has resolved is not opened again by the same votes. The alert about a member of a group of voters
names the stored alert about the group. No alert names a voter who was erased.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import parse_pseudonym
from pipeline.jobs.backlog.backlog_alerts import PERIOD, STYLE, whole_hours
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import voter_record
from pipeline.store.db import schema
from pipeline.vocabulary.time import parse_rfc3339


def without_erased(connection: Connection, signals: list[AlertSignal]) -> list[AlertSignal]:
    """Return the signals except those about erased voters. A voter with no stored vote counts as erased."""
    return [
        one
        for one in signals
        if one.subject_kind != "voter" or voter_record.has_voter(connection, parse_pseudonym(one.subject))
    ]


def find_news(connection: Connection, signals: list[AlertSignal]) -> list[AlertSignal]:
    """Return the signals that say more than the stored alerts, and more than earlier signals about the same alert.

    A signal belongs to the stored alert with the same detector, subject and direction. It is left out in three cases:

    - A person resolved this alert for the same votes.
    - This alert is not resolved, names the same group, and has at least the same level and severity.
    - An earlier signal about this alert has at least the same level.

    Args:
        connection: reads the store.
        signals: the signals. The signal about a group of voters must come before the signals about its members.

    Returns:
        The signals that are not left out, in the same order. In a signal about a member of a group, the field `group`
        of the evidence is the id of the stored alert about the group.
    """
    found: list[AlertSignal] = []
    stored_as: dict[str, str] = {}
    levels: dict[tuple[str, str, str], int] = {}
    current: dict[tuple[str, str, str], str] = {}
    for given in signals:
        one = _with_group(given, stored_as)
        key = (one.detector, one.subject, one.direction)
        rows = _stored(connection, key)
        unresolved = [row for row in rows if row.state != "resolved"]
        resolved = [row for row in rows if row.state == "resolved" and _same_votes(row, one)]
        known = [row.alert_id for row in (*unresolved, *resolved)]
        current.setdefault(key, known[0] if known else one.alert_id)
        stored_as[one.alert_id] = current[key]
        if resolved or any(_covers(row, one) for row in unresolved) or levels.get(key, -1) >= one.level:
            continue
        levels[key] = one.level
        found.append(one)
    return found


def _with_group(one: AlertSignal, stored_as: dict[str, str]) -> AlertSignal:
    group = one.evidence.get("group")
    return one if group is None else replace(one, evidence={**one.evidence, "group": stored_as.get(group, group)})


def _stored(connection: Connection, key: tuple[str, str, str]) -> list[Any]:
    """Return the stored alerts with the key (detector, subject, direction), latest first."""
    a = schema.alert.c
    columns = a.alert_id, a.state, a.severity, a.level, a.partition_no, a.offset, a.opened_at, a.evidence
    query = sa.select(*columns)
    query = query.where(a.detector == key[0], a.subject == key[1], a.direction == key[2])
    return list(connection.execute(query.order_by(a.opened_at.desc(), a.alert_id)).all())


def _same_votes(row: Any, one: AlertSignal) -> bool:
    """Return whether the votes of a signal are among those for which an alert was last raised.

    For an alert about a voter, the voter's last vote must not be newer than that of the alert. Offsets are compared
    within one partition, and times between partitions. For an alert about a model, the evidence must not end later than
    that of the alert. The detectors PERIOD and STYLE are exceptions: at least half of the signal's period must be
    inside the period of the alert.
    """
    if one.subject_kind == "voter":
        if row.partition_no != one.partition:
            return bool(row.opened_at >= one.at)
        return bool(row.offset >= one.offset)
    evidence = json.loads(row.evidence)
    times = evidence.get("window") or evidence["period"]
    first, end = whole_hours((parse_rfc3339(times[0]), parse_rfc3339(times[1])))
    if one.detector in (PERIOD, STYLE):
        return 2 * (min(one.at, end) - max(one.offset, first)) >= one.at - one.offset
    return end >= one.at


def _covers(row: Any, one: AlertSignal) -> bool:
    """Return whether an open alert is about a signal's group, and has at least the level and severity of the signal."""
    same_group = json.loads(row.evidence).get("group") == one.evidence.get("group")
    return same_group and row.level >= one.level and (row.severity == "critical" or one.severity == "warning")
