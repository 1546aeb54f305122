"""Alerts and what became of them.

Law: what a detector said is never changed or deleted. An alert goes from state to state by dated
entries with a name and a reason; more evidence for an alert that is open is told as an escalation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import UnknownAlert, Usage
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal, Signal
from pipeline.store.alerting import voter_record
from pipeline.store.db import schema
from pipeline.store.votes.dictionary import model_names
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.fates import ACCEPTED
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.time import format_rfc3339, parse_rfc3339

# Enough to see what a voter did; the store has them all.
_VOTES_SHOWN = 20
# What these tell of is not done by votes: models are not drawn as declared, or votes do not come.
_NO_VOTES = frozenset({"sampling_skew", "silent_deprecation", "traffic_gap", "unknown_model"})

_ACTIONS = {
    "ack": "acknowledged",
    "snooze": "snoozed",
    "appeal": "appealed",
    "resolve": "resolved",
    "reopen": "open",
}


def write(connection: Connection, raised: Iterable[AlertSignal], names: Mapping[int, str], now: int) -> list[str]:
    """Open alerts, or tell of more evidence for those that are open.

    An alert is known by the place of its vote in the source: the store's own number of a partition depends
    on who claimed first. One that was resolved and comes back from the same place is open again.

    Args:
        raised: what detectors said, in order.
        names: model number → name, for the numbers in the evidence.
        now: wall clock in microseconds.

    Returns:
        The id of the alert that each one opened or escalated.
    """
    ids = []
    for r in raised:
        evidence = json.dumps(readable(connection, r.evidence, names), sort_keys=True)
        alert_id = replace(r, partition=_number(connection, r.partition)).alert_id
        current, action = _current(connection, r), "escalated"
        if current is None:
            current, action = alert_id, "reopened"
        told = {"severity": r.severity, "level": r.level, "e_value": r.e_value, "evidence": evidence}
        if action == "reopened" or _worse(connection, current, r):
            told |= {"state": "open", "snoozed_until": None, "over_at": None}
        moved = connection.execute(sa.update(schema.alert).where(schema.alert.c.alert_id == current).values(**told))
        if not moved.rowcount:
            connection.execute(schema.alert.insert(), _row(r, alert_id, evidence))
            action = "opened"
        _log(connection, current, now, action, r.detector, f"e-value {_shown(r.e_value)}")
        ids.append(current)
    return ids


def say(connection: Connection, said: Iterable[Signal], names: Mapping[int, str], now: int) -> list[str | None]:
    """Take in what detectors said, in order: alerts open, escalate, or are over.

    Returns:
        The id of the alert that each is about; None for one that is over and was closed by a person before.
    """
    ids: list[str | None] = []
    for one in said:
        if isinstance(one, AlertSignal):
            ids += write(connection, [one], names, now)
        else:
            ids.append(_clear(connection, one, now))
    return ids


def _clear(connection: Connection, over: ClearedSignal, now: int) -> str | None:
    current = _current(connection, over)
    if current is None:
        return None
    connection.execute(
        sa.update(schema.alert)
        .where(schema.alert.c.alert_id == current)
        .values(state="resolved", snoozed_until=None, over_at=over.at)
    )
    _log(connection, current, now, "cleared", over.detector, over.reason)
    return current


def wake(connection: Connection, now: int) -> int:
    """Open the alerts again whose snooze is over.

    Returns:
        How many.
    """
    c = schema.alert.c
    over = list(connection.scalars(sa.select(c.alert_id).where(c.state == "snoozed", c.snoozed_until <= now)))
    for alert_id in over:
        connection.execute(
            sa.update(schema.alert).where(c.alert_id == alert_id).values(state="open", snoozed_until=None)
        )
        _log(connection, alert_id, now, "woke", "the clock", "the snooze is over")
    return len(over)


def listed(connection: Connection, state: str | None = None, now: int | None = None) -> list[dict[str, Any]]:
    """Alerts, newest first, as `integrity alerts --json` shows them.

    Args:
        state: only those in this one.
        now: wall clock; an alert whose snooze is over by then is shown as open.
    """
    c = schema.alert.c
    query = placed().order_by(c.opened_at.desc(), c.alert_id)
    found = [as_shown(dict(row), now) for row in connection.execute(query).mappings()]
    return [one for one in found if state is None or one["state"] == state]


def selection(shown: Mapping[str, Any]) -> VoteSelection:
    """The votes that an alert about a window speaks of, up to now or to when it was over.

    Args:
        shown: an alert as `one` gives it.

    Raises:
        Usage: an alert that is about no votes in particular.
    """
    evidence, subject = shown["evidence"], shown["subject"]
    if "window" not in evidence or subject["kind"] == "provider" or shown["detector"] in _NO_VOTES:
        raise Usage(
            f"alert {shown['id']} speaks of no votes that could be left out; name them: "
            "votes:from=TIME,to=TIME[,model=…][,cohort=new][,network=…][,prompt=…]"
        )
    first, end = (parse_rfc3339(text) for text in (evidence["window"][0], shown["until"]))
    filters = {name: evidence[name] for name in ("cohort", "network", "prompt") if name in evidence}
    if subject["kind"] in ("model", "network"):
        filters[subject["kind"]] = subject["id"]
    return VoteSelection(first, end, **filters)


def one(connection: Connection, alert_id: str) -> dict[str, Any]:
    """One alert with its history, the newest votes that it is about, and of a voter the record on the models named.

    Raises:
        UnknownAlert: there is none of this id.
    """
    row = connection.execute(placed().where(schema.alert.c.alert_id == alert_id)).mappings().one_or_none()
    if row is None:
        raise UnknownAlert(f"expected the id of an alert, got {alert_id!r}: `integrity alerts` lists them")
    e = schema.alert_event.c
    history = connection.execute(
        sa.select(e.at, e.action, e.name, e.reason).where(e.alert_id == alert_id).order_by(e.event_no)
    )
    shown = as_shown(dict(row))
    if "window" in shown["evidence"] and shown.get("window") is not None and shown["until"] is None:
        # It stands: its votes go on up to where windows are closed.
        at = connection.scalar(sa.select(schema.position.c.position).where(schema.position.c.name == "monitor"))
        shown["until"] = shown["evidence"]["window"][1] if at is None else format_rfc3339(at)
    if "likeliest" in shown["evidence"]:
        shown["record"] = voter_record.of_voter(connection, row["subject"], row["partition_no"], shown["evidence"])
    return {
        **shown,
        **_selected(connection, shown),
        "votes": _votes(connection, dict(row), shown),
        "history": [{**h, "at": format_rfc3339(h["at"])} for h in history.mappings()],
    }


def move(
    connection: Connection, alert_id: str, action: str, name: str, reason: str, now: int, until: int | None = None
) -> str:
    """Take an alert to another state, by somebody's hand.

    Args:
        until: of a snooze, when it ends (wall clock); None: when somebody says so.

    Returns:
        The new state.
    """
    one(connection, alert_id)
    state = _ACTIONS[action]
    values = {"state": state, "snoozed_until": until if state == "snoozed" else None}
    connection.execute(sa.update(schema.alert).where(schema.alert.c.alert_id == alert_id).values(**values))
    _log(connection, alert_id, now, action, name, reason)
    return state


def _current(connection: Connection, r: Signal) -> str | None:
    c = schema.alert.c
    return connection.scalar(
        sa.select(c.alert_id).where(
            c.detector == r.detector,
            c.subject == r.subject,
            c.direction == r.direction,
            c.state != "resolved",
        )
    )


def _worse(connection: Connection, alert_id: str, r: AlertSignal) -> bool:
    """Whether a snoozed alert becomes critical: that is news, whoever sleeps."""
    c = schema.alert.c
    query = sa.select(c.state, c.severity).where(c.alert_id == alert_id)
    row = connection.execute(query).one_or_none()
    return row is not None and tuple(row) == ("snoozed", "warning") and r.severity == "critical"


def placed() -> sa.Select[Any]:
    """Every alert with the source's number of the partition; none for a halt before any partition was claimed."""
    p = schema.partition.c
    on = p.partition_no == schema.alert.c.partition_no
    return sa.select(schema.alert, p.number).outerjoin_from(schema.alert, schema.partition, on)


