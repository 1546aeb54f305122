"""migrate, exporter, doctor, pseudonym, rejects: keeping it running."""

from __future__ import annotations

import platform
import signal
import threading
from importlib.metadata import version
from typing import Annotated, Any

import typer
from sqlalchemy.exc import DBAPIError

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import IntegrityError
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.open_store import open_store
from pipeline.metrics import StoreCollector, serve
from pipeline.settings import PREFIX, SHAPING, Settings, shown
from pipeline.store.db.migrate import NEWEST
from pipeline.store.read import status as figures
from pipeline.store.votes import registry_events, stale_windows

_PACKAGES = (
    "apache-airflow",
    "great-expectations",
    "kafka-python",
    "numpy",
    "prometheus-client",
    "sqlalchemy",
)


@app.command()
def migrate(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Make the store, or bring its tables and windows up to date: as the role that owns them, before all else runs."""
    options = configuration.load()
    opened = open_store(store or options.store)
    rebuilt = jobs.rebuild_windows(opened)
    opened.close()
    if as_json:
        emit({"store": opened.url, "tables": NEWEST, "windows_rebuilt": rebuilt})
        return
    err.print(f"{opened.url} has the tables of version {NEWEST}", highlight=False)
    if rebuilt:
        err.print(f"counted {rebuilt:,} windows again from the votes")


@app.command()
def exporter(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 9464,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
) -> None:
    """Serve the store's state as Prometheus metrics until SIGTERM."""
    options = configuration.load()
    opened = open_store(store or options.store)
    collector = StoreCollector(lambda: jobs.read_store_status(opened), version("leaderboard-integrity"))
    server = serve(collector.alone(), port, host=host)
    err.print(f"metrics on http://{host}:{server.port}/metrics", highlight=False)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    server.close()
    opened.close()


@app.command()
def pseudonym(
    voter_id: Annotated[str, typer.Argument(help="A voter's id as the board knows it.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a voter is called in this store."""
    options = configuration.load()
    opened = open_store(store or options.store, create=False)
    label = format_pseudonym(opened.pseudonym(voter_id))
    opened.close()
    if as_json:
        emit({"pseudonym": label})
    else:
        out.print(label, highlight=False)


@app.command()
def rejects(
    store: StoreOption = None,
    limit: Annotated[int, typer.Option(help="How many to show.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Records that are no votes, and registry events that contradict others, each with its place and the reason."""
    options = configuration.load()
    opened = open_store(store or options.store, create=False)
    with opened.read() as connection:
        listed = [*figures.rejected(connection, limit), *registry_events.list_rejects(connection)][:limit]
    opened.close()
    if as_json:
        emit(listed)
        return
    for r in listed:
        place = r["origin"] or r["source"].rpartition(":")[2]
        out.print(
            f"{place} partition {r['partition']} offset {r['offset']}: {r['reason']}: {r['detail']}",
            highlight=False,
        )
    err.print(f"{len(listed)} rejects")


@app.command()
def doctor(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Versions, every setting with its value and source, and whether the store is whole; exit 1 if it is not."""
    options = configuration.load()
    url = store or options.store
    report: dict[str, Any] = {
        "versions": {"python": platform.python_version(), "leaderboard-integrity": version("leaderboard-integrity"),
                     **{name: _version(name) for name in _PACKAGES}},
        "settings": [_setting(options, *each) for each in configuration.sources().items()],
        "settings_digest": options.digest(),
        "unknown_settings": configuration.unknown(),
        "store": _store(url),
    }  # fmt: skip
    healthy = not any(report["store"].get(name) for name in ("error", "incomplete", "windows_stale_since"))
    if as_json:
        emit({"healthy": healthy, **report})
    else:
        for name, number in report["versions"].items():
            out.print(f"{name:24} {number}", highlight=False)
        for one in report["settings"]:
            out.print(f"{one['name']:42} {one['value']!s:36} {one['source']}", highlight=False)
        for name, source in report["unknown_settings"].items():
            out.print(f"{name:42} unknown, not read ({source})", highlight=False)
        out.print(f"settings digest {report['settings_digest'][:16]}; store: {report['store']}", highlight=False)
    if not healthy:
        raise typer.Exit(1)


def _setting(options: Settings, name: str, source: str) -> dict[str, Any]:
    return {
        "name": PREFIX + name.upper(),
        "value": shown(name, getattr(options, name)),
        "source": source,
        "shapes_ratings": name in SHAPING,
    }


def _store(url: str) -> dict[str, Any]:
    try:
        opened = open_store(url, create=False)
        with opened.read() as connection:
            result = {
                "url": opened.url,
                "fates": figures.fates(connection),
                "incomplete": figures.incomplete(connection),
                "windows_stale_since": stale_windows.stale_since(connection),
            }
        opened.close()
    except (IntegrityError, DBAPIError) as error:
        return {"error": str(error)}
    return result


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "not installed"
