"""provider: the page of facts of one provider."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out

_READ = (
    "p is the probability of a figure as far off if nothing were wrong, of that test alone; a fact has none. "
    "`integrity sweep --json` holds the figures behind each finding, `integrity verify` recomputes log and snapshots."
)


@app.command()
def provider(
    name: Annotated[str, typer.Argument(help="As the registry spells it.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """A provider's page of facts: variants, disclosed N, share of votes, removals; each with its source."""
    page = jobs.provider(store or configuration.load().store, name)
    if as_json:
        emit(page)
        return
    out.print(Text(f"{page['provider']}: facts as of {page['as_of']}", style="bold"))
    for source, what in page["sources"].items():
        out.print(Text(f"  {source}: {what}"), soft_wrap=True)
    out.print(_table(page["facts"]))
    _details(page["facts"])
    _notes(page["facts"])
    out.print(Text(f"Findings of the sweep about it: {len(page['findings'])}", style="bold"))
    for one in page["findings"]:
        sure = "a fact" if one["p_value"] is None else f"p = {one['p_value']:.2g}"
        out.print(Text(f"  {one['severity']}: {one['audit']}: {one['what']} ({sure})"), soft_wrap=True)
    out.print(Text(_READ), soft_wrap=True)


def _table(facts: list[dict[str, Any]]) -> Table:
    table = Table(header_style="bold")
    for column, right in (("about", False), ("fact", False), ("value", True), ("95% bounds", True), ("unit", False)):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    notes = _numbers(facts)
    for fact in facts:
        bounds = "" if fact["lower"] is None else f"{_figure(fact['lower'])} … {_figure(fact['upper'])}"
        what = f"{fact['fact']} [{notes[_note(fact)]}]"
        table.add_row(Text(fact["about"]), Text(what), _figure(fact["value"]), bounds, fact["unit"])
    return table


def _details(facts: list[dict[str, Any]]) -> None:
    for fact in facts:
        if fact["detail"]:
            out.print(Text(f"{fact['about']}, {fact['fact']}: {'; '.join(fact['detail'])}"), soft_wrap=True)


def _notes(facts: list[dict[str, Any]]) -> None:
    for (definition, source, uncertainty), number in _numbers(facts).items():
        out.print(Text(f"[{number}] {definition}"), soft_wrap=True)
        out.print(Text(f"    Source: {source}. Uncertainty: {uncertainty}"), soft_wrap=True)


def _note(fact: dict[str, Any]) -> tuple[str, str, str]:
    return fact["definition"], fact["source"], fact["uncertainty"]


def _numbers(facts: list[dict[str, Any]]) -> dict[tuple[str, str, str], int]:
    """Facts that are computed alike share a note."""
    return {note: number for number, note in enumerate(dict.fromkeys(map(_note, facts)), start=1)}


def _figure(value: float | None) -> str:
    if value is None:
        return "not known"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
