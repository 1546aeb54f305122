"""Defines the routes of the API that cite a snapshot."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from pipeline.api.cache_policies import RENDERED
from pipeline.api.citations import bibtex_entry, csl_item
from pipeline.api.documents.citation_documents import CitationDocument
from pipeline.api.openapi_responses import media_types
from pipeline.api.request_params import SnapshotParam
from pipeline.api.snapshot_summaries import summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response

_BIBTEX = "application/x-bibtex"


def routes(reader: StoreReader, site: str) -> APIRouter:
    """Return a router with the routes that cite a snapshot.

    Args:
        reader: reads the store.
        site: the address under which readers reach the pages; "" for citations without a link.
    """
    router = APIRouter(tags=["snapshots"])

    @router.get("/snapshots/{snapshot}/citation", response_model=list[CitationDocument])
    def citation(snapshot: SnapshotParam) -> Response:
        """How to cite a snapshot, as CSL-JSON: a list with one item."""
        return json_response([_item(snapshot)], RENDERED)

    @router.get("/snapshots/{snapshot}/citation.bib", response_class=Response, responses=media_types(_BIBTEX))
    def bibtex(snapshot: SnapshotParam) -> Response:
        """How to cite a snapshot, as an entry of BibTeX."""
        name = f"snapshot-{snapshot[:12]}.bib"
        headers = {**RENDERED, "content-disposition": f'attachment; filename="{name}"'}
        return Response(bibtex_entry(_item(snapshot)), media_type=_BIBTEX, headers=headers)

    def _item(snapshot: str) -> dict[str, Any]:
        with reader.connect() as connection:
            found = reader.snapshot(connection, snapshot)
            return csl_item(reader.board_name(connection), summarize_snapshot(reader, connection, found), site)

    return router
