"""The open files of the logs that changed last: an open log can be read to its end after it was deleted."""

from collections import OrderedDict
from pathlib import Path

from pipeline.stream.follow.log_file import LogFile

_MOST = 100

Key = tuple[int, int]


class OpenLogs:
    """Open files by device and inode; the one that was used longest ago is closed when there are too many."""

    def __init__(self) -> None:
        self._files: OrderedDict[Key, LogFile] = OrderedDict()

    def get(self, key: Key, path: Path) -> LogFile:
        """Return the open file, which is opened by its path if necessary.

        Raises:
            OSError: it cannot be opened, or another file has the path now.
        """
        if key not in self._files:
            file = LogFile(path)
            stat = file.stat()
            if (stat.st_dev, stat.st_ino) != key:
                file.close()
                raise OSError(f"{path.name} was replaced while it was opened")
            self._files[key] = file
        self._files.move_to_end(key)
        while len(self._files) > _MOST:
            self._files.popitem(last=False)[1].close()
        return self._files[key]

    def keep(self, key: Key, path: Path) -> None:
        """Open a file that did not change, if there is room."""
        if key not in self._files and len(self._files) < _MOST:
            try:
                self.get(key, path)
            except OSError:
                return

    def peek(self, key: Key) -> LogFile | None:
        """Return the file if it is open."""
        return self._files.get(key)

    def size(self, key: Key) -> int:
        """Return the size of a file if it is open and not compressed, else 0."""
        file = self._files.get(key)
        return file.stat().st_size if file is not None and not file.compressed else 0

    def drop(self, key: Key) -> None:
        """Close a file."""
        file = self._files.pop(key, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Close all files."""
        for key in list(self._files):
            self.drop(key)
