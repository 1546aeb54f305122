"""Reads alerts in the form that the CLI and the API show, with their history and their votes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import UnknownAlert, Usage
from pipeline.scoring.signals import NO_PARTITION
from pipeline.store.alerting import voter_record
from pipeline.store.boards.voter_labels import is_label
from pipeline.store.db import dialect, schema
from pipeline.store.votes import closed_windows
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.time import format_rfc3339, parse_rfc3339

MODEL_SHIFT = "model_shift"
"""Detector of models that no longer perform as in their snapshots."""

POOLED_VOTERS = "pooled_voters"
"""Detector of groups: opens an alert about the model that a group of voters promotes or demotes, and about each member.
"""

VOTER_HABIT = "voter_habit"
"""Detector of habits of a voter: answers of one style win too often, or the outcome is too often "both bad"."""

# Enough to see what a voter did; the store has them all.
_VOTES_SHOWN = 20
# Not caused by particular votes: models are not drawn as declared, changed, or votes do not come.
_WITHOUT_VOTES = {MODEL_SHIFT, "model_style", "sampling_skew", "silent_deprecation", "traffic_gap", "unknown_model"}


def select_alerts() -> sa.Select[Any]:
    """Return a query of all alerts: all columns of the table `alert`, and the column `number`.

    `number` is the source's number of the alert's partition, NULL for an alert without a partition.
    """
    p = schema.partition.c
    on = p.partition_no == schema.alert.c.partition_no
    return sa.select(schema.alert, p.number).outerjoin_from(schema.alert, schema.partition, on)


def list_alerts(connection: Connection, state: str | None = None, now: int | None = None) -> list[dict[str, Any]]:
    """Return the alerts, newest first, as `integrity alerts --json` shows them.

    Args:
        connection: reads the store.
        state: only alerts in this state; None for all alerts.
        now: present time in microseconds since 1970 UTC. An alert whose snooze has ended is shown as open.
    """
    c = schema.alert.c
    query = select_alerts().order_by(c.opened_at.desc(), c.alert_id)
    found = [format_alert(dict(row), now) for row in connection.execute(query).mappings()]
    return [alert for alert in found if state is None or alert["state"] == state]


def read_alerts(connection: Connection, alert_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the alerts with these ids, as `format_alert` shows them, earliest first. Unknown ids are left out."""
    a, found = schema.alert.c, list[dict[str, Any]]()
    for start in range(0, len(alert_ids), dialect.CHUNK):
        query = select_alerts().where(a.alert_id.in_(alert_ids[start : start + dialect.CHUNK]))
        found += [format_alert(dict(row)) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda one: (one["opened_at"], one["id"]))


def list_unresolved(connection: Connection) -> list[tuple[str, str, str]]:
    """Return a tuple (id, detector, severity) for every alert that is not resolved, sorted by id."""
    a = schema.alert.c
    query = sa.select(a.alert_id, a.detector, a.severity).where(a.state != "resolved").order_by(a.alert_id)
    return [(row.alert_id, row.detector, row.severity) for row in connection.execute(query)]


def find_alert(connection: Connection, alert_id: str) -> dict[str, Any]:
    """Return an alert as `format_alert` shows it, with its history and its 20 newest votes.

    The added fields are "history" and "votes". An alert about windows also has "selected" (`_count_votes`). An alert
    about a voter, whose evidence names likely explanations, also has "record" (`voter_record.read_record`).

    Raises:
        UnknownAlert: no alert has this id.
    """
    row = connection.execute(select_alerts().where(schema.alert.c.alert_id == alert_id)).mappings().one_or_none()
    if row is None:
        raise unknown_alert(alert_id)
    e = schema.alert_event.c
    history = connection.execute(
        sa.select(e.at, e.action, e.name, e.reason).where(e.alert_id == alert_id).order_by(e.event_no)
    )
    shown = format_alert(dict(row))
    shown = with_end(shown, closed_windows.closed_until(connection))
    if "likeliest" in shown["evidence"] and not is_label(row["subject"]):
        shown["record"] = voter_record.read_record(connection, row["subject"], row["partition_no"], shown["evidence"])
    return {
        **shown,
        **_count_votes(connection, shown),
        "votes": _newest_votes(connection, dict(row), shown),
        "history": [{**h, "at": format_rfc3339(h["at"])} for h in history.mappings()],
    }


