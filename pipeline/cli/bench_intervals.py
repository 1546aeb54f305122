"""Runs the command bench intervals: measures the coverage of clustered intervals and confidence sequences.

The coverage is measured on simulated votes.
"""

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
from pipeline.lab.bench import clustered_coverage, sequence_coverage
from pipeline.lab.bench.clustered_coverage import ClusteredCoverage
from pipeline.lab.bench.sequence_coverage import SequenceCoverage


@bench.command()
def intervals(
    boards: Annotated[int, typer.Option(min=10, help="Boards for each spread of taste.")] = 400,
    growing: Annotated[int, typer.Option(min=10, help="Boards that are looked at again and again.")] = 500,
    looks: Annotated[int, typer.Option(min=20, help="Looks at each of these boards.")] = 1_000,
    taste: Annotated[float, typer.Option(min=0.0, max=3.0, help="Spread of taste on these boards, in logits.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the coverage of intervals if voters differ in taste, at one evaluation and over many evaluations."""
    columns = (DescriptionColumn(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=len(clustered_coverage.TASTES) * boards + looks)
        once = clustered_coverage.simulate_clustered(boards, seed, lambda: bar.advance(task))
        often = sequence_coverage.simulate_sequences(growing, looks, taste, seed, lambda: bar.advance(task))
    if as_json:
        bars = {
            "clustered": [clustered_coverage.LEAST, clustered_coverage.MOST],
            "sequences": sequence_coverage.LEAST_COVERAGE,
        }
        listed = [{**asdict(one), "passed": one.passed} for one in once]
        emit({"bars": bars, "clustered": listed, "sequences": {**asdict(often), "passed": often.passed}})
        return
    out.print(_once_table(once, boards))
    out.print(_often_table(often))
    out.print(
        f"Bars: clustered intervals {clustered_coverage.LEAST:.0%} to {clustered_coverage.MOST:.0%}; sequences and "
        f"sure ranks at least {sequence_coverage.LEAST_COVERAGE:.0%}"
    )


def _once_table(once: tuple[ClusteredCoverage, ...], boards: int) -> Table:
    title = f"95% intervals at one look: {boards:,} boards each, voters by a power law"
    table = titled_table(title, ("taste (logits)", "from counts", "clustered by voter", "width", "bar"))
    for one in once:
        bar = styled(met(one.passed))
        table.add_row(f"{one.taste:g}", f"{one.counted:.1%}", f"{one.clustered:.1%}", f"{one.width:.2f}×", bar)
    return table


def _often_table(often: SequenceCoverage) -> Table:
    title = f"Over {often.looks:,} looks: {often.boards:,} boards, taste {often.taste:g}"
    table = titled_table(title, ("what held at every look", "share", "bar"))
    bar = styled(met(often.passed))
    for name, share, output in (
        ("sequence of a rating", often.ratings, bar),
        ("sequence of a pair of neighbours", often.pairs, bar),
        ("sure ranks of a whole board", often.sure, bar),
        ("sequences of all ratings of a board", often.board, ""),
        ("95% interval of a rating", often.intervals, ""),
    ):
        table.add_row(name, f"{share:.1%}", output)
    for when, width, error in zip(("first", "middle", "last"), often.widths, often.errors, strict=True):
        table.add_row(f"width at the {when} look (SE {error:.1f} points)", f"{width:.2f}×", "")
    return table
