"""Models: what the registry says, where they stand, and how they came there."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline.api import documents
from pipeline.api.problems import not_found
from pipeline.api.reader import UNTIL_PUBLISHED, Reader, time_text
from pipeline.api.request_params import TEXT, Cursor, FormOf, Limit, ViewOf, cursor_of, form_of, key_of
from pipeline.api.snapshots import TABLE, VIEWS
from pipeline.api.tables import answer, as_json
from pipeline.registry import RegisteredModel, Registry, RegistryState
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries
from pipeline.store.votes import dictionary, registry_events

_REGISTRY = (
    "provider", "family", "visibility", "license", "submitted_at", "released_at", "released_as", "variants_tested",
    "deprecated_at", "retracted_at",
)  # fmt: skip
_TIMES = ("submitted_at", "released_at", "deprecated_at", "retracted_at")
_NEVER_MET = RegisteredModel("")
_FIGURES = ("rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes")
_POINT = ("sequence", "snapshot", "published_at", "data_until", *_FIGURES, "share")
_FOREVER = 2**62

ModelName = Annotated[str, Query(min_length=1, max_length=300, pattern=TEXT, description="A model's name.")]

ProviderName = Annotated[str, Query(min_length=1, max_length=300, pattern=TEXT, description="As the registry has it.")]


def routes(reader: Reader) -> APIRouter:
    """The routes, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["models"])

    @router.get("/models", response_model=documents.models.Models, responses=TABLE)
    def listed(request: Request, form: FormOf = None, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Every model that a vote or the registry has named, by name."""
        key = key_of(cursor, str)
        with reader.read() as connection:
            found = [one for one in every(connection) if key is None or one["model"] > key[0]]
        rows = found[:limit]
        after = cursor_of(rows[-1]["model"]) if len(found) > limit else None
        form = form_of(form, request.headers.get("accept", ""))
        if form != "json":
            rows = [_line(row) for row in rows]
        return answer({"rows": rows, "next": after}, form, "models", UNTIL_PUBLISHED)

    # A name may hold a slash, so it is no part of the address.
    @router.get("/model", response_model=documents.models.Model)
    def one(model: ModelName) -> Response:
        """A model: what the registry says, and its places in the newest snapshot."""
        with reader.read() as connection:
            return as_json(about(connection, model), UNTIL_PUBLISHED)

    @router.get("/provider", response_model=documents.models.Provider)
    def provider(provider: ProviderName) -> Response:
        """A provider's facts: variants, disclosed N, shares, removals, claims; each with its source and uncertainty."""
        with reader.read() as connection:
            found = reader.providers(connection).get(provider)
        if found is None:
            raise not_found("the name of a provider in the registry", provider)
        return as_json(found, UNTIL_PUBLISHED)

    @router.get("/history", response_model=documents.models.History, responses=TABLE)
    def history(request: Request, model: ModelName, view: ViewOf = "defended", form: FormOf = None) -> Response:
        """A model in every published snapshot, oldest first."""
        with reader.read() as connection:
            about(connection, model)
            rows = points(reader, connection, model, view)
        form = form_of(form, request.headers.get("accept", ""))
        return answer({"model": model, "view": view, "rows": rows}, form, "history", UNTIL_PUBLISHED, _POINT)

    return router


def points(reader: Reader, connection: Connection, model: str, view: str) -> list[dict[str, Any]]:
    """A model in every snapshot, as `documents.models.Standpoint`."""
    return [
        {
            "sequence": row["sequence"],
            "snapshot": row["snapshot_id"],
            "published_at": time_text(row["published_at"]),
            "data_until": reader.until_text(connection, row["log_size"]),
            **{name: row[name] for name in _FIGURES},
            # Every battle is one of two models.
            "share": round(2 * row["votes"] / int(row["battles"]), 6) if row["battles"] else 0.0,
        }
        for row in page_queries.model_history(connection, model, view)
    ]


def state_of(connection: Connection) -> RegistryState:
    """The registry with all of its events."""
    events, _ = registry_events.read_since(connection, 0)
    return Registry(events).as_of(_FOREVER)


def every(connection: Connection) -> list[dict[str, Any]]:
    """Every model, by name."""
    state = state_of(connection)
    newest = snapshots.latest(connection)
    met = {state.key(name) for name in dictionary.model_names(connection).values()}
    places = _places(connection, newest)
    return [_about(name, state, newest, places) for name in sorted(met | state.models.keys())]


def about(connection: Connection, name: str) -> dict[str, Any]:
    """One model, by any of its names.

    Raises:
        Problem: 404, nobody has named it.
    """
    state = state_of(connection)
    key = state.key(name)
    if key not in state.models and not page_queries.has_model(connection, key):
        raise not_found("the name of a model", name)
    newest = snapshots.latest(connection)
    return _about(key, state, newest, _places(connection, newest))


def _places(connection: Connection, newest: PublishedSnapshot | None) -> dict[str, dict[str, dict[str, Any]]]:
    if newest is None:
        return {view: {} for view in VIEWS}
    return {view: {r["model"]: r for r in snapshots.read_rows(connection, newest.snapshot_id, view)} for view in VIEWS}


def _about(
    key: str, state: RegistryState, newest: PublishedSnapshot | None, places: dict[str, dict[str, dict[str, Any]]]
) -> dict[str, Any]:
    known = state.models.get(key, _NEVER_MET)
    told: dict[str, Any] = {name: getattr(known, name) for name in _REGISTRY}
    for name in _TIMES:
        told[name] = None if told[name] is None else time_text(told[name])
    unrated = {} if newest is None else {u["model"]: u["reason"] for u in newest.body["views"]["defended"]["unrated"]}
    return {
        "model": key,
        **told,
        "names": sorted(alias for alias, first in state.aliases.items() if first == key),
        "snapshot": newest.snapshot_id if newest else None,
        **{view: places[view].get(key) for view in VIEWS},
        "unrated": unrated.get(key),
    }


def _line(model: dict[str, Any]) -> dict[str, Any]:
    """A model as one line, the same columns in each."""
    figures = ("rank", "rating", "lower", "upper", "votes")
    flat = {name: value for name, value in model.items() if name not in VIEWS}
    return flat | {f"{view}_{name}": (model[view] or {}).get(name) for view in VIEWS for name in figures}
