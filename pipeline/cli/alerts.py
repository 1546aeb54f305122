"""alerts: what was seen, and what people did about it."""

from __future__ import annotations

import getpass
from typing import Annotated, Any, Literal

import typer
from sqlalchemy.engine import Connection

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.alerts import STATES
from pipeline.cli import show
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import Usage
from pipeline.jobs import explaining
from pipeline.jobs.opening import now
from pipeline.store import Store, exclusions
from pipeline.store import alerts as kept
from pipeline.store.selections import Selection

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
        str | None,
        typer.Argument(
            help="An alert's id; for exclude and restore also voter:ID, vote:ID, or "
            "votes:from=TIME,to=TIME[,model=…][,cohort=new][,network=…][,prompt=…]."
        ),
    ] = None,
    store: StoreOption = None,
    state: Annotated[str | None, typer.Option(help=f"Only alerts in this state: {', '.join(STATES)}.")] = None,
    name: Annotated[str | None, typer.Option(help="Who does it; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="Why. Needed to exclude and restore.")] = "",
    hours: Annotated[float | None, typer.Option(help="How long a snooze lasts; default: until somebody acts.")] = None,
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
                listed = kept.listed(connection, state, now())
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
            _print(found, explaining.explained(found), as_json)
        else:
            with opened.write() as connection:
                result = _decide(connection, action, target, name or getpass.getuser(), reason, hours)
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
    said = jobs.replay(store or configuration.load().store, detector, write)
    if as_json:
        emit(said)
        return
    for one in said:
        e = "" if one["e_value"] is None else f"  e-value {explaining.e_value(one['e_value'])}"
        kind = one["subject"]["kind"] or ""
        out.print(
            f"{one['at'][:16]}  {one['severity']:8}  {kind} {one['subject']['id']}: {one['direction']}{e}"
            f"  {explaining.seen(one)}",
            highlight=False,
            soft_wrap=True,
        )
    raised = sum(one["severity"] != "cleared" for one in said)
    err.print(f"{detector}: {raised} alerts raised or escalated, {'written' if write else 'nothing was written'}")


def _decide(
    connection: Connection, action: str, target: str, name: str, reason: str, hours: float | None
) -> dict[str, Any]:
    if action in _MOVES:
        until = now() + round(hours * 3.6e9) if action == "snooze" and hours is not None else None
        state = kept.move(connection, target, action, name, reason, now(), until)
        for_long = f" for {hours:g} hours" if until is not None else ""
        return {"alert": target, "state": state, "done": f"{target} is {state}{for_long}"}
    targets, alert_id = _targets(connection, action, target)
    for kind, subject in targets:
        exclusions.add(connection, action, kind, subject, reason, name, now(), alert_id)
    kind, subject = targets[0]
    what = ", ".join(f"{k} {s}" for k, s in targets)
    done = f"{action}d {what} ({reason}): the defended board follows at the next refresh"
    return {"action": action, "kind": kind, "target": subject, "name": name, "reason": reason, "done": done}


def _targets(connection: Connection, action: str, target: str) -> tuple[list[tuple[str, str]], str | None]:
    """What to exclude or restore, and the alert that it is about."""
    kind, sign, subject = target.partition(":")
    if sign:
        return [(kind, str(Selection.parse(subject)) if kind == "votes" else subject)], None
    found = kept.one(connection, target)
    if action == "restore":
        excluded = [(e.kind, e.target) for e in exclusions.of_alert(connection, target)]
        if not excluded:
            raise Usage(f"alert {target}: none of its votes are excluded; `integrity alerts exclusions` lists what is")
        return excluded, target
    if found["subject"]["kind"] == "voter":
        return [("voter", found["subject"]["id"])], target
    return [("votes", str(kept.selection(found)))], target


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
