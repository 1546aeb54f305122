"""Defines the routes of the API about correction notices."""

from fastapi import APIRouter
from fastapi.responses import Response

from pipeline.api.cache_policies import UNTIL_PUBLISHED
from pipeline.api.documents.notice_documents import NoticeListDocument
from pipeline.api.request_params import SnapshotParam
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response
from pipeline.store.boards import notices


def routes(reader: StoreReader) -> APIRouter:
    """Return a router with the routes about correction notices, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["snapshots"])

    @router.get("/notices", response_model=NoticeListDocument)
    def list_notices() -> Response:
        """All correction notices, oldest first. They are in every manifest that was made after them."""
        with reader.connect() as connection:
            return json_response({"rows": notices.list_notices(connection)}, UNTIL_PUBLISHED)

    @router.get("/snapshots/{snapshot}/notices", response_model=NoticeListDocument)
    def snapshot_notices(snapshot: SnapshotParam) -> Response:
        """The correction notices on a snapshot, oldest first; the snapshot itself never changes."""
        with reader.connect() as connection:
            found = reader.snapshot(connection, snapshot)
            return json_response({"rows": notices.list_notices(connection, found.snapshot_id)}, UNTIL_PUBLISHED)

    return router
