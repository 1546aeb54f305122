"""What a broker holds, read by a client of its own that has nothing to do with the worker's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaConsumer, TopicPartition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Place = tuple[int, int]
"""(partition, offset)"""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its append time in microseconds, and the vote in it, None where there is none."""

    appended_at: int
    vote: Mapping[str, Any] | None

    @property
    def cast_at(self) -> int:
        """Microseconds since 1970 UTC."""
        assert self.vote is not None
        return microseconds(self.vote["cast_at"])


@dataclass(frozen=True)
class Log:
    """A topic as it stands: every record by its place, in the order (partition, offset).

    Attributes:
        records: place → record.
        bounds: partition → first and next offset.
        of_file: it was read from files.
    """

    records: Mapping[Place, Record]
    bounds: Mapping[int, tuple[int, int]]
    of_file: bool = False

    def places(self) -> dict[str, list[Place]]:
        """Vote id → where it stands."""
        found: dict[str, list[Place]] = {}
        for place, record in self.records.items():
            if record.vote is not None:
                found.setdefault(record.vote["vote_id"], []).append(place)
        return found


def microseconds(text: str) -> int:
    """Microseconds since 1970 UTC, exact."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def parsed(value: bytes | None) -> Mapping[str, Any] | None:
    """The vote in a record of these tests; None for poison, which none of them makes to look like a vote."""
    try:
        vote = json.loads(value or b"")
    except ValueError:
        return None
    return vote if isinstance(vote, dict) and vote.get("schema") == 1 and "vote_id" in vote else None


def file_log(*readings: Sequence[bytes]) -> Log:
    """The log that files are, read one after the other: each in the order of time; append time is cast time.

    What is no vote stays behind the record before it.
    """
    found: list[Record] = []
    for lines in readings:
        votes, before, timed = [parsed(line) for line in lines], 0, []
        for vote in votes:
            before = microseconds(vote["cast_at"]) if vote else before
            timed.append((before, vote))
        found += [Record(at if vote else 0, vote) for at, vote in sorted(timed, key=lambda one: one[0])]
    return Log({(0, n): record for n, record in enumerate(found)}, {0: (0, len(found))}, of_file=True)


def read_log(bootstrap: str, topic: str) -> Log:
    """Everything that a topic holds now."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, isolation_level="read_committed")
    try:
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(parts)
        first, end = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        records: dict[Place, Record] = {}
        for part in parts:
            consumer.seek(part, first[part])
        while any(consumer.position(part) < end[part] for part in parts):
            for part, polled in consumer.poll(timeout_ms=1_000, max_records=20_000).items():
                for one in polled:
                    records[part.partition, one.offset] = Record(one.timestamp * 1000, parsed(one.value))
        bounds = {part.partition: (first[part], end[part]) for part in parts}
        return Log(dict(sorted(records.items())), bounds)
    finally:
        consumer.close()
