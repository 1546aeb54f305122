"""Runs the command demo: runs the whole pipeline in one process, on real pair counts, without Kafka or PostgreSQL.

1. A worker reads honest votes, and a refresh rates them.
2. More votes follow, some of them from attackers. The worker evaluates every vote against the first board, the monitor
   closes windows, and a refresh excludes the attackers' votes.
3. Registry events name the providers, and a sweep audits variants, releases and claims.
4. Everything that was published is recomputed from the votes and compared.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn

from pipeline import alert_text, jobs, settings
from pipeline.cli.app import JsonOption, app, emit, err, out
from pipeline.cli.pasted_commands import remember_store
from pipeline.cli.progress_columns import DescriptionColumn
from pipeline.cli.server_commands import serve_store
from pipeline.cli.terminal import styled
from pipeline.cli.terminal_tables import alert_table, comparison_table, titled_table
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import Usage
from pipeline.events.pseudonym import format_pseudonym
from pipeline.lab.simulate import DemoScenario, SimulatedStream, demo_registry, simulate_demo
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_queries, incident_grouping
from pipeline.store.boards import snapshots
from pipeline.store.votes import registry_events
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.source import FileSource
from pipeline.stream.window_monitor import Monitor
from pipeline.stream.worker import Worker
from pipeline.vocabulary.time import DAY, HOUR, from_microseconds

# One hour more, so that the snapshot is at least a week old whenever its last votes were cast.
_A_WEEK = 7 * DAY + HOUR


@app.command()
def demo(
    votes: Annotated[int, typer.Option(help="Honest votes, at least 50,000.")] = 200_000,
    store: Annotated[Path | None, typer.Option(help="File of the store; default: in a new temporary folder.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 20240814,
    serve: Annotated[bool, typer.Option("--serve", help="Then serve the pages until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(help="Port for --serve.")] = 8000,
    as_json: JsonOption = False,
) -> None:
    """Run the whole pipeline on real pair counts with simulated attackers; show alerts and both boards."""
    path = store or Path(tempfile.mkdtemp(prefix="integrity-demo-")) / "demo.db"
    if path.exists():
        raise Usage(f"expected a new file for the store, got one that exists: {path}")
    options = settings.load()
    with settings.override(options), _bar(as_json) as bar:
        story = _step(bar, "simulating votes from 1.67 million real ones", lambda: simulate_demo(votes, seed))
        opened = open_store(str(path))
        before = _work(bar, opened, options, story.before, "honest votes")
        _step(bar, "first refresh: seal, check, rate, publish", lambda: jobs.refresh_board(str(path)))
        # This snapshot is a week older than the last one, so that the pages can show who rose, and why.
        week = int(np.searchsorted(story.after.cast_at, story.after.cast_at[-1] - _A_WEEK))
        early = _work(bar, opened, options, story.after.take(slice(0, week)), "votes, attackers among them")
        _step(bar, "second refresh", lambda: jobs.refresh_board(str(path)))
        late = _work(bar, opened, options, story.after.take(slice(week, None)), "the votes of the last week")
        monitor = Monitor(opened, options, f"demo:{os.getpid()}", WINDOW)
        windows = _step(bar, "closing windows", lambda: monitor.run(until_end=True, close=True))
        # The registry comes after the windows: it declares no sampling policy, so the monitor would assume equal
        # weights, and the real pair counts were not sampled with equal weights.
        _step(bar, "reading the registry", lambda: _load_registry(opened, story))
        refreshed = _step(bar, "third refresh", lambda: jobs.refresh_board(str(path)))
        swept = _step(bar, "sweep: variants, releases, claims", lambda: jobs.sweep(str(path)))
        verified = _step(bar, "verifying: recomputing everything from the votes", lambda: jobs.verify_ledger(str(path)))
    with opened.write() as connection:
        incident_grouping.regroup(connection)  # the monitor would do so, and has ended
    with opened.read() as connection:
        listed = alert_queries.list_alerts(connection)
        rows = {view: snapshots.read_rows(connection, refreshed["snapshot"], view) for view in ("raw", "defended")}
    found = _attackers_found(opened, story, listed)
    result = {
        "store": str(path),
        "votes": before.read + early.read + late.read,
        "attack_votes": sum(a.votes for a in story.attackers),
        "windows_closed": windows,
        "snapshot": refreshed,
        "verified": verified,
        "alerts": listed,
        "sweep": swept["findings"],
        "attackers": found,
        "target": _gain(rows, story.target),
        "rows": rows,
    }
    if as_json:
        emit(result)
    else:
        remember_store(str(path))
        _print(result)
    if serve:
        serve_store(opened, "127.0.0.1", port)
    opened.close()


def _load_registry(store: Store, story: DemoScenario) -> None:
    file = Path(str(store.engine.url.database)).parent / "registry.jsonl"
    first = from_microseconds(story.before.cast_at[0])
    file.write_bytes(b"".join(line + b"\n" for line in demo_registry(story.before.models, first)))
    registry_events.load_file(store, file)
    file.unlink()


def _work(bar: Progress, store: Store, options: Settings, stream: SimulatedStream, what: str) -> IngestTally:
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


def _attackers_found(store: Store, story: DemoScenario, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each kind of attacker how many were simulated, how many have an alert, and how many are excluded."""
    severity: dict[str, str] = {}
    about_voters = [alert for alert in listed if alert["subject"]["kind"] == "voter"]
    for alert in sorted(about_voters, key=lambda a: a["severity"] != "warning"):
        severity[alert["subject"]["id"]] = alert["severity"]
    found: dict[str, Counter[str]] = {}
    for attacker in story.attackers:
        label = format_pseudonym(store.pseudonym(attacker.voter))
        kind = f"{attacker.kind} {attacker.target_model or ''}".strip()
        found.setdefault(kind, Counter()).update(["voters", severity.pop(label, "none")])
    rows = [
        {"kind": kind, "voters": c["voters"], "warned": c["warning"], "excluded": c["critical"]}
        for kind, c in found.items()
    ]
    rest = Counter(severity.values())
    return [*rows, {"kind": "honest voters", "voters": None, "warned": rest["warning"], "excluded": rest["critical"]}]


