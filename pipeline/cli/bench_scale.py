"""Runs the command bench scale: says what each stage of the pipeline costs, and simulates many workers."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.errors import Usage
from pipeline.lab.scale import stage_costs
from pipeline.lab.scale.cost_slopes import CostSlope, Prices, slopes
from pipeline.lab.scale.worker_fleet import Fleet, FleetRun, simulate_fleet

_SIZES = "50000,200000,800000"
_BURST = replace(Fleet(), burst=10.0, begin=600.0, end=1_200.0, seconds=3_600.0)
_STORM = replace(Fleet(), leaves=tuple(600.0 + 30.0 * number for number in range(10)))
FLEETS = {
    "even votes": Fleet(),
    "a burst of 10 times the votes for 10 minutes": _BURST,
    "ten workers leave, one every 30 s, each for a minute": _STORM,
    "the same burst with twice the cores of the database": replace(_BURST, cores=2 * _BURST.cores),
    "the same burst with twice the workers": replace(_BURST, workers=2 * _BURST.workers),
    "the same burst with both": replace(_BURST, workers=2 * _BURST.workers, cores=2 * _BURST.cores),
}
"""The fleets of workers that are simulated: description of what happens to the fleet → the fleet."""


@bench.command()
def scale(
    votes: Annotated[str, typer.Option(help="Votes of each board, separated by commas, at least two.")] = _SIZES,
    to: Annotated[int, typer.Option(min=1_000_000, help="Votes to extrapolate to.")] = 1_000_000_000,
    core_hour: Annotated[float, typer.Option(min=0, help="Price of a processor core for an hour.")] = 0.05,
    gigabyte_month: Annotated[float, typer.Option(min=0, help="Price of a gigabyte for a month.")] = 0.1,
    as_json: JsonOption = False,
) -> None:
    """Measure what each stage costs with boards of several sizes, and extrapolate to a billion votes.

    Then simulate 64 workers on 256 partitions, with the times of one worker as `integrity bench stream` measured them.
    """
    sizes = _sizes(votes)
    with TemporaryDirectory(prefix="integrity-scale-") as folder:
        boards = stage_costs.measure(Path(folder), sizes, err.print)
    prices, (seconds, memory, space) = Prices(core_hour, gigabyte_month), slopes(boards)
    fleets = {name: simulate_fleet(fleet) for name, fleet in FLEETS.items()}
    if as_json:
        emit(
            {
                "boards": [asdict(board) for board in boards],
                "processor": [_as_json(one, to, prices) for one in seconds],
                "memory": [_as_json(one, to, None) for one in memory],
                "space": [_as_json(one, to, prices) for one in space],
                "fleets": {name: _fleet_json(run) for name, run in fleets.items()},
            }
        )
        return
    _print_slopes(f"Processor time, at {core_hour:g} for a core and hour", seconds, to, prices)
    _print_slopes("Peak memory", memory, to, None)
    _print_slopes(f"Space on disk, at {gigabyte_month:g} for a gigabyte and month", space, to, prices)
    fleet = Fleet()
    out.print(f"Simulated: {fleet.workers} workers, {fleet.partitions} partitions, {fleet.rate:,.0f} votes a second")
    for name, run in fleets.items():
        out.print(f"- {name}:")
        out.print(f"  {_fleet_text(run)}")


def _sizes(text: str) -> list[int]:
    """Parse the sizes of the boards, numbers of votes.

    Raises:
        Usage: the text is no list of two or more different numbers of at least 10,000.
    """
    try:
        found = sorted({int(word) for word in text.split(",")})
    except ValueError:
        found = []
    if len(found) < 2 or found[0] < 10_000:
        raise Usage(f"--votes: expected two or more different numbers from 10000 on, such as {_SIZES}, got {text!r}")
    return found


def _print_slopes(title: str, found: Sequence[CostSlope], to: int, prices: Prices | None) -> None:
    out.print(f"{title}:")
    for one in found:
        steps = ", ".join(f"{slope:,.1f}" for slope in one.slopes)
        price = "" if prices is None else f" ({prices.of(one, one.at(to)):,.2f})"
        rising = "; rises: more than that" if one.rising else ""
        out.print(f"  {one.name}: {steps} {one.unit} a million; {one.at(to):,.0f} {one.unit} for {to:,}{price}{rising}")


def _as_json(one: CostSlope, to: int, prices: Prices | None) -> dict[str, Any]:
    price = {} if prices is None else {"price": prices.of(one, one.at(to))}
    return {**asdict(one), "slope": one.slope, "rising": one.rising, "extrapolated": one.at(to), **price}


def _fleet_text(run: FleetRun) -> str:
    drained = "never caught up" if run.drained is None else f"caught up after {run.drained:,.0f} s"
    busy = f"workers {run.workers_busy:.0%} busy, database {run.database_busy:.0%}"
    return f"at most {run.delay:,.1f} s behind, {drained}; {busy}"


def _fleet_json(run: FleetRun) -> dict[str, Any]:
    return {name: value for name, value in asdict(run).items() if name != "lag"} | {"most_lag": float(run.lag.max())}
