"""Reads what the API and its pages show: snapshots, a model's history, alerts and exclusions, a page at a time.

The rows of a board are read by `store.boards.snapshots`. A page begins after the last row of the previous page (keyset,
never OFFSET), so new rows do not shift the pages. The size of an answer does not grow with the age of the log.
"""

import zlib
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.alerting import alert_mentions
from pipeline.store.alerting.alert_queries import format_alert, select_alerts
from pipeline.store.alerting.public_alerts import publish_alert
from pipeline.store.boards.hidden_models import ALL_SHOWN, HiddenModels
from pipeline.store.boards.snapshots import PublishedSnapshot, from_row
from pipeline.store.db import schema
from pipeline.store.log import leaf_index
from pipeline.vocabulary.fates import QUARANTINED
from pipeline.vocabulary.time import DAY

# The newest vote is among the last ones of a partition: they come nearly in order of time.
_LAST_VOTES = 1_000


def change_token(connection: Connection) -> tuple[int, ...]:
    """Return a tuple of numbers that differs whenever something that readers see has changed.

    The numbers are, in this order: the newest snapshot; the newest entry about an alert, about an exclusion and about
    an incident; a checksum of the newest grouping of alerts; the newest registry event; the newest correction notice;
    the time of the newest prepared answer; and the number of signatures of witnesses. All numbers but the checksum only
    grow.
    """
    signed = sa.select(sa.func.count()).select_from(schema.cosignature).scalar_subquery()
    newest = [
        sa.select(sa.func.max(column)).scalar_subquery()
        for column in (
            schema.snapshot.c.sequence,
            schema.alert_event.c.event_no,
            schema.exclusion.c.exclusion_no,
            schema.incident_event.c.event_no,
            schema.registry_event.c.event_no,
            schema.notice.c.notice_no,
            schema.prepared.c.prepared_at,
        )
    ]
    grouping = sa.select(sa.func.max(schema.grouping.c.inputs)).scalar_subquery()
    *numbers, inputs = connection.execute(sa.select(*newest, signed, grouping)).one()
    found = [value or 0 for value in numbers]
    return (*found[:4], zlib.crc32((inputs or "").encode()), *found[4:])


def publication_token(token: tuple[int, ...]) -> tuple[int, ...]:
    """Return a change token without its numbers about alerts, exclusions and incidents, which change more often."""
    return token[0], *token[5:]


def earlier_snapshot(
    connection: Connection, found: PublishedSnapshot, days: float, newest_vote: Callable[[int], int | None]
) -> PublishedSnapshot | None:
    """Find the newest snapshot whose votes end at least `days` days before the votes of `found` end.

    Args:
        connection: reads the store.
        found: a published snapshot.
        days: the distance in days.
        newest_vote: a function that takes the size of a log and returns when its newest vote was cast, in microseconds
            since 1970 UTC. It returns None for a log without votes.

    Returns:
        The snapshot, or the oldest snapshot if none is that old. The result is None if `found` is the oldest snapshot
        or has no votes.
    """
    c = schema.snapshot.c
    end, oldest = newest_vote(found.log_size), connection.scalar(sa.select(sa.func.min(c.sequence)))
    if end is None or oldest is None or oldest >= found.sequence:
        return None

    def ends_early(sequence: int) -> bool:
        until = newest_vote(int(connection.scalar(sa.select(c.log_size).where(c.sequence == sequence)) or 0))
        return until is None or until <= end - days * DAY

    # A longer log ends no earlier, and sequence numbers have no gaps: a search by halves reads few snapshots.
    early, late = int(oldest), found.sequence
    while late - early > 1:
        middle = (early + late) // 2
        early, late = (middle, late) if ends_early(middle) else (early, middle)
    return next(iter(list_snapshots(connection, 1, early + 1)), None)


