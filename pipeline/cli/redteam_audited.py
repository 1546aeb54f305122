"""How `redteam` shows what the slow audits said."""

from __future__ import annotations

from rich.table import Table

from pipeline.lab.redteam.audited import Audited


def table(rows: list[Audited]) -> Table:
    """A line a case."""
    shown = Table(title="Variants, fairness and claims", title_justify="left", header_style="bold")
    for name in ("", "case", "found", "must", "ok"):
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(row.scenario, row.what, row.found, row.must, "yes" if row.passed else "[red]NO[/]")
    return shown
