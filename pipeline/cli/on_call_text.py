"""Prints lists of alerts and incidents for people on call. An entry has a few lines of at most 80 columns."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from pipeline.alert_text import format_e_value, summarize
from pipeline.cli.app import out
from pipeline.cli.terminal import print_paragraphs, styled
from pipeline.errors import Usage
from pipeline.events.codenames import codename
from pipeline.incident_text import confidence, count
from pipeline.vocabulary.time import format_rfc3339, parse_rfc3339

SEVERITIES = ("critical", "warning", "note")
_URGENCY = {name: place for place, name in enumerate(SEVERITIES)}
_COLOURS = {"critical": "bold red", "warning": "yellow"}
_INDENT = 2


def expect_known(option: str, value: str | None, known: Sequence[str]) -> None:
    """Raise Usage if the value of an option is not one of the known values."""
    if value is not None and value not in known:
        raise Usage(f"{option}: expected one of {', '.join(known)}, got {value!r}")


def parse_since(text: str | None) -> str:
    """Convert the value of --since to RFC 3339 in UTC, so that times can be compared as texts.

    Args:
        text: the value; None if the option is not given. The result is then "".

    Raises:
        Usage: the value is not a time.
    """
    try:
        return format_rfc3339(parse_rfc3339(text)) if text else ""
    except ValueError as error:
        raise Usage(f"--since: {error}") from None


def urgency(state: str, severity: str) -> tuple[bool, bool, int]:
    """Return a sort key for alerts or incidents: open ones first, resolved ones last, then by severity."""
    return state == "resolved", state != "open", _URGENCY.get(severity, len(_URGENCY))


def local_time(time: str) -> str:
    """Format a time as local time to the minute, with the name of the time zone. `time` is in RFC 3339."""
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M %Z}"


def both_times(time: str) -> str:
    """Format a time to the minute in UTC and, if local time differs, also in local time. `time` is in RFC 3339."""
    at = datetime.fromisoformat(time)
    utc, local = at.astimezone(UTC), at.astimezone()
    text = f"{utc:%Y-%m-%d %H:%M} UTC"
    if local.utcoffset() == utc.utcoffset():
        return text
    day = "" if local.date() == utc.date() else f"{local:%m-%d} "
    return f"{text} ({day}{local:%H:%M %Z})"


def print_incidents(listed: Iterable[Mapping[str, Any]]) -> None:
    """Print a list of incidents for people on call.

    An incident has the fields of `integrity incidents --json`. It may also have `since`, the exact time at which it
    began.
    """
    for one in listed:
        _print_block(
            _first_line(one["severity"], one["state"], one["id"][:8], one.get("since", one["opened_at"])),
            one["headline"],
            f"{count(one['alerts'], 'alert')}, {confidence(one['e_value'], one['alerts'])}{_suspected(one)}",
        )


def _suspected(incident: Mapping[str, Any]) -> str:
    number = incident.get("suspected", {}).get("accounts", 0)
    return f"; {count(number, 'more account')} suspected" if number else ""


def print_alerts(listed: Iterable[Mapping[str, Any]]) -> None:
    """Print a list of alerts for people on call. An alert has the form of `alert_queries.format_alert`."""
    for one in listed:
        e_value = "a fact" if one["e_value"] is None else f"e-value {format_e_value(one['e_value'])}"
        _print_block(
            _first_line(one["severity"], one["state"], one["id"], one["opened_at"]),
            f"{subject_text(one['subject'])}: {summarize(one) or one['direction']}",
            f"{one['detector']}, {e_value}",
        )


def subject_text(subject: Mapping[str, Any]) -> str:
    """Return a text that names the subject of an alert. A voter is named by codename and pseudonym."""
    kind, name = subject["kind"], str(subject["id"])
    words = codename(name) if kind == "voter" else name
    return f"{kind} {words} ({name})" if words != name else f"{kind} {name}"


def _first_line(severity: str, state: str, name: str, since: str) -> Text:
    return styled((f"{severity.upper():8}", _COLOURS.get(severity, "dim")), f"  {state}  ", (name, "bold"),
                  f"  since {both_times(since)}")  # fmt: skip


def _print_block(first: Text, *lines: str) -> None:
    out.print(first)
    print_paragraphs(lines, _INDENT)