def list_snapshots(connection: Connection, limit: int, before: int | None = None) -> list[PublishedSnapshot]:
    """Return up to `limit` published snapshots with a sequence number below `before`, newest first."""
    c = schema.snapshot.c
    query = sa.select(schema.snapshot).where(c.sequence.is_not(None)).order_by(c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(c.sequence < before)
    return [from_row(dict(row)) for row in connection.execute(query).mappings()]


def snapshot_ids(connection: Connection, sequences: Collection[int]) -> dict[int, str]:
    """Return sequence number → id of each published snapshot with one of these numbers. Bodies are not read."""
    if not sequences:
        return {}
    c = schema.snapshot.c
    query = sa.select(c.sequence, c.snapshot_id).where(c.sequence.between(min(sequences), max(sequences)))
    return {int(number): str(found) for number, found in connection.execute(query) if number in sequences}


def find_snapshot(connection: Connection, snapshot_id: str) -> PublishedSnapshot | None:
    """Return the published snapshot with exactly this id, None if there is none."""
    c = schema.snapshot.c
    query = sa.select(schema.snapshot).where(c.snapshot_id == snapshot_id, c.sequence.is_not(None))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else from_row(dict(row))


def ids_with_prefix(connection: Connection, prefix: str) -> list[str]:
    """Return at most two ids of published snapshots whose id or digest begins with a text, sorted.

    Two ids are enough to see that the text is ambiguous.
    """
    c = schema.snapshot.c
    begins = [column.startswith(prefix, autoescape=True) for column in (c.snapshot_id, c.digest)]
    query = sa.select(c.snapshot_id).where(c.sequence.is_not(None), sa.or_(*begins))
    return list(connection.scalars(query.order_by(c.snapshot_id).limit(2)))


def newest_vote_time(connection: Connection, log_size: int) -> int | None:
    """Return when the newest vote among the first `log_size` leaves of the vote log was cast.

    Only the last 1,000 hot votes of each partition are searched, because votes come nearly in order of time.
    Quarantined votes are left out, because they are dated in the future. For archived votes, the stored time of the
    newest vote in each range of an archive file is used, unless the range ends after these leaves.

    Returns:
        Microseconds since 1970 UTC; None if there is no such vote.
    """
    v, r = schema.vote.c, schema.cold_range.c
    newest = []
    for part, end in leaf_index.next_offsets(connection, log_size).items():
        last = (
            sa.select(v.cast_at)
            .where(v.partition_no == part, v.offset < end, v.fate != QUARANTINED)
            .order_by(v.offset.desc())
            .limit(_LAST_VOTES)
            .subquery()
        )
        newest.append(connection.scalar(sa.select(sa.func.max(last.c.cast_at))))
        archived = sa.select(sa.func.max(r.newest_at)).where(r.partition_no == part, r.next_offset <= end)
        newest.append(connection.scalar(archived))
    return max((int(time) for time in newest if time is not None), default=None)


def model_history(connection: Connection, model: str, view: str) -> list[dict[str, Any]]:
    """Return the row of a model in each published snapshot that rates it in a view, oldest snapshot first.

    A row also has the sequence number, id, time of publication and log size of its snapshot, and `battles`: the sum of
    `votes` over all rows of the view in the snapshot.
    """
    s, r = schema.snapshot.c, schema.snapshot_row.c
    every = schema.snapshot_row.alias("every")
    battles = (
        sa.select(sa.func.sum(every.c.votes))
        .where(every.c.snapshot_id == r.snapshot_id, every.c.view == view)
        .scalar_subquery()
    )
    query = (
        sa.select(
            s.sequence, s.snapshot_id, s.published_at, s.log_size,
            r.rating, r.lower, r.upper, r.rank, r.rank_best, r.rank_worst, r.votes, battles.label("battles"),
        )
        .join(schema.snapshot_row, r.snapshot_id == s.snapshot_id)
        .where(s.sequence.is_not(None), r.view == view, r.model == model)
        .order_by(s.sequence)
    )  # fmt: skip
    return [dict(row) for row in connection.execute(query).mappings()]


def read_label_rows(
    connection: Connection, snapshot_id: str, models: Collection[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of some models on the boards by category and language of a snapshot.

    Args:
        connection: reads the store.
        snapshot_id: id of the snapshot.
        models: names of the models.

    Returns:
        Name of a board → rows of these models. A board without such a row is left out.
    """
    r = schema.snapshot_row.c
    query = sa.select(schema.snapshot_row).where(
        r.snapshot_id == snapshot_id, r.model.in_(models), r.view.contains("/", autoescape=True)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["view"], []).append(dict(row))
    return found


def has_model(connection: Connection, name: str) -> bool:
    """Return whether any vote has named a model by this name."""
    m = schema.model.c
    return connection.scalar(sa.select(m.model_no).where(m.name == name)) is not None


def list_alerts(
    connection: Connection,
    limit: int,
    after: str | None = None,
    *,
    public: bool = True,
    hidden: HiddenModels = ALL_SHOWN,
    **wanted: str | None,
) -> list[tuple[tuple[int, str], dict[str, Any]]]:
    """Return a page of alerts, newest first. Alerts that opened at the same time are sorted by id.

    Args:
        connection: reads the store.
        limit: largest number of alerts.
        after: id of the last alert of the page before; None for the first page.
        public: return alerts in the form for the public (`public_alerts`). A filter `subject` then finds a voter by the
            label of the alert.
        hidden: the models under test, whose names the public does not see. If `public` is True, a filter by such a name
            finds nothing.
        wanted: filters `state`, `severity`, `detector`, `subject_kind` and `subject`: the value that alerts must have.
            A `subject` without a `subject_kind` also finds alerts that name it in their evidence.

    Returns:
        One pair for each alert: ((time when the alert opened, id), alert). The time is in microseconds since 1970 UTC.
    """
    a = schema.alert.c
    query = select_alerts().order_by(a.opened_at.desc(), a.alert_id).limit(limit)
    if public and wanted.get("subject") in hidden:
        return []
    for name, value in wanted.items():
        if value is not None:
            column = sa.func.coalesce(a.label, a.subject) if name == "subject" and public else a[name]
            any_role = name == "subject" and wanted.get("subject_kind") is None
            query = query.where(alert_mentions.names(connection, column, value) if any_role else column == value)
    if after is not None:
        # A cursor names the alert alone: the time at which it opened is that of a vote.
        at = sa.select(a.opened_at).where(a.alert_id == after).scalar_subquery()
        query = query.where(sa.or_(a.opened_at < at, sa.and_(a.opened_at == at, a.alert_id > after)))
    found = [
        (row["opened_at"], row["alert_id"], format_alert(dict(row))) for row in connection.execute(query).mappings()
    ]
    return [((at, alert_id), publish_alert(one, hidden) if public else one) for at, alert_id, one in found]


def list_exclusions(
    connection: Connection,
    limit: int,
    before: int | None = None,
    *,
    public: bool = True,
    hidden: HiddenModels = ALL_SHOWN,
) -> list[dict[str, Any]]:
    """Return a page of the list of exclusions, newest entry first. An entry is a dictionary with the table's columns.

    Args:
        connection: reads the store.
        limit: largest number of entries.
        before: only entries with a smaller number; None for the first page.
        public: True replaces the pseudonyms of voters by labels, and hides the names of models under test.
        hidden: the models under test, whose names the public does not see.
    """
    e = schema.exclusion.c
    query = sa.select(schema.exclusion).order_by(e.exclusion_no.desc()).limit(limit)
    if before is not None:
        query = query.where(e.exclusion_no < before)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return [_publish_entry(row, hidden) if public else row for row in rows]


def _publish_entry(row: dict[str, Any], hidden: HiddenModels) -> dict[str, Any]:
    if row["label"] is not None:
        row = {**row, "target": row["label"], "reason": row["reason"].replace(row["target"], row["label"])}
    return {**row, **{name: hidden.text(row[name]) for name in ("target", "reason")}}
