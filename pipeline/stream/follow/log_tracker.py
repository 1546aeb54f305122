"""Reads new events from a set of log files, and stores how far the events of each log were published.

An event is published when the broker has confirmed it. Logs may be rotated: a log gets another name, or it is copied
and then emptied. A poll reads the known logs first, then new files. A new file that begins like a known log is most
likely a copy that still grows. It is read after it has stopped growing.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from os import stat_result
from pathlib import Path

import msgspec

from pipeline.stream.follow.lineage_ids import LineageIds, LineMapping
from pipeline.stream.follow.log_batch import LogBatch
from pipeline.stream.follow.log_file import DAMAGED, LogFile, is_compressed
from pipeline.stream.follow.log_position import LogPosition, Positions
from pipeline.stream.follow.log_reading import LogTruncated, read_on
from pipeline.stream.follow.log_recognition import find_continuation, is_known, similar_logs
from pipeline.stream.follow.open_logs import OpenLogs
from pipeline.stream.follow.settling_files import SettlingFiles

_KEPT_GONE = 100

Key = tuple[int, int]


class LogTracker:
    """Reads what is new in a set of logs, poll by poll.

    Attributes:
        unsettled: number of new files that are not read yet, because they may still be growing copies.
        notes: sentences about bytes that could not be read. The caller empties the list.
    """

    def __init__(
        self,
        scan: Callable[[], Mapping[str, Path]],
        lines: LineMapping,
        positions: Positions,
        is_log: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Create a tracker that begins at the stored positions.

        Args:
            scan: returns name → path of the files that exist now.
            lines: maps lines to events.
            positions: stores how far each log was read.
            is_log: returns whether a file is a log by its name. Another file is read only if it is a known log that was
                renamed, or if it begins with the content of a log that is gone.
        """
        self._is_log = is_log
        self._others: dict[Key, tuple[int, int, int]] = {}
        self._scan, self._lines, self._positions = scan, lines, positions
        known = positions.load()
        self._alive = {log.key: log for log in known if not log.gone}
        self._gone = [log for log in known if log.gone]
        self._open, self._paths = OpenLogs(), dict[Key, Path]()
        self._ids = LineageIds(lines)
        self._settling = SettlingFiles()
        self._held: dict[Key, tuple[int, int, Key, int]] = {}
        self._lineages: dict[Key, str] = {}
        self._generation: Counter[Key] = Counter()
        self._unsaved, self.unsettled, self.notes = False, 0, list[str]()

    def poll(self) -> Iterator[LogBatch]:
        """Yield the new events, batch by batch.

        A batch counts as published, and its position is stored, when the caller requests the next batch or reaches the
        end of the iterator.
        """
        found = self._found()
        self._paths = {key: path for key, (_, path, _) in found.items()}
        self.unsettled = 0
        for key in [key for key in self._alive if key not in found]:
            yield from self._read_missing(key)
        for key, (name, path, stat) in found.items():
            if key in self._alive:
                yield from self._read_known(key, name, path, stat)
        for key, (name, path, stat) in found.items():
            if key in self._alive or not stat.st_size or self._is_other(key, name, stat):
                continue
            if self._is_new(key, name, path, stat):
                yield from self._read(key, self._open.get(key, path), stat)
        if self._unsaved:
            self._save()
        self._forget_missing(found)

    def close(self) -> None:
        """Close all open files."""
        self._open.close()

    @property
    def files(self) -> int:
        """Number of logs that are followed."""
        return len(self._alive)

    def behind(self) -> int:
        """Return the number of bytes of open, uncompressed logs that were not published yet."""
        return sum(self._open.size(key) - log.offset for key, log in self._alive.items() if self._open.size(key))

    def _found(self) -> dict[Key, tuple[str, Path, stat_result]]:
        found: dict[Key, tuple[str, Path, stat_result]] = {}
        for name, path in sorted(self._scan().items()):
            try:
                stat = path.stat()
            except OSError:
                continue  # renamed or deleted meanwhile: the next poll finds it
            found.setdefault((stat.st_dev, stat.st_ino), (name, path, stat))
        return found

    def _read_missing(self, key: Key) -> Iterator[LogBatch]:
        """Read the rest of a log whose file was deleted or moved elsewhere, as long as the file is open."""
        file = self._open.peek(key)
        if file is not None:
            stat = file.stat()
            deleted = stat.st_nlink == 0
            if deleted or self._has_changed(key, stat):
                if self._alive[key].begins(file):
                    yield from self._read(key, file, stat, complete=deleted)
                else:
                    deleted = True
            if not deleted:
                return  # moved elsewhere: whoever has it open may still write to it
        self._retire(key, "deleted")

    def _read_known(self, key: Key, name: str, path: Path, stat: stat_result) -> Iterator[LogBatch]:
        if self._alive[key].name != name:
            self._put(msgspec.structs.replace(self._alive[key], name=name))
        if not self._has_changed(key, stat):
            self._open.keep(key, path)
            return
        was_open = self._open.peek(key) is not None
        try:
            file = self._open.get(key, path)
            begins = self._alive[key].begins(file)
        except DAMAGED as error:
            self._tell(name, error)
            self._open.drop(key)
            return
        if not begins and not self._is_log(name):
            self._retire(key, "deleted")  # another file has its inode
            return
        log = self._alive[key]
        if not was_open and self._is_log(name) and not (begins and log.offset):
            self._forget(key)  # only the inode of an open file is never given to another file
            return
        if not begins:
            lineage = log.lineage
            self._retire(key, "truncated, or replaced")
            self._put(LogPosition(name=name, device=key[0], inode=key[1], lineage=lineage))
            self._save()
        yield from self._read(key, file, stat)

    def _is_other(self, key: Key, name: str, stat: stat_result) -> bool:
        """Return whether a file is ignored, because it has no name of a log and cannot be a renamed log."""
        if self._is_log(name):
            return False
        seen = stat.st_size, stat.st_mtime_ns, self._generation.total()
        other = not self._gone or self._others.get(key) == seen
        self._others[key] = seen
        return other

    def _is_new(self, key: Key, name: str, path: Path, stat: stat_result) -> bool:
        """Decide whether an unknown file is a log. If so, begin to follow it, and return True.

        The result is also False if the decision must wait, because the file may still be growing.
        """
        held = self._held.get(key)
        if held is not None and held == (stat.st_size, stat.st_mtime_ns, held[2], self._generation[held[2]]):
            return False
        try:
            position = self._recognise(key, name, path, stat)
        except DAMAGED as error:
            self._open.drop(key)
            if self._is_log(name):
                self.unsettled += self._settling.is_waited_for(key)
                self._tell(name, error)
            return False
        if position is None:
            self._open.drop(key)
            return False
        self._put(position)
        self._save()
        return True

    def _recognise(self, key: Key, name: str, path: Path, stat: stat_result) -> LogPosition | None:
        """Return the position from which an unknown file is read; None if the decision must wait."""
        file = self._open.get(key, path)
        similar = similar_logs(file, [*self._alive.values(), *self._gone])
        if not self._is_log(name):
            similar = [log for log in similar if log.gone]
            if not similar:
                return None
        if (similar or file.compressed) and not self._settling.is_settled(key, stat):
            self.unsettled += 1
            self._others.pop(key, None)
            return None
        for log in similar:
            with self._original(log) as original:
                if is_known(file, log, original):
                    self._held[key] = (stat.st_size, stat.st_mtime_ns, log.key, self._generation[log.key])
                    return None
        found = find_continuation(file, similar)
        if found is None:
            if not self._is_log(name):
                return None
            return LogPosition(name=name, device=key[0], inode=key[1], lineage=self._lineages.get(key, name))
        if found.log.gone:
            self._gone.remove(found.log)
        return found.moved_to(name, *key)

    def _original(self, log: LogPosition) -> AbstractContextManager[LogFile | None]:
        return nullcontext() if log.gone else self._open.lent(log.key, self._paths.get(log.key))

    def _read(self, key: Key, file: LogFile, stat: stat_result, *, complete: bool = False) -> Iterator[LogBatch]:
        """Yield the lines after a log's position as batches.

        The position moves past a batch when the next batch is asked for.
        """
        try:
            ids = self._ids.of(self._alive[key], file, [*self._gone, *self._alive.values()])
        except LogTruncated:
            return  # the next poll finds that
        except DAMAGED as error:
            self._cannot_read(key, error)
            return
        try:
            for lines, log in self._blocks(key, file, complete or file.compressed):
                read, before = self._alive[key], ids.derived
                yield LogBatch.of(read, lines, self._lines, ids)
                derived = read.derived + ids.derived - before
                recent = ids.recent() if derived else {}
                self._put(msgspec.structs.replace(log, derived=derived, recent=recent))
                self._save()
        except LogTruncated:
            return
        self._put(msgspec.structs.replace(self._alive[key], size=stat.st_size, mtime=stat.st_mtime_ns))

    def _blocks(self, key: Key, file: LogFile, complete: bool) -> Iterator[tuple[list[bytes], LogPosition]]:
        try:
            yield from read_on(self._alive[key], file, complete=complete)
        except DAMAGED as error:
            self._cannot_read(key, error)
        finally:
            if file.compressed:
                self._open.drop(key)

    def _has_changed(self, key: Key, stat: stat_result) -> bool:
        return (self._alive[key].size, self._alive[key].mtime) != (stat.st_size, stat.st_mtime_ns)

    def _retire(self, key: Key, how: str) -> None:
        """Move a log from the live logs to those that are gone. `how` says what happened to it, such as "deleted"."""
        log = self._alive.pop(key)
        self._generation[key] += 1
        if log.size > log.offset and not is_compressed(log.name):
            rest = f"{how} before its last {log.size - log.offset:,} bytes were read"
            self._note(f"{log.name}: {rest}; a copy of the log, if there is one, is read from there on")
        if log.offset:
            self._gone = [*self._gone, msgspec.structs.replace(log, gone=True)][-_KEPT_GONE:]
        if how == "deleted":
            self._open.drop(key)
        self._unsaved = True

    def _forget(self, key: Key) -> None:
        """Forget that a file is a log, because another file may have its inode. The first name of the log is kept."""
        self._lineages[key] = self._alive[key].lineage
        if self._alive[key].offset:
            self._retire(key, "truncated, or replaced")
        else:
            del self._alive[key]

    def _put(self, log: LogPosition) -> None:
        self._alive[log.key] = log
        self._unsaved = True

    def _save(self) -> None:
        self._positions.save([*self._gone, *self._alive.values()])
        self._unsaved = False

    def _tell(self, name: str, error: Exception) -> None:
        if not isinstance(error, FileNotFoundError):  # renamed or deleted meanwhile: the next poll finds it
            self._note(f"{name}: cannot be read: {error}")

    def _cannot_read(self, key: Key, error: Exception) -> None:
        self._note(f"{self._alive[key].name}: cannot be read further: {error}")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _forget_missing(self, found: Mapping[Key, object]) -> None:
        for key in [*self._settling.keys(), *self._held, *self._others, *self._lineages]:
            if key not in found:
                self._settling.forget(key)
                self._held.pop(key, None)
                self._others.pop(key, None)
                self._lineages.pop(key, None)
