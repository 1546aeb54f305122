"""The command bench selection: how well the correction for selection removes the winner's curse, by simulation."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress
from rich.table import Table

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.terminal import DescriptionColumn, met, styled
from pipeline.cli.terminal_tables import titled_table
from pipeline.lab.bench import selection_bias as simulation


@bench.command()
def selection(
    rounds: Annotated[int, typer.Option(min=100, help="Model families with normal scores.")] = 100_000,
    boards: Annotated[int, typer.Option(min=10, help="Boards with every vote simulated.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure bias and error of the best of 27 scores, with and without the correction for selection."""
    columns = (DescriptionColumn(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=boards)
        found = (
            simulation.simulate_scores(rounds, seed=seed),
            simulation.simulate_votes(boards, seed=seed, step=lambda: bar.advance(task)),
        )
    if as_json:
        bars = {"bias": simulation.MOST_BIAS, "rmse": simulation.MOST_RMSE}
        emit({"n": simulation.N, "tau": simulation.TAU, "bars": bars, "simulations": [_document(one) for one in found]})
        return
    for one in found:
        out.print(_table(one))
    out.print(
        f"Bars where N is disclosed: bias at most {simulation.MOST_BIAS}, RMSE at most {simulation.MOST_RMSE} "
        f"(N = {simulation.N}, τ = {simulation.TAU:g}, s = {simulation.SE})"
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
