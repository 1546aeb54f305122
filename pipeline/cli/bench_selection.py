"""Runs the command `bench selection`, which measures the winner's curse by simulation.

The benchmark measures the curse with and without the correction for it. It also measures the coverage of the
corrected intervals.
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
from pipeline.lab.bench import selection_bias as simulation
from pipeline.lab.bench import selection_coverage


@bench.command()
def selection(
    rounds: Annotated[int, typer.Option(min=100, help="Model families with normal scores.")] = 100_000,
    boards: Annotated[int, typer.Option(min=10, help="Boards with every vote simulated.")] = 1_000,
    families: Annotated[int, typer.Option(min=100, help="Families for each N and τ, for the coverage.")] = 5_000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure bias and error of the best of N scores, and the coverage of its intervals.

    The intervals are computed without τ, the standard deviation of the quality of the N models.
    """
    columns = (DescriptionColumn(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        cells = len(selection_coverage.FAMILY_SIZES) * len(selection_coverage.SPREADS)
        task = bar.add_task("", total=boards + cells)
        found = (
            simulation.simulate_scores(rounds, seed=seed),
            simulation.simulate_votes(boards, seed=seed, step=lambda: bar.advance(task)),
        )
        covered = selection_coverage.simulate_selection(families, seed=seed, step=lambda: bar.advance(task))
    if as_json:
        bars = {
            "bias": simulation.MOST_BIAS, "rmse": simulation.MOST_RMSE, "coverage": selection_coverage.LEAST_COVERAGE,
        }  # fmt: skip
        coverage = [{**asdict(one), "passed": one.passed} for one in covered]
        listed = [_document(one) for one in found]
        emit({"n": simulation.N, "tau": simulation.TAU, "bars": bars, "simulations": listed, "coverage": coverage})
        return
    for one in found:
        out.print(_table(one))
    out.print(
        f"Bars where N is disclosed: bias at most {simulation.MOST_BIAS}, RMSE at most {simulation.MOST_RMSE} "
        f"(N = {simulation.N}, τ = {simulation.TAU:g}, s = {simulation.SE})"
    )
    out.print(_coverage_table(covered, families))
    out.print(
        f"Bar: at least {selection_coverage.LEAST_COVERAGE:.0%} for each N and τ, N disclosed and all scores known"
    )


def _document(one: simulation.SelectionSimulation) -> dict[str, object]:
    listed = [{**asdict(each), "passed": each.passed} for each in one.estimators]
    return {"what": one.what, "rounds": one.rounds, "se": one.se, "estimators": listed}


def _table(one: simulation.SelectionSimulation) -> Table:
    title = f"{one.what}: {one.rounds:,} rounds, s = {one.se:.2f} points"
    table = titled_table(title, ("", "bias", "RMSE", "95% intervals hold", "bar"))
    for each in one.estimators:
        share = "" if each.coverage is None else f"{each.coverage:.1%}"
        table.add_row(each.name, f"{each.bias:+.2f}", f"{each.rmse:.2f}", share, styled(met(each.passed)))
    return table


def _coverage_table(covered: tuple[selection_coverage.SelectionCoverage, ...], families: int) -> Table:
    title = f"95% intervals of the best of N, τ unknown: {families:,} families each, s = {selection_coverage.SE} points"
    columns = ("N", "τ", "as scored", "N disclosed", "width", "all N scores", "N not disclosed", "bar")
    table = titled_table(title, columns)
    for one in covered:
        shares = (one.uncorrected, one.disclosed, one.family, one.bounds)
        scored, disclosed, family, bounds = (f"{share:.1%}" for share in shares)
        width, bar = f"{one.width:.2f}×", styled(met(one.passed))
        table.add_row(str(one.n), f"{one.tau:g}", scored, disclosed, width, family, bounds, bar)
    return table
