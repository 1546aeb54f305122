"""Reads the ranks of a model before, after and without the votes of an incident, from published snapshots."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.boards import snapshots
from pipeline.store.boards.exclusion_list import ActiveExclusion
from pipeline.store.db import schema


class SnapshotRanks:
    """Looks up the ranks of models in the published snapshots of a store. Each snapshot and view is read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        c = schema.snapshot.c
        query = sa.select(c.snapshot_id, c.published_at).where(c.sequence.is_not(None)).order_by(c.sequence)
        found = connection.execute(query).all()
        self._ids = [str(row.snapshot_id) for row in found]
        self._times = [int(row.published_at) for row in found]
        self._ranks: dict[tuple[str, str], dict[str, int]] = {}
        newest = snapshots.latest(connection)
        self._excluded = {(e["kind"], e["target"]) for e in (newest.body["exclusions"] if newest is not None else ())}

    def of_model(self, model: str, begin: int, end: int) -> dict[str, int | None] | None:
        """Return the ranks of a model before, after and without the votes of an incident.

        Args:
            model: name of the model.
            begin, end: when the incident began and ended, in microseconds since 1970 UTC.

        Returns:
            {"raw", "defended", "before", "after"}, or None if the newest snapshot does not rate the model in both
            views.

            "raw" and "defended" are the ranks in these views of the newest snapshot. "before" is the raw rank in the
            last snapshot published up to `begin`. "after" is the raw rank in the first snapshot published from `end`
            on, or in the newest snapshot if there is none yet. Both are None if one of them is unknown, or if they
            would come from one snapshot.
        """
        if not self._ids:
            return None
        newest = self._ids[-1]
        raw, defended = (self._read(newest, view).get(model) for view in ("raw", "defended"))
        if raw is None or defended is None:
            return None
        first, last = bisect_right(self._times, begin) - 1, min(bisect_left(self._times, end), len(self._ids) - 1)
        before = self._read(self._ids[first], "raw").get(model) if 0 <= first < last else None
        after = self._read(self._ids[last], "raw").get(model)
        known = before is not None and after is not None
        return {
            "raw": raw, "defended": defended, "before": before if known else None, "after": after if known else None,
        }  # fmt: skip

    def await_refresh(self, exclusions: Iterable[ActiveExclusion]) -> bool:
        """Return whether the newest snapshot lacks one of these exclusions, so that a refresh must still apply it."""
        return any((one.kind, one.public) not in self._excluded for one in exclusions)

    def _read(self, snapshot_id: str, view: str) -> dict[str, int]:
        key = (snapshot_id, view)
        if key not in self._ranks:
            rows = snapshots.read_rows(self._connection, snapshot_id, view)
            self._ranks[key] = {str(row["model"]): int(row["rank"]) for row in rows}
        return self._ranks[key]
