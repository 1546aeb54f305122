"""Defines the routes of the API about models and providers."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pipeline.api.battle_records import COLUMNS, read_records_of, read_top_records
from pipeline.api.cache_policies import UNTIL_PUBLISHED
from pipeline.api.costly_work import CostlyWork
from pipeline.api.documents.model_documents import (
    BattleListDocument,
    HistoryDocument,
    ModelDocument,
    ModelListDocument,
    ProviderDocument,
)
from pipeline.api.error_responses import Problem, not_found
from pipeline.api.model_summaries import HISTORY_COLUMNS, find_model, list_models, model_history
from pipeline.api.openapi_responses import TABLE_RESPONSES
from pipeline.api.request_params import (
    VIEWS,
    AnyModelParam,
    CursorParam,
    FormatParam,
    LimitParam,
    ModelParam,
    ProviderParam,
    ViewParam,
    decode_cursor,
    encode_cursor,
)
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response, table_response

_FIGURES = ("rank", "rating", "lower", "upper", "votes")


def routes(reader: StoreReader, costly: CostlyWork) -> APIRouter:
    """Return a router with the routes about models and providers, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["models"])
    _add_model_routes(router, reader, costly)
    _add_battle_route(router, reader)
    return router


def _add_model_routes(router: APIRouter, reader: StoreReader, costly: CostlyWork) -> None:

    @router.get("/models", response_model=ModelListDocument, responses=TABLE_RESPONSES)
    def models(
        request: Request, table_format: FormatParam = None, limit: LimitParam = 100, cursor: CursorParam = None
    ) -> Response:
        """List the models that a vote or the registry names, sorted by name. Models under test are only counted."""
        key = decode_cursor(cursor, str)
        with reader.connect() as connection:
            listed = list_models(reader, connection)
        found = [one for one in listed.models if key is None or one["model"] > key[0]]
        rows = found[:limit]
        following = encode_cursor(rows[-1]["model"]) if len(found) > limit else None
        document = {"rows": rows, "next": following, "under_test": listed.number_under_test}
        return table_response(request, table_format, document, "models", UNTIL_PUBLISHED, table_row=_table_row)

    # The name is a query parameter, because it may contain a slash.
    @router.get("/model", response_model=ModelDocument)
    def model(model: ModelParam) -> Response:
        """A model: its registry entry, and its rows in the newest snapshot."""
        with reader.connect() as connection:
            return json_response(find_model(reader, connection, model), UNTIL_PUBLISHED)

    @router.get("/provider", response_model=ProviderDocument)
    async def provider(request: Request, provider: ProviderParam) -> Response:
        """A provider's facts: variants, disclosures, shares, removals, claims; each with its source and uncertainty."""

        def read() -> Response:
            with reader.connect() as connection:
                found = reader.provider(connection, provider)
                if found is None and list_models(reader, connection).has_provider(provider):
                    raise Problem(404, f"the next refresh computes the facts about {provider!r}: `integrity refresh`")
            if found is None:
                raise not_found("the name of a provider in the registry", provider)
            return json_response(found, UNTIL_PUBLISHED)

        return await costly.run(request, read)

    @router.get("/history", response_model=HistoryDocument, responses=TABLE_RESPONSES)
    def history(
        request: Request, model: ModelParam, view: ViewParam = "defended", table_format: FormatParam = None
    ) -> Response:
        """The rows of a model in one view of every published snapshot, oldest first."""
        with reader.connect() as connection:
            find_model(reader, connection, model)  # raises a 404 if nothing names it
            rows = model_history(reader, connection, model, view)
        document = {"model": model, "view": view, "rows": rows}
        return table_response(request, table_format, document, "history", UNTIL_PUBLISHED, HISTORY_COLUMNS)


def _add_battle_route(router: APIRouter, reader: StoreReader) -> None:
    @router.get("/battles", response_model=BattleListDocument, responses=TABLE_RESPONSES)
    def battles(
        request: Request,
        model: AnyModelParam = None,
        table_format: FormatParam = None,
        limit: LimitParam = 1000,
        cursor: CursorParam = None,
    ) -> Response:
        """How often a model met each opponent, and who won. Without `model`, the battles between the 30 best models."""
        key = decode_cursor(cursor, int)
        with reader.connect() as connection:
            newest = reader.latest(connection)
            if model is None:
                rows = read_top_records(reader, connection, newest)[1]
            else:
                rows = read_records_of(reader, connection, newest, find_model(reader, connection, model)["model"])
        if rows is None:
            raise Problem(404, "the newest snapshot does not rate it, or the next refresh counts its battles")
        start = max(0, key[0]) if key else 0
        following = encode_cursor(start + limit) if start + limit < len(rows) else None
        document = {"snapshot": newest.snapshot_id, "rows": rows[start : start + limit], "next": following}
        return table_response(request, table_format, document, "battles", UNTIL_PUBLISHED, COLUMNS)


def _table_row(model: dict[str, Any]) -> dict[str, Any]:
    """Return a model as a row, with the same columns for every model."""
    flat = {name: value for name, value in model.items() if name not in VIEWS}
    return flat | {f"{view}_{name}": (model[view] or {}).get(name) for view in VIEWS for name in _FIGURES}
