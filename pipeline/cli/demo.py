"""demo: the whole story on real pair counts, embedded: no service is needed.

Honest votes are read and rated; then the stream goes on with a handful of attackers in it. The worker
judges every vote against the board as it stood before, the monitor closes the windows, a refresh leaves
the attackers' votes out, and everything that was published is recomputed from the votes. At last the registry tells who
made which model, and a sweep looks at what votes cannot show.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline import alert_text, jobs
from pipeline import settings as configuration
from pipeline.cli import show
from pipeline.cli.app import JsonOption, app, emit, err, out
from pipeline.cli.serve import listen
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import Usage
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.open_store import open_store
from pipeline.lab.simulate import Story, Stream, demo_registry, demo_story
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_queries
from pipeline.store.boards import snapshots
from pipeline.store.votes import registry_events
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.monitor import Monitor
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from pipeline.vocabulary.time import DAY, HOUR, from_microseconds

# And an hour, so that the snapshot is a week old however its last votes fall.
_A_WEEK = 7 * DAY + HOUR


@app.command()
def demo(
    votes: Annotated[int, typer.Option(help="Honest votes of the story.")] = 200_000,
    store: Annotated[Path | None, typer.Option(help="Keep the store here; default: a folder that is told.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another story.")] = 20240814,
    serve: Annotated[bool, typer.Option("--serve", help="Then serve the page, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(help="Where --serve listens.")] = 8000,
    as_json: JsonOption = False,
) -> None:
    """Tell the whole story: real pair counts, planted attackers, alerts, the board with and without them."""
    path = store or Path(tempfile.mkdtemp(prefix="integrity-demo-")) / "demo.db"
    if path.exists():
        raise Usage(f"expected a place for a new store, got one that exists: {path}")
    options = configuration.load()
    with configuration.override(options), _bar(as_json) as bar:
        story = _step(bar, "simulating votes from 1.67 million real ones", lambda: demo_story(votes, seed))
        opened = open_store(str(path))
        before = _work(bar, opened, options, story.before, "honest votes")
        _step(bar, "first refresh: seal, check, rate, publish", lambda: jobs.refresh_board(str(path)))
        # A snapshot of a week before the end: the page tells who rose since, and why.
        week = int(np.searchsorted(story.after.cast_at, story.after.cast_at[-1] - _A_WEEK))
        early = _work(bar, opened, options, story.after.take(slice(0, week)), "votes with attackers among them")
        _step(bar, "second refresh", lambda: jobs.refresh_board(str(path)))
        late = _work(bar, opened, options, story.after.take(slice(week, None)), "the votes of the last week")
        monitor = Monitor(opened, options, f"demo:{os.getpid()}", WINDOW)
        windows = _step(bar, "closing windows", lambda: monitor.run(until_end=True, close=True))
        refreshed = _step(bar, "third refresh", lambda: jobs.refresh_board(str(path)))
        # Not before the windows: no policy is declared, and nobody drew real counts with the equal weights that the
        # monitor would then take for declared.
        _step(bar, "reading who made what", lambda: _register(opened, story))
        swept = _step(bar, "sweep: variants, releases, claims", lambda: jobs.sweep(str(path)))
        verified = _step(bar, "recomputing everything from the votes", lambda: jobs.verify_ledger(str(path)))
    with opened.read() as connection:
        listed = alert_queries.list_alerts(connection)
        rows = {view: snapshots.rows(connection, refreshed["snapshot"], view) for view in ("raw", "defended")}
    caught = _caught(opened, story, listed)
    result = {
        "store": str(path),
        "votes": before.read + early.read + late.read,
        "attack_votes": sum(a.votes for a in story.attackers),
        "windows_closed": windows,
        "snapshot": refreshed,
        "verified": verified,
        "alerts": listed,
        "sweep": swept["findings"],
        "attackers": caught,
        "target": _gain(rows, story.target),
        "rows": rows,
    }
    if as_json:
        emit(result)
    else:
        _tell(result)
    if serve:
        listen(opened, "127.0.0.1", port)
    opened.close()


def _register(store: Store, story: Story) -> None:
    file = Path(str(store.engine.url.database)).parent / "registry.jsonl"
    first = from_microseconds(story.before.cast_at[0])
    file.write_bytes(b"".join(line + b"\n" for line in demo_registry(story.before.models, first)))
    registry_events.load_file(store, file)
    file.unlink()


def _work(bar: Progress, store: Store, options: Settings, stream: Stream, what: str) -> IngestTally:
    file = Path(str(store.engine.url.database)).parent / f"{what.replace(' ', '-')}.jsonl"
    stream.write_jsonl(file)
    task = bar.add_task(f"worker: {what}", total=len(stream))
    worker = Worker(
        FileSource(file), store, options, VOTER, "demo",
        progress=lambda tally: bar.update(task, completed=tally.read),
    )  # fmt: skip
    tally = worker.run(until_end=True)
    file.unlink()
    return tally


def _step(bar: Progress, what: str, run: Any) -> Any:
    task = bar.add_task(what, total=1)
    result = run()
    bar.update(task, completed=1)
    return result


def _caught(store: Store, story: Story, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each planted kind of attacker: how many there were, how many raised an alert, how many are excluded."""
    severity: dict[str, str] = {}
    about_voters = [alert for alert in listed if alert["subject"]["kind"] == "voter"]
    for alert in sorted(about_voters, key=lambda a: a["severity"] != "warning"):
        severity[alert["subject"]["id"]] = alert["severity"]
    found: dict[str, Counter[str]] = {}
    for attacker in story.attackers:
        label = format_pseudonym(store.pseudonym(attacker.voter))
        kind = f"{attacker.kind} {attacker.aim or ''}".strip()
        found.setdefault(kind, Counter()).update(["voters", severity.pop(label, "none")])
    rows = [
        {"kind": kind, "voters": c["voters"], "warned": c["warning"], "excluded": c["critical"]}
        for kind, c in found.items()
    ]
    rest = Counter(severity.values())
    return [*rows, {"kind": "honest voters", "voters": None, "warned": rest["warning"], "excluded": rest["critical"]}]


