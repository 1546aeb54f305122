"""Defines the routes of the API about private variants, claims and removals."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from pipeline.api.cache_policies import REVALIDATE
from pipeline.api.documents.story_documents import StoryDocument
from pipeline.api.public_stories import newest_story, public_story
from pipeline.api.request_params import SnapshotParam
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response

EventParam = Annotated[
    int, Path(ge=0, le=2**53, description="Number of the newest registry event that the story covers.")
]


def routes(reader: StoreReader, site: str) -> APIRouter:
    """Return a router with the routes about private variants, claims and removals.

    Args:
        reader: reads the store.
        site: the address under which readers reach the pages; "" for citations without a link.
    """
    router = APIRouter(tags=["models"])

    @router.get("/variants", response_model=StoryDocument)
    def newest() -> Response:
        """What was found about private variants, claims, withdrawn scores and removals, over the whole registry."""
        with reader.connect() as connection:
            found = public_story(reader, connection, *newest_story(reader, connection), site)
        return json_response(found, REVALIDATE)  # alerts may be added

    @router.get("/snapshots/{snapshot}/variants/{events}", response_model=StoryDocument)
    def one(snapshot: SnapshotParam, events: EventParam) -> Response:
        """The story as it was at one snapshot and one registry event.

        Later responses differ from earlier ones in two ways only: they have newer alerts, and the names of models that
        were released in the meantime.
        """
        with reader.connect() as connection:
            found = public_story(reader, connection, snapshot, events, site)
        return json_response(found, REVALIDATE)

    return router
