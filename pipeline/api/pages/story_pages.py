"""Serves the page about private variants, claims, withdrawn scores and removals.

Each story also has a permanent address.
"""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.engine import Connection

from pipeline.api.cache_policies import REVALIDATE, UNTIL_PUBLISHED
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.public_stories import newest_story, public_story
from pipeline.api.request_params import SnapshotParam
from pipeline.api.store_reader import StoreReader
from pipeline.api.story_routes import EventParam

_FOUND = {
    "variants_at_once": "private variants",
    "best_variant_shown": "the choice of a variant",
    "other_model_released": "another model than the tested one",
    "claims": "claims that do not reproduce",
    "withdrawn_scores": "withdrawn scores",
    "silent_removals": "models removed in silence",
}
"""Name of a check → what it found, in short."""


def routes(reader: StoreReader, templates: PageTemplates) -> APIRouter:
    """Return a router with the routes of the page about private variants, claims and removals."""
    router = APIRouter()

    @router.get("/variants")
    def newest() -> Response:
        with reader.connect() as connection:
            return _page(connection, *newest_story(reader, connection), newest=True)

    @router.get("/snapshots/{snapshot}/variants")
    def of_snapshot(snapshot: SnapshotParam) -> Response:
        with reader.connect() as connection:
            _, events = newest_story(reader, connection, snapshot)
        return RedirectResponse(f"/snapshots/{snapshot}/variants/{events}", 307, headers=UNTIL_PUBLISHED)

    @router.get("/snapshots/{snapshot}/variants/{events}")
    def one(snapshot: SnapshotParam, events: EventParam) -> Response:
        with reader.connect() as connection:
            return _page(connection, snapshot, events, newest=False)

    def _page(connection: Connection, snapshot: str, events: int, *, newest: bool) -> Response:
        story = public_story(reader, connection, snapshot, events, templates.site)
        return templates.page("story", REVALIDATE, story=story, newest=newest, found_in_short=_FOUND)

    return router
