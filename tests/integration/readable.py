"""A small board with everything that readers can ask about: three weeks, three snapshots, alerts, a registry.

Some names are hostile on purpose: a formula, a tag, a slash.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.detectors import VOTER
from pipeline.events.pseudonym import format_pseudonym
from pipeline.open_store import open_store
from pipeline.scoring.signals import AlertSignal
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, incident_grouping
from pipeline.store.boards import exclusion_list
from pipeline.store.votes import registry_events
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker

START = datetime(2026, 3, 1, tzinfo=UTC)
MODELS = ("alpha", "beta", "gamma/7b", "delta", "=cmd()", "<b>epsilon</b>", "zeta", "eta")
WEEK = 1_500
OPTIONS = Settings(anchor="", voter_key="5c" * 32, auto_voter=False)
BAD_VOTER = "voter 3"
_NAME = "board.db"


def made(url: str, folder: Path) -> Store:
    """The board in a new store."""
    store = open_store(url, voter_key=OPTIONS.key)
    registry_events.load_file(store, _registry(folder))
    with configuration.override(OPTIONS):
        for week in range(3):
            _work(store, folder, week)
            if week == 2:
                _excluded(store)
            published(url)
    return store


def copied(folder: Path) -> Store:
    """The board on SQLite, which is made once for a process and copied."""
    shutil.copytree(_original().name, folder, dirs_exist_ok=True)
    return open_store(str(folder / _NAME), voter_key=OPTIONS.key)


@cache
def _original() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="readable-")
    made(f"{folder.name}/{_NAME}", Path(folder.name)).close()
    return folder


def published(url: str) -> str:
    """Seal, rate, publish: without the gate, which takes seconds to import."""
    with configuration.override(OPTIONS):
        return str(jobs.publish(url, jobs.rate(url, jobs.seal(url)))["snapshot"])


def _work(store: Store, folder: Path, week: int) -> None:
    file = folder / f"week-{week}.jsonl"
    file.write_text("".join(json.dumps(vote) + "\n" for vote in votes(week)))
    Worker(FileSource(file), store, OPTIONS, VOTER, "readable").run(until_end=True)


def votes(week: int) -> list[dict[str, Any]]:
    """A week of votes; from the second on one voter always votes for zeta."""
    rng = np.random.default_rng(week)
    strength = np.linspace(0.8, -0.8, len(MODELS))
    made_of = []
    for n in range(WEEK):
        a, b = rng.choice(len(MODELS), 2, replace=False)
        who = f"voter {rng.integers(300)}"
        chance = 1 / (1 + np.exp(strength[b] - strength[a]))
        winner = "tie" if rng.random() < 0.2 else "model_a" if rng.random() < chance else "model_b"
        if week and n % 20 == 0:
            who, a, b, winner = BAD_VOTER, 6, rng.choice([0, 1, 2, 3]), "model_a"
        at = START + timedelta(days=7 * week + 7 * n / WEEK)
        made_of.append(
            {"schema": 1, "vote_id": f"v{week}-{n}", "voter_id": who, "cast_at": at.isoformat(),
             "model_a": MODELS[a], "model_b": MODELS[b], "winner": winner}
        )  # fmt: skip
    return made_of


def _registry(folder: Path) -> Path:
    file = folder / "registry.jsonl"
    events = [
        {"schema": 1, "event_id": f"r{n}", "at": START.isoformat(), "type": "model.submitted", "model": model,
         "provider": "Acme & Sons" if n < 3 else "Beta", "visibility": "public", "license": "open"}
        for n, model in enumerate(MODELS)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    return file


def _excluded(store: Store) -> None:
    """Alerts about a voter, a model and a provider; the voter's votes are left out because of the first."""
    voter = format_pseudonym(store.pseudonym(BAD_VOTER))
    at = int((START + timedelta(days=15)).timestamp() * 1e6)
    likeliest = [{"what": "favours", "model": "zeta", "delta": 1.5, "share": 0.9}]
    evidence = {"votes": 60, "ties": 0, "likeliest": likeliest, "proved": True, "snapshot": 2}
    window = {"window": [at, at + 300_000_000], "what": "1,200 more votes than <expected>"}
    raised = [
        AlertSignal("voter_bias", "voter", voter, "biased", "critical", 5e4, 2, 1, 40, at, evidence),
        AlertSignal("vote_burst", "model", "zeta", "burst", "warning", 300.0, 1, 0, at, at + 1, window),
        AlertSignal(
            "many_variants", "provider", "Beta", "many", "warning", None, 1, 0, at, at + 2, {"what": "12 variants"}
        ),
    ]
    with store.write() as connection:
        # What the detectors found by themselves stands beside these.
        first = alert_lifecycle.open_alerts(connection, raised, {}, at)[0]
        exclusion_list.add_entry(connection, "exclude", "voter", voter, f"alert {first}", "an operator", at, first)
        incident_grouping.regroup(connection)
