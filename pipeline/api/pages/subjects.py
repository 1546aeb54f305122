"""Models and providers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from pipeline.api import models
from pipeline.api.models import ModelName, ProviderName
from pipeline.api.pages.rendering import Drawn, Templates
from pipeline.api.problems import not_found
from pipeline.api.reader import WHILE_IT_HOLDS, Reader
from pipeline.api.snapshots import VIEWS
from pipeline.store.read import page_queries

# Alerts shown on a page that is about something else.
_ALERTS = 20
_REGISTRY = (
    "provider", "family", "visibility", "license", "submitted_at", "released_at", "released_as", "variants_tested",
    "deprecated_at", "retracted_at",
)  # fmt: skip


def routes(reader: Reader, templates: Templates) -> APIRouter:
    """The pages."""
    router = APIRouter()

    @router.get("/model")
    def model(model: ModelName) -> Response:
        with reader.read() as connection:
            about = models.about(connection, model)
            points = models.points(reader, connection, about["model"], "defended")
            alerts = page_queries.list_alerts(connection, _ALERTS, subject_kind="model", subject=about["model"])
            named = page_queries.list_alerts_naming(connection, about["model"], _ALERTS)
        rows = [about[view] for view in VIEWS if about[view]]
        both = about["raw"] and about["defended"]
        gain = round(about["raw"]["rating"] - about["defended"]["rating"], 2) if both else 0.0
        return templates.page(
            "model", WHILE_IT_HOLDS, model=about, points=points, drawn=Drawn.of(rows) if rows else None,
            raw_gain=gain if abs(gain) >= 0.05 else None, alerts=[one for _, one in alerts], named=named,
            registry=[(name, about[name]) for name in _REGISTRY],
        )  # fmt: skip

    @router.get("/providers")
    def providers() -> Response:
        with reader.read() as connection:
            every = models.every(connection)
        found = [_provider(name, every) for name in {one["provider"] for one in every} if name is not None]
        found.sort(key=lambda one: (-one["share"], one["provider"]))
        return templates.page("providers", WHILE_IT_HOLDS, providers=found)

    @router.get("/provider")
    def provider(provider: ProviderName) -> Response:
        with reader.read() as connection:
            every = models.every(connection)
            mine = [one for one in every if one["provider"] == provider]
            if not mine:
                raise not_found("the name of a provider in the registry", provider)
            facts = reader.providers(connection).get(provider)
            alerts = page_queries.list_alerts(connection, _ALERTS, subject_kind="provider", subject=provider)
            for one in mine:
                alerts += page_queries.list_alerts(connection, _ALERTS, subject_kind="model", subject=one["model"])
        battles = _battles(every)
        for one in mine:
            one["share"] = one["defended"]["votes"] / battles if one["defended"] and battles else 0.0
        mine.sort(key=lambda one: (one["defended"]["rank"] if one["defended"] else 10**9, one["model"]))
        alerts.sort(key=lambda one: one[0], reverse=True)
        return templates.page(
            "provider", WHILE_IT_HOLDS, provider=_provider(provider, every), models=mine,
            alerts=[one for _, one in alerts], facts=facts,
        )  # fmt: skip

    return router


def _provider(name: str, every: list[dict[str, Any]]) -> dict[str, Any]:
    mine = [one for one in every if one["provider"] == name]
    rated = sorted((one["defended"] for one in mine if one["defended"]), key=lambda row: row["rank"])
    battles = _battles(every)
    return {
        "provider": name,
        "models": len(mine),
        "unreleased": sum(one["released_at"] is None for one in mine),
        # A battle between two models of one provider is two of its places.
        "share": sum(row["votes"] for row in rated) / battles if battles else 0.0,
        "best": rated[0] if rated else None,
    }


def _battles(every: list[dict[str, Any]]) -> int:
    """Places in battles: every battle has two."""
    return sum(one["defended"]["votes"] for one in every if one["defended"])
