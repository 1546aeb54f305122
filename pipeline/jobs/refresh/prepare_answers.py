"""Computes answers of the API at the end of a refresh, and stores them, because a request cannot compute them.

Pages of providers, the story of variants and battles of models are stored, because they need all votes and take too
long for a request. Comparisons of snapshots are stored, because the database role of the API may not read voters.
"""

import logging
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from pipeline.errors import BadInput, Usage
from pipeline.jobs.audits.provider_page import all_provider_pages, audit_providers
from pipeline.jobs.audits.variants_story import variants_story
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, compare_snapshots, snapshot_differences
from pipeline.jobs.refresh.compared_snapshots import ComparedSnapshots
from pipeline.jobs.refresh.diff_steps import changed_rules
from pipeline.jobs.refresh.pair_battles import ModelBattles, battles_name, count_battles
from pipeline.open_store import now
from pipeline.store import Store
from pipeline.store.boards import prepared_answers, snapshots
from pipeline.store.boards.prepared_answers import Kind, moves_name, story_name
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.read import page_queries
from pipeline.store.votes import registry_events

_log = logging.getLogger("integrity.refresh")

# Boards by category and language whose moves are stored for each pair of snapshots; others are compared on request.
_MOST_BOARDS = 50

WEEK = 7.0
"""The number of days over which the web page shows moves by default."""


class StoredMoves(msgspec.Struct):
    """The part of a `BoardDiff` that is stored, because it cannot be computed from the bodies of the two snapshots.

    Attributes:
        moves: the moves of the models.
        votes: number of new votes that the view counts.
        untold: why some points of the moves are None (`missing_points_reason` of the `BoardDiff`).
    """

    moves: tuple[ModelMove, ...]
    votes: int
    untold: str


def prepare_answers(store: Store) -> None:
    """Store the provider pages, the story of variants, comparisons and battles of models for the newest snapshot.

    Nothing is done if there is no snapshot, or if the answers for this snapshot and the present registry are stored
    already. A comparison that fails is left out and logged.
    """
    with store.read() as connection:
        newest = snapshots.latest(connection)
        _, event_no = registry_events.read_since(connection, 0)
        if newest is None or prepared_answers.is_prepared(connection, newest.snapshot_id, event_no):
            return
        audited = audit_providers(connection)
        pages = all_provider_pages(audited)
        answers: dict[tuple[Kind, str], Any] = {("provider", name): page for name, page in pages.items()}
        answers["story", story_name(newest.snapshot_id, event_no)] = variants_story(audited, newest, event_no)
        answers |= _moves(connection, store.files, newest)
        answers |= _battles(connection, store.files, newest)
    with store.write() as connection:
        prepared_answers.replace(connection, newest.snapshot_id, event_no, answers, now())


def read_moves(
    connection: Connection, before: PublishedSnapshot, after: PublishedSnapshot, view: str
) -> BoardDiff | None:
    """Return the stored comparison of two snapshots for the view or board `view`; None if it is not stored."""
    name = moves_name(before.snapshot_id, after.snapshot_id, view)
    stored = prepared_answers.read(connection, name, "moves", "recent_moves")
    if stored is None:
        return None
    found = msgspec.convert(stored, StoredMoves)
    excluded, restored, settings = snapshot_differences(before, after)
    on, off = changed_rules(before, after)
    return BoardDiff(before, after, view, found.moves, excluded, restored, settings, found.votes, found.untold, on, off)


def _battles(
    connection: Connection, files: LedgerFiles, newest: PublishedSnapshot
) -> dict[tuple[Kind, str], ModelBattles]:
    try:
        found = count_battles(connection, files, newest)
    except (BadInput, Usage) as error:
        _log.warning("battles of models are not stored: %s", error)
        return {}
    return {("battles", battles_name(newest.snapshot_id, model)): one for model, one in found.items()}


def _names_of_both(before: PublishedSnapshot, newest: PublishedSnapshot) -> list[str]:
    """Return the views that both snapshots have, and the largest boards by category and language that both have."""
    boards = newest.body.get("boards", {})
    both = sorted(boards.keys() & before.body.get("boards", {}).keys(), key=lambda one: (-boards[one]["votes"], one))
    return [*sorted(newest.body["views"].keys() & before.body["views"].keys()), *both[:_MOST_BOARDS]]


def _moves(connection: Connection, files: LedgerFiles, newest: PublishedSnapshot) -> dict[tuple[Kind, str], Any]:
    last = page_queries.list_snapshots(connection, 1, newest.sequence)
    week = page_queries.earlier_snapshot(
        connection, newest, WEEK, lambda size: page_queries.newest_vote_time(connection, size)
    )
    pairs: dict[str, tuple[Kind, PublishedSnapshot]] = {}
    if week is not None:
        pairs[week.snapshot_id] = ("recent_moves", week)
    pairs |= {one.snapshot_id: ("moves", one) for one in last}
    found: dict[tuple[Kind, str], Any] = {}
    read: dict[tuple[str, ...], ComparedSnapshots] = {}
    for kind, before in pairs.values():
        inputs: ComparedSnapshots | None = None
        names = tuple(_names_of_both(before, newest))
        for view in names:
            try:
                inputs = inputs or ComparedSnapshots.read(connection, files, before, newest, names, read.get(names))
                read[names] = inputs
                diff = compare_snapshots(connection, files, before, newest, view, inputs)
            except (BadInput, Usage) as error:  # the snapshot is published; a reader who asks is told the same
                _log.warning("moves in view %s are not stored: %s", view, error)
                continue
            stored = StoredMoves(diff.moves, diff.votes, diff.missing_points_reason)
            found[kind, moves_name(before.snapshot_id, newest.snapshot_id, view)] = stored
    return found
