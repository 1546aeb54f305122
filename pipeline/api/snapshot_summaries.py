"""Converts snapshots to JSON: the facts about a snapshot, and the rows of its views joined by model."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.request_params import VIEWS, View
from pipeline.api.store_reader import StoreReader
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.vocabulary.coverage_notes import coverage_notes
from pipeline.vocabulary.time import format_rfc3339

_ORDER: tuple[View, ...] = ("defended", "raw", "style")


def summarize_snapshot(reader: StoreReader, connection: Connection, snapshot: PublishedSnapshot) -> dict[str, Any]:
    """Return the facts about a snapshot without its body, with the fields of `SnapshotDocument`."""
    body = snapshot.body
    return {
        "snapshot": snapshot.snapshot_id,
        **{name: getattr(snapshot, name) for name in ("sequence", "previous", "digest")},
        "published_at": format_rfc3339(snapshot.published_at),
        "data_until": reader.data_until_text(connection, snapshot.log_size),
        "log_size": snapshot.log_size,
        **{name: body[name] for name in ("votes_counted", "votes_excluded", "votes_flagged")},
        "coverage": body.get("coverage"),
        "notes": coverage_notes(body.get("coverage"), body["views"]["raw"]["votes"]),
        "views": sorted(body["views"]),
        "boards": sorted(body.get("boards", {})),
        "method": body["method"]["name"] if "method" in body else None,
        "left_out": dict(body["method"]["left_out"]) if "method" in body else {},
    }


def join_views(rows: Mapping[View, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Join the rows of all views by model.

    Args:
        rows: view → its rows, best first.

    Returns:
        A dictionary for each model, with the fields of `StandingDocument`. The models are in the order of the defended
        view; models that it lacks are last.
    """
    by_model = {view: {row["model"]: row for row in of_view} for view, of_view in rows.items()}
    order = list(dict.fromkeys(row["model"] for view in _ORDER for row in rows.get(view, [])))
    return [{"model": model, **{view: by_model.get(view, {}).get(model) for view in VIEWS}} for model in order]
