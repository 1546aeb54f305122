"""Renders the web pages on the server. They work without JavaScript; with it, a board is filtered in place.

Text from votes, the registry or people is escaped. A page shows only data that the API also returns, and links to the
API address of these data. A reader who is not signed in gets the public form and can change nothing. Every figure in a
picture is also on the page as text.

    page_templates.py      renders templates, and formats figures
    board_pages.py         serves boards, snapshots, and the moves of models between snapshots
    board_values.py        reads what the page of a board shows
    board_headline.py      finds the facts for the first lines of the page of a board
    board_filter.py        selects, sorts and divides into pages the lines of a board
    model_pages.py         serves models and providers
    battle_pages.py        serves the battles between the best models, as charts and tables
    incident_pages.py      serves incidents, and the preview of a decision
    incident_timeline.py   lists what happened in an incident, by time
    incident_choices.py    finds what operators can decide about an incident, and which votes still count
    incident_actions.py    carries out what operators decide in forms
    sign_in_pages.py       signs operators in and out
    reader_bar.py          returns the cache headers of pages, and the values of the bar that shows who is signed in
    alert_pages.py         serves alerts and exclusions
    verification_pages.py  serves the page on how to verify, and receipts
    comparison_pages.py    serves the comparison of two models, and its chart
    card_pages.py          serves share cards
    embed_pages.py         serves badges, the embeddable table, and the page that explains both
    feed_pages.py          serves the Atom feeds
    feed_entries.py        writes the entries of the feeds about snapshots, moves and incidents
    provider_sentences.py  writes what is known about a provider as sentences
    story_pages.py         serves the page about private variants, claims and removals
    method_pages.py        serves the page about the method of the newest snapshot
    glossary_pages.py      serves the glossary
    runbook_pages.py       serves the runbooks of alert rules and incidents
    site_pages.py          serves the list of API addresses, charts, static files
"""

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import HTMLResponse

from pipeline.api.change_token import ChangeToken
from pipeline.api.costly_work import CostlyWork
from pipeline.api.page_sessions import PageSessions
from pipeline.api.pages import (
    alert_pages,
    battle_pages,
    board_pages,
    card_pages,
    comparison_pages,
    embed_pages,
    feed_pages,
    glossary_pages,
    incident_actions,
    incident_pages,
    method_pages,
    model_pages,
    runbook_pages,
    sign_in_pages,
    site_pages,
    story_pages,
    verification_pages,
)
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.request_params import reject_unknown_params
from pipeline.api.store_reader import StoreReader

__all__ = ["routes"]


def routes(
    reader: StoreReader, templates: PageTemplates, costly: CostlyWork, changes: ChangeToken, app: FastAPI
) -> APIRouter:
    """Return a router with the routes of all pages."""
    router = APIRouter(
        include_in_schema=False, default_response_class=HTMLResponse, dependencies=[Depends(reject_unknown_params)]
    )
    sessions = PageSessions()
    router.include_router(alert_pages.routes(reader, templates, sessions))
    router.include_router(verification_pages.routes(reader, templates))
    for mixed in (board_pages, battle_pages, model_pages, comparison_pages):
        router.include_router(mixed.routes(reader, templates, costly))
    router.include_router(incident_pages.routes(reader, templates, costly, sessions))
    router.include_router(incident_actions.routes(reader, sessions, changes))
    router.include_router(sign_in_pages.routes(reader, templates, sessions))
    router.include_router(card_pages.routes(reader, costly))
    router.include_router(embed_pages.routes(reader, templates))
    router.include_router(feed_pages.routes(reader, costly, templates.site))
    router.include_router(story_pages.routes(reader, templates))
    router.include_router(method_pages.routes(reader, templates))
    router.include_router(glossary_pages.routes(templates))
    router.include_router(runbook_pages.routes(templates))
    router.include_router(site_pages.routes(reader, templates, costly, app))
    return router
