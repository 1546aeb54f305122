"""Defines the web pages about models and providers."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline import incident_text
from pipeline.api.battle_records import read_records_of
from pipeline.api.cache_policies import REVALIDATE
from pipeline.api.costly_work import CostlyWork
from pipeline.api.error_responses import not_found
from pipeline.api.incident_views import IncidentFilter, list_incidents
from pipeline.api.model_summaries import REGISTRY_FIELDS, ModelList, find_model, list_models, model_history
from pipeline.api.pages.page_templates import IntervalScale, PageTemplates
from pipeline.api.pages.provider_sentences import board_sentences, fact_sentences
from pipeline.api.request_params import VIEWS, ModelParam, ProviderParam, View
from pipeline.api.store_reader import StoreReader
from pipeline.store.boards import snapshots
from pipeline.store.read import page_queries

# Alerts of one subject listed on the page of a provider, and of those that name a model on its page, at most.
_ALERTS, _NAMING = 20, 200


def routes(reader: StoreReader, templates: PageTemplates, costly: CostlyWork) -> APIRouter:
    """Return a router with the routes of the pages about models and providers."""
    router = APIRouter()

    @router.get("/model")
    def model(model: ModelParam) -> Response:
        with reader.connect() as connection:
            found, hidden = find_model(reader, connection, model), reader.hidden(connection)
            history = {view: model_history(reader, connection, found["model"], view) for view in VIEWS}
            records = _own_records(reader, connection, found["model"])
            # In any role: its own alerts, and those about voters for or against it.
            alerts = page_queries.list_alerts(connection, _NAMING + 1, hidden=hidden, subject=found["model"])
            incidents = list_incidents(connection, IncidentFilter(subject=found["model"]), hidden, operator=False)
        rows = [found[view] for view in VIEWS if found[view]]
        both = found["raw"] and found["defended"]
        gain = round(found["raw"]["rating"] - found["defended"]["rating"], 2) if both else 0.0
        return templates.page(
            "model", REVALIDATE, model=found, points=_points(history), records=records,
            scale=IntervalScale.covering(rows) if rows else None,
            raw_gain=gain if abs(gain) >= 0.05 else None, alerts=[one for _, one in alerts[:_NAMING]],
            more_alerts=len(alerts) > _NAMING, incidents=sorted(incidents, key=incident_text.urgency),
            charted=bool(history["raw"] or history["defended"]), stored=[view for view in VIEWS if history[view]],
            registry=[(name, found[name]) for name in REGISTRY_FIELDS],
        )  # fmt: skip

    @router.get("/providers")
    def providers() -> Response:
        with reader.connect() as connection:
            listed = list_models(reader, connection)
        names = {one["provider"] for one in listed.models} | listed.under_test.keys()
        found = [_provider(name, listed) for name in names if name is not None]
        found.sort(key=lambda one: (-one["share"], one["provider"]))
        return templates.page("providers", REVALIDATE, providers=found)

    @router.get("/provider")
    async def provider(request: Request, provider: ProviderParam) -> Response:
        return await costly.run(request, lambda: _provider_page(reader, templates, provider))

    return router


def _own_records(reader: StoreReader, connection: Connection, model: str) -> list[dict[str, Any]] | None:
    """Return a model's battles with each opponent, most battles first; None if no refresh has counted them."""
    newest = snapshots.latest(connection)
    records = None if newest is None else read_records_of(reader, connection, newest, model)
    return None if records is None else sorted(records, key=lambda one: -one["votes"])


def _points(history: Mapping[View, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the snapshots with a row of the model, oldest first.

    A snapshot has the model's row in each view, None for a view without the model.
    """
    by_snapshot: dict[int, dict[str, Any]] = {}
    for view, rows in history.items():
        for row in rows:
            named = {name: row[name] for name in ("sequence", "snapshot", "data_until")}
            point = by_snapshot.setdefault(row["sequence"], {**named, **dict.fromkeys(VIEWS)})
            point[view] = row
    return [by_snapshot[sequence] for sequence in sorted(by_snapshot)]


def _provider_page(reader: StoreReader, templates: PageTemplates, provider: str) -> Response:
    with reader.connect() as connection:
        listed, hidden = list_models(reader, connection), reader.hidden(connection)
        if not listed.has_provider(provider):
            raise not_found("the name of a provider in the registry", provider)
        own = [one for one in listed.models if one["provider"] == provider]
        facts = reader.provider(connection, provider)
        subjects = [("provider", provider), *(("model", one["model"]) for one in own)]
        alerts = [
            alert
            for kind, subject in subjects
            for alert in page_queries.list_alerts(
                connection, _ALERTS, hidden=hidden, subject_kind=kind, subject=subject
            )
        ]
        named = {provider, *(one["model"] for one in own)}
        incidents = [
            one
            for one in list_incidents(connection, IncidentFilter(), hidden, operator=False)
            if named & set(one["named"])
        ]
    total = _counted_votes(listed.models)
    for one in own:
        one["share"] = one["defended"]["votes"] / total if one["defended"] and total else 0.0
    own.sort(key=lambda one: (one["defended"]["rank"] if one["defended"] else 10**9, one["model"]))
    alerts.sort(key=lambda one: one[0], reverse=True)
    sentences = [
        *board_sentences(own, listed.under_test.get(provider, 0)),
        *fact_sentences(provider, facts["facts"] if facts else ()),
    ]
    return templates.page(
        "provider", REVALIDATE, provider=_provider(provider, listed), models=own, sentences=sentences,
        alerts=[one for _, one in alerts], facts=facts, incidents=sorted(incidents, key=incident_text.urgency),
    )  # fmt: skip


def _provider(name: str, listed: ModelList) -> dict[str, Any]:
    own = [one for one in listed.models if one["provider"] == name]
    rated = sorted((one["defended"] for one in own if one["defended"]), key=lambda row: row["rank"])
    total, under_test = _counted_votes(listed.models), listed.under_test.get(name, 0)
    return {
        "provider": name,
        "models": len(own) + under_test,
        "under_test": under_test,
        "unreleased": sum(one["released_at"] is None for one in own) + under_test,
        "share": sum(row["votes"] for row in rated) / total if total else 0.0,
        "best": rated[0] if rated else None,
    }


def _counted_votes(models: list[dict[str, Any]]) -> int:
    """Return the votes of all models in the defended view. A battle counts twice, once for each of its models."""
    return sum(one["defended"]["votes"] for one in models if one["defended"])
