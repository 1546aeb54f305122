"""Runs the command operators log, which lists the operators' log."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out, store_url
from pipeline.errors import Usage
from pipeline.open_store import existing_store, now
from pipeline.store.alerting import operators_log

operators = typer.Typer(help="Read who decided what, from where and when.", no_args_is_help=True)
app.add_typer(operators, name="operators")


@operators.callback()
def _group() -> None:
    """Keep the name of the command. Without a callback, Typer drops the name of the only command."""


@operators.command("log")
def log(
    store: StoreOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, the newest ones.")] = 1000,
    action: Annotated[str | None, typer.Option(help="Only this action, for example alert.resolve.")] = None,
    operator: Annotated[str | None, typer.Option(help="Only what this operator did.")] = None,
    to: Annotated[Path | None, typer.Option("--csv", help="Write a new CSV file, readable by you alone.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List decisions, logins, failed logins, tokens, exports and erasures, newest first."""
    with existing_store(store_url(store)) as opened:
        with opened.read() as connection:
            rows = operators_log.list_entries(connection, limit, action=action, name=operator)
        if to is not None:
            with opened.write() as connection:
                _write_csv(to, rows)
                operators_log.record_export(connection, "operators_log", to.name, now(), {"rows": len(rows)})
    if as_json:
        emit(rows)
    elif to is None:
        for row in rows:
            why = f": {row['reason']}" if row["reason"] else ""
            who = f"{row['operator']} ({row['via']} {row['origin']})"
            out.print(f"{row['at']}  {row['action']} {row['target']} by {who}{why}", soft_wrap=True)
    if not as_json:
        err.print(f"{len(rows)} entries")


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    from pipeline.api.table_responses import to_csv  # noqa: PLC0415  # the API is slow to import

    data = to_csv([operators_log.table_row(row) for row in rows], operators_log.TABLE_COLUMNS)
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Usage(f"--csv: expected a new file, got {path}: {error.strerror}") from None
    with os.fdopen(number, "wb") as file:
        file.write(data)
