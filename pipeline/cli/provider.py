"""provider: the page of facts of one provider."""

from __future__ import annotations

import re
import sys
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
    markdown: Annotated[bool, typer.Option("--markdown", help="As a document to hand on.")] = False,
    as_json: JsonOption = False,
) -> None:
    """A provider's page of facts: variants, disclosed N, share of votes, removals; each with its source."""
    page = jobs.provider_page(store or configuration.load().store, name)
    if as_json:
        emit(page)
        return
    if markdown:
        sys.stdout.write("\n".join(_markdown(page)) + "\n")
        return
    out.print(Text(f"{page['provider']}: facts as of {page['as_of']}", style="bold"))
    for source, what in page["sources"].items():
        out.print(Text(f"  {source}: {what}"), soft_wrap=True)
    out.print(_table(page["facts"]))
    _details(page["facts"])
    _notes(page["facts"])
    out.print(Text(f"Findings of the sweep about it: {len(page['findings'])}", style="bold"))
    for one in page["findings"]:
        out.print(Text(f"  {one['severity']}: {one['audit']}: {one['what']} ({_sure(one)})"), soft_wrap=True)
    out.print(Text(_READ), soft_wrap=True)


def _markdown(page: dict[str, Any]) -> list[str]:
    notes, facts = _numbers(page["facts"]), page["facts"]
    lines = [f"# {_plain(page['provider'])}: facts as of {page['as_of']}", ""]
    lines += [f"- {name}: {_plain(what)}" for name, what in page["sources"].items()]
    lines += ["", "| about | fact | value | 95% bounds | unit | note |", "|---|---|--:|--:|---|--:|"]
    for one in facts:
        cells = (one["about"], one["fact"], _figure(one["value"]), _bounds(one), one["unit"], str(notes[_note(one)]))
        lines.append("| " + " | ".join(_plain(cell) for cell in cells) + " |")
    lines += ["", "## Behind the figures", ""]
    lines += [f"- {_plain(f['about'])}, {f['fact']}: {_plain('; '.join(f['detail']))}" for f in facts if f["detail"]]
    lines += ["", "## Definitions, sources, uncertainty", ""]
    for (definition, source, uncertainty), number in notes.items():
        lines.append(f"{number}. {_plain(definition)} Source: {source}. Uncertainty: {_plain(uncertainty)}")
    lines += ["", "## Findings", ""]
    for one in page["findings"]:
        lines.append(f"- {one['severity']}: {one['audit']}: {_plain(one['what'])} ({_sure(one)})")
    return [*lines, "", _READ]


def _plain(text: str) -> str:
    """Text that Markdown takes as it is: names are strangers' to choose."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text)


def _sure(finding: dict[str, Any]) -> str:
    return "a fact" if finding["p_value"] is None else f"p = {finding['p_value']:.2g}"


def _bounds(fact: dict[str, Any]) -> str:
    return "" if fact["lower"] is None else f"{_figure(fact['lower'])} … {_figure(fact['upper'])}"


def _table(facts: list[dict[str, Any]]) -> Table:
    table = Table(header_style="bold")
    for column, right in (("about", False), ("fact", False), ("value", True), ("95% bounds", True), ("unit", False)):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    notes = _numbers(facts)
    for fact in facts:
        what = f"{fact['fact']} [{notes[_note(fact)]}]"
        table.add_row(Text(fact["about"]), Text(what), _figure(fact["value"]), _bounds(fact), fact["unit"])
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
