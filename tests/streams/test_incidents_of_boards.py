"""Honest days make no incident and an attack one, on boards that were not made by the simulator.

The votes go the whole way in one process: worker, windows, snapshot, alerts and grouping, over a store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.detectors import WINDOW
from pipeline.store.alerting import alert_queries, incident_table
from pipeline.stream.window_monitor import Monitor
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import DAY, BoardSpec, Votes, make_board, records

SPEC = BoardSpec(days=6, votes_a_day=1_000, models=20, networks=100)
# The snapshot that evaluates the votes of the last two days.
SNAPSHOT_DAY = 4


def incidents_of(folder: Path, votes: Votes) -> tuple[list[dict[str, Any]], int]:
    """Return the incidents, notes included, and the number of alerts."""
    board = Board(str(folder / "board.db"), folder)
    events = list(records(votes))
    split = int(np.searchsorted(votes.at, SPEC.start + SNAPSHOT_DAY * DAY))
    with using(OPTIONS):
        board.read(*events[:split])
        _close_windows(board)
        board.refresh()
        board.read(*events[split:])
        _close_windows(board)
        with board.store() as store, store.read() as connection:
            return incident_table.read_public(connection), len(alert_queries.list_alerts(connection))


def _close_windows(board: Board) -> None:
    with board.store() as store:
        Monitor(store, OPTIONS, "test", WINDOW).run(until_end=True, close=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_honest_days_are_no_incident(tmp_path: Path, seed: int) -> None:
    spec = BoardSpec(**{**SPEC.__dict__, "seed": seed})
    found, _ = incidents_of(tmp_path, make_board(spec).votes)
    assert [one for one in found if one["severity"] != "note"] == []


@pytest.mark.long
def test_an_attack_is_one_incident_or_two_with_every_alert(tmp_path: Path) -> None:
    board = make_board(SPEC)
    attack = Attack("promote", 20, 60, target=7, first_day=4.5, days=1.0, abstain=True, first_network=40)
    found, alerts = incidents_of(tmp_path, board.votes.merge(make_attack(board, attack)))
    named = [one for one in found if one["severity"] != "note"]
    assert 1 <= len(named) <= 2
    assert alerts > 10
    assert len({alert for one in found for alert in one["alert_ids"]}) == alerts
    first = max(named, key=lambda one: one["alerts"])
    assert first["about"] == [{"kind": "model", "name": "m007", "effect": "lifted"}]
    assert 18 <= first["accounts"] <= 21
