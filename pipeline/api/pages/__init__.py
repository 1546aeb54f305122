"""The pages: made on the server, useful without JavaScript.

Laws: every text that came from outside is escaped; a page shows nothing that the API does not tell too, and links to
it; a picture is never the only place of a figure.

    rendering.py   templates, and how figures look
    boards.py      the board, snapshots, what moved
    subjects.py    models, providers
    evidence.py    alerts and exclusions
    about.py       verification, the list of addresses, charts, style
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import HTMLResponse

from pipeline.api.pages import about, boards, evidence, subjects
from pipeline.api.pages.rendering import Templates
from pipeline.api.reader import Reader
from pipeline.api.request_params import nothing_else

__all__ = ["Templates", "routes"]


def routes(reader: Reader, templates: Templates, app: FastAPI) -> APIRouter:
    """Every page."""
    router = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, dependencies=[Depends(nothing_else)]
    )
    for part in (boards, subjects, evidence):
        router.include_router(part.routes(reader, templates))
    router.include_router(about.routes(reader, templates, app))
    return router
