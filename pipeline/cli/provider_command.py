"""Runs the command provider, which shows the facts about one provider."""

from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline import jobs
from pipeline.audits.facts import format_figure
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out, store_url
from pipeline.cli.terminal import styled, write_lines
from pipeline.vocabulary.export_text import markdown_text

_NOTE = (
    "p is the probability that one test alone gives a value at least as extreme if nothing is wrong; facts have none. "
    "`integrity sweep --json` shows the data behind each finding; `integrity verify` recomputes the log and snapshots."
)


@app.command()
def provider(
    name: Annotated[str, typer.Argument(help="The provider's name in the registry.")],
    store: StoreOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown document.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the facts about a provider, each with its source: variants, disclosures, share of votes, removals."""
    page = jobs.provider_page(store_url(store), name)
    if as_json:
        emit(page)
        return
    if markdown:
        write_lines(_markdown(page))
        return
    out.print(styled((f"{page['provider']}: facts as of {page['as_of']}", "bold")))
    out.lines(f"  {source}: {what}" for source, what in page["sources"].items())
    out.print(_table(page["facts"]))
    _details(page["facts"])
    _notes(page["facts"])
    out.print(styled((f"Findings of the sweep about this provider: {len(page['findings'])}", "bold")))
    out.lines(f"  {one['severity']}: {one['audit']}: {one['what']} ({_p_value(one)})" for one in page["findings"])
    out.lines([_NOTE])


def _markdown(page: dict[str, Any]) -> list[str]:
    notes, facts = _note_numbers(page["facts"]), page["facts"]
    lines = [f"# {markdown_text(page['provider'])}: facts as of {page['as_of']}", ""]
    lines += [f"- {name}: {markdown_text(what)}" for name, what in page["sources"].items()]
    lines += ["", "| about | fact | value | bounds | unit | note |", "|---|---|--:|--:|---|--:|"]
    for one in facts:
        about, fact, unit = (markdown_text(one[name]) for name in ("about", "fact", "unit"))
        cells = (about, fact, format_figure(one["value"], one["unit"]), _bounds(one), unit, str(notes[_note(one)]))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Details", ""]
    lines += [
        f"- {markdown_text(f['about'])}, {f['fact']}: {markdown_text('; '.join(f['detail']))}"
        for f in facts
        if f["detail"]
    ]
    lines += ["", "## Definitions, sources, uncertainty", ""]
    for note, number in notes.items():
        definition, source, uncertainty = map(markdown_text, note)
        lines.append(f"{number}. {definition} Source: {source}. Uncertainty: {uncertainty}")
    lines += ["", "## Findings", ""]
    for one in page["findings"]:
        lines.append(f"- {one['severity']}: {one['audit']}: {markdown_text(one['what'])} ({_p_value(one)})")
    return [*lines, "", _NOTE]


def _p_value(finding: dict[str, Any]) -> str:
    return "a fact" if finding["p_value"] is None else f"p = {finding['p_value']:.2g}"


def _bounds(fact: dict[str, Any]) -> str:
    if fact["lower"] is None:
        return ""
    return " … ".join(format_figure(fact[bound], fact["unit"]) for bound in ("lower", "upper"))


def _table(facts: list[dict[str, Any]]) -> Table:
    table = Table(header_style="bold")
    for column, right in (("about", False), ("fact", False), ("value", True), ("bounds", True), ("unit", False)):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    notes = _note_numbers(facts)
    for fact in facts:
        what = f"{fact['fact']} [{notes[_note(fact)]}]"
        table.add_row(fact["about"], what, format_figure(fact["value"], fact["unit"]), _bounds(fact), fact["unit"])
    return table


def _details(facts: list[dict[str, Any]]) -> None:
    out.lines(f"{f['about']}, {f['fact']}: {'; '.join(f['detail'])}" for f in facts if f["detail"])


def _notes(facts: list[dict[str, Any]]) -> None:
    for (definition, source, uncertainty), number in _note_numbers(facts).items():
        out.lines([f"[{number}] {definition}", f"    Source: {source}. Uncertainty: {uncertainty}"])


def _note(fact: dict[str, Any]) -> tuple[str, str, str]:
    return fact["definition"], fact["source"], fact["uncertainty"]


def _note_numbers(facts: list[dict[str, Any]]) -> dict[tuple[str, str, str], int]:
    """Number the distinct notes of some facts from 1, in order. A note is (definition, source, uncertainty)."""
    return {note: number for number, note in enumerate(dict.fromkeys(map(_note, facts)), start=1)}
