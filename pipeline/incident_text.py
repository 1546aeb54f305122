"""Writes the text of an incident, for the command line and the pages.

The text says what happened, how certain that is, what was done, and what to do. An incident groups the alerts of one
campaign. The functions take the body of a stored incident, or the public form of an incident
(`pipeline.store.alerting.public_incidents`). The public form has no accounts, networks or exact times: its headline
says what votes did, to the hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.alert_text import format_e_value
from pipeline.incident_headline import count, headline
from pipeline.incident_standing import (
    SHORT,
    AccountStanding,
    IncidentStanding,
    few,
    resolve_means,
    still_counting_lines,
    suspected_text,
)
from pipeline.vocabulary.time import HOUR, parse_rfc3339

__all__ = [
    "AccountStanding",
    "IncidentStanding",
    "confidence",
    "count",
    "explain_lines",
    "headline",
    "next_step",
    "urgency",
    "what_was_done",
]

_CONFIDENCE = ((1e8, "overwhelming"), (1e6, "very strong"), (1e4, "strong"), (1e2, "moderate"))


_SEVERITIES = ("critical", "warning", "note")


def urgency(incident: Mapping[str, Any]) -> tuple[int, int, int, int, int, int, int, str]:
    """Return the key by which every list of incidents is sorted, the most urgent incident first.

    Open incidents are first and resolved ones last. Incidents of equal state are sorted by severity, facts after other
    claims, the change of a rank, the e-value, the hour of opening (newest first), and the id. All numbers are integers,
    so that the cursor of a page can contain them.
    """
    rank = incident["rank"] or {"raw": 0, "defended": 0}
    moved = max(abs(rank["raw"] - rank["defended"]), abs((rank.get("before") or 0) - (rank.get("after") or 0)))
    evidence = round(1000 * math.log(incident["e_value"])) if incident["e_value"] else 0
    state, is_fact = incident["state"], incident["about"][0]["kind"] == "fact"
    opened = parse_rfc3339(incident["opened_at"]) // HOUR
    severity = _SEVERITIES.index(incident["severity"])
    return (
        int(state == "resolved"),
        int(state != "open"),
        severity,
        int(is_fact),
        -moved,
        -evidence,
        -opened,
        incident["id"],
    )


def confidence(e_value: float | None, alerts: int = 1) -> str:
    """Return how strong the evidence for an incident is, as words and the e-value.

    The e-value of an incident is that of its strongest alert, and None for a recorded fact. If `alerts`, the number of
    alerts, is above 1, the text says that the e-value is that of the strongest alert.

    >>> confidence(3e6)
    'very strong evidence (e-value 3,000,000)'
    """
    if e_value is None:
        return "a recorded fact, no statistical test"
    word = next((word for least, word in _CONFIDENCE if e_value >= least), "weak")
    return f"{word} evidence ({'strongest alert: ' if alerts > 1 else ''}e-value {format_e_value(e_value)})"


def _how_sure(incident: Mapping[str, Any], standing: IncidentStanding | None) -> str:
    """Return a text on the strength of the evidence, with the e-values of the accounts whose votes count."""
    e_value = incident["e_value"]
    text = confidence(e_value, incident["alerts"])
    if standing is None or len(standing.accounts) < 2 or e_value is None:
        return text
    if any(one.e_value == e_value for one in standing.accounts):
        text = text.replace("strongest alert: e-value", "strongest account: e-value")
    counting = [one for one in standing.counting if one.e_value is not None]
    if not counting:
        return text
    values = few([f"{one.codename} {format_e_value(one.e_value)}" for one in counting])
    others = sum(not one.alert_ids for one in standing.counting)
    more = f"; {others:,} other{'s' if others > 1 else ''} without an alert of {'their' if others > 1 else 'its'} own"
    return f"{text}; accounts that still count: {values}{more if others else ''}"


def explain_lines(
    incident: Mapping[str, Any],
    private: Mapping[str, Any] | None = None,
    local: Callable[[str], str] | None = None,
    standing: IncidentStanding | None = None,
) -> list[str]:
    """Return the whole text of an incident, one string per line.

    Args:
        incident: the public form of the incident.
        private: the operators' form, with networks and exact times. None gives the text for the public.
        local: function that formats a time in RFC 3339 as local time; None to give times in UTC alone.
        standing: the accounts, for operators. With None, the text names no account, and does not say how many votes
            count again after a decision.
    """
    counts = ", ".join(f"{number} {name}" for name, number in incident["detectors"].items())
    lines = [
        f"{incident['severity'].upper()}  incident {incident['id']}  {incident['state']}",
        f"What happened: {headline(incident, private)}",
        f"How sure: {_how_sure(incident, standing)}.",
        f"When: {_when(incident, private, local)}.",
        *suspected_text(incident, standing),
    ]
    also = [_about(one) for one in incident["about"][1:]]
    if also:
        lines.append(f"Merged with: {', '.join(also)}.")
    lines.append(f"Alerts: {incident['alerts']:,} ({counts}){'.' if private is None else '. This lists each:'}")
    if private is not None:
        lines.append(f"  integrity incidents show {incident['id'][:SHORT]} --verbose")
    lines.append(f"What was done: {what_was_done(incident)}")
    return [*lines, *_what_to_do(incident, standing)]


def _when(incident: Mapping[str, Any], private: Mapping[str, Any] | None, local: Callable[[str], str] | None) -> str:
    first, last = ("begun_at", "last_at") if private is None else ("first", "last")
    times = [(private or incident)[name] for name in (first, last)]
    utc = _from_to([f"{one[:10]} {one[11:16]}" for one in times])
    here = "" if local is None else _from_to([local(one) for one in times])
    # A reader whose local time is UTC reads it once.
    return f"{utc} UTC" if not here or here.replace(" UTC", "") == utc else f"{utc} UTC, local {here}"


def _from_to(times: Sequence[str]) -> str:
    return times[0] if times[0] == times[1] else " to ".join(times)


def _about(about: Mapping[str, str]) -> str:
    return " ".join(part for part in (about["kind"], about["name"], about["effect"]) if part)


def what_was_done(incident: Mapping[str, Any]) -> str:
    """Return a sentence about what is left out because of an incident, and by whom. It begins with a small letter."""
    by = incident["excluded_by"]
    if not by:
        return "nothing is left out because of it."
    of_suspects = incident.get("suspected", {})
    votes, suspected = incident["votes_left_out"], of_suspects.get("votes_left_out", 0)
    accounts = f" from {count(incident['accounts_left_out'], 'account')}" if incident["accounts_left_out"] else ""
    parts = [f"{count(votes, 'vote')}{accounts}"] if votes or not suspected else []
    if suspected:
        number = of_suspects["accounts_left_out"]
        who = "a few suspected accounts" if number is None else count(number, "suspected account")
        parts.append(f"{count(suspected, 'vote')} from {who}")
    when = ", from the next refresh on" if incident.get("awaits_refresh") else ""
    return f"{', '.join(by)} left out {' and '.join(parts)}{when}."


def next_step(incident: Mapping[str, Any]) -> str:
    """Return sentences about what an operator should do about an incident. They are for pages and name no commands."""
    about = incident["about"][0]
    if incident["state"] == "resolved":
        return "Nothing: it is resolved."
    if about["kind"] == "fact":
        return "Ask the operator of the board; there are no votes to leave out."
    if about["kind"] in ("network", "board") or about["effect"] == "more votes":
        return "Look for an event that explains the visitors (a release, a news page). If there is one, resolve it."
    return (
        "Look at its accounts and its evidence. Leave their votes out, after a preview, or resolve it if the votes are "
        "honest: what a policy left out then counts again at the next refresh. Acknowledging it keeps them out."
    )


def _what_to_do(incident: Mapping[str, Any], standing: IncidentStanding | None) -> list[str]:
    name, kind = incident["id"][:SHORT], incident["about"][0]["kind"]
    resolve = f"  integrity incidents resolve {name} --reason WHY"
    if incident["state"] == "resolved":
        return ["What to do: nothing; it is resolved. To open it again:", f"  integrity incidents reopen {name}"]
    if kind == "fact":
        return ["What to do: ask the operator of the board; there are no votes to exclude."]
    if kind in ("network", "board") or incident["about"][0]["effect"] == "more votes":
        return [
            "What to do: look for an event that explains the visitors (a release, a news page). If there is one, "
            "resolve it; no vote is left out because of it:" if not incident["votes_left_out"] else
            "What to do: look for an event that explains the visitors (a release, a news page). If there is one, "
            "restore what people excluded, and resolve it:",
            resolve,
        ]  # fmt: skip
    return [
        *still_counting_lines(incident, standing, name),
        f"To say that the votes were honest ({resolve_means(standing)}):",
        resolve,
        "To acknowledge it (no vote changes: what is left out stays out):",
        f"  integrity incidents ack {name} --reason WHY",
    ]
