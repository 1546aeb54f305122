"""Defines the route of the API about the progress of the pipeline."""

from fastapi import APIRouter
from fastapi.responses import Response

from pipeline import settings as configuration
from pipeline.api.cache_policies import NO_STORE
from pipeline.api.documents.board_documents import StatusDocument
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response
from pipeline.store.boards import snapshots
from pipeline.store.read import store_figures
from pipeline.vocabulary.time import format_rfc3339

_PARTITION = {"source": "source", "partition": "number", "next_offset": "next_offset", "sealed_offset": "sealed_offset"}


def routes(reader: StoreReader) -> APIRouter:
    """Return a router with the route about the progress of the pipeline."""
    router = APIRouter(tags=["status"])

    @router.get("/status", response_model=StatusDocument)
    def status() -> Response:
        """Votes by fate, alerts by state, and offsets by partition. Changes with every batch of votes."""
        with reader.connect() as connection:
            newest = snapshots.latest(connection)
            by_state = store_figures.count_alerts_by(connection, "state")
            partitions = store_figures.list_partitions(connection)
            document = {
                "appeals": configuration.load().appeals or None,
                "snapshot": newest.snapshot_id if newest else None,
                "published_at": format_rfc3339(newest.published_at) if newest else None,
                "fates": store_figures.count_fates(connection),
                "alerts": {key[0]: number for key, number in by_state.items()},
                "partitions": [{name: one[column] for name, column in _PARTITION.items()} for one in partitions],
            }
        return json_response(document, NO_STORE)

    return router
