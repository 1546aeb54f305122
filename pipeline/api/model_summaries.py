"""Converts models to JSON: registry entry, rows in the newest snapshot, history over snapshots."""

from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.error_responses import not_found
from pipeline.api.request_params import VIEWS
from pipeline.api.store_reader import StoreReader
from pipeline.registry import RegisteredModel, Registry, RegistryState
from pipeline.store.boards import board_listing, snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries
from pipeline.store.votes import dictionary, registry_events
from pipeline.vocabulary.time import format_rfc3339

REGISTRY_FIELDS = (
    "provider", "family", "visibility", "license", "submitted_at", "released_at", "released_as", "variants_tested",
    "deprecated_at", "retracted_at",
)  # fmt: skip
_TIMES = ("submitted_at", "released_at", "deprecated_at", "retracted_at")
_UNREGISTERED = RegisteredModel("")
_FIGURES = ("rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes")
HISTORY_COLUMNS = ("sequence", "snapshot", "published_at", "data_until", *_FIGURES, "share")
# After every event of the registry.
_END_OF_TIME = 2**62

_Rows = dict[str, dict[str, dict[str, Any]]]


def list_models(connection: Connection) -> list[dict[str, Any]]:
    """Return every model that a vote or the registry names, with the fields of `ModelDocument`, sorted by name."""
    state = _registry_state(connection)
    newest = snapshots.latest(connection)
    voted_on = {state.first_name(name) for name in dictionary.model_names(connection).values()}
    rows = _newest_rows(connection, newest)
    return [_model_document(name, state, newest, rows) for name in sorted(voted_on | state.models.keys())]


def find_model(connection: Connection, name: str) -> dict[str, Any]:
    """Return the model that has or had this name, with the fields of `ModelDocument`.

    Raises:
        Problem: status 404, if no vote and no registry event has this name.
    """
    state = _registry_state(connection)
    key = state.first_name(name)
    if key not in state.models and not page_queries.has_model(connection, key):
        raise not_found("the name of a model", name)
    newest = snapshots.latest(connection)
    return _model_document(key, state, newest, _newest_rows(connection, newest))


def model_history(reader: StoreReader, connection: Connection, model: str, view: str) -> list[dict[str, Any]]:
    """Return the rows of a model in all snapshots, with the fields of `HistoryPointDocument`, oldest first."""
    return [
        {
            "sequence": row["sequence"],
            "snapshot": row["snapshot_id"],
            "published_at": format_rfc3339(row["published_at"]),
            "data_until": reader.data_until_text(connection, row["log_size"]),
            **{name: row[name] for name in _FIGURES},
            # Every battle counts as a vote of two models.
            "share": round(2 * row["votes"] / int(row["battles"]), 6) if row["battles"] else 0.0,
        }
        for row in page_queries.model_history(connection, model, view)
    ]


def _registry_state(connection: Connection) -> RegistryState:
    events, _ = registry_events.read_since(connection, 0)
    return Registry(events).as_of(_END_OF_TIME)


def _newest_rows(connection: Connection, newest: PublishedSnapshot | None) -> _Rows:
    if newest is None:
        return {view: {} for view in VIEWS}
    rows = {view: snapshots.read_rows(connection, newest.snapshot_id, view) for view in VIEWS}
    return {view: {r["model"]: r for r in board_listing.list_rows(newest.body, rows[view])} for view in VIEWS}


def _model_document(key: str, state: RegistryState, newest: PublishedSnapshot | None, rows: _Rows) -> dict[str, Any]:
    entry = state.models.get(key, _UNREGISTERED)
    fields: dict[str, Any] = {name: getattr(entry, name) for name in REGISTRY_FIELDS}
    for name in _TIMES:
        fields[name] = None if fields[name] is None else format_rfc3339(fields[name])
    unrated = _unrated(newest)
    return {
        "model": key,
        **fields,
        "names": sorted(alias for alias, first in state.aliases.items() if first == key),
        "snapshot": newest.snapshot_id if newest else None,
        **{view: rows[view].get(key) for view in VIEWS},
        "unrated": unrated.get(key),
    }


def _unrated(newest: PublishedSnapshot | None) -> dict[str, str]:
    """Return model → why the defended view does not rate it, for the models that pages may name."""
    if newest is None:
        return {}
    listed = board_listing.list_unrated(newest.body, newest.body["views"]["defended"]["unrated"])
    return {one["model"]: one["reason"] for one in listed}
