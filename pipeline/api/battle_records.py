"""Converts the battles of the newest snapshot to rows, one for each pair of models.

A row says how often the two models met, who won, and what was expected. Only battles of the defended view, which leaves
out excluded votes, are counted. The refresh that made the snapshot has stored the counts.
"""

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.store_reader import StoreReader
from pipeline.jobs.refresh.pair_battles import Outcomes, read_stored_battles
from pipeline.ratings import POINTS_PER_LOGIT
from pipeline.store.boards.snapshots import PublishedSnapshot

COLUMNS = ("model", "opponent", "votes", "wins", "losses", "ties", "score", "expected")

TOP = 30
"""Number of best models: the list of battles has the battles between these models."""

Record = dict[str, Any]


def read_records_of(
    reader: StoreReader, connection: Connection, snapshot: PublishedSnapshot, model: str
) -> list[Record] | None:
    """Return the battles of one model, as a row for each opponent that the board lists.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        snapshot: the newest snapshot.
        model: name of the model. It is the first of the two models in each row.

    Returns:
        Rows with the fields of `BattleRecordDocument`, sorted by the rank of the opponent. None if the store has no
        battles of the model.
    """
    rows = _rows(reader, connection, snapshot)
    own = next((row for row in rows if row["model"] == model), None)
    return _records(connection, snapshot, own, rows) if own is not None else None


def read_top_records(
    reader: StoreReader, connection: Connection, snapshot: PublishedSnapshot
) -> tuple[list[str], list[Record] | None]:
    """Return the best models of the defended view, and the battles between them as a row for each pair that met.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        snapshot: the newest snapshot.

    Returns:
        Two values: the names of at most `TOP` models, best first; and the rows, with the fields of
        `BattleRecordDocument` and the better model first. The rows are None if the store lacks the battles of one of
        the models.
    """
    rows = _rows(reader, connection, snapshot)[:TOP]
    found: list[Record] = []
    for place, row in enumerate(rows):
        records = _records(connection, snapshot, row, rows[place + 1 :])
        if records is None:
            return [one["model"] for one in rows], None
        found += records
    return [one["model"] for one in rows], found


def _rows(reader: StoreReader, connection: Connection, snapshot: PublishedSnapshot) -> list[dict[str, Any]]:
    hidden = reader.hidden(connection)
    return [row for row in reader.listed_rows(connection, snapshot, "defended") if row["model"] not in hidden]


def _records(
    connection: Connection, snapshot: PublishedSnapshot, own: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[Record] | None:
    battles = read_stored_battles(connection, snapshot.snapshot_id, own["model"])
    if battles is None:
        return None
    met = battles.views["defended"]
    return [_record(own, row, met[row["model"]]) for row in rows if row["model"] in met]


def _record(first: Mapping[str, Any], second: Mapping[str, Any], outcomes: Outcomes) -> Record:
    wins, losses, votes = outcomes[0], outcomes[1], sum(outcomes)
    ties = votes - wins - losses
    expected = 1 / (1 + exp((second["rating"] - first["rating"]) / POINTS_PER_LOGIT))
    return {
        "model": first["model"], "opponent": second["model"], "votes": votes, "wins": wins, "losses": losses,
        "ties": ties, "score": round((wins + ties / 2) / votes, 6), "expected": round(expected, 6),
    }  # fmt: skip
