"""Runs the commands notice add and notice list, which add and list correction notices on published snapshots."""

from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.jobs import correction_notices
from pipeline.open_store import existing_store
from pipeline.store.alerting import operators_log
from pipeline.store.boards import notices, snapshots

notice = typer.Typer(help="Correct a published snapshot by dated notes in a person's name.", no_args_is_help=True)
app.add_typer(notice, name="notice")


@notice.command("add")
def add(
    snapshot: Annotated[str, typer.Argument(help="A snapshot's id or digest, or the beginning of either.")],
    text: Annotated[str, typer.Option(help="The notice, one line. It is published and never removed.")],
    name: Annotated[str | None, typer.Option(help="Name of the person; default: your login. It is published.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a notice to a snapshot. The snapshot's page shows the notice at once; every later manifest has the notice."""
    with existing_store(store_url(store)) as opened, opened.write() as connection:
        added = correction_notices.add_notice(connection, snapshot, text, operators_log.process_operator(name))
    done = (
        f"notice {added['number']} on snapshot {added['sequence']}: `integrity refresh` puts it into the next manifest"
    )
    emit_or_print(as_json, added, done)


@notice.command("list")
def list_(
    snapshot: Annotated[str | None, typer.Argument(help="Only the notices on this snapshot.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List notices, oldest first."""
    with existing_store(store_url(store)) as opened, opened.read() as connection:
        chosen = None if snapshot is None else snapshots.find(connection, snapshot).snapshot_id
        rows = notices.list_notices(connection, chosen)
    if as_json:
        emit(rows)
        return
    for row in rows:
        line = f"{row['at']}  snapshot {row['sequence']} ({row['snapshot'][:12]}): {row['text']} (by {row['name']})"
        out.print(line, soft_wrap=True)
    err.print(f"{len(rows)} notices")
