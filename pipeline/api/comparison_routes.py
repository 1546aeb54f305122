"""Defines the route of the API that compares two models."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pipeline.api.cache_policies import UNTIL_PUBLISHED
from pipeline.api.costly_work import CostlyWork
from pipeline.api.documents.comparison_documents import ComparisonDocument
from pipeline.api.model_comparison import compare_models
from pipeline.api.request_params import TEXT_PATTERN
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response

FirstParam = Annotated[str, Query(min_length=1, max_length=300, pattern=TEXT_PATTERN, description="A model's name.")]
SecondParam = Annotated[
    str, Query(min_length=1, max_length=300, pattern=TEXT_PATTERN, description="The name of another model.")
]


def routes(reader: StoreReader, costly: CostlyWork) -> APIRouter:
    """Return a router with the route that compares two models."""
    router = APIRouter(tags=["models"])

    @router.get("/compare", response_model=ComparisonDocument)
    async def compare(request: Request, a: FirstParam, b: SecondParam) -> Response:
        """Two models in the newest snapshot: ratings, their difference with its error, battles against each other."""

        def work() -> Response:
            with reader.connect() as connection:
                found = compare_models(reader, connection, a, b)
            return json_response(found, UNTIL_PUBLISHED)

        return await costly.run(request, work)

    return router
