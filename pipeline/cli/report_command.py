"""Runs the command report, which says whether the board of a file of votes can be trusted, and why."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import settings
from pipeline.cli.app import JsonOption, app, emit, err
from pipeline.cli.output_file import ForceOption, new_file, require_new
from pipeline.cli.report_text import print_report
from pipeline.cli.stream_options import (
    ColumnsOption,
    MethodOption,
    OutcomesOption,
    SkipBadOption,
    WinnerIsOption,
    progress_bar,
)
from pipeline.cli.terminal import print_paragraphs
from pipeline.errors import Usage
from pipeline.formats import ColumnMapping
from pipeline.formats.containers import readable_path
from pipeline.ratings.battle_columns import NUMBERS
from pipeline.report.build_report import ReportOptions, build_report
from pipeline.report.render_page import render_page
from pipeline.report.report_columns import report_votes
from pipeline.spilled_arrays import spilled_arrays
from pipeline.vote_files.report_source import report_source, require_each_once
from pipeline.vote_files.vote_input import read_vote_input


# Long because each option of a command is a parameter.
@app.command()
def report(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="As for `rate`: files, folders, quoted globs, or - for standard input. Several are read as one.",
        ),
    ],
    save: Annotated[Path | None, typer.Option("--out", help="Write the report to this .html file.")] = None,
    force: ForceOption = False,
    level: Annotated[float, typer.Option(help="Coverage of the intervals, between 0 and 1.")] = 0.95,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of all draws, among them the labels of voters; default: a fresh one."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if manipulation is found.")] = False,
    columns: ColumnsOption = "",
    outcomes: OutcomesOption = "",
    winner_is: WinnerIsOption = "",
    skip_bad: SkipBadOption = False,
    method: MethodOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say whether the board of a file of votes can be trusted, and why. No store is needed.

    The report has a verdict in five sentences, the board, the evidence of manipulation, what the order of the board
    depends on, what could not be checked, and how to make the same report again. No id of a voter is in it.
    """
    _require_usable(files, save, level, force=force)
    mapping = ColumnMapping.parse(columns, outcomes, winner_is)
    mapping = replace(mapping, proxies=settings.load().proxy_networks)
    seed = secrets.randbits(48) if seed is None else seed
    chosen: dict[str, str | bool] = {
        "--columns": columns, "--outcomes": outcomes, "--winner-is": winner_is, "--skip-bad": skip_bad,
        "--method": method, "--level": "" if level == ReportOptions().level else str(level), "--seed": str(seed),
    }  # fmt: skip
    with _progress(quiet=as_json) as progress, spilled_arrays(), ExitStack() as opened:
        paths = [opened.enter_context(readable_path(one)) for one in files]
        read = read_vote_input(
            paths, mapping, skip_bad=skip_bad, method=method, more=frozenset(NUMBERS),
            progress=partial(progress.reading, "reading"),
        )  # fmt: skip
        if read.refused is not None:
            print_paragraphs(() if as_json else read.notes, console=err)
            raise read.refused
        source = report_source(paths, files, read, chosen, seed)
        votes = report_votes(read.battles)
        del read  # as large as the columns of the report
        made = build_report(votes, source, ReportOptions(level=level, progress=progress.step))
    if save is not None:
        with new_file(save, force=force) as draft:
            draft.write_text(render_page(made), encoding="utf-8")
    if as_json:
        emit({**made.document(), **({"written": str(save)} if save else {})})
    else:
        print_report(made, saved=save)
    if check and made.found:
        raise typer.Exit(1)


def _require_usable(files: Sequence[Path], save: Path | None, level: float, *, force: bool) -> None:
    """Check the arguments before any file is read.

    Raises:
        Usage: an argument or a combination of arguments is not valid.
    """
    if not 0 < level < 1:
        raise Usage(f"--level: expected a number between 0 and 1, got {level}")
    named = require_each_once(files)
    if save is None:
        return
    if save.suffix.lower() not in (".html", ".htm"):
        raise Usage(f"--out: expected a name that ends in .html, got {save}")
    if save.resolve() in named:
        raise Usage(f"expected an output file that is no input, got {save} as both")
    require_new(save, force)


class _Progress:
    """Shows on standard error what the command does."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._tasks: dict[str, Any] = {}

    @contextmanager
    def reading(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how many records were read."""
        task = self._bar.add_task(what, total=total or None)
        yield lambda done: self._bar.advance(task, done)
        self._bar.update(task, total=self._bar.tasks[task].completed)

    def step(self, what: str) -> None:
        """Show that a step ended."""
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=None)
        self._bar.advance(self._tasks[what])


@contextmanager
def _progress(quiet: bool) -> Iterator[_Progress]:
    with progress_bar(quiet) as bar:
        yield _Progress(bar)


__all__ = ["report"]
