"""Runs the commands alerts and replay.

`alerts` shows alerts, and carries out decisions about them. `replay` shows which alerts a detector would raise.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from pipeline import alert_text, jobs
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out, store_url
from pipeline.cli.on_call_text import (
    expect_known,
    parse_since,
    print_alerts,
    subject_text,
    urgency,
)
from pipeline.cli.terminal import print_paragraphs
from pipeline.errors import Usage
from pipeline.incident_text import count
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import alert_mentions, alert_queries, operators_log
from pipeline.store.boards import exclusion_list
from pipeline.vocabulary.alert_states import ALERT_STATES

Action = Literal[
    "list", "show", "ack", "snooze", "appeal", "resolve", "reopen", "exclude", "restore", "exclusions", "export"
]
_TARGET = (
    "Ids of alerts, or their unique beginnings. For exclude and restore also voter:ID, vote:ID, or "
    "votes:from=TIME,to=TIME[,model=…][,cohort=new][,network=…][,prompt=…]."
)
_LINES = 50
"""Without --limit, a list for people has at most this many alerts. JSON lists all alerts."""


@app.command()
def alerts(
    action: Annotated[Action, typer.Argument(help="What to do.")] = "list",
    targets: Annotated[list[str] | None, typer.Argument(help=_TARGET)] = None,
    store: StoreOption = None,
    since: Annotated[str | None, typer.Option(help="Only alerts that opened after this time (RFC 3339).")] = None,
    severity: Annotated[str | None, typer.Option(help="Only this severity: critical, warning.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only alerts in this state: {', '.join(ALERT_STATES)}.")] = None,
    about: Annotated[
        str | None, typer.Option(help="Only alerts that name this model, provider, network or voter in any role.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help=f"Largest number of alerts; default: {_LINES}, with --json all.", min=1)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the person who decides; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="The reason; required for exclude and restore.")] = "",
    hours: Annotated[float | None, typer.Option(help="Length of a snooze; default: until somebody acts.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Exclude or restore without asking.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show effect sizes and positions in logs too.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if an alert is open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List alerts by urgency, show one with its evidence, change its state, exclude or restore votes."""
    expect_known("--state", state, ALERT_STATES)
    expect_known("--severity", severity, ("critical", "warning"))
    names = targets or []
    with existing_store(store_url(store)) as opened:
        if action in {"list", "export"}:
            if action == "export":
                with opened.write() as connection:
                    operators_log.record_export(connection, "alerts", state or "", now())
            listed = _choose(opened, names, parse_since(since), severity, state, about)
            _print_list(listed, limit, as_json or action == "export")
            if check and any(one["state"] == "open" for one in listed):
                raise typer.Exit(1)
        elif action == "exclusions":
            _list_exclusions(opened, as_json)
        elif not names:
            raise Usage(f"alerts {action}: expected an alert's id; `integrity alerts` lists them")
        elif action == "show":
            _show(opened, names, verbose, as_json)
        else:
            from pipeline.cli.alert_decision import decide  # noqa: PLC0415  # slow to import; lists do not need it

            decide(opened, action, names, operators_log.process_operator(name), reason, hours, yes, as_json)


def _choose(
    opened: Store, names: Sequence[str], least: str, severity: str | None, state: str | None, about: str | None
) -> list[dict[str, Any]]:
    """Return the chosen alerts by urgency: open ones first, then by severity, then the newest."""
    with opened.read() as connection:
        only = {alert_queries.resolve_id(connection, one) for one in names}
        naming = None if about is None else alert_mentions.find_ids(connection, about)
        found = [
            one
            for one in alert_queries.list_alerts(connection, state, now())
            if (not only or one["id"] in only)
            and (severity is None or one["severity"] == severity)
            and (naming is None or one["id"] in naming)
            and one["opened_at"] >= least
        ]
    # Python's sort is stable: of two equally urgent ones, the newest stays first.
    return sorted(found, key=lambda one: urgency(one["state"], one["severity"]))


def _print_list(listed: Sequence[Mapping[str, Any]], limit: int | None, as_json: bool) -> None:
    if as_json:
        emit(listed[:limit])
        return
    shown = listed[: limit or _LINES]
    print_alerts(shown)
    more = f" of {len(listed):,}: `--limit {len(listed)}` shows all" if len(listed) > len(shown) else ""
    lines = [f"{count(len(shown), 'alert')}{more}; to see one:", "  integrity alerts show ID"]
    print_paragraphs(lines, console=err)


def _show(opened: Store, names: Sequence[str], verbose: bool, as_json: bool) -> None:
    from pipeline.jobs import moderation  # noqa: PLC0415  # slow to import; lists do not need it

    with opened.read() as connection:
        ids = [alert_queries.resolve_id(connection, one) for one in names]
        found = [alert_queries.find_alert(connection, one) for one in dict.fromkeys(ids)]
    if as_json:
        emit(found if len(names) > 1 else found[0])
        return
    for one in found:
        counts, back = None, None
        if one["subject"]["kind"] == "voter":
            out.print(subject_text(one["subject"]))
            with opened.read() as connection:
                counts = ("voter", one["subject"]["id"]) not in moderation.expected_exclusions(connection)
                back = moderation.preview_resolve(connection, [one["id"]]).votes_in
        print_paragraphs(alert_text.explain_lines(one, verbose=verbose, counts=counts, back=back))


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
    err.print(
        f"{detector}: {count(raised, 'alert')} raised or escalated, {'written' if write else 'nothing was written'}"
    )


def _list_exclusions(store: Store, as_json: bool) -> None:
    with store.read() as connection:
        current = exclusion_list.read_active(connection)
    if as_json:
        emit([{"kind": e.kind, "target": e.target, "reason": e.reason, "name": e.name} for e in current])
        return
    for e in current:
        out.print(f"{e.kind} {e.target}: {e.reason} (by {e.name})")
    err.print(f"{count(len(current), 'exclusion')} in force")