def with_end(shown: dict[str, Any], closed: int | None) -> dict[str, Any]:
    """Return an alert about windows with its field `until` set: the end of the period whose votes the alert is about.

    For an alert about a backlog, or if no window is closed, this is the end of the window in the alert's evidence.
    Otherwise it is the end of the last closed window. An alert that is not about windows, or has `until` already, is
    returned unchanged.

    Args:
        shown: an alert as `format_alert` returns it.
        closed: end of the last closed window in microseconds since 1970 UTC; None if no window is closed.
    """
    evidence = shown["evidence"]
    if "window" not in evidence or shown.get("window") is None or shown["until"] is not None:
        return shown
    if closed is None or "afterwards" in evidence:
        return {**shown, "until": evidence["window"][1]}
    return {**shown, "until": format_rfc3339(closed)}


def unknown_alert(alert_id: str) -> UnknownAlert:
    """Return the error to raise for an id that belongs to no alert."""
    return UnknownAlert(f"expected the id of an alert, got {alert_id!r}: `integrity alerts` lists them")


def resolve_id(connection: Connection, given: str) -> str:
    """Return the full id of the alert that a person named.

    Args:
        connection: reads the store.
        given: the id, or a beginning of the id that no other alert shares.

    Raises:
        UnknownAlert: no id begins with this text.
        Usage: several ids begin with this text, and none is equal to it.
    """
    a = schema.alert.c
    begins = a.alert_id.startswith(given, autoescape=True) if given else sa.false()
    query = sa.select(a.alert_id).where(begins).order_by(a.alert_id)
    found = [one for one in connection.scalars(query) if one.startswith(given)]  # LIKE ignores case in SQLite
    if not found:
        raise unknown_alert(given)
    if given not in found and len(found) > 1:
        some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        raise Usage(f"expected the id of one alert, got {given!r}, which begins the ids of {len(found)} alerts: {some}")
    return str(found[0])


def select_votes(shown: Mapping[str, Any]) -> VoteSelection:
    """Return the selection of votes that an alert about windows is about.

    The selection begins with the first window of the alert, and ends at the time in its field `until`.

    Args:
        shown: an alert as `find_alert` returns it.

    Raises:
        Usage: the alert is not about particular votes.
    """
    evidence, subject = shown["evidence"], shown["subject"]
    if "window" not in evidence or subject["kind"] == "provider" or shown["detector"] in _WITHOUT_VOTES:
        raise Usage(
            f"alert {shown['id']} is about no votes that could be left out; name them: "
            "votes:from=TIME,to=TIME[,model=…][,cohort=new][,network=…][,prompt=…]"
        )
    first, end = (parse_rfc3339(text) for text in (evidence["window"][0], shown["until"]))
    filters = {name: evidence[name] for name in ("cohort", "network", "prompt") if name in evidence}
    if subject["kind"] in ("model", "network"):
        filters[subject["kind"]] = subject["id"]
    return VoteSelection(first, end, **filters)


def group_members(connection: Connection, alert_id: str) -> list[str]:
    """Return the members of a group of voters as sorted pseudonyms, without erased voters.

    A member is a voter with an unresolved alert that names the group's alert.

    Args:
        connection: reads the store.
        alert_id: id of the alert about the group.
    """
    a = schema.alert.c
    rows = connection.execute(
        sa.select(a.subject, a.evidence).where(
            a.detector == POOLED_VOTERS, a.subject_kind == "voter", a.state != "resolved"
        )
    )
    found = [row.subject for row in rows if json.loads(row.evidence).get("group") == alert_id]
    return sorted(subject for subject in found if not is_label(subject))


