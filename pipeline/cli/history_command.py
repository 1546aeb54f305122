"""history: what changed between the published snapshots of another board."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.audits.board_history import BoardHistory, StyleShifts, VoteCountDrop, VoteShares, board_history
from pipeline.cli.app import JsonOption, app, emit, out
from pipeline.cli.terminal_tables import titled_table
from pipeline.errors import Usage
from pipeline.formats.published_boards import read_published_boards

_SHOWN = 5


@app.command()
def history(
    file: Annotated[
        Path, typer.Argument(help="Published snapshots, a .csv with the columns snapshot, board, model, …")
    ],
    as_json: JsonOption = False,
) -> None:
    """Audit published snapshots of a board: falling vote counts, removed names, shares of votes, changes of #1.

    Exit 1 if a vote count fell or a name was removed.
    """
    if not file.is_file():
        raise Usage(f"expected a file, got {file}")
    found = {board: board_history(snapshots) for board, snapshots in read_published_boards(file).items()}
    if as_json:
        emit({"boards": {board: _document(one) for board, one in found.items()}})
    else:
        for one in found.values():
            _print(one)
    if any(one.suspicious for one in found.values()):
        raise typer.Exit(1)


def _document(one: BoardHistory) -> dict[str, Any]:
    return {
        "snapshots": len(one.days),
        "first": str(one.days[0]),
        "last": str(one.days[-1]),
        "transitions": one.transitions,
        "transitions_with_falling_votes": one.transitions_with_falling_votes,
        "names_seen": one.names_seen,
        "names_gone": len(one.gone),
        "total_falls": [_fall(fall) for fall in one.total_falls],
        "falls": [{"model": fall.model, **_fall(fall)} for fall in one.falls],
        "gone": [{"model": g.model, "last_seen": str(g.last_seen), "votes": g.votes} for g in one.gone],
        "names_twice": [{"snapshot": str(day), "model": model} for day, model in one.names_twice],
        "style_shifts": [_style(style) for style in one.style],
        "shares": [_shares(shares) for shares in one.shares],
        "top_churn": {
            "changes": [asdict(c) | {"before": str(c.before), "day": str(c.day)} for c in one.top.changes],
            "overtakings": one.top.overtakings,
            "by_chance_at_most": one.top.by_chance,
            "p_value": one.top.p_value,
        },
    }


def _fall(fall: VoteCountDrop) -> dict[str, Any]:
    return {"from": str(fall.start), "to": str(fall.end), "before": fall.before, "after": fall.after}


def _style(style: StyleShifts) -> dict[str, Any]:
    return {
        "snapshot": str(style.day),
        "compared": style.compared,
        "shifted": style.shifted,
        "mean_places": style.mean,
        "models": [{"model": m, "rank": rank, "style_rank": controlled} for m, rank, controlled in style.models],
    }


def _shares(shares: VoteShares) -> dict[str, Any]:
    return {
        "snapshot": str(shares.day),
        "votes": shares.total,
        "organizations": shares.organizations,
        "licenses": shares.licenses,
        "license_groups": shares.groups,
        "hhi": shares.hhi,
        "gini": shares.gini,
    }


def _print(one: BoardHistory) -> None:
    def print_line(text: str) -> None:
        out.print(text)

    out.rule(f"{one.board}: {len(one.days)} snapshots, {one.days[0]} to {one.days[-1]}", align="left")
    print_line(
        f"vote counts fell in {one.transitions_with_falling_votes} of {one.transitions} transitions; "
        f"{len(one.gone)} of {one.names_seen} names are missing from the last snapshot"
    )
    for fall in one.total_falls:
        print_line(f"the board's total fell from {fall.before:,} on {fall.start} to {fall.after:,} on {fall.end}")
    for day, model in one.names_twice:
        print_line(f"{model} is listed twice on {day}")
    if one.falls:
        out.print(_largest_falls(one))
    if one.shares:
        out.print(_share_table(one))
    if one.style:
        last = one.style[-1]
        print_line(
            f"style control on {last.day}: {last.shifted} of {last.compared} ranks shift, by {last.mean:.1f} on average"
        )
        for model, rank, controlled in last.models[:_SHOWN]:
            print_line(f"  {model}: #{rank}, under style control #{controlled}")
    soon = sum(change.within_week for change in one.top.changes)
    print_line(
        f"#1 changed {len(one.top.changes)} times, {soon} within a week of the last change; {one.top.overtakings} "
        f"between listed models, where chance explains at most {one.top.by_chance:.2f} (p = {one.top.p_value:.2g})"
    )


def _largest_falls(one: BoardHistory) -> Table:
    columns = ("model", "from", "to", "before", "after")
    table = titled_table("Largest falls of a model's votes", columns, columns[:3])
    for fall in sorted(one.falls, key=lambda f: f.after - f.before)[:_SHOWN]:
        table.add_row(str(fall.model), str(fall.start), str(fall.end), f"{fall.before:,}", f"{fall.after:,}")
    return table


def _share_table(one: BoardHistory) -> Table:
    first, last = one.shares[0], one.shares[-1]
    group = "organisation or licence group"
    table = titled_table("Shares of the votes", (group, str(first.day), str(last.day)), {group})
    top = sorted(last.organizations, key=lambda name: -last.organizations[name])[:_SHOWN]
    by_organization = (top, first.organizations, last.organizations)
    for names, before, after in (by_organization, (sorted(last.groups), first.groups, last.groups)):
        for name in names:
            table.add_row(name or "(none given)", f"{before.get(name, 0):.1%}", f"{after[name]:.1%}")
    table.add_row("concentration (HHI)", f"{first.hhi:.3f}", f"{last.hhi:.3f}")
    table.add_row("inequality of models (Gini)", f"{first.gini:.3f}", f"{last.gini:.3f}")
    return table
