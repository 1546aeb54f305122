"""A board with incidents of every kind, for the tests of the API and of the pages.

Twelve accounts lift `dog`, two accounts lift `bee` (too few for the public to read how many), one account has a habit
(a note), a network has more votes than usual, and an audit found a fact about a provider.
"""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pipeline.events.codenames import codename
from pipeline.events.pseudonym import format_pseudonym
from pipeline.open_store import now
from pipeline.scoring.signals import AlertSignal
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, incident_grouping, incident_table, operator_tokens
from pipeline.vocabulary.time import HOUR, to_microseconds
from tests.integration.board_of_votes import OPTIONS, START, Board, event, using

# Parameters of a fixture, or of a test that names its fixture indirectly, for a board on either database. A board on
# PostgreSQL is made anew for each test.
EITHER = ("sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long]))
SYBILS, EACH = 12, 5
HONEST = 300
FEW = ("friend 0", "friend 1")
LONER = "loner"
NETWORK = "farm one"
BEGIN = to_microseconds(START) + 2 * HOUR + 2_801_234_567


def copied(path: Path) -> Board:
    """A board on SQLite with all incidents, which is made once for a process and copied."""
    shutil.copytree(_original(path.name).name, path.parent, dirs_exist_ok=True)
    return Board(str(path), path.parent)


@cache
def _original(name: str) -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="incidents-")
    with using(OPTIONS), filled(f"{folder.name}/{name}", Path(folder.name)).store() as store:
        raise_alerts(store)
    return folder


def on_database(request: pytest.FixtureRequest, folder: Path) -> Board:
    """A board with all incidents on the database that `request.param` names, one of EITHER; without it on SQLite."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return copied(folder / "board.db")
    made = filled(str(request.getfixturevalue("postgres_url")), folder)
    with made.store() as store:
        raise_alerts(store)
    return made


def filled(url: str, folder: Path) -> Board:
    """A board with honest votes and those of the accounts, and a snapshot."""
    made = Board(url, folder)
    made.vote(HONEST)
    rivals = ("ant", "bee", "cat")
    sybils = [
        event(1_000 + n, voter_id=f"sybil {n % SYBILS}", model_a="dog", model_b=rivals[n % 3], winner="model_a",
              network=NETWORK)
        for n in range(EACH * SYBILS)
    ]  # fmt: skip
    others = [event(2_000 + n, voter_id=[*FEW, LONER][n % 3]) for n in range(12)]
    made.read(*sybils, *others)
    made.refresh()
    return made


def voter(store: Store, name: str) -> str:
    return format_pseudonym(store.pseudonym(name))


def of_voter(
    store: Store, name: str, place: int, likeliest: dict[str, Any], *, detector: str = "voter_bias", **more: Any
) -> AlertSignal:
    evidence = {"votes": EACH, "ties": 0, "snapshot": 1, "proved": True, "likeliest": [{"share": 1.0, **likeliest}]}
    given: dict[str, Any] = {"severity": "warning", "e_value": 912.5 + place, "level": 1, **more}
    return AlertSignal(
        detector, "voter", voter(store, name), "biased", partition=1, offset=place, at=BEGIN + place, evidence=evidence,
        **given,
    )  # fmt: skip


def raise_alerts(store: Store) -> None:
    """Open the alerts of all incidents, and group them."""
    window = [BEGIN - BEGIN % HOUR, BEGIN - BEGIN % HOUR + HOUR]
    dog, bee = {"what": "promotes", "model": "dog"}, {"what": "promotes", "model": "bee"}
    cohort = {"window": window, "what": "of 60 votes it won 60", "votes": 60, "won": 60, "expected": 20.0,
              "network": NETWORK}  # fmt: skip
    burst = {"window": window, "what": "more sittings than usual", "votes": 40, "expected": 9.0}
    signals = [
        *(of_voter(store, f"sybil {n}", 400 + n, dog) for n in range(SYBILS)),
        # A second alert about one of them: its victim is beaten by dog.
        of_voter(store, "sybil 3", 450, {"what": "demotes", "model": "ant"}, detector="copy_pattern"),
        AlertSignal("cohort_bias", "model", "dog", f"promoted by network {NETWORK}", "critical", 1.234e5, 2, 0, *window,
                    evidence=cohort),
        *(of_voter(store, name, 500 + n, bee) for n, name in enumerate(FEW)),
        of_voter(store, FEW[0], 510, bee, detector="copy_pattern"),
        of_voter(store, LONER, 600, {"what": "always votes for the left side"}),
        AlertSignal("vote_burst", "network", "net 3", "burst", "warning", 300.0, 1, 0, *window, evidence=burst),
        AlertSignal("many_variants", "provider", "Beta", "many", "warning", None, 1, 0, *window,
                    evidence={"what": "12 variants were tested"}),
    ]  # fmt: skip
    with store.write() as connection:
        alert_lifecycle.open_alerts(connection, signals, {}, now())
        incident_grouping.regroup(connection)


def incidents(store: Store) -> dict[str, dict[str, Any]]:
    """The stored incidents by what they are about; the note as "note"."""
    with store.read() as connection:
        found = incident_table.read_public(connection)
    return {"note" if one["severity"] == "note" else one["about"][0]["name"]: one for one in found}


def new_token(store: Store, name: str, *scopes: str) -> str:
    at = now()
    with store.write() as connection:
        return operator_tokens.create(connection, name, scopes, "a test", "a test", at, at + 10**12)


def secrets_of(store: Store) -> list[str]:
    """What the public must not read: pseudonyms, names of networks in incidents, exact times."""
    names = [*(f"sybil {n}" for n in range(SYBILS)), *FEW, LONER]
    voters = [voter(store, one) for one in names]
    return [*voters, *map(codename, voters), ":41.234567", ":41.2349"]
