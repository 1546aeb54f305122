"""Runs the command incidents: lists incidents, shows one, and carries out decisions about one."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from pipeline import incident_text
from pipeline.alert_text import summarize
from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.cli.terminal_tables import incident_table as build_table
from pipeline.errors import Usage
from pipeline.jobs import incident_decisions, moderation
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, alert_queries, incident_grouping, incident_table, operators_log
from pipeline.vocabulary.alert_states import ALERT_STATES
from pipeline.vocabulary.time import format_rfc3339, parse_rfc3339

Action = Literal[
    "list", "show", "ack", "snooze", "appeal", "resolve", "reopen", "exclude", "restore", "merge", "split", "note",
    "export",
]  # fmt: skip
_SEVERITIES = ("critical", "warning", "note")
_URGENCY = {name: place for place, name in enumerate(_SEVERITIES)}


@app.command()
def incidents(
    action: Annotated[Action, typer.Argument(help="What to do.")] = "list",
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of incidents, or their unique beginnings. split: one incident, then ids of alerts."),
    ] = None,
    store: StoreOption = None,
    since: Annotated[str | None, typer.Option(help="Only incidents that went on after this time (RFC 3339).")] = None,
    severity: Annotated[str | None, typer.Option(help=f"Only this severity: {', '.join(_SEVERITIES)}.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only this state: {', '.join(ALERT_STATES)}.")] = None,
    about: Annotated[str | None, typer.Option(help="Only incidents about this model, provider or network.")] = None,
    limit: Annotated[int, typer.Option(help="Largest number of incidents in the list.", min=1)] = 50,
    name: Annotated[str | None, typer.Option(help="Name of the person who decides; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="The reason, or the text of a note.")] = "",
    hours: Annotated[float | None, typer.Option(help="Length of a snooze; default: until somebody acts.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Exclude or restore without asking.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show its alerts and accounts too.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if an incident is open; notes do not count.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List incidents by urgency, show one, or decide about one. An incident is one campaign of votes.

    All alerts are grouped anew first, if something has changed.
    """
    for option, value, known in (("--severity", severity, _SEVERITIES), ("--state", state, ALERT_STATES)):
        if value is not None and value not in known:
            raise Usage(f"{option}: expected one of {', '.join(known)}, got {value!r}")
    names = targets or []
    with existing_store(store_url(store)) as opened:
        with opened.write() as connection:
            alert_lifecycle.end_snoozes(connection, now())
            incident_grouping.regroup(connection)
            if action == "export":
                operators_log.record_export(connection, "incidents", state or "", now())
        if action in {"list", "export"}:
            listed = _choose(opened, names, since, severity, state, about)
            _print_list(listed[:limit] if action == "list" else listed, len(listed), as_json or action == "export")
            if check and any(one["state"] == "open" and one["severity"] != "note" for one in listed):
                raise typer.Exit(1)
            return
        if not names:
            raise Usage(f"incidents {action}: expected the id of an incident; `integrity incidents` lists them")
        if action == "show":
            shown = [_show(opened, one, verbose, as_json) for one in names]
            if as_json:
                emit(shown if len(shown) > 1 else shown[0])
            return
        _decide(opened, action, names, operators_log.process_operator(name), reason, hours, yes, as_json)


def _choose(
    opened: Store, names: Sequence[str], since: str | None, severity: str | None, state: str | None, about: str | None
) -> list[dict[str, Any]]:
    """Return the chosen incidents by urgency: open ones first, then by severity, then the newest."""
    try:
        least = format_rfc3339(parse_rfc3339(since)) if since else ""
    except ValueError as error:
        raise Usage(f"--since: {error}") from None
    with opened.read() as connection:
        only = {incident_table.resolve_id(connection, one) for one in names}
        stored = incident_table.read_all(connection)
    found = [
        {**one.body, "headline": incident_text.headline(one.body, one.private)}
        for one in stored
        if (not only or one.incident_id in only)
        and (severity is None or one.body["severity"] == severity)
        and (severity is not None or only or one.body["severity"] != "note")
        and (state is None or one.body["state"] == state)
        and one.private["last"] >= least
        and (about is None or any(about == claim["name"] for claim in one.body["about"]))
    ]
    return sorted(found, key=_urgency)


