"""Writes the text of an incident, for the command line and the pages.

The text says what happened, how certain that is, what was done, and what to do. An incident groups the alerts of one
campaign. The functions take the body of a stored incident, or the public form of an incident
(`pipeline.store.alerting.public_incidents`). The public form has no accounts, networks or exact times: its headline
says what votes did, to the hour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.alert_text import format_e_value
from pipeline.incident_headline import count, headline

__all__ = ["confidence", "count", "explain_lines", "headline", "next_step", "what_was_done"]

_CONFIDENCE = ((1e8, "practically certain"), (1e6, "very strong"), (1e4, "strong"), (1e2, "moderate"))


def confidence(e_value: float | None) -> str:
    """Return how sure an incident is, as words and the e-value; None is the e-value of a recorded fact.

    >>> confidence(3e6)
    'very strong evidence (e-value 3,000,000)'
    """
    if e_value is None:
        return "a recorded fact, no statistical test"
    word = next((word for least, word in _CONFIDENCE if e_value >= least), "weak")
    return f"{word} evidence (e-value {format_e_value(e_value)})"


def explain_lines(
    incident: Mapping[str, Any],
    private: Mapping[str, Any] | None = None,
    local: Callable[[str], str] | None = None,
) -> list[str]:
    """Return the whole text of an incident, one string per line.

    Args:
        incident: the public form of the incident.
        private: the operators' form, with networks and exact times. None gives the text for the public.
        local: function that formats a time in RFC 3339 as local time; None to give times in UTC alone.
    """
    counts = ", ".join(f"{number} {name}" for name, number in incident["detectors"].items())
    lines = [
        f"{incident['severity'].upper()}  incident {incident['id']}  {incident['state']}",
        f"What happened: {headline(incident, private)}",
        f"How sure: {confidence(incident['e_value'])}.",
        f"When: {_when(incident, private, local)}.",
    ]
    also = [_about(one) for one in incident["about"][1:]]
    if also:
        lines.append(f"Merged with: {', '.join(also)}.")
    each = "" if private is None else f"; `integrity incidents show {incident['id']} --verbose` lists each"
    lines.append(f"Alerts: {incident['alerts']:,} ({counts}){each}.")
    lines.append(f"What was done: {what_was_done(incident)}")
    return [*lines, *_what_to_do(incident)]


def _when(incident: Mapping[str, Any], private: Mapping[str, Any] | None, local: Callable[[str], str] | None) -> str:
    first, last = ("begun_at", "last_at") if private is None else ("first", "last")
    times = [(private or incident)[name] for name in (first, last)]
    utc = " to ".join(f"{one[:10]} {one[11:16]}" for one in times)
    return f"{utc} UTC" if local is None else f"{utc} UTC, local {' to '.join(map(local, times))}"


def _about(about: Mapping[str, str]) -> str:
    return " ".join(part for part in (about["kind"], about["name"], about["effect"]) if part)


def what_was_done(incident: Mapping[str, Any]) -> str:
    """Return what is left out because of an incident, and by whom, as a sentence that begins with a small letter."""
    by = incident["excluded_by"]
    if not by:
        return "nothing is left out because of it."
    accounts = f" from {count(incident['accounts_left_out'], 'account')}" if incident["accounts_left_out"] else ""
    return f"{', '.join(by)} left out {count(incident['votes_left_out'], 'vote')}{accounts}."


def next_step(incident: Mapping[str, Any]) -> str:
    """Return what an operator should do about an incident, as sentences for the pages, which name no commands."""
    about = incident["about"][0]
    if incident["state"] == "resolved":
        return "Nothing: it is resolved."
    if about["kind"] == "fact":
        return "Ask the operator of the board; there are no votes to leave out."
    if about["kind"] in ("network", "board") or about["effect"] == "more votes":
        return "Look for an event that explains the visitors (a release, a news page). If there is one, resolve it."
    return (
        "Look at its accounts and its evidence. Leave their votes out, after a preview, or resolve it if it is honest."
    )


def _what_to_do(incident: Mapping[str, Any]) -> list[str]:
    name, kind = incident["id"], incident["about"][0]["kind"]
    if incident["state"] == "resolved":
        return [f"What to do: nothing; it is resolved. `integrity incidents reopen {name}` opens it again."]
    if kind == "fact":
        return ["What to do: ask the operator of the board; there are no votes to exclude."]
    if kind in ("network", "board") or incident["about"][0]["effect"] == "more votes":
        return [
            "What to do: look for an event that explains the visitors (a release, a news page). If there is one: "
            f"`integrity incidents resolve {name} --reason WHY`."
        ]
    return [
        f"What to do: look at its accounts and alerts (`integrity incidents show {name} --verbose`), and at the votes "
        f"of an alert (`integrity alerts show ALERT`). Then leave them out with "
        f"`integrity incidents exclude {name} --reason WHY`, which shows a preview first, or close it with "
        f"`integrity incidents resolve {name} --reason WHY`."
    ]