def _gain(rows: Mapping[str, list[dict[str, Any]]], target: str) -> dict[str, Any]:
    """Return the ranks and ratings of the attack's target with and without the attack, and the difference in points."""
    raw, defended = ({r["model"]: r for r in rows[view]}[target] for view in ("raw", "defended"))
    return {
        "model": target,
        "raw_rank": raw["rank"],
        "defended_rank": defended["rank"],
        "raw_rating": raw["rating"],
        "defended_rating": defended["rating"],
        "points": round(raw["rating"] - defended["rating"], 2),
    }


def _print(result: Mapping[str, Any]) -> None:
    gain, refreshed = result["target"], result["snapshot"]
    out.print(comparison_table(result["rows"]["raw"], result["rows"]["defended"], 25, out.width))
    out.print(alert_table(result["alerts"][:20], out.width))
    critical = [a for a in result["alerts"] if (a["severity"], a["subject"]["kind"]) == ("critical", "voter")]
    if critical:
        out.lines(alert_text.explain_lines(critical[0]))
        out.print()
    columns = ("kind", "voters", "warned", "critical (excluded)")
    table = titled_table("Simulated attackers, and how many were found", columns, {"kind"})
    for row in result["attackers"]:
        voters = "all others" if row["voters"] is None else str(row["voters"])
        table.add_row(row["kind"], voters, str(row["warned"]), str(row["excluded"]))
    out.print(table)
    out.print()
    out.print(
        styled(
            ("What the attack would have gained:", "bold"),
            f" with {result['attack_votes']:,} votes among {result['votes']:,}, {gain['model']} has rank "
            f"{gain['raw_rank']} ({gain['raw_rating']:.1f}) in the raw view; without the excluded votes it has rank "
            f"{gain['defended_rank']} ({gain['defended_rating']:.1f}): {gain['points']:+.1f} points, "
            f"{gain['defended_rank'] - gain['raw_rank']} places.",
        )
    )
    out.print(
        f"Snapshot {refreshed['sequence']} counts {refreshed['votes_counted']:,} votes and excludes "
        f"{refreshed['votes_excluded']:,}; {result['verified']['votes']:,} votes and "
        f"{result['verified']['snapshots']} snapshots were recomputed and are identical."
    )
    for finding in result["sweep"]:
        out.print(styled(("Finding of the sweep:", "bold"), f" {finding['what']}."))
    out.print()
    out.print(f"The store is {result['store']}. Next steps:", soft_wrap=True)
    steps = ("serve", "incidents", "alerts", "leaderboard --view raw", "verify")
    out.lines(f"  {sys.argv[0]} {step} --store {result['store']}" for step in steps)


def _bar(quiet: bool) -> Progress:
    return Progress(
        SpinnerColumn(), DescriptionColumn(), BarColumn(), TimeElapsedColumn(),
        console=err, disable=quiet,
    )  # fmt: skip
