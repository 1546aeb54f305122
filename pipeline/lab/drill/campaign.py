"""Plans the votes of a drill: a campaign of accounts that all vote for one model of the board.

All ids begin with a label, so that the votes of the drill can be recognised.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.alerting import incident_table
from pipeline.store.boards import snapshots
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.votes import partitions
from pipeline.vocabulary.time import MINUTE, format_rfc3339

ACCOUNTS, VOTES_EACH = 12, 60

# The votes are cast in the last minutes before the newest vote of the board, so that no window is left empty.
_LENGTH = 20 * MINUTE
# The target stands at three quarters of the ranking: votes for it are unlikely, and nobody is surprised that it rises.
_PLACE = 0.75


@dataclass(frozen=True, slots=True)
class DrillCampaign:
    """The votes of a drill.

    Attributes:
        name: the prefix of the account ids, of the vote ids and of the network's name.
        target: the model that all votes are for.
        voters: the id of each account, as the arena would send it.
        events: the votes, in the form in which an arena publishes them.
    """

    name: str
    target: str
    voters: tuple[str, ...]
    events: tuple[dict[str, Any], ...]

    def write_jsonl(self, path: Path) -> None:
        """Write the votes to a file, one JSON object per line."""
        path.write_text("".join(f"{json.dumps(one)}\n" for one in self.events), encoding="utf-8")


def plan_campaign(
    connection: Connection,
    name: str,
    target: str | None = None,
    *,
    accounts: int = ACCOUNTS,
    votes_each: int = VOTES_EACH,
) -> DrillCampaign:
    """Plan a campaign for a model of the newest board.

    Args:
        connection: reads the store.
        name: the label of the drill.
        target: name of the model. None to choose a model in the lower half of the board that no open incident is about.
        accounts: number of accounts.
        votes_each: number of votes of each account.

    Raises:
        Usage: there is no snapshot, the board has fewer than three public models, or it does not rate the target.
    """
    newest = snapshots.latest(connection)
    times = [one.event_time for one in partitions.read_progress(connection)]
    if newest is None or not times:
        raise Usage("expected a board with a snapshot, got none: votes before the first snapshot are not evaluated")
    hidden = HiddenModels.of_body(newest.body)
    rows = sorted(snapshots.read_rows(connection, newest.snapshot_id, "defended"), key=lambda row: row["rank"])
    models = [row["model"] for row in rows if row["model"] not in hidden]
    if len(models) < 3:
        raise Usage(f"expected a board of at least three models, got {len(models)}")
    chosen = target or _free_model(connection, models)
    if chosen not in models:
        raise Usage(
            f"--target: expected a model of the newest board, got {chosen!r}; `integrity leaderboard` lists them"
        )
    voters = tuple(f"{name}-account-{number}" for number in range(accounts))
    opponents = [model for model in models if model != chosen]
    events = _events(name, chosen, opponents, voters, votes_each, max(times))
    return DrillCampaign(name, chosen, voters, events)


def _free_model(connection: Connection, models: list[str]) -> str:
    """Return a model that no open incident is about.

    Args:
        connection: reads the store.
        models: names of the models, best first. They are tried from the place at three quarters of the ranking down to
            the last, and then upwards from that place. If no model is free, the first model that was tried is returned.
    """
    start = int(_PLACE * len(models))
    taken = {
        about["name"]
        for one in incident_table.read_public(connection)
        if one["state"] != "resolved"
        for about in one["about"]
    }
    order = [*models[start:], *reversed(models[1:start])]
    return next((model for model in order if model not in taken), order[0])


def _events(
    name: str, target: str, opponents: list[str], voters: tuple[str, ...], votes_each: int, newest: int
) -> tuple[dict[str, Any], ...]:
    total = len(voters) * votes_each
    rng = np.random.default_rng(list(name.encode()))
    rivals = rng.integers(0, len(opponents), total).tolist()
    left = rng.integers(0, 2, total).tolist()
    return tuple(
        {
            "schema": 1,
            "vote_id": f"{name}-vote-{n}",
            "voter_id": voters[n % len(voters)],
            "cast_at": format_rfc3339(newest - _LENGTH + n * _LENGTH // total),
            "model_a": target if left[n] else opponents[rivals[n]],
            "model_b": opponents[rivals[n]] if left[n] else target,
            "winner": "model_a" if left[n] else "model_b",
            "network": f"{name}-network",
        }
        for n in range(total)
    )
