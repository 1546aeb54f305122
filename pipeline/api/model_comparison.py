"""Compares two models in the newest snapshot: their ratings, the battles between them, and their rows on each board."""

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.comparison_text import comparison_sentences
from pipeline.api.error_responses import Problem
from pipeline.api.model_summaries import find_model
from pipeline.api.request_params import VIEWS
from pipeline.api.store_reader import StoreReader
from pipeline.jobs.refresh.pair_battles import ModelBattles, Outcomes, read_battles
from pipeline.ratings import POINTS_PER_LOGIT
from pipeline.store.boards import board_listing
from pipeline.store.read import page_queries

_QUANTILE = 1.959964
_SIDES = ("a", "b")


def compare_models(reader: StoreReader, connection: Connection, first: str, second: str) -> dict[str, Any]:
    """Return the comparison of two models with the fields of `ComparisonDocument`.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        first: name of the model `a`.
        second: name of the model `b`, which must be another model.

    Raises:
        Problem: status 404, if no snapshot is published, or a model is unknown or under test. Status 422, if both names
            are of one model.
    """
    newest = reader.latest(connection)
    a, b = (find_model(reader, connection, name) for name in (first, second))
    if a["model"] == b["model"]:
        raise Problem(422, f"query b: expected another model than a, got {second!r}, which names {a['model']!r} too")
    known = read_battles(connection, reader.store.files, newest, a["model"])
    battles = {view: _battles(known, view, b["model"]) for view in ("raw", "defended")}
    difference = _difference(a["defended"], b["defended"], known, b["model"])
    document = {
        "snapshot": newest.snapshot_id,
        "a": _side(a),
        "b": _side(b),
        "battles": battles,
        "difference": difference,
        "expected": None if difference is None else _expected(difference),
        "boards": _boards(connection, newest.snapshot_id, newest.body, a["model"], b["model"]),
    }
    return document | {"sentences": comparison_sentences(document)}


def expected_score(points: float) -> float:
    """Return the share of battles that a model is expected to win if its rating is `points` higher.

    A tie counts as half a win. The result is from 0 to 1.
    """
    return 1.0 / (1.0 + math.exp(-points / POINTS_PER_LOGIT))


def _side(model: Mapping[str, Any]) -> dict[str, Any]:
    return {name: model[name] for name in ("model", "provider", "unrated", *VIEWS)}


def _battles(known: ModelBattles | None, view: str, other: str) -> dict[str, Any]:
    counts: Outcomes = (0, 0, 0, 0) if known is None else known.views.get(view, {}).get(other, (0, 0, 0, 0))
    won, lost, ties, both_bad = counts
    votes = sum(counts)
    score = round((won + (ties + both_bad) / 2) / votes, 4) if votes else None
    return {"votes": votes, "won_a": won, "won_b": lost, "ties": ties, "both_bad": both_bad, "score_a": score}


def _difference(
    a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, known: ModelBattles | None, other: str
) -> dict[str, Any] | None:
    """Return the difference of two defended ratings with its standard error and interval, in points.

    The fit computes the standard error as if all votes were independent. Clustered intervals allow for dependence
    between the votes of one voter. If both models have clustered intervals that are wider than the plain intervals, the
    error is multiplied by the ratio of the widths.

    Args:
        a, b: the models' rows in the defended view; None for a model without a rating.
        known: the battles of the first model, with the standard errors; None if they are not stored.
        other: name of the second model.

    Returns:
        The fields of `DifferenceDocument`; None if a rating or the standard error is missing.
    """
    error = None if known is None else known.errors.get(other)
    if a is None or b is None or error is None:
        return None
    clustered = all(row["clustered_upper"] is not None for row in (a, b))
    if clustered:
        plain, wide = (_squared_widths(a, b, prefix) for prefix in ("", "clustered_"))
        error *= max(1.0, math.sqrt(wide / plain)) if plain > 0 else 1.0
    points = a["rating"] - b["rating"]
    margin = _QUANTILE * error
    return {
        "points": round(points, 2),
        "error": round(error, 2),
        "lower": round(points - margin, 2),
        "upper": round(points + margin, 2),
        "clustered": clustered,
        "separated": abs(points) > margin,
        "votes_factor": round((margin / points) ** 2, 2) if points and abs(points) <= margin else None,
    }


def _squared_widths(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str) -> float:
    return sum(float(row[f"{prefix}upper"] - row[f"{prefix}lower"]) ** 2 for row in (a, b))


def _expected(difference: Mapping[str, Any]) -> dict[str, float]:
    score = expected_score(difference["points"])
    return {
        "score_a": round(score, 4),
        "error": round(score * (1 - score) * difference["error"] / POINTS_PER_LOGIT, 4),
        "lower": round(expected_score(difference["lower"]), 4),
        "upper": round(expected_score(difference["upper"]), 4),
    }


def _boards(
    connection: Connection, snapshot_id: str, body: Mapping[str, Any], first: str, second: str
) -> list[dict[str, Any]]:
    """Return the ratings of both models on each board by category or language that lists both.

    The boards are sorted by rating of the first model minus rating of the second, the smallest difference first.
    """
    rows = page_queries.read_label_rows(connection, snapshot_id, (first, second))
    found = []
    for board, of_board in rows.items():
        listed = {row["model"]: row for row in board_listing.list_rows(body, of_board)}
        if first in listed and second in listed:
            a, b = listed[first], listed[second]
            apart = a["lower"] > b["upper"] or a["upper"] < b["lower"]
            ratings = {f"rating_{side}": row["rating"] for side, row in zip(_SIDES, (a, b), strict=True)}
            points = round(a["rating"] - b["rating"], 2)
            found.append({"board": board, **ratings, "points": points, "apart": apart})
    return sorted(found, key=lambda one: (one["points"], one["board"]))
