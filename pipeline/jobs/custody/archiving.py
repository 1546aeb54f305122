"""Moves old sealed votes out of the hot tables, into the encrypted files of the archive."""

from __future__ import annotations

from typing import Any

from pipeline import settings as configuration
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from pipeline.store.cold import cold_files
from pipeline.store.db import dialect, free_space
from pipeline.store.log import archive
from pipeline.store.read import store_figures
from pipeline.vocabulary.time import DAY

_TABLES = ("vote", "vote_key", "blind")
GIVEN_BACK, REUSABLE, IN_USE = "given back", "reusable", "in use"
"""What a run did with the space of the moved votes.

GIVEN_BACK: the space is free on the disk. REUSABLE: new votes will take the space. IN_USE: nothing, because the
database was in use all the time; the next run tries again.
"""


def archive_votes(url: str, older_than_days: float | None = None, *, dry_run: bool = False) -> dict[str, Any]:
    """Move the votes of segments that were sealed some days ago to the archive, and give their space back.

    Each group of segments is moved in its own transaction. A run that was killed loses nothing, and the next run
    continues. Workers, refreshes and readers may run meanwhile.

    The space is given back to the disk if the run moved more votes than are left in the hot tables. Writing these
    tables anew is then cheap. Otherwise new votes take the space.

    Args:
        url: address of the store.
        older_than_days: age of a seal in days; None for the setting `archive_days`.
        dry_run: whether to count what would be moved, and to write nothing.

    Returns:
        {"votes", "files", "hot", "archived", "database_bytes", "archive_bytes", "space", "dry_run"}. "votes" is the
        number of moved votes and "files" the number of written files; a dry run counts what would be moved and written.
        "hot" and "archived" are the numbers of votes that are in the hot tables and in the archive afterwards.
        "database_bytes" is {"before", "after"}, "archive_bytes" the size of the archive's files. "space" is GIVEN_BACK,
        REUSABLE or IN_USE; None if nothing was moved.

    Raises:
        Refuted: the hot tables do not have what the log has. Nothing more is moved.
        MissingKey: there are archived votes, and no archive key.
        Unavailable: the archive's folder cannot be written to.
    """
    days = configuration.load().archive_days if older_than_days is None else older_than_days
    sealed_before = now() - int(days * DAY) + (1 if not days else 0)
    with existing_store(url, with_key=False) as store:
        before = free_space.database_bytes(store.engine)
        votes, files = _count(store, sealed_before) if dry_run else _move_all(store, sealed_before)
        space = None if dry_run else _give_back(store, votes)
        with store.read() as connection:
            figures = _figures(connection)
        sizes = {"before": before, "after": free_space.database_bytes(store.engine)}
    return {"votes": votes, "files": files, **figures, "database_bytes": sizes, "space": space, "dry_run": dry_run}


def _move_all(store: Store, sealed_before: int) -> tuple[int, int]:
    votes, files = 0, 0
    with store.read() as connection:
        first = not cold_files.any_archived(connection)
        some = archive.next_group(connection, sealed_before) is not None
    if first and some:
        store.archive.create_key()
    while (moved := _move_next(store, sealed_before)) is not None:
        votes, files = votes + moved, files + 1
    with store.write() as connection:
        cold_files.delete_unnamed(connection)
        if files:
            operator, after = operators_log.process_operator(), {"votes": votes, "files": files}
            operators_log.record(connection, operator, "votes.archive", "", now(), after=after)
    return votes, files


def _move_next(store: Store, sealed_before: int) -> int | None:
    """Move the votes of the next group of segments. Return the number of moved votes, None if no group is left."""
    with store.write() as connection:
        dialect.lock(connection, cold_files.LOCK)
        group = archive.next_group(connection, sealed_before)
        return None if group is None else archive.move(connection, group, now())


def _count(store: Store, sealed_before: int) -> tuple[int, int]:
    """Return the numbers of votes and of groups of segments that `archive` would move without --dry-run."""
    votes, files, after = 0, 0, None
    with store.read() as connection:
        while (group := archive.next_group(connection, sealed_before, after)) is not None:
            votes += archive.count_votes(connection, group)
            files, after = files + 1, group.next_leaf
    return votes, files


def _give_back(store: Store, moved: int) -> str | None:
    if not moved:
        return None
    with store.read() as connection:
        whole = moved > _figures(connection)["hot"]
    done = free_space.give_back(store.engine, _TABLES, whole=whole)
    return IN_USE if not done else GIVEN_BACK if whole else REUSABLE


def _figures(connection: Any) -> dict[str, int]:
    fates = store_figures.count_fates(connection)
    archived = cold_files.count_archived(connection)
    stored = sum(fates[name] for name in ("accepted", "late", "quarantined"))
    return {
        "hot": stored - archived, "archived": archived, "archive_bytes": cold_files.total_bytes(connection),
    }  # fmt: skip
