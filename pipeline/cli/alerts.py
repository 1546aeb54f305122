"""alerts: what was seen, and what people did about it."""

from __future__ import annotations

import getpass
from typing import Annotated, Any, Literal

import typer

from pipeline import alert_text, jobs
from pipeline import settings as configuration
from pipeline.cli import show
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import Usage
from pipeline.jobs import moderation
from pipeline.jobs.open_store import now, open_store
from pipeline.store import Store
from pipeline.store.alerting import alert_queries
from pipeline.store.boards import exclusions
from pipeline.vocabulary.alert_states import ALERT_STATES

Action = Literal[
    "list",
    "show",
    "ack",
    "snooze",
    "appeal",
    "resolve",
    "reopen",
    "exclude",
    "restore",
    "exclusions",
    "export",
]


@app.command()
def alerts(
    action: Annotated[Action, typer.Argument(help="What to do.")] = "list",
    target: Annotated[
        str | None,
        typer.Argument(
            help="An alert's id; for exclude and restore also voter:ID, vote:ID, or "
            "votes:from=TIME,to=TIME[,model=…][,cohort=new][,network=…][,prompt=…]."
        ),
    ] = None,
    store: StoreOption = None,
    state: Annotated[str | None, typer.Option(help=f"Only alerts in this state: {', '.join(ALERT_STATES)}.")] = None,
    name: Annotated[str | None, typer.Option(help="Who does it; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="Why. Needed to exclude and restore.")] = "",
    hours: Annotated[float | None, typer.Option(help="How long a snooze lasts; default: until somebody acts.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if an alert is open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List alerts, show one with its evidence, decide about it, exclude or restore votes."""
    options = configuration.load()
    if state is not None and state not in ALERT_STATES:
        raise Usage(f"--state: expected one of {', '.join(ALERT_STATES)}, got {state!r}")
    opened = open_store(store or options.store, create=False)
    try:
        if action in {"list", "export"}:
            with opened.read() as connection:
                listed = alert_queries.list_alerts(connection, state, now())
            if as_json or action == "export":
                emit(listed)
            else:
                out.print(show.alerts(listed, out.width))
            if check and any(a["state"] == "open" for a in listed):
                raise typer.Exit(1)
        elif action == "exclusions":
            _list_exclusions(opened, as_json)
        elif target is None:
            raise Usage(f"alerts {action}: expected an alert's id; `integrity alerts` lists them")
        elif action == "show":
            with opened.read() as connection:
                found = alert_queries.find_alert(connection, target)
            _print(found, alert_text.explained(found), as_json)
        else:
            who = name or getpass.getuser()
            with opened.write() as connection:
                if action in moderation.ALERT_ACTIONS:
                    result = moderation.change_alert_state(connection, target, action, who, reason, hours)
                else:
                    result = moderation.change_exclusion(connection, action, target, who, reason)
            _print(result, result["done"], as_json)
    finally:
        opened.close()


@app.command()
def replay(
    detector: Annotated[str, typer.Option(help="Its name, as alerts show it.")],
    store: StoreOption = None,
    write: Annotated[
        bool, typer.Option("--write", help="Open the alerts; default: only say what they would be.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run one detector over everything that is stored: what would it have raised?"""
    said = jobs.replay_detector(store or configuration.load().store, detector, write)
    if as_json:
        emit(said)
        return
    for one in said:
        e = "" if one["e_value"] is None else f"  e-value {alert_text.e_value(one['e_value'])}"
        kind = one["subject"]["kind"] or ""
        out.print(
            f"{one['at'][:16]}  {one['severity']:8}  {kind} {one['subject']['id']}: {one['direction']}{e}"
            f"  {alert_text.seen(one)}",
            highlight=False,
            soft_wrap=True,
        )
    raised = sum(one["severity"] != "cleared" for one in said)
    err.print(f"{detector}: {raised} alerts raised or escalated, {'written' if write else 'nothing was written'}")


def _list_exclusions(store: Store, as_json: bool) -> None:
    with store.read() as connection:
        current = exclusions.current(connection)
    if as_json:
        emit([{"kind": e.kind, "target": e.target, "reason": e.reason, "name": e.name} for e in current])
        return
    for e in current:
        out.print(f"{e.kind} {e.target}: {e.reason} (by {e.name})", highlight=False)
    err.print(f"{len(current)} exclusions in force")


def _print(value: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        emit(value)
    else:
        out.print(text, highlight=False, soft_wrap=True)
