"""Runs the command bench evidence: measures false-alarm rates and detection delays of the detectors.

Each result is compared with its target.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.terminal import styled
from pipeline.errors import Usage
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.detector_accuracy import PARTS
from pipeline.lab.bench.real_boards import JUDGES_FILE, RealBoard, read_crowd, read_judges
from pipeline.lab.bench.real_voter_accuracy import ORDERS, QUICK_ORDERS, real_voters

_QUICK_SCALE = 0.1


@bench.command()
def evidence(
    context: typer.Context,
    only: Annotated[str, typer.Option(help=f"Only these parts, comma-separated: {', '.join(PARTS)}.")] = "",
    scale: Annotated[float, typer.Option(help="Sample size as a fraction: .1 is faster and less precise.")] = 1.0,
    real: Annotated[bool, typer.Option("--real", help="Real voters, and attackers planted among them.")] = False,
    wmt: Annotated[
        Path | None,
        typer.Option(
            envvar="INTEGRITY_BENCH_WMT",
            help="With --real: Parquet file of WMT judgements. By default the file in ../shared/data, if it exists.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small samples: faster and less precise.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure false-alarm rate and power of every detector, with estimated ratings.

    Takes about five minutes. With --real and a file of judgements it takes more than an hour, or a quarter of an hour
    if --quick is given too. With --real and no such file it takes some minutes.
    """
    if not 0 < scale <= 1:
        raise Usage(f"--scale: expected above 0 and at most 1, got {scale}")
    if real:
        if only:
            raise Usage(f"--only: expected no parts together with --real, got {only!r}")
        if scale != 1:
            raise Usage(f"--scale: expected no scale together with --real (--quick measures less), got {scale}")
        figures = list(real_voters(_real_boards(wmt), QUICK_ORDERS if quick else ORDERS, step=_report_step))
    else:
        source = context.get_parameter_source("wmt")
        if source is not None and source.name == "COMMANDLINE":
            raise Usage(f"--wmt: expected --real beside it, got {str(wmt)!r} alone")
        figures = _simulated(only, min(scale, _QUICK_SCALE) if quick else scale)
    if as_json:
        emit([_document(figure) for figure in figures])
    else:
        out.print(_table(figures))


def _simulated(only: str, scale: float) -> list[AccuracyFigure]:
    chosen = only.split(",") if only else list(PARTS)
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        raise Usage(f"--only: expected some of {', '.join(PARTS)}, got {unknown[0]!r}")
    figures: list[AccuracyFigure] = []
    for name in chosen:
        err.print(f"{name} …")
        figures += PARTS[name](scale)
    return figures


def _real_boards(wmt: Path | None) -> dict[str, list[RealBoard]]:
    """Return the boards of real votes: group of voters ("judges", "crowd") → its boards.

    The judges' boards are left out, with a printed notice, if there is no file of their judgements.
    """
    groups = {"crowd": [read_crowd()]}
    if wmt is None and not JUDGES_FILE.is_file():
        err.print(f"WMT judges: no file {JUDGES_FILE}; give one by --wmt. Only the crowd workers are measured.")
        return groups
    return {"judges": read_judges(JUDGES_FILE if wmt is None else wmt), **groups}


def _report_step(what: str) -> None:
    err.print(f"{what} …")


def _document(figure: AccuracyFigure) -> dict[str, Any]:
    value = None if figure.value == float("inf") else round(figure.value, 4)
    return {
        "what": figure.what,
        "value": value,
        "unit": figure.unit,
        "relation": figure.relation,
        "bar": figure.bar,
        "holds": figure.holds,
        "oracle": None if figure.oracle is None else round(figure.oracle, 4),
    }


def _table(figures: list[AccuracyFigure]) -> Table:
    table = Table(title="Calibration and power", title_justify="left", header_style="bold")
    for name, justify in (("", "left"), ("figure", "right"), ("target", "right"), ("met", "left"),
                          ("oracle", "right")):  # fmt: skip
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for one in figures:
        target = "" if one.bar is None else f"{'≤' if one.relation == 'at most' else '≥'} {one.bar:g}"
        met = {None: styled(""), True: styled("yes"), False: styled(("no", "red"))}[one.holds]
        value = "never" if one.value == float("inf") else f"{one.value:,.4g} {one.unit}"
        oracle = "" if one.oracle is None else f"{one.oracle:,.4g}"
        table.add_row(one.what, value, target, met, oracle)
    return table
