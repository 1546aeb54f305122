"""Builds a batch of events from consecutive lines of a log."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.formats.vote_ids import VoteIds
from pipeline.stream.follow.lineage_ids import LineMapping
from pipeline.stream.follow.log_position import LogPosition


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Consecutive events of one log, ready to be published.

    Attributes:
        name: path of the log below the followed folder.
        rows: for each event, the record number in the log.
        events: the events as JSON.
    """

    name: str
    rows: list[int]
    events: list[bytes]

    @classmethod
    def of(cls, log: LogPosition, lines: Sequence[bytes], mapping: LineMapping, ids: VoteIds) -> "LogBatch":
        """Map the lines after a position of a log to events.

        Args:
            log: the log, with its position before these lines.
            lines: the lines, without blank ones.
            mapping: maps a line to an event, or to None if the line has no event.
            ids: derives the ids of votes whose lines state no id. After a rotation, pass the same object for the new
                log of the same name.

        Returns:
            The events with their record numbers. Lines without an event are left out.
        """
        mapped = [(log.records + n, mapping.event(line, ids)) for n, line in enumerate(lines)]
        events = [(row, event) for row, event in mapped if event is not None]
        return cls(log.name, [row for row, _ in events], [event for _, event in events])
