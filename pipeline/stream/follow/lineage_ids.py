"""Derives vote ids for the lines of logs that state no vote ids.

Logs that had the same name one after another form a lineage. An id is derived from the record, and from the number of
identical records before it in the lineage. Two identical records therefore stay two votes, even across a rotation.
Reading a log again gives the same ids.
"""

from collections.abc import Sequence
from typing import Protocol

from pipeline.formats.vote_ids import VoteIds
from pipeline.stream.follow.line_reader import line_blocks
from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.log_position import LogPosition
from pipeline.stream.follow.log_reading import LogTruncated
from pipeline.stream.follow.prefix_digest import PrefixDigest


class LineMapping(Protocol):
    """Maps the lines of a log to events. `LineEvents` implements this protocol.

    Attributes:
        id_key: secret key from which vote ids are computed, for logs that identify a vote by its conversation
            (`ColumnMapping.id_key`).
    """

    id_key: bytes | None

    def event(self, line: bytes, ids: VoteIds) -> bytes | None:
        """Return the event in a line as JSON, or None if the line has no event.

        Args:
            line: one line of the log, without its end.
            ids: derives the vote id if the line states none.
        """

    def count(self, line: bytes, ids: VoteIds) -> None:
        """Count a line that was read in an earlier run, so that later identical lines get other ids.

        Args:
            line: one line of the log, without its end.
            ids: keeps the counts of identical lines.
        """


class LineageIds:
    """Provides the object that derives vote ids for a log. All logs of a lineage share one object.

    Logs that had the same name one after another are one lineage. A renamed log stays in its lineage.
    """

    def __init__(self, lines: LineMapping) -> None:
        self._lines = lines
        self._ids: dict[str, VoteIds] = {}
        self._counted: set[tuple[int, int]] = set()

    def of(self, log: LogPosition, file: LogFile, logs: Sequence[LogPosition]) -> VoteIds:
        """Return the object that derives vote ids for the lineage of a log.

        Args:
            log: the log that is read next.
            file: the file of the log. Lines that an earlier run read are counted again if their vote ids were derived.
            logs: all known logs.

        Raises:
            LogTruncated: the file does not begin with the lines that were read from the log.
        """
        if log.lineage not in self._ids:
            self._ids[log.lineage] = ids = VoteIds(self._lines.id_key)
            for other in logs:
                if other.lineage == log.lineage:
                    ids.merge(other.recent)
        ids = self._ids[log.lineage]
        if log.derived and log.key not in self._counted:
            earlier = self._recount(log, file)
            if not log.begins(file):
                raise LogTruncated
            ids.merge(earlier)
        self._counted.add(log.key)
        return ids

    def _recount(self, log: LogPosition, file: LogFile) -> dict[str, int]:
        ids, records = VoteIds(self._lines.id_key), 0
        for block in line_blocks(file, PrefixDigest()):
            for line in block.lines[: log.records - records]:
                self._lines.count(line, ids)
            records += len(block.lines)
            if records >= log.records:
                break
        return ids.occurrences()
