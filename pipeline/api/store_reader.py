"""Reads the store for the API and the pages: snapshots, rows, facts about providers, and times of newest votes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from cachetools import LRUCache, cachedmethod
from sqlalchemy.engine import Connection

from pipeline.api.cache_policies import NO_STORE
from pipeline.api.error_responses import Problem, not_found
from pipeline.open_store import now
from pipeline.store import Store
from pipeline.store.boards import board_listing, hidden_models, prepared_answers, snapshot_intervals, snapshots
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import log_proofs, page_queries
from pipeline.vocabulary.time import format_rfc3339

# Log sizes whose newest vote is cached: a year of hourly snapshots has 8,760.
_CACHED_SIZES = 10_000


@dataclass
class StoreReader:
    """Reads an open store for routes and pages. All routes and threads share one reader."""

    store: Store
    _data_until: LRUCache[int, int | None] = field(default_factory=lambda: LRUCache(_CACHED_SIZES))
    _data_until_lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection with a read transaction, for the duration of a `with` block."""
        with self.store.read() as connection:
            yield connection

    def snapshot(self, connection: Connection, snapshot_id: str) -> PublishedSnapshot:
        """Return the published snapshot with this id.

        Raises:
            Problem: status 404, if there is no such snapshot.
        """
        found = page_queries.find_snapshot(connection, snapshot_id)
        if found is None:
            raise not_found("the digest of a published snapshot", snapshot_id)
        return found

    def latest(self, connection: Connection) -> PublishedSnapshot:
        """Return the newest published snapshot.

        Raises:
            Problem: status 404, if no snapshot is published yet.
        """
        found = snapshots.latest(connection)
        if found is None:
            raise Problem(404, "no snapshot is published yet: `integrity refresh` publishes one", NO_STORE)
        return found

    def board_name(self, connection: Connection) -> str:
        """Return the name of the board, which the first snapshot fixes.

        Raises:
            Problem: status 404, if no snapshot is published yet.
        """
        self.latest(connection)
        return log_proofs.parse_manifest(log_proofs.newest_manifest(connection).body).board

    def rows(
        self, connection: Connection, snapshot: PublishedSnapshot, view: str, board: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the listed rows of a view or board, best model first.

        A row is listed if the snapshot's method (its rules about votes and models) lists the model.

        Args:
            connection: a connection to the store.
            snapshot: the snapshot.
            view: raw, defended or style.
            board: "category/LABEL" or "language/LABEL" for the board of this label. Such a board has only the view
                `defended`. None for the board of all votes.

        Raises:
            Problem: status 404 with the reason, if the snapshot has no such view or board. Status 422, if a view other
                than defended is requested for the board of a label.
        """
        if board is not None:
            self._require_board(snapshot, view, board)
        elif view not in snapshot.body["views"]:
            reason = snapshot.body.get("style", {}).get("reason", "snapshots of its version had none")
            raise Problem(404, f"snapshot {snapshot.snapshot_id[:12]} has no view {view}: {reason}")
        return self.listed_rows(connection, snapshot, board or view)

    def listed_rows(self, connection: Connection, snapshot: PublishedSnapshot, view: str) -> list[dict[str, Any]]:
        """Return the listed rows of a view or board with their intervals, best model first.

        A row is listed if the snapshot's method (its rules about votes and models) lists the model.

        Args:
            connection: a connection to the store.
            snapshot: the snapshot.
            view: name of a view, or "category/LABEL" or "language/LABEL" for a board. If the snapshot does not have
                this view or board, the result is empty.
        """
        found = board_listing.list_rows(snapshot.body, snapshots.read_rows(connection, snapshot.snapshot_id, view))
        return snapshot_intervals.add_intervals(self.store.files, snapshot.body, view, found)

    def _require_board(self, snapshot: PublishedSnapshot, view: str, board: str) -> None:
        if view != "defended":
            raise Problem(422, f"query view: expected defended, the only view of a board by label, got {view}")
        if board not in snapshot.body.get("boards", {}):
            reason = snapshot.body.get("boards_left_out", {}).get(board, "no vote has this label")
            raise Problem(404, f"snapshot {snapshot.snapshot_id[:12]} has no board {board}: {reason}")

    def provider(self, connection: Connection, name: str) -> dict[str, Any] | None:
        """Return the page of facts about a provider, without names of hidden models. None if no page is stored."""
        found: dict[str, Any] | None = prepared_answers.read(connection, name, "provider")
        return None if found is None else self.hidden(connection).provider_page(found)

    def hidden(self, connection: Connection) -> HiddenModels:
        """Return the models whose names are hidden from the public now."""
        return hidden_models.read_hidden_models(connection, now())

    @cachedmethod(
        attrgetter("_data_until"), lambda _self, _connection, log_size: log_size, attrgetter("_data_until_lock")
    )
    def data_until(self, connection: Connection, log_size: int) -> int | None:
        """Return the time of the newest vote among the first `log_size` leaves of the vote log.

        Only the last 1,000 votes of each partition are searched. The result is cached, because the log at a given size
        never changes.

        Returns:
            Microseconds since 1970 UTC; None if no vote has a usable time.
        """
        return page_queries.newest_vote_time(connection, log_size)

    def data_until_text(self, connection: Connection, log_size: int) -> str | None:
        """Return the time of the newest vote among the first `log_size` leaves, in RFC 3339; None if it is unknown."""
        at = self.data_until(connection, log_size)
        return None if at is None else format_rfc3339(at)
