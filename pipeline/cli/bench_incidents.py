"""Runs the command `bench incidents`, which measures whether incidents keep simultaneous attacks apart."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress
from rich.table import Table

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.progress_columns import DescriptionColumn
from pipeline.cli.terminal import met, styled
from pipeline.cli.terminal_tables import titled_table
from pipeline.lab.bench import incident_accuracy as accuracy
from pipeline.lab.bench.accuracy_figure import AccuracyFigure


@bench.command()
def incidents(
    mixes: Annotated[int, typer.Option(min=1, help="Number of mixes of attacks.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first mix; the next ones count up.")] = 0,
    votes: Annotated[int, typer.Option(min=5_000, help="Honest votes of a month.")] = accuracy.HONEST_VOTES,
    as_json: JsonOption = False,
) -> None:
    """Measure how well incidents match the accounts of two or three simultaneous attacks. Takes half an hour."""
    columns = (DescriptionColumn(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=mixes)
        found = list(accuracy.measure_mixes(range(seed, seed + mixes), votes, step=lambda: bar.advance(task)))
    figures = accuracy.summarize_mixes(found)
    if as_json:
        emit({
            "votes": votes,
            "mixes": [{**asdict(one), "passed": one.is_met} for one in found],
            "figures": [{"what": one.what, "value": one.value, "bar": one.bar, "holds": one.holds} for one in figures],
        })  # fmt: skip
        return
    out.print(_table(found, votes))
    for figure in figures:
        out.print(_line(figure))


def _table(found: list[accuracy.MixMatch], votes: int) -> Table:
    named_alone, with_suspected = ("named", "incidents", "purity", "recall"), ("suspected", "purity", "of all")
    columns = ("seed", "attack", *named_alone, *with_suspected, "oracle", "bar")
    table = titled_table(f"Mixes of attacks among {votes:,} honest votes", columns, {"attack"})
    for mix in found:
        for place, one in enumerate(mix.attacks):
            first = place == 0
            named = f"{one.named} of {one.planted}"
            more = (_share(one.purity_suspected), _share(one.recall_suspected), _share(one.oracle_recall))
            bar = styled(met(mix.is_met)) if first else ""
            table.add_row(
                str(mix.seed) if first else "", one.what, named, str(one.incidents), _share(one.purity),
                _share(one.recall), str(one.suspected), *more, bar,
            )  # fmt: skip
    return table


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _line(figure: AccuracyFigure) -> str:
    bar = "" if figure.bar is None else f" (bar: {figure.relation} {figure.bar:g}, {met(figure.holds)[0]})"
    unit = f" {figure.unit}" if figure.unit else ""
    return f"{figure.what}: {figure.value:.3g}{unit}{bar}"
