"""Runs the command archive, which moves old sealed votes out of the hot tables."""

from typing import Annotated, Any

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit_or_print, store_url
from pipeline.jobs.custody import archiving


@app.command()
def archive(
    older_than: Annotated[
        float | None,
        typer.Option(min=0, max=36_500, help="Days since the votes were sealed; default: INTEGRITY_ARCHIVE_DAYS."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be moved; write nothing.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move sealed votes into encrypted files outside the database. They still count, and their repeats are found.

    A killed run loses nothing, and the next one continues. Workers may go on.
    """
    result = archiving.archive_votes(store_url(store), older_than, dry_run=dry_run)
    emit_or_print(as_json, result, _describe(result), soft_wrap=True)


def _describe(result: dict[str, Any]) -> str:
    left = f"{result['hot']:,} votes in the hot tables, {result['archived']:,} archived"
    if result["dry_run"]:
        return f"would move {result['votes']:,} votes into {result['files']} files; now {left}"
    size = result["database_bytes"]
    sizes = f"the database had {size['before']:,} bytes, it has {size['after']:,}"
    sizes += f", and the archive {result['archive_bytes']:,}"
    space = {
        archiving.GIVEN_BACK: "",
        archiving.REUSABLE: "; new votes take the space of those that were moved",
        archiving.IN_USE: "; other processes use the database, so the space is not given back yet: run this again",
        None: "",
    }[result["space"]]
    return f"moved {result['votes']:,} votes into {result['files']} files: {left}; {sizes}{space}"
