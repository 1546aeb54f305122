"""tokens: who may decide over HTTP."""

from __future__ import annotations

import getpass
from typing import Annotated, Any, Literal

import typer

from pipeline import settings as configuration
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import Usage
from pipeline.jobs.open_store import now, open_store
from pipeline.store.alerting import operator_tokens
from pipeline.vocabulary.time import DAY, format_rfc3339


@app.command()
def tokens(
    action: Annotated[Literal["list", "add", "revoke"], typer.Argument(help="What to do.")] = "list",
    owner: Annotated[str | None, typer.Argument(help="Whose token: the name under what is decided with it.")] = None,
    store: StoreOption = None,
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it may do: {', '.join(operator_tokens.SCOPES)}.")
    ] = None,
    days: Annotated[float, typer.Option(min=0, max=3_660, help="How long it holds.")] = 90,
    name: Annotated[str | None, typer.Option(help="Who makes or revokes it; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="Why. Needed to add and revoke.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List, make and revoke the tokens with which operators decide over HTTP."""
    options = configuration.load()
    if action != "list" and owner is None:
        raise Usage(f"tokens {action}: expected whose token")
    who = name or getpass.getuser()
    opened = open_store(store or options.store, create=False)
    try:
        if action == "add":
            at = now()
            with opened.write() as connection:
                token = operator_tokens.create(
                    connection, str(owner), scope or [], who, reason, at, at + round(days * DAY)
                )
            if as_json:
                emit({"name": owner, "token": token})
            else:
                err.print("Keep it: it is not shown again.")
                out.print(token, highlight=False, soft_wrap=True)
        elif action == "revoke":
            with opened.write() as connection:
                operator_tokens.revoke(connection, str(owner), who, reason, now())
            emit({"name": owner, "revoked": True}) if as_json else err.print(f"{owner}'s token is revoked")
        else:
            with opened.read() as connection:
                _list([_shown(row) for row in operator_tokens.list_tokens(connection)], as_json)
    finally:
        opened.close()


def _list(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        emit(rows)
        return
    for row in rows:
        ended = "; revoked {revoked_at} by {revoked_by}: {revoked_reason}".format_map(row) if row["revoked_at"] else ""
        out.print(
            f"{row['name']}: {', '.join(row['scopes'])}, until {row['expires_at']}; made by {row['made_by']}: "
            f"{row['reason']}{ended}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    err.print(f"{len(rows)} tokens")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    times = ("made_at", "expires_at", "revoked_at")
    return row | {name: None if row[name] is None else format_rfc3339(row[name]) for name in times}
