"""Defines the web pages about verification: how to verify a snapshot, and the receipt of a vote."""

from fastapi import APIRouter
from fastapi.responses import Response

from pipeline.api.cache_policies import UNTIL_PUBLISHED
from pipeline.api.ledger_routes import usage_as_problem
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.request_params import VoteParam
from pipeline.api.store_reader import StoreReader
from pipeline.errors import Usage
from pipeline.store.read import log_proofs, vote_receipts


def routes(reader: StoreReader, templates: PageTemplates) -> APIRouter:
    """Return a router with the routes of the pages about verification and receipts."""
    router = APIRouter()

    @router.get("/verify")
    def verify() -> Response:
        try:
            keys, checkpoint = log_proofs.read_keys(reader.store), log_proofs.read_checkpoint(reader.store).decode()
        except Usage:  # nothing is published yet
            keys, checkpoint = (), ""
        return templates.page("verify", UNTIL_PUBLISHED, keys=keys, checkpoint=checkpoint)

    @router.get("/receipt")
    def receipt(vote: VoteParam) -> Response:
        with usage_as_problem():
            found = vote_receipts.issue_receipt(reader.store, vote)
        return templates.page("receipt", UNTIL_PUBLISHED, receipt=found)

    return router
