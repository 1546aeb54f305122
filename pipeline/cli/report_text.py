"""Prints a report for people: the verdict, the first places of the board, what was found, and what was not checked."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.cli.app import out
from pipeline.cli.terminal import print_paragraphs, styled
from pipeline.cli.terminal_tables import board_table
from pipeline.report.evidence import EvidenceSection
from pipeline.report.evidence.evidence_tests import MEASURED
from pipeline.report.evidence.sampling_facts import spread_sentences
from pipeline.report.render_page import format_odds
from pipeline.report.report import Report
from pipeline.report.verdict import NO, YES
from pipeline.report.vote_period import apart_sentences

# The places of the board, and the findings of a test, that are printed; --json and --out FILE.html have all.
_PLACES, _FINDINGS = 10, 5
_MORE = "--json and --out FILE.html have the whole report"


def print_report(report: Report, saved: Path | None) -> None:
    """Print a report about votes to the terminal.

    Args:
        report: the report, with its verdict and its parts.
        saved: the file to which the whole report was written. Only the verdict is printed then. None if no file was
            written.
    """
    answer = report.verdict.answer
    out.print(styled("Can this board be trusted? ", (f"{answer.capitalize()}.", _tone(answer))))
    for number, sentence in enumerate(report.verdict.sentences, 1):
        print_paragraphs([f"{number}. {sentence}"])
    print_paragraphs(apart_sentences(report.facts["dated_apart"]))
    if saved is not None:
        votes = f"{report.source.reading['records']:,} records, {report.facts['votes']:,} votes count"
        print_paragraphs([f"{votes}. The whole report was written to {saved}"])
        return
    out.print("")
    rows = [{**row, "rank_best": row["rank_best_joint"], "rank_worst": row["rank_worst_joint"]} for row in report.rows]
    title = f"First {_PLACES} of {len(rows)} models" if len(rows) > _PLACES else "The board"
    out.print(board_table(rows[:_PLACES], title, out.width, _MORE))
    print_paragraphs(["", *_evidence(report), "", *_probes(report), "", *_unchecked(report), "", *_source(report)])


def _tone(answer: str) -> str:
    return "bold red" if answer == NO else "bold green" if answer == YES else "bold yellow"


def _evidence(report: Report) -> Iterator[str]:
    yield "Manipulation:"
    for one in report.evidence:
        if one.unavailable is None:
            answer = f"{one.found:,} findings:" if one.found > 1 else one.answer
            yield f"  {_mark(one)} {one.title}: {answer}"
            if one.found > 1:
                for finding in one.findings[:_FINDINGS]:
                    yield f"    {finding.sentence} Odds: {format_odds(finding.odds)}."
            if one.found > _FINDINGS:
                yield f"    … {one.found - _FINDINGS:,} more; {_MORE}"
            if one.found:
                odds = f"Odds: {format_odds(one.findings[0].odds)}. " if one.found == 1 else ""
                yield f"    {odds}Error rate: {one.error_rate}"
    for sentence in spread_sentences(report.facts["spread"]):
        yield f"  {sentence}"
    yield f"  {MEASURED}"


def _mark(one: EvidenceSection) -> str:
    return "-" if not one.found else "!!" if one.accuses else "!"


def _probes(report: Report) -> Iterator[str]:
    yield "What the order depends on:"
    for one in report.probes:
        if one.unavailable is None:
            yield f"  {'!' if one.fired else '-'} {one.title}: {one.sentence}"


def _unchecked(report: Report) -> Iterator[str]:
    yield "Not checked:"
    for why, whats in report.unchecked_by_reason:
        yield f"  {'; '.join(whats)}: {why}"


def _source(report: Report) -> Iterator[str]:
    reading = report.source.reading
    yield f"{reading['records']:,} records, {report.facts['votes']:,} votes count"
    yield from reading["notes"]
    for one in report.source.files:
        yield f"{one.name}: SHA-256 {one.sha256}"
    yield f"to make this report again: {report.source.command}"