def _number(connection: Connection, partition_no: int) -> int:
    """The source's number of a partition; itself for a halt before any partition was claimed."""
    p = schema.partition.c
    found = connection.scalar(sa.select(p.number).where(p.partition_no == partition_no))
    return partition_no if found is None else int(found)


def _row(r: AlertSignal, alert_id: str, evidence: str) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "detector": r.detector,
        "severity": r.severity,
        "subject_kind": r.subject_kind,
        "subject": r.subject,
        "direction": r.direction,
        "state": "open",
        "opened_at": r.at,
        "partition_no": r.partition,
        "offset": r.offset,
        "level": r.level,
        "e_value": r.e_value,
        "evidence": evidence,
    }


def readable(connection: Connection, evidence: Any, names: Mapping[int, str]) -> Any:
    """Evidence as people read it: models by name, partitions by the source's number."""
    if isinstance(evidence, Mapping):
        return {key: _readable(connection, key, value, names) for key, value in evidence.items()}
    if isinstance(evidence, list | tuple):
        return [readable(connection, item, names) for item in evidence]
    return evidence


def _readable(connection: Connection, key: str, value: Any, names: Mapping[int, str]) -> Any:
    if key == "model" and isinstance(value, int):
        return names.get(value, str(value))
    if key == "partition" and isinstance(value, int):
        return _number(connection, value)
    if key == "window" and isinstance(value, list | tuple):
        return [format_rfc3339(time) for time in value]
    return readable(connection, value, names)


