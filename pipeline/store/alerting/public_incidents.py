"""Converts incidents to the form for the public, which states what votes did and never identifies a voter.

The public form has counts and whole hours. It has no pseudonym, network or exact time, and no alert about a voter. An
incident of fewer than FEWEST accounts does not state their number: a small number could show that two alerts are about
one voter. No model under test is named.

An incident of severity NOTE is about one voter's habit. It has no public form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from pipeline.incidents.carriers import incident_id
from pipeline.incidents.grouping import Incident
from pipeline.store.alerting.public_alerts import hour_of, publish_alert
from pipeline.store.boards.hidden_models import ALL_SHOWN, HiddenModels

FEWEST = 5
"""The smallest number of accounts that is published. The number of accounts of a smaller incident is left out."""

NOTE = "note"
"""The severity of an incident about one voter's habit."""

_NAMED = ("model", "provider")
_NETWORK = "one network"
# Fields of an alert in which a short name of a network could occur by chance.
_KEPT = frozenset({"id", "detector", "severity", "state", "opened_at"})
_RANKS = ("raw", "defended", "before", "after")
_FIELDS = (
    "id", "severity", "state", "opened_at", "begun_at", "last_at", "what", "alerts", "votes",
    "votes_left_out", "excluded_by", "awaits_refresh",
)  # fmt: skip


def models_named(incident: Incident, alerts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the models and providers that an incident or one of its alerts names, sorted by name.

    The claims of the incident, the subjects of the alerts and their evidence are searched.

    Args:
        incident: the incident.
        alerts: its alerts as `alert_queries.format_alert` returns them.
    """
    names = {claim.name for claim in incident.claims if claim.kind in _NAMED}
    for alert in alerts:
        if alert["subject"]["kind"] in _NAMED:
            names.add(alert["subject"]["id"])
        for what in (alert["evidence"], *alert["evidence"].get("likeliest", ())):
            names |= {what[kind] for kind in _NAMED if isinstance(what.get(kind), str)}
    return sorted(names)


def public_part(incident: Incident, acted: Set[str]) -> dict[str, list[str]]:
    """Return which alert ids and which former ids of an incident the public may read.

    A former id of an incident is computed from one of its alerts. If that alert is about a voter, the id could tell who
    belongs to the incident. In an incident of few accounts, such an id is therefore left out, unless a person has
    decided something about the incident under this id.

    Args:
        incident: the incident with all its alerts, those about voters included.
        acted: the ids of incidents under which people decided something.

    Returns:
        {"alert_ids", "ids"}. "alert_ids" are the ids of the alerts that are not about voters. "ids" are the former ids
        by which the public can look the incident up.
    """
    open_to_all = [one for one in incident.alerts if not one.voter]
    # Accounts that only follow an alert about windows hide nobody: no alert is about them.
    few = 0 < len({one.voter for one in incident.alerts if one.voter}) < FEWEST
    former = {incident_id(one) for one in open_to_all} | acted if few else incident.former_ids
    return {
        "alert_ids": [one.alert_id for one in open_to_all],
        "ids": sorted(set(incident.former_ids) & former),
    }


def publish_incident(body: Mapping[str, Any], hidden: HiddenModels = ALL_SHOWN) -> dict[str, Any]:
    """Return an incident as the public reads it.

    Args:
        body: the field `body` of a stored incident, whose severity is not NOTE.
        hidden: the models under test, whose names the public does not see.
    """
    few = 0 < body["accounts"] < FEWEST
    names_hidden = any(one["name"] in hidden for one in body["about"])
    found = {
        **{name: body[name] for name in _FIELDS},
        "about": [{**one, "name": _NETWORK} if one["kind"] == "network" else one for one in body["about"]],
        "detectors": dict(sorted(body["detectors"].items())),
        "named": sorted(set(hidden.document(body["named"]))),
        "alert_ids": body["public"]["alert_ids"],
        # Two digits: more would tell which alert it is from.
        "e_value": None if body["e_value"] is None else float(f"{body['e_value']:.1e}"),
        "accounts": None if few else body["accounts"],
        "accounts_left_out": None if few else body["accounts_left_out"],
        "suspected": _publish_suspected(body["suspected"]),
        # In this order for every database role: PostgreSQL sorts the keys of a document that a view has taken apart.
        "rank": None if names_hidden or body["rank"] is None else {name: body["rank"].get(name) for name in _RANKS},
    }
    published: dict[str, Any] = hidden.document(found)
    return published


def _publish_suspected(suspected: Mapping[str, int]) -> dict[str, int | None]:
    """Return the numbers of suspected accounts and votes. Only numbers that people left out are public, not None."""
    number = suspected["accounts_left_out"]
    return {
        "accounts": None,
        "votes": None,
        "accounts_left_out": None if 0 < number < FEWEST else number,
        "votes_left_out": suspected["votes_left_out"],
    }


def publish_evidence(alert: Mapping[str, Any], hidden: HiddenModels = ALL_SHOWN) -> dict[str, Any]:
    """Return an alert in the form in which a public incident shows it as evidence.

    The alert must not be about a voter. Times are rounded down to the hour, and names of networks are left out.

    Args:
        alert: the alert as `alert_queries.format_alert` returns it.
        hidden: the models under test, whose names the public does not see.
    """
    subject = alert["subject"]
    network = subject["id"] if subject["kind"] == "network" else alert["evidence"].get("network")
    found = publish_alert({**alert, "opened_at": hour_of(alert["opened_at"])}, hidden)
    if network is None:
        return found
    return {key: one if key in _KEPT else _without(one, str(network)) for key, one in found.items()}


def _without(value: Any, network: str) -> Any:
    """Return a JSON value in which general words replace the name of a network."""
    if isinstance(value, str):
        return value.replace(f"network {network}", _NETWORK).replace(network, _NETWORK)
    if isinstance(value, Mapping):
        return {key: _without(one, network) for key, one in value.items()}
    return [_without(one, network) for one in value] if isinstance(value, list) else value


def publish_event(event: Mapping[str, Any], hidden: HiddenModels = ALL_SHOWN) -> dict[str, Any] | None:
    """Return an entry of an incident's history as the public reads it, with its time rounded down to the hour.

    Args:
        event: an entry as `incident_table.read_events` returns it.
        hidden: the models under test, whose names the public does not see.

    Returns:
        None for an entry with the action NOTE, which is for operators only.
    """
    if event["action"] == NOTE:
        return None
    published: dict[str, Any] = hidden.document({**event, "at": hour_of(event["at"])})
    return published
