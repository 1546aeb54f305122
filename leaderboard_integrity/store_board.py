"""Reads a published board from a store in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from os import PathLike, fspath
from typing import Any, Literal

from leaderboard_integrity import html_text
from leaderboard_integrity.call_words import errors_in_call_words
from leaderboard_integrity.result_table import BoardResult, board_html
from pipeline.errors import Usage
from pipeline.vocabulary.time import from_microseconds, parse_iso8601

View = Literal["raw", "defended", "style"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class StoreBoard(BoardResult):
    """The result of `board`: a published board.

    Attributes:
        rows: the rows of the board, one dictionary for each listed model, best model first.
        snapshot: id of the snapshot.
        sequence: sequence number of the snapshot, 1 for the first.
        published_at: time at which the snapshot was published, in UTC.
        view: name of the view, or `category/LABEL` or `language/LABEL` for the board of a label.
        body: the body of the snapshot, which the signed manifest names by its digest: settings, exclusions, counts and
            verdict.
        notes: sentences that say which models are not on the board and why, and how many votes the method left out.
    """

    rows: tuple[Mapping[str, Any], ...]
    snapshot: str
    sequence: int
    published_at: datetime
    view: str
    body: Mapping[str, Any]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return a text with the title of the board."""
        return f"StoreBoard({self.title})"

    @property
    def title(self) -> str:
        """A line with the snapshot, the view, the time of publication, and the number of models."""
        return (
            f"Snapshot {self.sequence} ({self.snapshot[:12]}), {self.view}, "
            f"{self.published_at:%Y-%m-%d %H:%M} UTC, {len(self.rows):,} models"
        )

    def _repr_html_(self) -> str:
        return html_text.paragraphs([self.title]) + board_html(self.rows) + html_text.bullets(self.notes)


def board(
    store: str | PathLike[str],
    *,
    snapshot: str | None = None,
    at: str | None = None,
    view: View = "defended",
    label: str | None = None,
) -> StoreBoard:
    """Read a published board from a store, by default the newest, as `integrity leaderboard` does.

    Args:
        store: address of the store: postgresql://…, sqlite:///FILE, or the path of a file. No key is needed.
        snapshot: id of the snapshot, or the beginning of the id. None for the newest.
        at: a time (ISO 8601) to read the snapshot that was the newest then. None for the newest now.
        view: "raw" for all votes, "defended" for the votes without exclusions, "style" for the defended votes under
            style control.
        label: `category/LABEL` or `language/LABEL` for the defended board of the votes with this label. None for the
            board of all votes.

    Raises:
        StoreUnavailable: the database does not answer, or there is no store.
        Usage: nothing is published, or the store has no such snapshot, view or board.
    """
    from pipeline.open_store import existing_store  # noqa: PLC0415  # SQL and cryptography, which no file needs
    from pipeline.store.boards import board_listing, snapshot_intervals, snapshots  # noqa: PLC0415

    with errors_in_call_words(), existing_store(fspath(store), with_key=False) as opened, opened.read() as connection:
        found = snapshots.find(connection, snapshot, _time(at))
        summary = _summary(found.body, view, label)
        rated = snapshots.read_rows(connection, found.snapshot_id, label or view)
        rows = board_listing.list_rows(found.body, rated)
        rows = snapshot_intervals.add_intervals(opened.files, found.body, label or view, rows)
    unrated = board_listing.list_unrated(found.body, summary["unrated"])
    notes = [f"not rated: {one['model']}: {one['reason']}" for one in unrated]
    notes += [] if view == "raw" else board_listing.method_notes(found.body)
    notes += board_listing.listing_notes(found.body, rated)
    return StoreBoard(
        rows=tuple(rows),
        snapshot=found.snapshot_id,
        sequence=found.sequence,
        published_at=from_microseconds(found.published_at),
        view=label or view,
        body=found.body,
        notes=tuple(notes),
    )


def _time(text: str | None) -> int | None:
    try:
        return None if text is None else parse_iso8601(text)
    except ValueError as error:
        raise Usage(f"at: {error}") from None


def _summary(body: Mapping[str, Any], view: str, label: str | None) -> dict[str, Any]:
    """Return what a snapshot states of a view, or of the board of a label.

    Raises:
        Usage: the snapshot has no such view or board. The message says why.
    """
    if label is None:
        if view not in body["views"]:
            reason = body.get("style", {}).get("reason", f"it has {', '.join(body['views'])}")
            raise Usage(f"expected a snapshot with a view {view}, got none: {reason}")
        return dict(body["views"][view])
    if view != "defended":
        raise Usage(f"label: expected it with the view defended, the only one of a board by label, got view {view}")
    known = body.get("boards", {})
    if label not in known:
        reason = body.get("boards_left_out", {}).get(label, f"it has {', '.join(sorted(known)) or 'no such boards'}")
        raise Usage(f"label: expected a board of the snapshot, got {label}: {reason}")
    return dict(known[label])
