"""alerts: what was seen, and what people did about it."""

from __future__ import annotations

import getpass
from typing import Annotated, Any, Literal

import typer
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.alerts import STATES
from pipeline.cli import show
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import Usage
from pipeline.jobs.opening import now
from pipeline.store import Store, exclusions
from pipeline.store import alerts as kept

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
_MOVES = ("ack", "snooze", "appeal", "resolve", "reopen")


@app.command()
def alerts(
    action: Annotated[Action, typer.Argument(help="What to do.")] = "list",
    target: Annotated[
        str | None, typer.Argument(help="An alert's id; for exclude and restore also voter:ID or vote:ID.")
    ] = None,
    store: StoreOption = None,
    state: Annotated[str | None, typer.Option(help=f"Only alerts in this state: {', '.join(STATES)}.")] = None,
    name: Annotated[str | None, typer.Option(help="Who does it; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="Why. Needed to exclude and restore.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if an alert is open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List alerts, show one with its evidence, decide about it, exclude or restore votes."""
    options = configuration.load()
    if state is not None and state not in STATES:
        raise Usage(f"--state: expected one of {', '.join(STATES)}, got {state!r}")
    opened = Store.open(store or options.store, voter_key=options.key, create=False)
    try:
        if action in {"list", "export"}:
            with opened.read() as connection:
                listed = kept.listed(connection, state)
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
                found = kept.one(connection, target)
            _print(found, show.explained(found), as_json)
        else:
            with opened.write() as connection:
                result = _decide(connection, action, target, name or getpass.getuser(), reason)
            _print(result, result["done"], as_json)
    finally:
        opened.close()


def _decide(connection: Connection, action: str, target: str, name: str, reason: str) -> dict[str, Any]:
    if action in _MOVES:
        state = kept.move(connection, target, action, name, reason, now())
        return {"alert": target, "state": state, "done": f"{target} is {state}"}
    kind, sign, subject = target.partition(":")
    alert_id = None
    if not sign:
        found = kept.one(connection, target)
        if found["subject"]["kind"] != "voter":
            raise Usage(
                f"alert {target} is about a {found['subject']['kind']}: votes are excluded by voter:ID or vote:ID"
            )
        kind, subject, alert_id = "voter", found["subject"]["id"], target
    exclusions.add(connection, action, kind, subject, reason, name, now(), alert_id)
    done = f"{action}d {kind} {subject} ({reason}): the defended board follows at the next refresh"
    return {"action": action, "kind": kind, "target": subject, "name": name, "reason": reason, "done": done}


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