def source_partition(connection: Connection, partition_no: int) -> int:
    """Return the source's number of a partition, given the store's number (`partition_no`).

    A number that the store does not know is returned unchanged.
    """
    p = schema.partition.c
    found = connection.scalar(sa.select(p.number).where(p.partition_no == partition_no))
    return partition_no if found is None else int(found)


def format_evidence(connection: Connection, evidence: Any, names: Mapping[int, str]) -> Any:
    """Return the evidence of an alert as people read it, with names of models and times in RFC 3339.

    Partitions get the source's number in place of the store's number.

    Args:
        connection: reads the store.
        evidence: a value of JSON types, with model numbers (model_no) and partition numbers (partition_no).
        names: model number (model_no) → name of the model.
    """
    if isinstance(evidence, Mapping):
        return {key: _format_value(connection, key, value, names) for key, value in evidence.items()}
    if isinstance(evidence, list | tuple):
        return [format_evidence(connection, item, names) for item in evidence]
    return evidence


def _format_value(connection: Connection, key: str, value: Any, names: Mapping[int, str]) -> Any:
    if key == "model" and isinstance(value, int):
        return names.get(value, str(value))
    if key == "partition" and isinstance(value, int):
        return source_partition(connection, value)
    if key == "window" and isinstance(value, list | tuple):
        return [format_rfc3339(time) for time in value]
    return format_evidence(connection, value, names)


def format_alert(row: Mapping[str, Any], now: int | None = None) -> dict[str, Any]:
    """Return an alert as `integrity alerts --json` shows it.

    Args:
        row: a row of `select_alerts`.
        now: present time in microseconds since 1970 UTC. An alert whose snooze ended before this time is shown as open.
            None shows the stored state.
    """
    until = row["snoozed_until"]
    awake = row["state"] == "snoozed" and until is not None and now is not None and until <= now
    return {
        "id": row["alert_id"],
        "detector": row["detector"],
        "severity": row["severity"],
        "subject": {"kind": row["subject_kind"], "id": row["subject"]},
        "direction": row["direction"],
        "state": "open" if awake else row["state"],
        "opened_at": format_rfc3339(row["opened_at"]),
        "e_value": row["e_value"],
        **_format_position(row),
        "evidence": json.loads(row["evidence"]),
        **({} if row["label"] is None else {"label": row["label"]}),
    }


def _format_position(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the place of an alert.

    For an alert about a vote, these are the partition and the offset of the vote. For an alert about windows, these are
    the start of the first window, and the time at which the alert ended (None if it has not).
    """
    if row["partition_no"] == NO_PARTITION and row["detector"] != "worker_halted":
        until = None if row["over_at"] is None else format_rfc3339(row["over_at"])
        return {"partition": None, "offset": None, "window": format_rfc3339(row["offset"]), "until": until}
    return {"partition": row["partition_no"] if row["number"] is None else row["number"], "offset": row["offset"]}


def _count_votes(connection: Connection, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"selected": number of votes that an alert about windows selects}, {} if it selects no votes."""
    try:
        return {"selected": voter_record.count_selected(connection, select_votes(shown))}
    except Usage:
        return {}


def _newest_votes(connection: Connection, row: Mapping[str, Any], shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the newest votes that an alert is about, newest first."""
    if row["subject_kind"] == "voter":
        if is_label(row["subject"]):
            return []  # the voter was erased
        return voter_record.newest_of_voter(connection, row["subject"], row["partition_no"], _VOTES_SHOWN)
    try:
        selected = select_votes(shown)
    except Usage:
        return []
    # Up to the window with the strongest evidence: later votes may be honest ones.
    end = parse_rfc3339(shown["evidence"]["window"][1])
    return voter_record.newest_selected(connection, selected, end, _VOTES_SHOWN)
