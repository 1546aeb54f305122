"""Converts incidents to JSON, for the public and for operators.

A reader without the right to see voters gets the public version (`public_incidents`). Such a reader cannot search
incidents by data that the public version does not contain.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import incident_text
from pipeline.alert_text import summarize
from pipeline.api.error_responses import Problem
from pipeline.errors import Usage
from pipeline.store.alerting import account_records, alert_queries, incident_table, public_incidents
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.vocabulary.time import HOUR, format_rfc3339, parse_rfc3339

_ALERT_FIELDS = ("id", "detector", "severity", "subject", "direction", "state", "opened_at", "e_value")

SortKey = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """The conditions by which a reader selects incidents. An attribute that is None is no condition.

    Attributes:
        state: the state of the incidents.
        severity: the severity of the incidents. With None, incidents of severity `note` are left out.
        about: name of the model, provider or network that the incident is about.
        subject: name of a model or provider that the incident or one of its alerts names in any role.
        since: time in RFC 3339. Only incidents that lasted until this time or longer are selected. For the public,
            times are rounded to hours.
    """

    state: str | None = None
    severity: str | None = None
    about: str | None = None
    subject: str | None = None
    since: str | None = None


def list_incidents(
    connection: Connection, wanted: IncidentFilter, hidden: HiddenModels, *, operator: bool
) -> list[dict[str, Any]]:
    """Return the incidents that a filter selects, unsorted, with the fields of `IncidentDocument`.

    Args:
        connection: reads the store.
        wanted: the conditions that an incident must meet.
        hidden: models whose names are hidden from the public.
        operator: whether the reader may see voters.

    Raises:
        Problem: status 422, if `since` is no time.
    """
    least = _since(wanted.since, operator=operator)
    return [one for one in _read(connection, hidden, operator=operator) if _is_wanted(one, wanted, least)]


def find_incident(connection: Connection, given: str, hidden: HiddenModels, *, operator: bool) -> dict[str, Any]:
    """Return an incident with the fields of `IncidentDetailDocument`.

    Args:
        connection: reads the store.
        given: id of the incident, a former id, or a beginning of either that belongs to only one incident.
        hidden: models whose names are hidden from the public.
        operator: whether the reader may see voters.

    Raises:
        Problem: status 404, if no incident has this id, or several have.
    """
    return _detail_for_operators(connection, given) if operator else _public_detail(connection, given, hidden)


def newest_with_history(connection: Connection, hidden: HiddenModels, limit: int) -> list[dict[str, Any]]:
    """Return the newest incidents in the public version, newest first. Each also has its `history`.

    Args:
        connection: reads the store.
        hidden: models whose names are hidden from the public.
        limit: largest number of incidents.
    """
    bodies = [one for one in incident_table.read_public(connection) if one["severity"] != public_incidents.NOTE]
    newest = sorted(bodies, key=newest_first)[:limit]
    return [{**_public(one, hidden), "history": _public_history(connection, one, hidden)} for one in newest]


def resolve_id(connection: Connection, given: str) -> str:
    """Return the present id of an incident. `given` is this id, a former id, or a beginning that only one incident has.

    Operators only may call this, because it also finds incidents that the public does not see.

    Raises:
        Problem: status 404, if no incident has this id, or several have.
    """
    try:
        return incident_table.resolve_id(connection, given)
    except Usage as error:
        raise Problem(404, str(error)) from None


def find_incident_of(connection: Connection, alert_id: str, *, operator: bool) -> str | None:
    """Return the id of the incident to which an alert belongs; None if the reader may see no such incident.

    The public does not see the incident of an alert about a voter.
    """
    for body in incident_table.read_public(connection):
        public = [] if body["severity"] == public_incidents.NOTE else body["public"]["alert_ids"]
        if alert_id in (body["alert_ids"] if operator else public):
            return str(body["id"])
    return None


def newest_first(one: Mapping[str, Any]) -> SortKey:
    """Return a sort key of an incident: by the hour of opening, newest first, then by id. The API uses this order."""
    return _newest(one), one["id"]


def _newest(one: Mapping[str, Any]) -> int:
    return -parse_rfc3339(one["opened_at"]) // HOUR


def _since(text: str | None, *, operator: bool) -> str:
    if text is None:
        return ""
    try:
        at = parse_rfc3339(text)
    except ValueError as error:
        raise Problem(422, f"query since: {error}") from None
    return format_rfc3339(at if operator else at // HOUR * HOUR)


def _is_wanted(one: Mapping[str, Any], wanted: IncidentFilter, least: str) -> bool:
    severity = one["severity"]
    return (
        (wanted.state is None or one["state"] == wanted.state)
        and (severity != public_incidents.NOTE if wanted.severity is None else severity == wanted.severity)
        and (wanted.about is None or any(wanted.about == claim["name"] for claim in one["about"]))
        and (wanted.subject is None or wanted.subject in one["named"])
        and one.get("last", one["last_at"]) >= least
    )


def _read(connection: Connection, hidden: HiddenModels, *, operator: bool) -> list[dict[str, Any]]:
    if operator:
        return [_for_operators(one.body, one.private) for one in incident_table.read_all(connection)]
    bodies = incident_table.read_public(connection)
    return [_public(one, hidden) for one in bodies if one["severity"] != public_incidents.NOTE]


def _public(body: Mapping[str, Any], hidden: HiddenModels) -> dict[str, Any]:
    return _with_text(public_incidents.publish_incident(body, hidden), None)


def _for_operators(body: Mapping[str, Any], private: Mapping[str, Any]) -> dict[str, Any]:
    return _with_text({**{name: value for name, value in body.items() if name != "public"}, **private}, private)


def _with_text(incident: Mapping[str, Any], private: Mapping[str, Any] | None) -> dict[str, Any]:
    sure = incident_text.confidence(incident["e_value"])
    text = {
        "headline": incident_text.headline(incident, private),
        # The public reads two digits of it.
        "confidence": sure if private is not None else sure.replace("(e-value ", "(e-value about "),
    }
    return {"id": incident["id"], **text, **incident}


def _public_detail(connection: Connection, given: str, hidden: HiddenModels) -> dict[str, Any]:
    bodies = [one for one in incident_table.read_public(connection) if one["severity"] != public_incidents.NOTE]
    known = {name: one["id"] for one in bodies for name in (one["id"], *one["public"]["ids"])}
    try:
        incident_id = incident_table.choose_id(given, known)
    except Usage as error:
        raise Problem(404, str(error)) from None
    body = next(one for one in bodies if one["id"] == incident_id)
    alerts = alert_queries.read_alerts(connection, body["public"]["alert_ids"])
    return {
        **_public(body, hidden),
        "evidence": [_alert(public_incidents.publish_evidence(one, hidden)) for one in alerts],
        "history": _public_history(connection, body, hidden),
    }


def _public_history(connection: Connection, body: Mapping[str, Any], hidden: HiddenModels) -> list[dict[str, Any]]:
    events = incident_table.read_events(connection, [body["id"], *body["public"]["ids"]])
    history = [public_incidents.publish_event(one, hidden) for one in events]
    return [one for one in history if one is not None]


def _detail_for_operators(connection: Connection, given: str) -> dict[str, Any]:
    incident_id = resolve_id(connection, given)
    (stored,) = (one for one in incident_table.read_all(connection) if one.incident_id == incident_id)
    alerts = alert_queries.read_alerts(connection, stored.body["alert_ids"])
    e_values = stored.private["suspects"]["e_values"]
    suspects = account_records.list_accounts(connection, list(e_values), alerts)
    return {
        **_for_operators(stored.body, stored.private),
        "evidence": [_alert(one) for one in alerts],
        "history": incident_table.read_events(connection, [incident_id, *stored.body["former_ids"]]),
        "account_rows": account_records.list_accounts(connection, stored.private["voters"], alerts),
        "suspect_rows": [{**row, "e_value": e_values[row["voter"]]} for row in suspects],
    }


def _alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: alert[name] for name in _ALERT_FIELDS}, "summary": summarize(alert)}


def page_after(
    rows: Iterable[dict[str, Any]], sort_key: Any, after: SortKey | None, limit: int
) -> tuple[list[dict[str, Any]], SortKey | None]:
    """Sort rows by a key, and return the page of rows that follows a given key.

    Args:
        rows: all rows.
        sort_key: function from a row to its key.
        after: the key of the last row of the previous page; None for the first page.
        limit: largest number of rows.

    Returns:
        Two values: the rows of the page, and the key of its last row. The key is None if no rows follow the page.
    """
    ordered = sorted(rows, key=sort_key)
    left = [one for one in ordered if after is None or sort_key(one) > after]
    page = left[:limit]
    return page, sort_key(page[-1]) if len(left) > limit else None
