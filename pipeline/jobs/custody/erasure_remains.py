"""Finds the data that an erasure of votes leaves: records in Kafka, and old pages of the database file."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.store import Store
from pipeline.store.db import free_space
from pipeline.store.db.dialect import has_server
from pipeline.store.votes import arrow_reader
from pipeline.store.votes.ingest import VotePosition


def records_in_kafka(connection: Connection, positions: Sequence[VotePosition]) -> list[dict[str, Any]]:
    """List the partitions of Kafka topics from which these votes were read.

    The broker is not asked. Kafka may have deleted some of the records meanwhile.

    Args:
        connection: a connection to the store.
        positions: (partition_no, offset) of each vote.

    Returns:
        For each partition of a topic: {"source", "partition", "records", "last_offset"}. "partition" is the number in
        the source, "records" the number of these votes, "last_offset" the offset of the last of them.
    """
    sources = arrow_reader.partition_sources(connection)
    found = []
    for part in sorted({part for part, _ in positions}):
        source, number = sources[part]
        offsets = [offset for other, offset in positions if other == part]
        if source.startswith("kafka:"):
            place = {"source": source, "partition": number}
            found.append({**place, "records": len(offsets), "last_offset": max(offsets)})
    return found


def rewrite_database(store: Store) -> bool:
    """Rewrite the file of a SQLite database, so that no unused page contains erased data.

    Does nothing with PostgreSQL, where autovacuum removes old rows.

    Returns:
        False if the file could not be rewritten, because another process uses it; otherwise True.
    """
    return has_server(store.engine) or free_space.rewrite_sqlite(store.engine)


def describe(result: dict[str, Any]) -> str:
    """Return a text that says what an erasure has erased and what remains.

    `result` is what `operator_actions.erase` returns.
    """
    lines = [f"erased the voter of {result['erased']} votes"]
    if result.get("unsealed"):
        lines.append(f"{result['unsealed']} votes are not sealed yet and keep their voter: refresh, then erase again")
    lines += [_in_kafka(one) for one in result.get("kafka", ())]
    if result.get("old_pages"):
        lines.append("another process uses the database: its file may hold old pages; run this again when none does")
    return "\n".join([*lines, "not erased: backups and replicas of database and topics, and the files that were read"])


def _in_kafka(one: dict[str, Any]) -> str:
    return (
        f"{one['source']}, partition {one['partition']} keeps {one['records']} records of these votes up to offset "
        f"{one['last_offset']}: key and value have a pseudonym, or the voter's id if published with --raw-ids. "
        "Kafka deletes from the beginning of a partition alone: kafka-delete-records.sh, or a shorter retention"
    )
