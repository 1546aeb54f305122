"""Runs the command sweep, which runs the audits and evaluates the policy over all votes of a store."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline import jobs
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out, store_url
from pipeline.cli.terminal import styled
from pipeline.errors import Usage

_SHOWN = 12
_MARKS = {True: ("pass", "green"), False: ("FAIL", "red"), None: ("unknown", "yellow")}


@app.command()
def sweep(
    store: StoreOption = None,
    policy: Annotated[
        Path | None, typer.Option(help="A policy in TOML; default: the five recommendations of Singh et al. 2025.")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Published snapshots of another board, to compare with.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Audit the board: variants, sampling, claims, connectivity, voters in lockstep, policy.

    Exit 1 if an audit finds something or a rule of the policy fails.
    """
    if against is not None and not against.is_file():
        raise Usage(f"--against: expected a file, got {against}")
    report = jobs.sweep(store_url(store), policy, against)
    if as_json:
        emit(report)
    else:
        for one in report["findings"][:_SHOWN]:
            style = "red" if one["severity"] == "critical" else "yellow"
            where = f"{one['audit']} {one['subject']['kind']} {one['subject']['id']}: {one['direction']}"
            alone = "" if one["discovery"] is not False else " (no alert: too weak among all tests of all sweeps)"
            out.print(styled((f"{one['severity']:8} ", style), where))
            out.print(f"         {one['what']}{alone}")
        if len(report["findings"]) > _SHOWN:
            out.print(f"… {len(report['findings']) - _SHOWN} more; --json prints all")
        for name, about in report["audits"].items():
            if "not looked at" in about:
                out.print(f"skipped: {name}: {about['not looked at']}")
        for verdict in report["policy"]:
            mark, style = _MARKS[verdict["passed"]]
            out.print(styled((f"{mark:10} ", style), f"{verdict['rule']}: {verdict['what']}"))
        out.print(
            f"{len(report['findings'])} findings in {report['votes']:,} votes; alerts: {report['alerts']['told']} "
            f"opened or updated, {report['alerts']['cleared']} cleared"
        )
    if report["findings"] or any(verdict["passed"] is False for verdict in report["policy"]):
        raise typer.Exit(1)
