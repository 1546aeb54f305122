"""Reads a battle file as a source. All files of a store form one source with one partition.

Files are read one after another. A *reading* is the pass over the new records of a file. It sorts the records by time
and gives them new offsets, after those of the previous reading. An interrupted reading continues with the same records
at the same offsets.

A file is recognised by the digest of the records that were read, not by its name. Records that were appended to the
file later form a new reading. If earlier records were changed, the whole file is read again, and votes that are stored
already become duplicates.

Not handled: which process may read files into the store now, and where readings are stored (`stream.file_intake`).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.errors import Unavailable
from pipeline.events.chunk import Chunk, FileRecords
from pipeline.formats import ColumnMapping
from pipeline.formats.containers import exists
from pipeline.formats.format_notes import format_notes, time_notes
from pipeline.formats.identity_leaks import shipped_leak_check
from pipeline.formats.record_reader import open_battles, read_events
from pipeline.formats.record_text import TEXT_COLUMNS
from pipeline.store.votes.file_readings import FileReading
from pipeline.stream.source.file_scan import FileScan, record_times
from pipeline.stream.source.record_sorter import RecordBlock, RecordSorter
from pipeline.stream.text_reading import TextReading
from pipeline.vocabulary.visible_text import visible

FILES = "file:votes"
"""The name of the source that consists of all files."""


@dataclass(slots=True)
class _Part:
    """One reading (a pass over new records of the file), with the sorter that puts these records in order of time."""

    reading: FileReading
    sorter: RecordSorter


class FileSource:
    """Reads the new records of a file, in the order of time.

    Attributes:
        path: path of the battle file.
        notes: sentences about how the file is read; empty before `prepare`.
        waits: description of an incomplete record at the end of the file; "" if there is none.
        changed: number of records that an earlier reading took from a file with this name, if some of these records
            have changed since, so that the whole file is read again; else 0.
        conversations: former ids of the first votes of a log. An early version of this pipeline took the name of the
            conversation and the number of the turn as the id of a vote. Empty before `prepare`, if the log names no
            conversations, or if votes still get these ids.
    """

    name = FILES

    def __init__(self, path: Path, mapping: ColumnMapping | None = None, texts: TextReading | None = None) -> None:
        """Open a file.

        Args:
            path: the file.
            mapping: the user's names of columns and outcomes.
            texts: checks the texts of records; None to look for identity leaks only.

        Raises:
            Unavailable: the file does not exist.
        """
        if not exists(path):
            raise Unavailable(f"expected a battle file, got none at {path}")
        self.path = path
        self.notes: list[str] = []
        self._shown_name = visible(path.name)  # a name may hold bytes that are no text
        self.waits = ""
        self.changed = 0
        self.conversations: list[str] = []
        self._mapping = mapping
        self._texts = TextReading(shipped_leak_check()) if texts is None else texts
        self._parts: list[_Part] | None = None
        self._blocks: Iterator[tuple[_Part, RecordBlock]] | None = None
        self._open: tuple[_Part, RecordBlock] | None = None
        self._next = 0

    def prepare(
        self, known: Sequence[FileReading] = (), next_offset: int = 0, keep: Callable[[], None] = lambda: None
    ) -> list[FileReading]:
        """Read the file, find its new records, and sort the new records by time.

        A reading is a pass over new records of a file, with the offsets that these records get.

        Args:
            known: the readings of all files that are in the store.
            next_offset: next offset of the partition. If the end of a reading is after this offset, the reading was
                interrupted.
            keep: a function that is called after every few thousand records. An error that it raises ends the call.

        Returns:
            The readings that must be done: first interrupted readings of this file, then one of its new records, if it
            has any.
        """
        self.close()
        self.waits = ""
        found, start = self._recognise(known, keep)
        self._next = next_offset
        complete = max((one.records for one in found if one.next_offset <= next_offset), default=0)
        interrupted = [one for one in found if one.next_offset > next_offset]
        self._parts = [_Part(one, RecordSorter()) for one in interrupted]
        first = max([complete, *(one.records for one in interrupted)])
        named = [one.records for one in known if one.name == self._shown_name and one.digest]
        self.changed = max(named, default=0) if first == 0 else 0
        offset = max([next_offset, *(one.next_offset for one in interrupted)])
        new = _Part(FileReading(0, self._shown_name, first, first, b"", offset, offset, _now()), RecordSorter())
        if interrupted or start.at != first:
            start = FileScan(self._records())
        new.reading = self._sort(self._parts, new, start, keep)
        if new.sorter.size:
            self._parts.append(new)
        self._texts.flush()  # before a vote is stored, so that a second reading hashes prompts alike
        self.conversations = start.conversations
        return [part.reading for part in self._parts]

    def _records(self) -> Iterator[bytes]:
        file = open_battles(self.path, self._mapping)
        also_read: frozenset[str] = TEXT_COLUMNS if self._texts.check else frozenset()
        self.notes = [*format_notes(file, also_read), *time_notes(file)]
        return read_events(file, self._note, self._texts.check)

    def _note(self, what: str) -> None:
        self.waits = what

    def _recognise(self, known: Sequence[FileReading], keep: Callable[[], None]) -> tuple[list[FileReading], FileScan]:
        """Find the stored readings that took records from the beginning of this file, whatever the file's name was.

        Returns:
            Two values: the readings whose digest equals the digest of as many first records of the file; and the scan
            that has read these records.
        """
        start = FileScan(self._records())
        found: list[FileReading] = []
        for mark in sorted({one.records for one in known if one.digest}):
            while start.at < mark and start.take(mark - start.at):
                keep()
            if start.at < mark:
                break
            digest = start.digest()
            found += [one for one in known if (one.records, one.digest) == (mark, digest)]
        return found, start

    def _sort(self, interrupted: Sequence[_Part], new: _Part, start: FileScan, keep: Callable[[], None]) -> FileReading:
        """Read the rest of the file, and give each record to the sorter of its reading.

        Args:
            interrupted: interrupted readings, whose records are sorted again.
            new: the reading of the file's new records.
            start: the scan of the file, at the record from which it is read.
            keep: called after every few thousand records.

        Returns:
            The new reading, with its number of records and its digest.
        """
        parts = [(part, part.reading.skipped, part.reading.records) for part in interrupted]
        parts.append((new, new.reading.skipped, np.iinfo(np.int64).max))
        bounds = [bound for _, *both in parts for bound in both]
        before = 0
        while step := start.take(min(bound - start.at for bound in bounds if bound > start.at)):
            first = start.at - len(step)
            for part, low, high in parts:
                if low <= first < high:
                    times = record_times(step, before)
                    part.sorter.add(first, step, times)
                    before = int(times[-1])
            keep()
        end = new.reading.first_offset + new.sorter.size
        return replace(new.reading, records=start.at, digest=start.digest(), next_offset=end)

    def number(self, readings: Sequence[FileReading]) -> None:
        """Give this source the numbers that its readings got in the store.

        A reading is a pass over new records of the file. A reading gets its number when it is stored, after `prepare`.

        Args:
            readings: the stored readings with their numbers, in the order in which `prepare` returned them.
        """
        for part, reading in zip(self._parts or [], readings, strict=True):
            part.reading = reading

    def generation(self) -> int:
        """Return 1, because the assigned partitions of a file never change."""
        return 1

    def assigned_partitions(self) -> list[int]:
        """Return the only partition of the source, which has the number 0."""
        return [0]

    def all_partitions(self) -> list[int]:
        """Return the only partition of the source, which has the number 0."""
        return [0]

    def offset_bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """Return the bounds 0 and 2⁶³ − 1, because the number of records is unknown until the file is read."""
        return {number: (0, np.iinfo(np.int64).max) for number in partitions}

    def known_ends(self) -> Mapping[int, int]:
        """Return an empty mapping, because the end is unknown until the file is read."""
        return {}

    def replaced_partitions(self, read: Mapping[int, tuple[int, int]]) -> list[int]:  # noqa: ARG002
        """Return an empty list. `prepare` decides by a digest whether a file was replaced."""
        return []

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Make `poll` continue at `offsets[0]`, the offset of the only partition.

        If `prepare` was not called, all records of the file count as new.
        """
        if self._parts is None:
            self.prepare()
        self._next = offsets[0]
        self._open = None
        self._blocks = self._read_from(offsets[0])

    def _read_from(self, offset: int) -> Iterator[tuple[_Part, RecordBlock]]:
        for part in self._parts or []:
            if part.reading.next_offset > offset:
                for block in part.sorter.read(max(offset - part.reading.first_offset, 0)):
                    yield part, block

    def poll(self, limit: int, seconds: float) -> list[Chunk]:  # noqa: ARG002  # a file never waits
        """Return the next records, at most `limit`, as one chunk in a list. The list is empty at the end of the file.

        All records of a chunk belong to one reading.
        """
        if self._blocks is None:
            return []
        taken: list[RecordBlock] = []
        reading: FileReading | None = None
        while limit > 0:
            self._open = self._open or next(self._blocks, None)
            if self._open is None or reading not in (None, self._open[0].reading):
                break
            part, block = self._open
            head, rest = block.split(limit)
            taken.append(head)
            reading, limit = part.reading, limit - len(head.values)
            self._open = (part, rest) if rest.values else None
        return [self._chunk(reading, taken)] if reading is not None else []

    def _chunk(self, reading: FileReading, taken: list[RecordBlock]) -> Chunk:
        values: list[bytes | None] = [value for block in taken for value in block.values]
        records = FileRecords(reading.name, reading.number, np.concatenate([block.number for block in taken]))
        offsets = np.arange(self._next, self._next + len(values), dtype=np.int64)
        self._next += len(values)
        read_at = np.full(len(values), reading.read_at, dtype=np.int64)
        return Chunk(0, offsets, read_at, values, records, self._next, of_file=True)

    def heartbeat(self) -> None:
        """Do nothing, because a file is never assigned to another worker."""

    def positions(self) -> Mapping[int, int]:
        """Return the next offset to read of the only partition, as {0: offset}."""
        return {0: self._next}

    def report_committed(self, offsets: Mapping[int, int]) -> None:
        """Do nothing, because no display shows the lag of a file."""

    def close(self) -> None:
        """Delete the temporary files, and discard the result of `prepare`."""
        for part in self._parts or []:
            part.sorter.close()
        self._parts, self._blocks, self._open = None, None, None


def _now() -> int:
    return time.time_ns() // 1000
