"""Recomputing everything that is published, from the votes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.errors import VerificationFailed
from pipeline.jobs.counting import VIEWS, board, by_model, inputs, rows_of
from pipeline.jobs.opening import opened
from pipeline.jobs.styling import same_coefficients, style_view
from pipeline.settings import Settings
from pipeline.store import seals, snapshots

# Half of the last digit that is published, and a little for the way there and back.
_ROUNDING = 0.0051


def verify(store: str) -> dict[str, Any]:
    """Recompute everything that is published from the votes.

    Returns:
        {"segments", "votes", "snapshots"} that were checked.

    Raises:
        VerificationFailed: names the first thing that does not follow from the votes.
    """
    with opened(store) as it, it.read() as connection:
        segments = 0
        for number, digest, found, counted, recounted in seals.recount(connection):
            if digest != found:
                raise VerificationFailed(f"segment {number}: expected digest {digest}, its votes give {found}")
            if not np.array_equal(counted.pairs, recounted.pairs):
                raise VerificationFailed(f"segment {number}: its counts are not those of its votes")
            segments += 1
        if not seals.total_agrees(connection):
            raise VerificationFailed("the sum of all segments, which refreshes read, is not the sum of the segments")
        before = snapshots.GENESIS
        published = snapshots.chain(connection)
        for snapshot in published:
            _verify_snapshot(connection, snapshot, before)
            before = snapshot.digest
        return {"segments": segments, "votes": seals.head(connection)[0], "snapshots": len(published)}


def _verify_snapshot(connection: Connection, snapshot: snapshots.Snapshot, before: str) -> None:
    where = f"snapshot {snapshot.sequence} ({snapshot.snapshot_id[:12]})"
    link = {"snapshot": snapshot.snapshot_id, "sequence": snapshot.sequence, "previous": snapshot.previous}
    if snapshot.previous != before:
        raise VerificationFailed(f"{where}: expected previous {before[:12]}, got {snapshot.previous[:12]}")
    if snapshots.digest_of(snapshot.body) != snapshot.snapshot_id:
        raise VerificationFailed(f"{where}: its body does not have its digest")
    if snapshots.digest_of(link) != snapshot.digest:
        raise VerificationFailed(f"{where}: its link does not have its digest")
    if seals.digest_at(connection, snapshot.log_size) != snapshot.body["log_digest"]:
        raise VerificationFailed(f"{where}: the log at {snapshot.log_size} votes is not the one that it rates")
    found = inputs(connection, snapshot.log_size, snapshot.body["exclusions"])
    options = Settings(**snapshot.body["settings"])
    boards = {view: board(found.views[view], options) for view in VIEWS}
    if "style" in snapshot.body["views"]:
        style = style_view(found.styled, {number: name for name, number in found.model_no.items()}, options)
        if style.board is None or not same_coefficients(style.coefficients, snapshot.body["style"]["coefficients"]):
            raise VerificationFailed(f"{where}, style: its coefficients are not what its votes give")
        boards["style"] = style.board
    for view, again in boards.items():
        _verify_view(connection, snapshot, f"{where}, {view}", view, {row["model"]: row for row in rows_of(again)})


def _verify_view(
    connection: Connection, snapshot: snapshots.Snapshot, where: str, view: str, recomputed: dict[str, dict[str, Any]]
) -> None:
    shown = snapshots.rows(connection, snapshot.snapshot_id, view)
    if snapshots.digest_of({"rows": by_model(shown)}) != snapshot.body["rows"][view]:
        raise VerificationFailed(f"{where}: its rows do not have their digest")
    for row in shown:
        again = recomputed.get(row["model"])
        if again is None or any(abs(row[k] - again[k]) > _ROUNDING for k in ("rating", "lower", "upper", "votes")):
            raise VerificationFailed(f"{where}: {row['model']} is not what its votes give")
