"""provider: the facts about one provider."""

import re
import sys
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pipeline import jobs
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out, store_url

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
    """Show the facts about a provider: variants, disclosures, share of votes, removals; each with its source."""
    page = jobs.provider_page(store_url(store), name)
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
    out.print(Text(f"Findings of the sweep about this provider: {len(page['findings'])}", style="bold"))
    for one in page["findings"]:
        out.print(Text(f"  {one['severity']}: {one['audit']}: {one['what']} ({_p_value(one)})"), soft_wrap=True)
    out.print(Text(_NOTE), soft_wrap=True)


def _markdown(page: dict[str, Any]) -> list[str]:
    notes, facts = _note_numbers(page["facts"]), page["facts"]
    lines = [f"# {_escape(page['provider'])}: facts as of {page['as_of']}", ""]
    lines += [f"- {name}: {_escape(what)}" for name, what in page["sources"].items()]
    lines += ["", "| about | fact | value | 95% bounds | unit | note |", "|---|---|--:|--:|---|--:|"]
    for one in facts:
        value, note = _format_value(one["value"]), str(notes[_note(one)])
        cells = (one["about"], one["fact"], value, _bounds(one), one["unit"], note)
        lines.append("| " + " | ".join(_escape(cell) for cell in cells) + " |")
    lines += ["", "## Details", ""]
    lines += [f"- {_escape(f['about'])}, {f['fact']}: {_escape('; '.join(f['detail']))}" for f in facts if f["detail"]]
    lines += ["", "## Definitions, sources, uncertainty", ""]
    for (definition, source, uncertainty), number in notes.items():
        lines.append(f"{number}. {_escape(definition)} Source: {source}. Uncertainty: {_escape(uncertainty)}")
    lines += ["", "## Findings", ""]
    for one in page["findings"]:
        lines.append(f"- {one['severity']}: {one['audit']}: {_escape(one['what'])} ({_p_value(one)})")
    return [*lines, "", _NOTE]


def _escape(text: str) -> str:
    """Escape Markdown: providers choose their names themselves."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text)


def _p_value(finding: dict[str, Any]) -> str:
    return "a fact" if finding["p_value"] is None else f"p = {finding['p_value']:.2g}"


def _bounds(fact: dict[str, Any]) -> str:
    return "" if fact["lower"] is None else f"{_format_value(fact['lower'])} … {_format_value(fact['upper'])}"


def _table(facts: list[dict[str, Any]]) -> Table:
    table = Table(header_style="bold")
    for column, right in (("about", False), ("fact", False), ("value", True), ("95% bounds", True), ("unit", False)):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    notes = _note_numbers(facts)
    for fact in facts:
        what = f"{fact['fact']} [{notes[_note(fact)]}]"
        table.add_row(Text(fact["about"]), Text(what), _format_value(fact["value"]), _bounds(fact), fact["unit"])
    return table


def _details(facts: list[dict[str, Any]]) -> None:
    for fact in facts:
        if fact["detail"]:
            out.print(Text(f"{fact['about']}, {fact['fact']}: {'; '.join(fact['detail'])}"), soft_wrap=True)


def _notes(facts: list[dict[str, Any]]) -> None:
    for (definition, source, uncertainty), number in _note_numbers(facts).items():
        out.print(Text(f"[{number}] {definition}"), soft_wrap=True)
        out.print(Text(f"    Source: {source}. Uncertainty: {uncertainty}"), soft_wrap=True)


def _note(fact: dict[str, Any]) -> tuple[str, str, str]:
    return fact["definition"], fact["source"], fact["uncertainty"]


def _note_numbers(facts: list[dict[str, Any]]) -> dict[tuple[str, str, str], int]:
    """The number of each note; facts with the same definition, source and uncertainty share one."""
    return {note: number for number, note in enumerate(dict.fromkeys(map(_note, facts)), start=1)}


def _format_value(value: float | None) -> str:
    if value is None:
        return "not known"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
