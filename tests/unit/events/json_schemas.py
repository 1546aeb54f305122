"""The JSON Schema of each event, generated from the class that decodes it."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.events.registry_events import RegistryEvent
from pipeline.events.vote import SCHEMA, Vote


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return file name → JSON Schema (draft 2020-12) of the events on each topic."""
    vote = msgspec.json.schema(Vote)
    registry = msgspec.json.schema(RegistryEvent)
    for definition in (*vote["$defs"].values(), *registry["$defs"].values()):
        if "schema" in definition["properties"]:
            definition["properties"]["schema"] = {"const": SCHEMA}
    return {
        "vote.schema.json": _titled(vote, "vote, schema 1: one outcome of one battle"),
        "registry.schema.json": _titled(registry, "registry event, schema 1"),
    }


def _titled(schema: dict[str, Any], title: str) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}
