"""Runs the commands migrate, pseudonym, rejects and doctor.

The commands create a store's tables, compute pseudonyms, list rejected records and check the health of a store.
"""

import platform
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated, Any

import typer
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from pipeline import settings
from pipeline.cli import terminal_tables
from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.errors import BadInput, IntegrityError, Usage
from pipeline.events.pseudonym import format_pseudonym
from pipeline.open_store import existing_store, now, open_store
from pipeline.settings import PREFIX, SHAPING, Settings, shown
from pipeline.settings.method_file import load_method
from pipeline.store.alerting import operators_log, voter_share
from pipeline.store.boards import publication_holds, snapshots, verdicts
from pipeline.store.cold import cold_files
from pipeline.store.db import database_facts, role_grants
from pipeline.store.db.migrate import NEWEST
from pipeline.store.db.store_url import parse_url
from pipeline.store.read import store_figures
from pipeline.store.votes import registry_events, stale_windows, unchecked_votes
from pipeline.store.votes.dominant_voter import find_dominant_voter
from pipeline.vocabulary.coverage_notes import late_notes, unchecked_notes

_PACKAGES = ("apache-airflow", "great-expectations", "kafka-python", "numpy", "prometheus-client", "sqlalchemy")


@app.command()
def migrate(
    store: StoreOption = None,
    grant: Annotated[bool, typer.Option("--grant-roles", help="Then give the database roles their rights.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create the store, or update its tables and rebuild stale windows.

    Run this command before all others, with the database role that owns the tables. --grant-roles runs
    deploy/postgres/grants.sql, which the other roles need after each migration (PostgreSQL).
    """
    from pipeline.jobs.rebuild_windows import rebuild_windows  # noqa: PLC0415  # imports the detectors

    url = store_url(store)
    if grant:
        role_grants.expect_roles_possible(parse_url(url))
    opened = open_store(url)
    with closing(opened):
        rebuilt = rebuild_windows(opened)
        if grant:
            role_grants.grant_roles(opened.engine)
    if as_json:
        emit({"store": opened.url, "tables": NEWEST, "windows_rebuilt": rebuilt, "roles_granted": grant})
        return
    err.print(f"{opened.url} has tables of version {NEWEST}")
    if rebuilt:
        err.print(f"rebuilt {rebuilt:,} windows from the votes")
    if grant:
        err.print("the database roles have their rights")


@app.command()
def pseudonym(
    voter_id: Annotated[str, typer.Argument(help="A voter's id as the board knows it.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the pseudonym of a voter in this store."""
    with existing_store(store_url(store)) as opened:
        label = format_pseudonym(opened.pseudonym(voter_id))
        with opened.write() as connection:
            operators_log.record_export(connection, "pseudonym", "", now())
    emit_or_print(as_json, {"pseudonym": label}, label, out)


@app.command()
def rejects(
    store: StoreOption = None,
    limit: Annotated[int, typer.Option(help="Show at most this many.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """List invalid records and contradictory registry events, each with its place and the reason."""
    with existing_store(store_url(store)) as opened, opened.read() as connection:
        listed = [*store_figures.list_rejects(connection, limit), *registry_events.list_rejects(connection)][:limit]
    if as_json:
        emit(listed)
        return
    for r in listed:
        place = r["origin"] or r["source"].rpartition(":")[2]
        out.print(f"{place} partition {r['partition']} offset {r['offset']}: {r['reason']}: {r['detail']}")
    err.print(f"{len(listed)} rejects")


@app.command()
def doctor(
    store: StoreOption = None,
    source: Annotated[str, typer.Option(help="Also connect to kafka://HOST:PORT, and say what we may do there.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Check this installation: versions, settings and where each comes from, the store, and the topics of Kafka.

    Exit 1 if the store or the topics have a fault, or if the method cannot be read. Topics need --source.
    """
    options = settings.load()
    report: dict[str, Any] = {
        "versions": {"python": platform.python_version(), "leaderboard-integrity": version("leaderboard-integrity"),
                     **{name: _version(name) for name in _PACKAGES}},
        "settings": [_setting(options, *each) for each in settings.sources().items()],
        "settings_digest": options.digest(),
        "method": _method(options.method),
        "unknown_settings": settings.unknown(),
        "store": _store(store or options.store),
        **({"kafka": _topics(source, options)} if source else {}),
    }  # fmt: skip
    faults = [report["store"].get(name) for name in ("error", "incomplete", "windows_stale_since", "archive_missing")]
    faults.append(report["method"].get("error"))
    healthy = not any(faults) and report.get("kafka", {}).get("healthy", True)
    if as_json:
        emit({"healthy": healthy, **report})
    else:
        for name, number in report["versions"].items():
            out.print(f"{name:24} {number}")
        for one in report["settings"]:
            out.print(f"{one['name']:42} {one['value']!s:36} {one['source']}")
        for name, origin in report["unknown_settings"].items():
            out.print(f"{name:42} unknown, ignored ({origin})")
        out.print(_method_line(report["method"]), soft_wrap=True)
        for told in report["store"].pop("voter_share", ()):
            out.print(told, soft_wrap=True)
        for warning in report["store"].pop("quality_warnings", ()):
            out.print(terminal_tables.quality_warning(warning))
        fates = report["store"].get("fates", {})
        late, counted = fates.get("late", 0), sum(fates.get(name, 0) for name in ("accepted", "late"))
        for note in (*late_notes(late, counted), *unchecked_notes(report["store"].get("unchecked_votes", 0))):
            out.print(note)
        if unregistered := report["store"].pop("unregistered", []):
            out.print(terminal_tables.unregistered_models(unregistered, report["store"]["votes_unregistered"]))
        for held in report["store"].pop("publications_held", ()):
            out.print(_held_line(held))
        out.print(f"settings digest {report['settings_digest'][:16]}; store: {report['store']}")
        if source:
            out.print(f"kafka: {report['kafka']}", soft_wrap=True)
    if not healthy:
        raise typer.Exit(1)


def _topics(source: str, options: Settings) -> dict[str, Any]:
    """Return what is known about the topics of a source, and what this process may do there."""
    from pipeline.stream import topic_check  # noqa: PLC0415  # imports Kafka, which a check of the store does not need

    return topic_check.describe(source, options)


def _held_line(held: Mapping[str, Any]) -> str:
    """Return a line about a snapshot that waits for a person."""
    from pipeline.jobs.refresh.publication_hold import describe_move  # noqa: PLC0415  # imports a whole refresh

    moves = "; ".join(map(describe_move, held["moves"]))
    return f"held since {held['at']}: candidate {held['snapshot'][:12]}: {moves}"


def _method(given: str) -> dict[str, Any]:
    """Return the method of the next refresh, or why it cannot be read."""
    try:
        found = load_method(given, f"{PREFIX}METHOD")
    except (BadInput, Usage) as error:
        return {"error": str(error)}
    return {**asdict(found), "rules": list(found.rules), "sha256": found.digest()}


def _method_line(method: Mapping[str, Any]) -> str:
    if "error" in method:
        return f"method: {method['error']}"
    rules = ", ".join(method["rules"]) or "no rule: every vote counts"
    return f"method {method['name']} ({method['sha256'][:16]}): {rules}"


def _setting(options: Settings, name: str, source: str) -> dict[str, Any]:
    return {
        "name": PREFIX + name.upper(),
        "value": shown(name, getattr(options, name)),
        "source": source,
        "shapes_ratings": name in SHAPING,
    }


def _store(url: str) -> dict[str, Any]:
    try:
        with existing_store(url) as opened, opened.read() as connection:
            newest = snapshots.latest(connection)
            return {
                "url": opened.url,
                "database": database_facts.describe(opened.engine),
                "fates": store_figures.count_fates(connection),
                "archived_votes": cold_files.count_archived(connection),
                "archive_missing": cold_files.missing(connection),
                "incomplete": store_figures.find_gaps(connection),
                "windows_stale_since": stale_windows.stale_since(connection),
                "quality_warnings": verdicts.list_warnings(connection),
                "unchecked_votes": unchecked_votes.count_unchecked(connection),
                "unregistered": newest.body.get("unregistered", []) if newest else [],
                "votes_unregistered": newest.body.get("votes_unregistered", 0) if newest else 0,
                "voter_share": _voter_share(connection),
                "publications_held": publication_holds.list_open(connection),
            }
    except (IntegrityError, DBAPIError) as error:
        return {"error": str(error)}


def _voter_share(connection: Connection) -> list[str]:
    """Return a list with one line about the voter who has more than a fifth of all votes; empty if none was reported.

    The line names the voter if the database role may read voters.
    """
    reported = voter_share.read_reported(connection)
    if reported is None:
        return []
    try:
        with connection.begin_nested():
            found = find_dominant_voter(connection)
    except DBAPIError:  # a role that may not read voters
        found = None
    who = "" if found is None else f"voter {format_pseudonym(found.voter)}: "
    return [who + voter_share.describe(reported)]


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "not installed"
