"""Builds the timeline of an incident from its votes, its alerts and what people decided."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from pipeline.incident_text import confidence, count

_HOUR = len("2026-01-02T03")


def build_timeline(incident: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the events of an incident, the earliest first.

    Args:
        incident: an incident with the fields of `IncidentDetailDocument`, as the public or operators read it.

    Returns:
        {"at", "what", "by"} of each event: its time in RFC 3339, a text that says what happened, and who did it. Alerts
        of one detector within an hour are one event.
    """
    entries = [
        {"at": incident.get("first", incident["begun_at"]), "what": "first of its votes", "by": ""},
        *_alerts(incident),
        *(
            {"at": one["at"], "what": _decision(one), "by": one["name"]}
            for one in incident["history"]
        ),
    ]  # fmt: skip
    last = incident.get("last", incident["last_at"])
    if last != entries[0]["at"]:
        entries.append({"at": last, "what": "last of its votes until now", "by": ""})
    return sorted(entries, key=lambda one: one["at"])


def _alerts(incident: Mapping[str, Any]) -> list[dict[str, str]]:
    found = []
    ordered = sorted(incident["evidence"], key=lambda one: (one["opened_at"][:_HOUR], one["detector"]))
    for (_, detector), some in groupby(ordered, key=lambda one: (one["opened_at"][:_HOUR], one["detector"])):
        alerts = list(some)
        total, name = incident["alerts"], detector.replace("_", " ")
        text = f"{count(len(alerts), 'alert')} of {name}"
        if len(alerts) < total:
            text = f"{len(alerts)} of its {count(total, 'alert')}, of {name}"
        if len(alerts) == 1:
            text = f"{text}, {confidence(alerts[0]['e_value'])}: {alerts[0]['summary']}"
        found.append({"at": min(one["opened_at"] for one in alerts), "what": text, "by": ""})
    return found


def _decision(entry: Mapping[str, Any]) -> str:
    return f"{entry['action']}: {entry['reason']}" if entry["reason"] else str(entry["action"])
