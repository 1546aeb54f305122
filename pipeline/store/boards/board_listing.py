"""Decides which rows of a board readers see, by the method in the body of the snapshot.

A snapshot contains and signs all rated rows. Listing hides some of them from readers, and marks others as preliminary.
Models under test and models with few votes are not listed. Ranks are not counted again, so a gap in the ranks shows
that a model is not listed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.vocabulary.method_rules import SENTENCES

Row = dict[str, Any]


def list_rows(body: Mapping[str, Any], rows: Iterable[Row]) -> list[Row]:
    """Return the listed rows, in the same order. Each gets the field `preliminary`, True for a model with few votes.

    Args:
        body: the body of the snapshot. Its method states two numbers of votes: with fewer than the first, a row is not
            listed; with fewer than the second, it is preliminary.
        rows: rows of a board.
    """
    listing = body.get("method", {}).get("listing", {})
    hidden, least = set(listing.get("hidden", ())), listing.get("least_votes", 0)
    marked = listing.get("preliminary_votes", 0)
    return [
        {**row, "preliminary": row["votes"] < marked}
        for row in rows
        if row["model"] not in hidden and row["votes"] >= least
    ]


def list_row(body: Mapping[str, Any], row: Mapping[str, Any] | None) -> Row | None:
    """Return a copy of one row with the field `preliminary`, or None if the row is not listed.

    Args:
        body: the body of the snapshot that contains the row. Its method decides whether the row is listed, and whether
            it is preliminary: True for a model with few votes (`list_rows`).
        row: a row of a board. For None, None is returned.
    """
    return None if row is None else next(iter(list_rows(body, [dict(row)])), None)


def is_hidden(body: Mapping[str, Any], model: str) -> bool:
    """Return whether a model is under test, according to the body of a snapshot. No page names such a model."""
    return model in body.get("method", {}).get("listing", {}).get("hidden", ())


def list_unrated(body: Mapping[str, Any], unrated: Iterable[Row]) -> list[Row]:
    """Return those rows in `unrated` whose models are not under test, according to the body of the snapshot."""
    return [one for one in unrated if not is_hidden(body, one["model"])]


def listing_notes(body: Mapping[str, Any], rows: Sequence[Row], mark: str = "") -> list[str]:
    """Return sentences that say how many models are not listed, and how many are preliminary.

    A sentence whose number would be 0 is left out.

    Args:
        body: the body of the snapshot.
        rows: all rows of the board.
        mark: text after the word "preliminary". It shows how the board marks preliminary models, for example " (*)".
    """
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
        notes.append(f"{_models(preliminary)} with fewer than {marked:,} votes {what} preliminary{mark}")
    return notes


def method_notes(body: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each rule of the method that left out at least one vote, with the number of these votes."""
    stated, notes = body.get("method", {}), []
    for rule, votes in stated.get("left_out", {}).items():
        many, verb = ("vote", "is") if votes == 1 else ("votes", "are")
        if votes:
            what = f"{votes:,} {many} {SENTENCES[rule]} {verb} left out"
            notes.append(f"{what} by the rule {rule} of the method {stated['name']}")
    return notes


def _models(number: int) -> str:
    return f"{number:,} {'model' if number == 1 else 'models'}"
