"""Selects the rows of a board that are shown to readers, by the method in the body of the snapshot.

A snapshot contains and signs all rated rows. Rows of models under test and of models with few votes are not listed, so
readers do not see them. A listed row may be marked as preliminary. Ranks are not counted again, so a gap in the ranks
shows that a model is not listed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.vocabulary.method_rules import SENTENCES

Row = dict[str, Any]


def list_rows(body: Mapping[str, Any], rows: Iterable[Row]) -> list[Row]:
    """Return the rows that readers see, in the given order, each with the field `preliminary` added.

    `preliminary` is True for a model with few votes. The method in the body states two numbers of votes. A row with
    fewer votes than the first number is not listed. A row with fewer votes than the second number is preliminary.

    Args:
        body: the body of the snapshot.
        rows: rows of a board of this snapshot.
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
    """Return a copy of one row with the field `preliminary`, or None if readers do not see the row.

    Args:
        body: the body of the snapshot that contains the row. Its method decides whether the row is listed and whether
            it is preliminary, as in `list_rows`.
        row: a row of a board. None gives None.
    """
    return None if row is None else next(iter(list_rows(body, [dict(row)])), None)


def is_hidden(body: Mapping[str, Any], model: str) -> bool:
    """Return whether the body of a snapshot lists a model as under test. No page names such a model."""
    return model in body.get("method", {}).get("listing", {}).get("hidden", ())


def list_unrated(body: Mapping[str, Any], unrated: Iterable[Row]) -> list[Row]:
    """Return the unrated models that readers may see: those that are not under test.

    Args:
        body: the body of the snapshot.
        unrated: rows about models without a rating.
    """
    return [one for one in unrated if not is_hidden(body, one["model"])]


def listing_notes(body: Mapping[str, Any], rows: Sequence[Row], mark: str = "") -> list[str]:
    """Return up to two sentences: how many models of a board are not listed, and how many are preliminary.

    A sentence whose number would be 0 is left out.

    Args:
        body: the body of the snapshot.
        rows: all rows of the board.
        mark: text after the word "preliminary" that shows how the board marks preliminary models, such as " (*)".
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
    """Return sentences that say how many votes each rule of the method left out.

    A rule that left out no vote has no sentence.
    """
    stated, notes = body.get("method", {}), []
    for rule, votes in stated.get("left_out", {}).items():
        many, verb = ("vote", "is") if votes == 1 else ("votes", "are")
        if votes:
            what = f"{votes:,} {many} {SENTENCES[rule]} {verb} left out"
            notes.append(f"{what} by the rule {rule} of the method {stated['name']}")
    return notes


def _models(number: int) -> str:
    return f"{number:,} {'model' if number == 1 else 'models'}"
