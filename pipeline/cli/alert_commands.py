"""Runs the commands alerts and replay: list alerts, record decisions, and show which alerts a detector would raise."""

from typing import Annotated, Literal

import typer

from pipeline import alert_text, jobs
from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.cli.terminal_tables import alert_table
from pipeline.errors import Usage
from pipeline.jobs import moderation
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import alert_queries, operators_log
from pipeline.store.boards import exclusion_list
from pipeline.vocabulary.alert_states import ALERT_STATES

Action = Literal[
    "list", "show", "ack", "snooze", "appeal", "resolve", "reopen", "exclude", "restore", "exclusions", "export"
]
_TARGET = (
    "An alert's id. For exclude and restore also voter:ID, vote:ID, or "
    "votes:from=TIME,to=TIME[,model=…][,cohort=new][,network=…][,prompt=…]."
)


@app.command()
def alerts(
    action: Annotated[Action, typer.Argument(help="What to do.")] = "list",
    target: Annotated[str | None, typer.Argument(help=_TARGET)] = None,
    store: StoreOption = None,
    state: Annotated[str | None, typer.Option(help=f"Only alerts in this state: {', '.join(ALERT_STATES)}.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the person who decides; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="The reason; required for exclude and restore.")] = "",
    hours: Annotated[float | None, typer.Option(help="Length of a snooze; default: until somebody acts.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if an alert is open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List alerts, show one with its evidence, change its state, exclude or restore votes."""
    if state is not None and state not in ALERT_STATES:
        raise Usage(f"--state: expected one of {', '.join(ALERT_STATES)}, got {state!r}")
    with existing_store(store_url(store)) as opened:
        if action in {"list", "export"}:
            if action == "export":
                with opened.write() as connection:
                    operators_log.record_export(connection, "alerts", state or "", now())
            _list_alerts(opened, state, as_json or action == "export", check)
        elif action == "exclusions":
            _list_exclusions(opened, as_json)
        elif target is None:
            raise Usage(f"alerts {action}: expected an alert's id; `integrity alerts` lists them")
        elif action == "show":
            with opened.read() as connection:
                found = alert_queries.find_alert(connection, target)
            emit(found) if as_json else out.lines(alert_text.explain_lines(found))
        else:
            who = operators_log.process_operator(name)
            with opened.write() as connection:
                if action in moderation.ALERT_SCOPES:
                    result = moderation.change_alert_state(connection, target, action, who, reason, hours)
                else:
                    result = moderation.change_exclusion(connection, action, target, who, reason)
            emit_or_print(as_json, result, result["done"], out, soft_wrap=True)


@app.command()
def replay(
    detector: Annotated[str, typer.Option(help="Name of the detector, as alerts show it.")],
    store: StoreOption = None,
    write: Annotated[
        bool, typer.Option("--write", help="Open the alerts. Default: print them and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run one detector over all stored votes, and show the alerts that it would raise."""
    signals = jobs.replay_detector(store_url(store), detector, write)
    if as_json:
        emit(signals)
        return
    for one in signals:
        e = "" if one["e_value"] is None else f"  e-value {alert_text.format_e_value(one['e_value'])}"
        kind = one["subject"]["kind"] or ""
        out.print(
            f"{one['at'][:16]}  {one['severity']:8}  {kind} {one['subject']['id']}: {one['direction']}{e}"
            f"  {alert_text.summarize(one)}",
            soft_wrap=True,
        )
    raised = sum(one["severity"] != "cleared" for one in signals)
    err.print(f"{detector}: {raised} alerts raised or escalated, {'written' if write else 'nothing was written'}")


def _list_alerts(store: Store, state: str | None, as_json: bool, check: bool) -> None:
    with store.read() as connection:
        listed = alert_queries.list_alerts(connection, state, now())
    if as_json:
        emit(listed)
    else:
        out.print(alert_table(listed, out.width))
    if check and any(a["state"] == "open" for a in listed):
        raise typer.Exit(1)


def _list_exclusions(store: Store, as_json: bool) -> None:
    with store.read() as connection:
        current = exclusion_list.read_active(connection)
    if as_json:
        emit([{"kind": e.kind, "target": e.target, "reason": e.reason, "name": e.name} for e in current])
        return
    for e in current:
        out.print(f"{e.kind} {e.target}: {e.reason} (by {e.name})")
    err.print(f"{len(current)} exclusions in force")
