"""Verification, the list of addresses, charts, style."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response

from pipeline.api import charts, models
from pipeline.api.ledger import VoteId, found
from pipeline.api.models import ModelName
from pipeline.api.pages.rendering import Templates
from pipeline.api.problems import not_found
from pipeline.api.reader import SETTLED, UNTIL_PUBLISHED, Reader
from pipeline.api.request_params import SnapshotId
from pipeline.errors import Usage
from pipeline.store.read import log_proofs, vote_receipts

_STATIC = Path(__file__).parents[1] / "static"
_KINDS = {"site.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
# Read once: they are part of the program.
_FILES = {name: (_STATIC / name).read_bytes() for name in _KINDS}
# A file of the program changes with it; whoever has it asks whether it still holds.
_SVG = "image/svg+xml"


def routes(reader: Reader, templates: Templates, app: FastAPI) -> APIRouter:
    """The pages."""
    router = APIRouter()

    @router.get("/verify")
    def verify() -> Response:
        try:
            known, head = log_proofs.read_keys(reader.store), log_proofs.read_checkpoint(reader.store).decode()
        except Usage:  # nothing is published yet
            known, head = (), ""
        return templates.page("verify", UNTIL_PUBLISHED, keys=known, checkpoint=head)

    @router.get("/receipt")
    def receipt(vote: VoteId) -> Response:
        with found():
            shown = vote_receipts.issue_receipt(reader.store, vote)
        return templates.page("receipt", UNTIL_PUBLISHED, receipt=shown)

    @router.get("/api")
    def addresses() -> Response:
        return templates.page("api", UNTIL_PUBLISHED, tags=_addresses(app.openapi()))

    @router.get("/charts/{snapshot}/{name}.svg")
    def chart(
        snapshot: SnapshotId,
        name: Literal["rating", "share"],
        model: ModelName,
        size: Literal["wide", "narrow"] = "wide",
    ) -> Response:
        """A model's history up to a snapshot."""
        with reader.read() as connection:
            newest = reader.snapshot(connection, snapshot).sequence
            views = {view: models.points(reader, connection, model, view) for view in ("defended", "raw")}
        defended, raw = ([row for row in views[view] if row["sequence"] <= newest] for view in ("defended", "raw"))
        if not defended and not raw:
            raise not_found("a model that the snapshot rates", model)
        width = charts.WIDE if size == "wide" else charts.NARROW
        svg = charts.rating(defended, raw, width) if name == "rating" else charts.share(defended, width)
        return Response(svg, media_type=_SVG, headers=SETTLED)

    @router.get("/static/{name}")
    async def static(name: Literal["site.css", "icon.svg"]) -> Response:
        return Response(_FILES[name], media_type=_KINDS[name], headers={"cache-control": "public, max-age=300"})

    return router


def _addresses(openapi: dict[str, Any]) -> list[tuple[str, list[tuple[str, str, str, bool]]]]:
    """Every route of the API by its tag: method, path, what it does, and whether it can be opened as it is."""
    found: dict[str, list[tuple[str, str, str, bool]]] = {}
    for path, methods in openapi["paths"].items():
        for method, route in methods.items():
            plain = (
                method == "get" and "{" not in path and not any(p.get("required") for p in route.get("parameters", []))
            )
            line = (method.upper(), path, route.get("description", ""), plain)
            found.setdefault(route["tags"][0], []).append(line)
    return list(found.items())
