"""Serves the page about the method.

The page says which votes the newest snapshot counts, by which rules, and how it rates them. The figures of the page are
read from the signed manifest.
"""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from pipeline.api.cache_policies import UNTIL_PUBLISHED
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.snapshot_summaries import summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.ledger.manifest import Manifest
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.read import log_proofs


def routes(reader: StoreReader, templates: PageTemplates) -> APIRouter:
    """Return a router with the route of the page about the method."""
    router = APIRouter()

    @router.get("/method")
    def method() -> Response:
        with reader.connect() as connection:
            newest = reader.latest(connection)
            manifest = log_proofs.parse_manifest(log_proofs.find_manifest(connection, newest.snapshot_id).body)
            shown = summarize_snapshot(reader, connection, newest)
            values = {
                "snapshot": shown,
                "manifest": manifest,
                "steps": _steps(manifest, shown["votes_excluded"]),
                "listing": newest.body.get("method", {}).get("listing", {}),
                "sha256": newest.body.get("method", {}).get("sha256"),
                "least_board_votes": newest.body.get("method", {}).get("least_board_votes", 0),
                "under_test": len(HiddenModels.of_body(newest.body).names),
                "style": newest.body.get("style", {}),
                "clustered": "intervals" in newest.body,
            }
        return templates.page("method", UNTIL_PUBLISHED, **values)

    return router


def _steps(manifest: Manifest, excluded: int) -> list[dict[str, Any]]:
    """Return the steps from the raw view to the defended view: which votes are left out, and why.

    Args:
        manifest: the manifest of a snapshot.
        excluded: number of votes that its exclusions leave out.

    Returns:
        {"kind", "rule", "votes"} of each step, in order. "votes" is the number of votes that the step leaves out. The
        kind is "rule" for a rule of the method, "exclusions", or "other" for the votes that neither explains.
    """
    by_rule = dict(manifest.method.left_out) if manifest.method is not None else {}
    steps = [{"kind": "rule", "rule": rule, "votes": votes} for rule, votes in by_rule.items()]
    steps.append({"kind": "exclusions", "rule": None, "votes": excluded})
    other = manifest.views.raw.votes - manifest.views.defended.votes - excluded - sum(by_rule.values())
    return steps if not other else [*steps, {"kind": "other", "rule": None, "votes": other}]
