"""Reads counts and times of the whole store for the exporter and `integrity doctor`.

Also checks the ledger of offsets, so that no record is missing unnoticed.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema
from pipeline.store.db.sort_order import CodePointOrder
from pipeline.vocabulary.fates import RECORD_FATES


def count_fates(connection: Connection) -> dict[str, int]:
    """Return the number of records with each fate, as fate → number, from the ledger of offsets."""
    b = schema.batch.c
    row = connection.execute(sa.select(*(sa.func.sum(b[name]) for name in RECORD_FATES))).one()
    return {name: int(value or 0) for name, value in zip(RECORD_FATES, row, strict=True)}


def count_rejects(connection: Connection) -> dict[str, int]:
    """Return the number of rejected records by reason, as reason → number. A reason without a reject is left out."""
    r = schema.reject.c
    return {k: int(n) for k, n in connection.execute(sa.select(r.reason, sa.func.count()).group_by(r.reason))}


def list_rejects(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the first `limit` rejected records, sorted by source, partition and offset.

    Returns:
        {"source", "partition", "offset", "origin", "reason", "detail"} for each reject. "source" is the name of the
        source, such as a Kafka topic. "partition" is the source's number of the partition.
    """
    r, p, s = schema.reject.c, schema.partition.c, schema.source.c
    query = (
        sa.select(s.name.label("source"), p.number.label("partition"), r.offset, r.origin, r.reason, r.detail)
        .select_from(schema.reject)
        .join(schema.partition, p.partition_no == r.partition_no)
        .join(schema.source, s.source_no == p.source_no)
        .order_by(CodePointOrder(s.name), p.number, r.offset)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def list_partitions(connection: Connection) -> list[dict[str, Any]]:
    """Return one dictionary for each partition, sorted by source and number.

    Returns:
        {"source", "number", "next_offset", "sealed_offset", "event_time", "updated_at", "owner"} for each partition.
        "number" is the source's number of the partition. Times are in microseconds since 1970 UTC.
    """
    p, s = schema.partition.c, schema.source.c
    query = (
        sa.select(
            s.name.label("source"), p.number, p.next_offset, p.sealed_offset, p.event_time, p.updated_at, p.owner
        )
        .join(schema.source, s.source_no == p.source_no)
        .order_by(CodePointOrder(s.name), p.number)
    )  # fmt: skip
    return [dict(row) for row in connection.execute(query).mappings()]


def count_alerts_by(connection: Connection, *columns: str) -> dict[tuple[str, ...], int]:
    """Return the number of alerts for each combination of values in the given columns. Resolved alerts count too."""
    a = schema.alert.c
    keys = [a[name] for name in columns]
    rows = connection.execute(sa.select(*keys, sa.func.count()).group_by(*keys))
    return {tuple(row[:-1]): int(row[-1]) for row in rows}


def count_escalated(connection: Connection) -> dict[tuple[str, ...], int]:
    """Return how many critical alerts of each detector were escalated at least once, as (detector,) → number."""
    a, e = schema.alert.c, schema.alert_event.c
    rows = connection.execute(
        sa.select(a.detector, sa.func.count(sa.distinct(a.alert_id)))
        .join(schema.alert_event, e.alert_id == a.alert_id)
        .where(e.action == "escalated", a.severity == "critical")
        .group_by(a.detector)
    )
    return {(detector,): int(n) for detector, n in rows}


def set_time(connection: Connection, name: str, value: int) -> None:
    """Store when the event with this name last happened, in microseconds since 1970 UTC."""
    dialect.upsert(connection, schema.meta, ["name"], [{"name": name, "value": str(value)}])


def get_time(connection: Connection, name: str) -> int | None:
    """Return the time that `set_time` stored for the event with this name, None if there is none."""
    m = schema.meta.c
    value = connection.scalar(sa.select(m.value).where(m.name == name))
    return None if value is None else int(value)


def find_gaps(connection: Connection) -> list[str]:
    """Check the ledger of offsets, the table of batches, for gaps and wrong numbers.

    In every partition, each batch must begin where the batch before it ended, and the last must end at next_offset. The
    numbers of votes, duplicates and rejects in all batches must add up to the numbers of rows in the tables of these
    records.

    Returns:
        A sentence for each fault; an empty list if all is right.
    """
    p, b = schema.partition.c, schema.batch.c
    found = []
    for part, end in connection.execute(sa.select(p.partition_no, p.next_offset).order_by(p.partition_no)).all():
        batches = connection.execute(
            sa.select(b.first_offset, b.next_offset).where(b.partition_no == part).order_by(b.first_offset)
        ).all()
        expected = batches[0].first_offset if batches else end
        for batch in batches:
            if batch.first_offset != expected:
                found.append(f"partition {part}: expected a batch at {expected}, got {batch.first_offset}")
            expected = batch.next_offset
        if expected != end:
            found.append(f"partition {part}: batches end at {expected}, the partition at {end}")
        found += _recount(connection, part)
    return found


def _recount(connection: Connection, part: int) -> list[str]:
    b, v = schema.batch.c, schema.vote.c
    ledger = connection.execute(
        sa.select(*(sa.func.coalesce(sa.func.sum(b[name]), 0) for name in RECORD_FATES)).where(b.partition_no == part)
    ).one()
    by_fate = {
        int(fate): int(n)
        for fate, n in connection.execute(
            sa.select(v.fate, sa.func.count()).where(v.partition_no == part).group_by(v.fate)
        )
    }
    r = schema.cold_range.c
    archived = sa.select(*(sa.func.coalesce(sa.func.sum(r[name]), 0) for name in RECORD_FATES[:3]))
    cold = connection.execute(archived.where(r.partition_no == part)).one()
    counted = [by_fate.get(code, 0) + int(cold[code]) for code in range(3)]
    counted += [
        connection.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.partition_no == part)) or 0
        for table in (schema.duplicate, schema.reject)
    ]
    return [
        f"partition {part}: the ledger of offsets counts {recorded} {name}, the tables have {stored}"
        for name, recorded, stored in zip(RECORD_FATES, ledger, counted, strict=True)
        if recorded != stored
    ]
