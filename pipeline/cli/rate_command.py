"""Runs the command rate, which rates a battle file without a store."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from pipeline import settings
from pipeline.cli.app import JsonOption, app, emit, err, out
from pipeline.cli.stream_options import (
    ColumnsOption,
    MethodOption,
    OutcomesOption,
    SkipBadOption,
    WinnerIsOption,
    progress_bar,
)
from pipeline.cli.terminal import print_paragraphs
from pipeline.cli.terminal_tables import board_table, coefficient_lines
from pipeline.errors import RatingError, Usage
from pipeline.formats import ColumnMapping
from pipeline.formats.containers import STANDARD_INPUT, list_files
from pipeline.ratings import RankSwap
from pipeline.ratings.battle_ratings import BattleRatings, RatingOptions, rate_battles
from pipeline.settings import Settings
from pipeline.vocabulary.export_text import csv_cell
from pipeline.vote_files.rating_document import BOARD_COLUMNS, rating_document, require_compatible
from pipeline.vote_files.vote_input import VoteInput, read_vote_input

_MORE = "--json and --out FILE.csv have decimals, standard errors, joint rank sets"


@app.command()
def rate(
    file: Annotated[
        Path,
        typer.Argument(
            help="A battle file (.json, .jsonl, .csv, .tsv, .parquet, or one of them as .gz or .zst), a "
            "folder or a quoted glob of them, or - for standard input."
        ),
    ],
    style: Annotated[bool, typer.Option("--style", help="Control for style; the file must have style counts.")] = False,
    bootstrap: Annotated[int, typer.Option(help="Intervals from this many bootstrap resamples; 0: from the fit.")] = 0,
    by_voter: Annotated[bool, typer.Option("--by-voter", help="Intervals clustered by voter.")] = False,
    reweight: Annotated[int, typer.Option(min=0, help="Weigh pairs by 1 / max(votes, N); 0: equal votes.")] = 0,
    group: Annotated[
        Literal["category", "language"] | None, typer.Option(help="Also rate each category or language.")
    ] = None,
    fragility: Annotated[
        int, typer.Option(min=0, help="Fewest votes that swap neighbours, for the first N ranks.")
    ] = 0,
    influence: Annotated[int, typer.Option(min=0, help="The N voters whose votes move a rating most.")] = 0,
    level: Annotated[float, typer.Option(help="Coverage of the intervals, between 0 and 1.")] = 0.95,
    anchor: Annotated[str, typer.Option(help="MODEL=POINTS fixes the scale; default: mean 1000.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    save: Annotated[
        list[Path] | None, typer.Option("--out", help="Also write the board to this .csv or .parquet file; repeatable.")
    ] = None,
    columns: ColumnsOption = "",
    outcomes: OutcomesOption = "",
    winner_is: WinnerIsOption = "",
    skip_bad: SkipBadOption = False,
    method: MethodOption = "",
    as_json: JsonOption = False,
) -> None:
    """Rate a battle file without a store. The first invalid record is an error unless --skip-bad is given."""
    if not file.exists() and str(file) != "-" and not any(sign in str(file) for sign in "*?["):
        raise Usage(f"expected a file, a folder, a glob or -, got {file}")
    for path in save or []:
        if path.suffix not in _WRITERS:
            raise Usage(f"--out: expected a name that ends in {' or '.join(_WRITERS)}, got {path}")
        if path.exists() and any(one.samefile(path) for one in _input_files(file)):
            raise Usage(f"--out: expected an output file that is no input, got {path} as both")
    options = RatingOptions(
        style=style, bootstrap=bootstrap, by_voter=by_voter, reweight=reweight, level=level,
        anchor=Settings(anchor=anchor).anchor_points, group=group or "", fragility=fragility, influence=influence,
        seed=seed,
    )  # fmt: skip
    require_compatible(options)
    with _progress(as_json) as progress:
        mapping = ColumnMapping.parse(columns, outcomes, winner_is)
        mapping = replace(mapping, proxies=settings.load().proxy_networks)
        reading = partial(progress, "reading")
        read = read_vote_input(file, mapping, skip_bad=skip_bad, method=method, needs=options, progress=reading)
        rated = _rated(read, options, progress, as_json)
    document = rating_document(read, rated, options)
    for path in save or []:
        _WRITERS[path.suffix](path, document["rows"])
    if as_json:
        emit(document)
    else:
        _print(rated, document, file.name, options)
        print_paragraphs(document["notes"])


def _input_files(file: Path) -> list[Path]:
    return [] if file == STANDARD_INPUT else list_files(file)


def _rated(read: VoteInput, options: RatingOptions, progress: Any, as_json: bool) -> BattleRatings:
    """Compute the ratings. If they cannot be computed, print how the file was read before the error is raised."""
    try:
        if read.refused is not None:
            raise read.refused
        return rate_battles(read.battles, options, progress)
    except RatingError:
        print_paragraphs(() if as_json else read.notes, console=err)
        raise


def _print(rated: BattleRatings, document: dict[str, Any], name: str, options: RatingOptions) -> None:
    how = "style control, " if options.style else ""
    interval = f"{options.bootstrap} bootstraps" if options.bootstrap else f"{options.level:.0%} intervals"
    by = " by voter" if rated.clustered else ""
    out.print(board_table(document["rows"], f"{name}: {rated.votes:,} votes, {how}{interval}{by}", out.width, _MORE))
    if rated.without_style:
        out.print(f"{rated.without_style:,} votes without style counts were not used")
    for line in coefficient_lines(document.get("coefficients", [])):
        out.print(line)
    for name_left in rated.constant:
        out.print(f"{name_left:8} never differs between the two sides of a vote")
    for group in document.get("groups", []):
        title = f"{group['group']}: {group['votes']:,} votes"
        if group["rows"]:
            out.print(board_table(group["rows"], title, out.width, _MORE))
        else:
            out.print(f"{title}: not rated: {group['reason']}")
    for swap in rated.swaps:
        if swap is not None:
            out.print(_sentence(swap))
    if rated.dethroned is not None:
        out.print(f"First place: {_sentence(rated.dethroned)}")
    for voter, v in rated.voters:
        exact = "" if v.exact is None else f" ({v.exact:+.2f} by refit)"
        line = f"voter {voter}: {v.votes:,} votes move {v.model} by {v.points:+.2f} points{exact}"
        out.print(line)


def _sentence(swap: RankSwap) -> str:
    votes = f"{swap.votes:,} votes ({swap.share:.4%})"
    return f"without {votes}, {swap.below} is above {swap.above} (now {swap.gap:.2f} points below)"


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, BOARD_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


_WRITERS: dict[str, Callable[[Path, Sequence[dict[str, Any]]], None]] = {".csv": _write_csv, ".parquet": _write_parquet}


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    """Yield a function that shows each step as a bar on standard error."""
    with progress_bar(quiet) as bar:

        @contextmanager
        def step(what: str, total: int) -> Iterator[Callable[[int], None]]:
            task = bar.add_task(what, total=total or None)
            yield lambda done: bar.advance(task, done)
            # The total was an estimate; what was counted is the total now.
            bar.update(task, total=bar.tasks[task].completed)

        yield step
