"""How far everything is."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from pipeline.api import documents
from pipeline.api.reader import NEVER, Reader, time_text
from pipeline.api.tables import as_json
from pipeline.store.boards import snapshots
from pipeline.store.read import store_figures


def routes(reader: Reader) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["status"])

    @router.get("/status", response_model=documents.boards.Status)
    def status() -> Response:
        """Records by fate, alerts by state, and how far every partition was read. Changes with every batch of votes."""
        with reader.read() as connection:
            newest = snapshots.latest(connection)
            document = {
                "snapshot": newest.snapshot_id if newest else None,
                "published_at": time_text(newest.published_at) if newest else None,
                "fates": store_figures.count_fates(connection),
                "alerts": {
                    key[0]: number for key, number in store_figures.count_alerts_by(connection, "state").items()
                },
                "partitions": [
                    {
                        "source": one["source"],
                        "partition": one["number"],
                        "next_offset": one["next_offset"],
                        "sealed_offset": one["sealed_offset"],
                    }
                    for one in store_figures.list_partitions(connection)
                ],
            }
        return as_json(document, NEVER)

    return router