def _urgency(one: Mapping[str, Any]) -> tuple[bool, bool, int, bool]:
    state, kind = one["state"], one["about"][0]["kind"]
    return state == "resolved", state != "open", _URGENCY[one["severity"]], kind == "fact"


def _print_list(listed: Sequence[Mapping[str, Any]], total: int, as_json: bool) -> None:
    if as_json:
        emit(listed)
        return
    out.print(build_table(listed, out.width))
    more = f" of {total} (--limit)" if total > len(listed) else ""
    err.print(f"{len(listed)} incidents{more}; `integrity incidents show ID` tells one, `--severity note` lists notes")


def _show(opened: Store, given: str, verbose: bool, as_json: bool) -> dict[str, Any]:
    """Return an incident as data; print it unless JSON is asked for."""
    with opened.read() as connection:
        incident, private = incident_decisions.find_incident(connection, given)
        alerts = alert_queries.read_alerts(connection, incident["alert_ids"]) if verbose or as_json else []
    document = {
        **incident, "headline": incident_text.headline(incident, private), "private": private, "evidence": alerts,
    }  # fmt: skip
    if as_json:
        return document
    lines = incident_text.explain_lines(incident, private)
    lines += [f"  {one['at'][:16]}  {one['action']} by {one['name']}: {one['reason']}" for one in incident["history"]]
    if verbose:
        lines += ["Networks: " + (", ".join(private["networks"]) or "none")]
        lines += [f"  {one['opened_at'][:16]}  {one['id']}  {one['detector']}: {summarize(one)}" for one in alerts]
    out.lines(lines)
    return document


# As many parameters as the command has options for a decision.
def _decide(
    opened: Store,
    action: str,
    names: Sequence[str],
    who: operators_log.Operator,
    reason: str,
    hours: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    if action in {"exclude", "restore"}:
        for one in names:
            _preview(opened, action, one, yes, as_json)
    results = []
    with opened.write() as connection:
        if action == "merge":
            if len(names) < 2:
                raise Usage(f"incidents merge: expected the ids of two incidents, got {len(names)}")
            results = [incident_decisions.merge(connection, names[0], one, who, reason) for one in names[1:]]
        elif action == "split":
            results = [incident_decisions.split(connection, names[0], names[1:], who, reason)]
        else:
            for one in names:
                if action == "note":
                    results.append(incident_decisions.add_note(connection, one, who, reason))
                elif action in incident_decisions.STATE_ACTIONS:
                    results.append(incident_decisions.change_state(connection, one, action, who, reason, hours))
                else:
                    results.append(incident_decisions.change_exclusions(connection, one, action, who, reason))
    text = "\n".join(one["done"] for one in results)
    emit_or_print(as_json, results if len(results) > 1 else results[0], text, out, soft_wrap=True)


def _preview(opened: Store, action: str, given: str, yes: bool, as_json: bool) -> None:
    """Say what a decision about exclusions would change; ask, if a person is at the terminal."""
    with opened.read() as connection:
        targets = [one for one, _ in incident_decisions.exclusion_targets(connection, given, action)]
        effect = moderation.preview_exclusions(connection, action, targets)
    accounts = sum(kind == "voter" for kind, _ in targets)
    what = incident_text.count(accounts, "account") if accounts else "the selected votes"
    if not as_json:
        err.print(f"{action} {what} of incident {given}: {effect}", soft_wrap=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage(f"incidents {action}: expected --yes where nobody can be asked; nothing was changed")
    if not typer.confirm("Go on?", err=True):
        raise typer.Exit(1)
