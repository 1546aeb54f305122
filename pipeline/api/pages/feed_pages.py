"""Serves the Atom feeds about snapshots, moves and incidents. Pages name them with <link rel="alternate">."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline.api.atom_feed import MEDIA_TYPE, Feed, FeedEntry, write_feed
from pipeline.api.cache_policies import REVALIDATE, UNTIL_PUBLISHED
from pipeline.api.costly_work import CostlyWork
from pipeline.api.pages import feed_entries
from pipeline.api.store_reader import StoreReader

_Entries = Callable[[Connection], list[FeedEntry]]


def routes(reader: StoreReader, costly: CostlyWork, site: str) -> APIRouter:
    """Return a router with the routes of the Atom feeds.

    Args:
        reader: reads the store.
        costly: runs costly requests.
        site: the address of the site, with which links begin; "" for links without a host.
    """
    router = APIRouter()

    async def answer(request: Request, title: str, page: str, entries: _Entries, policy: Mapping[str, str]) -> Response:
        def write() -> Response:
            with reader.connect() as connection:
                board = reader.board_name(connection)
                hidden = reader.hidden(connection)
                told = [
                    replace(one, title=hidden.text(one.title), text=hidden.text(one.text))
                    for one in entries(connection)
                ]
                feed = Feed(board, f"{board}: {title}", request.scope["path"], page, told)
            return Response(write_feed(feed, site), media_type=MEDIA_TYPE, headers=dict(policy))

        return await costly.run(request, write)

    @router.get("/feeds/snapshots.atom")
    async def of_snapshots(request: Request) -> Response:
        def entries(connection: Connection) -> list[FeedEntry]:
            return feed_entries.snapshot_entries(reader, connection)

        return await answer(request, "snapshots", "/snapshots", entries, UNTIL_PUBLISHED)

    @router.get("/feeds/moves.atom")
    async def of_moves(request: Request) -> Response:
        return await answer(request, "moves", "/changes", feed_entries.move_entries, UNTIL_PUBLISHED)

    @router.get("/feeds/incidents.atom")
    async def of_incidents(request: Request) -> Response:
        def entries(connection: Connection) -> list[FeedEntry]:
            return feed_entries.incident_entries(reader, connection)

        return await answer(request, "incidents", "/incidents", entries, REVALIDATE)

    return router
