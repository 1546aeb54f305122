"""Runs the command bench evidence: measures false-alarm rates and detection delays of the detectors.

The results are compared with targets.
"""

from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.terminal import styled
from pipeline.errors import Usage
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.detector_accuracy import PARTS


@bench.command()
def evidence(
    only: Annotated[str, typer.Option(help=f"Only these parts, comma-separated: {', '.join(PARTS)}.")] = "",
    scale: Annotated[float, typer.Option(help="Sample size as a fraction: .1 is faster and less precise.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Measure false-alarm rate and power of every detector, with estimated ratings. Takes about five minutes."""
    chosen = only.split(",") if only else list(PARTS)
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        raise Usage(f"--only: expected some of {', '.join(PARTS)}, got {unknown[0]!r}")
    if not 0 < scale <= 1:
        raise Usage(f"--scale: expected above 0 and at most 1, got {scale}")
    figures: list[AccuracyFigure] = []
    for name in chosen:
        err.print(f"{name} …")
        figures += PARTS[name](scale)
    if as_json:
        emit([_document(figure) for figure in figures])
    else:
        out.print(_table(figures))


def _document(figure: AccuracyFigure) -> dict[str, Any]:
    value = None if figure.value == float("inf") else round(figure.value, 4)
    return {
        "what": figure.what,
        "value": value,
        "unit": figure.unit,
        "relation": figure.relation,
        "bar": figure.bar,
        "holds": figure.holds,
    }


def _table(figures: list[AccuracyFigure]) -> Table:
    table = Table(title="Calibration and power", title_justify="left", header_style="bold")
    for name, justify in (("", "left"), ("figure", "right"), ("target", "right"), ("met", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for one in figures:
        target = "" if one.bar is None else f"{'≤' if one.relation == 'at most' else '≥'} {one.bar:g}"
        met = {None: styled(""), True: styled("yes"), False: styled(("no", "red"))}[one.holds]
        value = "never" if one.value == float("inf") else f"{one.value:,.4g} {one.unit}"
        table.add_row(one.what, value, target, met)
    return table
