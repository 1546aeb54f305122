"""Runs the command backfill, which evaluates votes from before the first snapshot."""

from typing import Annotated

import typer

from pipeline import jobs
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out, store_url
from pipeline.cli.backfill_text import evaluation_progress, report_lines
from pipeline.cli.terminal import styled
from pipeline.errors import Usage


@app.command()
def backfill(
    store: StoreOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Compute the nested form too: only its values exclude voters by policy.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if anything is found or cannot be evaluated.")
    ] = False,
    nightly: Annotated[
        bool, typer.Option("--nightly", help="Evaluate the last weeks again, as the DAG reevaluate does every night.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate every vote that no snapshot preceded, by comparing voters with other voters.

    With --nightly, evaluate the votes of the last weeks instead. Findings open alerts. With --check, write nothing, and
    exit 1 if there is a finding, or a vote that cannot be evaluated.
    """
    if nightly and (strict or check):
        raise Usage(f"expected --nightly alone, got it with {'--strict' if strict else '--check'}")
    url = store_url(store)
    with evaluation_progress(quiet=as_json) as progress:
        if nightly:
            report = jobs.reevaluate(url, progress=progress)
        else:
            report = jobs.backfill(url, strict=strict, check=check, progress=progress)
    if as_json:
        emit(report)
    else:
        for line, style in report_lines(report):
            out.print(styled((line, style)), soft_wrap=True)
    if check and (report["found"] or not report["complete"] or report["votes_without_voter"]):
        raise typer.Exit(1)