def _gain(rows: Mapping[str, list[dict[str, Any]]], target: str) -> dict[str, Any]:
    """What the attack would have won for its target."""
    raw, defended = ({r["model"]: r for r in rows[view]}[target] for view in ("raw", "defended"))
    return {
        "model": target,
        "raw_rank": raw["rank"],
        "defended_rank": defended["rank"],
        "raw_rating": raw["rating"],
        "defended_rating": defended["rating"],
        "points": round(raw["rating"] - defended["rating"], 2),
    }


def _tell(result: Mapping[str, Any]) -> None:
    gain, refreshed = result["target"], result["snapshot"]
    out.print(show.side_by_side(result["rows"]["raw"], result["rows"]["defended"], 25, out.width))
    out.print(show.alerts(result["alerts"][:20], out.width))
    critical = [a for a in result["alerts"] if (a["severity"], a["subject"]["kind"]) == ("critical", "voter")]
    if critical:
        out.print(alert_text.explained(critical[0]), highlight=False, soft_wrap=True)
        out.print()
    table = Table(title="What was planted, and what was found", title_justify="left", header_style="bold")
    for name in ("kind", "voters", "warned", "critical (excluded)"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for row in result["attackers"]:
        voters = "the others" if row["voters"] is None else str(row["voters"])
        table.add_row(row["kind"], voters, str(row["warned"]), str(row["excluded"]))
    out.print(table)
    out.print(
        f"\n[bold]What the attack would have gained:[/] with {result['attack_votes']:,} votes among "
        f"{result['votes']:,}, {gain['model']} stands at rank {gain['raw_rank']} ({gain['raw_rating']:.1f}) in the raw "
        f"view; without the excluded votes at rank {gain['defended_rank']} ({gain['defended_rating']:.1f}): "
        f"{gain['points']:+.1f} points, {gain['defended_rank'] - gain['raw_rank']} places.",
        highlight=False,
    )
    out.print(
        f"Snapshot {refreshed['sequence']} counts {refreshed['votes_counted']:,} votes and leaves "
        f"{refreshed['votes_excluded']:,} out; {result['verified']['votes']:,} votes and "
        f"{result['verified']['snapshots']} snapshots were recomputed and agree.",
        highlight=False,
    )
    for finding in result["sweep"]:
        out.print(f"[bold]The sweep:[/] {finding['what']}.", highlight=False)
    out.print(
        f"\nThe store is {result['store']}. Look around:\n"
        f"  {sys.argv[0]} serve --store {result['store']}\n"
        f"  {sys.argv[0]} alerts --store {result['store']}\n"
        f"  {sys.argv[0]} leaderboard --view raw --store {result['store']}\n"
        f"  {sys.argv[0]} verify --store {result['store']}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _bar(quiet: bool) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
        console=err, disable=quiet,
    )  # fmt: skip