def _log(connection: Connection, alert_id: str, now: int, action: str, name: str, reason: str) -> None:
    connection.execute(
        schema.alert_event.insert(),
        {"alert_id": alert_id, "at": now, "action": action, "name": name, "reason": reason},
    )


def as_shown(row: Mapping[str, Any], now: int | None = None) -> dict[str, Any]:
    """A row of `placed` as `integrity alerts --json` shows it; one whose snooze is over by `now` is open."""
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
        **_place(row),
        "evidence": json.loads(row["evidence"]),
    }


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    """Where an alert stands: a vote in a partition, or a window and until when it lasted."""
    if row["partition_no"] == NO_PARTITION and row["detector"] != "worker_halted":
        until = None if row["over_at"] is None else format_rfc3339(row["over_at"])
        return {"partition": None, "offset": None, "window": format_rfc3339(row["offset"]), "until": until}
    return {"partition": row["partition_no"] if row["number"] is None else row["number"], "offset": row["offset"]}


def _selected(connection: Connection, shown: Mapping[str, Any]) -> dict[str, Any]:
    """How many votes an alert about a window speaks of; nothing where it speaks of none in particular."""
    try:
        return {"selected": voter_record.of_selection(connection, selection(shown))}
    except Usage:
        return {}


def _votes(connection: Connection, row: Mapping[str, Any], shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The newest votes that an alert is about, newest first."""
    v, known = schema.vote.c, model_names(connection)
    query = sa.select(v.vote_id, v.cast_at, v.model_a, v.model_b, v.outcome).limit(_VOTES_SHOWN)
    if row["subject_kind"] == "voter":
        mine = (v.voter == parse_pseudonym(row["subject"]), v.partition_no == row["partition_no"])
        query = query.where(*mine).order_by(v.offset.desc())
    else:
        try:
            chosen = selection(shown)
        except Usage:
            return []
        # Those up to the strongest evidence: while an alert stands, honest votes come on top.
        told = parse_rfc3339(shown["evidence"]["window"][1])
        query = query.where(v.fate == ACCEPTED, v.cast_at < told, *chosen.conditions()).order_by(
            v.cast_at.desc(), v.vote_id
        )
    found = connection.execute(query)
    return [
        {
            "vote_id": one.vote_id,
            "cast_at": format_rfc3339(one.cast_at),
            "model_a": known[one.model_a],
            "model_b": known[one.model_b],
            "winner": OUTCOMES[one.outcome],
        }
        for one in found
    ]


def _shown(e_value: float | None) -> str:
    return "none: a fact" if e_value is None else f"{e_value:.3g}"
