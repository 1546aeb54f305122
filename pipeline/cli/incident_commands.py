"""Runs the command incidents, which lists incidents, shows one, and carries out decisions about incidents."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from pipeline import incident_text
from pipeline.alert_text import summarize
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, store_url
from pipeline.cli.on_call_text import (
    SEVERITIES,
    both_times,
    expect_known,
    local_time,
    parse_since,
    print_incidents,
    subject_text,
)
from pipeline.cli.terminal import print_paragraphs
from pipeline.errors import Usage
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import (
    alert_lifecycle,
    alert_queries,
    incident_grouping,
    incident_table,
    operators_log,
)
from pipeline.vocabulary.alert_states import ALERT_STATES

Action = Literal[
    "list", "show", "ack", "snooze", "appeal", "resolve", "reopen", "exclude", "restore", "merge", "split", "note",
    "export",
]  # fmt: skip

_VOTED = frozenset({"model", "provider", "habit"})
"""Kinds of incidents that are about votes: the next refresh carries out a decision to exclude or restore the votes."""

_Listed = tuple[dict[str, Any], str]
"""The body of an incident, with its headline as a field; and the time of its first vote."""


@app.command()
def incidents(
    action: Annotated[Action, typer.Argument(help="What to do.")] = "list",
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of incidents, or their unique beginnings. split: one incident, then ids of alerts."),
    ] = None,
    store: StoreOption = None,
    since: Annotated[str | None, typer.Option(help="Only incidents that went on after this time (RFC 3339).")] = None,
    severity: Annotated[str | None, typer.Option(help=f"Only this severity: {', '.join(SEVERITIES)}.")] = None,
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
    expect_known("--severity", severity, SEVERITIES)
    expect_known("--state", state, ALERT_STATES)
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
            if check and any(one["state"] == "open" and one["severity"] != "note" for one, _ in listed):
                raise typer.Exit(1)
            return
        if not names:
            raise Usage(f"incidents {action}: expected the id of an incident; `integrity incidents` lists them")
        if action == "show":
            shown = [_show(opened, one, verbose, as_json) for one in names]
            if as_json:
                emit(shown if len(shown) > 1 else shown[0])
            return
        from pipeline.cli.incident_decision import decide  # noqa: PLC0415  # slow to import; lists do not need it

        decide(opened, action, names, operators_log.process_operator(name), reason, hours, yes, as_json)


def _choose(
    opened: Store, names: Sequence[str], since: str | None, severity: str | None, state: str | None, about: str | None
) -> list[_Listed]:
    """Return the chosen incidents, the most urgent first, each with the time of its first vote."""
    least = parse_since(since)
    with opened.read() as connection:
        only = {incident_table.resolve_id(connection, one) for one in names}
        stored = incident_table.read_all(connection)
    found = [
        ({**one.body, "headline": incident_text.headline(one.body, one.private)}, one.private["first"])
        for one in stored
        if (not only or one.incident_id in only)
        and (severity is None or one.body["severity"] == severity)
        and (severity is not None or only or one.body["severity"] != "note")
        and (state is None or one.body["state"] == state)
        and one.private["last"] >= least
        and (about is None or any(about == claim["name"] for claim in one.body["about"]))
    ]
    return sorted(found, key=lambda one: incident_text.urgency(one[0]))


def _print_list(listed: Sequence[_Listed], total: int, as_json: bool) -> None:
    if as_json:
        emit([one for one, _ in listed])
        return
    print_incidents({**one, "since": first} for one, first in listed)
    more = f" of {total}: `--limit {total}` shows all" if total > len(listed) else ""
    err.print(f"{incident_text.count(len(listed), 'incident')}{more}")
    # A command stays on one line, so no other words make its line longer.
    hint = ["`--severity note` lists notes; to see one incident:", "  integrity incidents show ID"]
    print_paragraphs(hint, console=err)


def _show(opened: Store, given: str, verbose: bool, as_json: bool) -> dict[str, Any]:
    """Return an incident as data; print it unless JSON is asked for."""
    from pipeline.cli.exclusion_prompt import next_refresh_lines  # noqa: PLC0415
    from pipeline.jobs import incident_accounts, incident_decisions  # noqa: PLC0415  # slow to import; lists do not need it

    with opened.read() as connection:
        incident, private = incident_decisions.find_incident(connection, given)
        alerts = alert_queries.read_alerts(connection, incident["alert_ids"])
        later = next_refresh_lines(connection) if incident["about"][0]["kind"] in _VOTED else []
        standing = None if as_json else incident_accounts.read_standing(connection, private, alerts)
    document = {
        **incident, "headline": incident_text.headline(incident, private), "private": private, "evidence": alerts,
    }  # fmt: skip
    if standing is None:
        return document
    print_paragraphs([*incident_text.explain_lines(incident, private, local_time, standing), *later])
    print_paragraphs(
        f"  {both_times(one['at'])}  {one['action']} by {one['name']}: {one['reason']}" for one in incident["history"]
    )
    if verbose:
        print_paragraphs(["Networks: " + (", ".join(private["networks"]) or "none")])
        print_paragraphs(one.line() for one in (*standing.accounts, *standing.suspected))
        print_paragraphs(_alert_line(one) for one in alerts)
    return document


def _alert_line(one: Mapping[str, Any]) -> str:
    about = f"{subject_text(one['subject'])}: {summarize(one) or one['direction']}"
    return f"  {one['id']}  {both_times(one['opened_at'])}  {one['detector']}, {about}"
