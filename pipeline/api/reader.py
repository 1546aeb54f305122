"""The store as readers see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from cachetools import LRUCache, cachedmethod
from sqlalchemy.engine import Connection

from pipeline.api.problems import Problem, not_found
from pipeline.jobs.audits.provider_page import all_provider_pages
from pipeline.store import Store
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries
from pipeline.vocabulary.time import format_rfc3339

FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
"""Of what a digest names."""

SETTLED = {"cache-control": "public, max-age=300", "x-cache-until": "forever"}
"""Of what this program makes of snapshots, in words or pictures: the same for as long as the program is."""

WHILE_IT_HOLDS = {"cache-control": "no-cache"}
"""Of what the next snapshot, alert or exclusion may change: ask whether it still holds."""

UNTIL_PUBLISHED = {**WHILE_IT_HOLDS, "x-cache-until": "published"}
"""Of what alerts and exclusions do not change, the next snapshot and the registry do."""

NEVER = {"cache-control": "no-store"}

# Sizes of the log whose newest vote is remembered: a year of hourly snapshots.
_SIZES = 10_000


@dataclass
class Reader:
    """What every route reads with.

    Attributes:
        store: open.
    """

    store: Store
    _facts: tuple[object, dict[str, dict[str, Any]]] = (None, {})
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _until: LRUCache[int, int | None] = field(default_factory=lambda: LRUCache(_SIZES))
    _until_lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One moment of the store."""
        with self.store.read() as connection:
            yield connection

    def snapshot(self, connection: Connection, snapshot_id: str) -> PublishedSnapshot:
        """A published snapshot.

        Raises:
            Problem: 404.
        """
        found = page_queries.find_snapshot(connection, snapshot_id)
        if found is None:
            raise not_found("the digest of a published snapshot", snapshot_id)
        return found

    def latest(self, connection: Connection) -> PublishedSnapshot:
        """The newest published snapshot.

        Raises:
            Problem: 404, nothing is published yet.
        """
        found = snapshots.latest(connection)
        if found is None:
            raise Problem(404, "no snapshot is published yet: `integrity refresh` publishes one", NEVER)
        return found

    def rows(self, connection: Connection, snapshot: PublishedSnapshot, view: str) -> list[dict[str, Any]]:
        """A view's rows, best first.

        Raises:
            Problem: 404, the snapshot has no such view; says why.
        """
        if view not in snapshot.body["views"]:
            reason = snapshot.body.get("style", {}).get("reason", "it is of a version that had none")
            raise Problem(404, f"snapshot {snapshot.snapshot_id[:12]} has no view {view}: {reason}")
        return snapshots.read_rows(connection, snapshot.snapshot_id, view)

    def providers(self, connection: Connection) -> dict[str, dict[str, Any]]:
        """The facts of every provider, by name: looked up once a snapshot, for it takes all votes and every audit.

        Raises:
            Problem: 503, somebody else's look takes long.
        """
        newest = snapshots.latest(connection)
        key = (newest.snapshot_id if newest else None, page_queries.change_token(connection)[3])
        if self._facts[0] != key:
            if not self._looking.acquire(timeout=20):
                raise Problem(503, "the audits are looking at the votes; try again", {"retry-after": "20"})
            try:
                if self._facts[0] != key:
                    self._facts = (key, all_provider_pages(connection))
            finally:
                self._looking.release()
        return self._facts[1]

    @cachedmethod(attrgetter("_until"), lambda _self, _connection, log_size: log_size, attrgetter("_until_lock"))
    def until(self, connection: Connection, log_size: int) -> int | None:
        """When the newest vote of a log was cast: a board is as of then. A log of one size is always the same."""
        return page_queries.newest_vote_time(connection, log_size)

    def until_text(self, connection: Connection, log_size: int) -> str | None:
        """The same as RFC 3339."""
        at = self.until(connection, log_size)
        return None if at is None else time_text(at)


def time_text(at: int) -> str:
    """Microseconds since 1970 UTC as RFC 3339."""
    return format_rfc3339(at)


def summary(reader: Reader, connection: Connection, snapshot: PublishedSnapshot) -> dict[str, Any]:
    """A snapshot without its body, as `documents.boards.Snapshot`."""
    body = snapshot.body
    return {
        "snapshot": snapshot.snapshot_id,
        "sequence": snapshot.sequence,
        "previous": snapshot.previous,
        "digest": snapshot.digest,
        "published_at": time_text(snapshot.published_at),
        "data_until": reader.until_text(connection, snapshot.log_size),
        "log_size": snapshot.log_size,
        "votes_counted": body["votes_counted"],
        "votes_excluded": body["votes_excluded"],
        "votes_flagged": body["votes_flagged"],
        "views": sorted(body["views"]),
    }
