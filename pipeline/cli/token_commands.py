"""Runs the command tokens, which lists, adds and revokes the tokens with which operators use the HTTP API."""

from typing import Annotated, Any, Literal

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out, store_url
from pipeline.errors import Usage
from pipeline.open_store import existing_store, now
from pipeline.store.alerting import operator_tokens, operators_log
from pipeline.store.boards import voter_labels
from pipeline.vocabulary.time import DAY, format_rfc3339


@app.command()
def tokens(
    action: Annotated[Literal["list", "add", "revoke"], typer.Argument(help="What to do.")] = "list",
    owner: Annotated[str | None, typer.Argument(help="The token's owner; decisions are recorded in this name.")] = None,
    store: StoreOption = None,
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it allows; repeatable: {', '.join(operator_tokens.SCOPES)}.")
    ] = None,
    days: Annotated[float, typer.Option(min=0, max=3_660, help="Days until it expires.")] = 90,
    name: Annotated[str | None, typer.Option(help="Who adds or revokes it; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="The reason; required for add and revoke.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List, add or revoke the tokens with which operators decide over HTTP."""
    if action != "list" and owner is None:
        raise Usage(f"tokens {action}: expected the name of the token's owner")
    who = operators_log.process_operator(name)
    with existing_store(store_url(store)) as opened:
        if action == "add":
            at = now()
            end = at + round(days * DAY)
            with opened.write() as connection:
                reason = voter_labels.without_names(connection, reason)
                token = operator_tokens.create(connection, str(owner), scope or [], who.name, reason, at, end)
                made = {"scopes": sorted(set(scope or [])), "expires_at": format_rfc3339(end)}
                operators_log.record(connection, who, "token.add", str(owner), at, reason=reason, after=made)
            if as_json:
                emit({"name": owner, "token": token})
            else:
                err.print("Store this token now: it is not shown again.")
                out.print(token, soft_wrap=True)
        elif action == "revoke":
            with opened.write() as connection:
                reason = voter_labels.without_names(connection, reason)
                ended = operator_tokens.revoke(connection, str(owner), who.name, reason, now())
                before = {"scopes": ended}
                operators_log.record(connection, who, "token.revoke", str(owner), now(), reason=reason, before=before)
            emit({"name": owner, "revoked": True}) if as_json else err.print(f"{owner}'s token is revoked")
        else:
            with opened.read() as connection:
                _list([_document(row) for row in operator_tokens.list_tokens(connection)], as_json)


def _list(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        emit(rows)
        return
    for row in rows:
        ended = "; revoked {revoked_at} by {revoked_by}: {revoked_reason}".format_map(row) if row["revoked_at"] else ""
        out.print(
            f"{row['name']}: {', '.join(row['scopes'])}, until {row['expires_at']}; made by {row['made_by']}: "
            f"{row['reason']}{ended}",
            soft_wrap=True,
        )  # fmt: skip
    err.print(f"{len(rows)} tokens")


def _document(row: dict[str, Any]) -> dict[str, Any]:
    times = ("made_at", "expires_at", "revoked_at")
    return row | {name: None if row[name] is None else format_rfc3339(row[name]) for name in times}
