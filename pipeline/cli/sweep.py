"""sweep: the slow audits and the policy, over a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out
from pipeline.errors import Usage

_SHOWN = 12
_MARKS = {True: ("pass", "green"), False: ("FAIL", "red"), None: ("not judged", "yellow")}


@app.command()
def sweep(
    store: StoreOption = None,
    policy: Annotated[Path | None, typer.Option(help="A policy in TOML; default: the five recommendations.")] = None,
    against: Annotated[Path | None, typer.Option(help="Another board's published snapshots: a second opinion.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Audit the board: variants, sampling, claims, graph, lockstep, policy; exit 1 if anything is found."""
    if against is not None and not against.is_file():
        raise Usage(f"--against: expected a file, got {against}")
    report = jobs.sweep(store or configuration.load().store, policy, against)
    if as_json:
        emit(report)
    else:
        for one in report["findings"][:_SHOWN]:
            style = "red" if one["severity"] == "critical" else "yellow"
            where = f"{one['audit']} {one['subject']['kind']} {one['subject']['id']}: {one['direction']}"
            alone = "" if one["discovery"] is not False else " (too little for an alert, over all that sweeps look at)"
            out.print(Text(f"{one['severity']:8} ", style=style) + Text(f"{where}\n         {one['what']}{alone}"))
        if len(report["findings"]) > _SHOWN:
            out.print(f"… {len(report['findings']) - _SHOWN} more; --json has them all", highlight=False)
        for name, about in report["audits"].items():
            if "not looked at" in about:
                out.print(f"not looked at: {name}: {about['not looked at']}", highlight=False, markup=False)
        for verdict in report["policy"]:
            mark, style = _MARKS[verdict["passed"]]
            out.print(Text(f"{mark:10} ", style=style) + Text(f"{verdict['rule']}: {verdict['what']}"))
        out.print(
            f"{len(report['findings'])} findings over {report['votes']:,} votes; alerts: {report['alerts']['told']} "
            f"told, {report['alerts']['cleared']} cleared",
            highlight=False,
        )
    if report["findings"] or any(verdict["passed"] is False for verdict in report["policy"]):
        raise typer.Exit(1)
