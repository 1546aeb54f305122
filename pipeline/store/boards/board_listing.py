"""Which rows of a board readers see, by the method that the snapshot states.

Rows are signed as they were rated; listing only hides and marks. Models under test and models with few votes are not
listed, and keep their rank, so that a gap in the ranks shows a model that is not listed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.vocabulary.method_rules import SENTENCES

Row = dict[str, Any]


def list_rows(body: Mapping[str, Any], rows: Iterable[Row]) -> list[Row]:
    """Return the rows that are listed, in the same order, each with `preliminary`: whether its votes are few."""
    listing = body.get("method", {}).get("listing", {})
    hidden, least = set(listing.get("hidden", ())), listing.get("least_votes", 0)
    marked = listing.get("preliminary_votes", 0)
    return [
        {**row, "preliminary": row["votes"] < marked}
        for row in rows
        if row["model"] not in hidden and row["votes"] >= least
    ]


def is_hidden(body: Mapping[str, Any], model: str) -> bool:
    """Return whether a model is under test, so that no page names it."""
    return model in body.get("method", {}).get("listing", {}).get("hidden", ())


def list_unrated(body: Mapping[str, Any], unrated: Iterable[Row]) -> list[Row]:
    """Return the unrated models that are listed with their reasons."""
    return [one for one in unrated if not is_hidden(body, one["model"])]


def listing_notes(body: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """Return sentences on the rows of a board that are not listed, and on those that are preliminary."""
    listing = body.get("method", {}).get("listing", {})
    hidden = sum(is_hidden(body, row["model"]) for row in rows)
    least, marked = listing.get("least_votes", 0), listing.get("preliminary_votes", 0)
    few = sum(row["votes"] < least and not is_hidden(body, row["model"]) for row in rows)
    preliminary = sum(row["preliminary"] for row in list_rows(body, rows))
    notes = []
    if hidden:
        notes.append(f"{_models(hidden)} under test {'is' if hidden == 1 else 'are'} rated and not listed")
    if few:
        notes.append(f"{_models(few)} with fewer than {least:,} votes {'is' if few == 1 else 'are'} not listed")
    if preliminary:
        what = "is" if preliminary == 1 else "are"
        notes.append(f"{_models(preliminary)} with fewer than {marked:,} votes {what} marked as preliminary")
    return notes


def method_notes(body: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each rule of the method that leaves votes out of the defended view and the boards."""
    stated = body.get("method", {})
    return [
        f"{votes:,} {'vote' if votes == 1 else 'votes'} {SENTENCES[rule]} left out by the rule {rule} of the method "
        f"{stated['name']}"
        for rule, votes in stated.get("left_out", {}).items()
        if votes
    ]


def _models(number: int) -> str:
    return f"{number:,} {'model' if number == 1 else 'models'}"
