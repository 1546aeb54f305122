"""Keeps the files of recently changed logs open, so that a deleted log can be read to its end."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.stream.follow.log_file import LogFile

_MOST = 100

Key = tuple[int, int]


class OpenLogs:
    """Keeps at most 100 files open. The least recently used file is closed first.

    The key of a file is (device, inode).
    """

    def __init__(self) -> None:
        self._files: OrderedDict[Key, LogFile] = OrderedDict()

    def get(self, key: Key, path: Path) -> LogFile:
        """Return a file, which is opened if it is not open yet.

        If more than 100 files are then open, the least recently used one is closed.

        Args:
            key: (device, inode) of the file.
            path: path of the file.

        Raises:
            OSError: the file cannot be opened, or another file has this path now.
        """
        if key not in self._files:
            self._files[key] = _opened(key, path)
        self._files.move_to_end(key)
        while len(self._files) > _MOST:
            self._files.popitem(last=False)[1].close()
        return self._files[key]

    def keep(self, key: Key, path: Path) -> None:
        """Open a file, unless 100 files are open or it is open already. A file that cannot be opened is ignored."""
        if key not in self._files and len(self._files) < _MOST:
            try:
                self.get(key, path)
            except OSError:
                return

    @contextmanager
    def lent(self, key: Key, path: Path | None) -> Iterator[LogFile | None]:
        """Lend an open file for a `with` block. Lending closes no other file.

        Args:
            key: (device, inode) of the file.
            path: path from which the file is opened for the block if it is not open. None opens no file.

        Yields:
            The file; None if it is not open and `path` is None.

        Raises:
            OSError: the file cannot be opened, or another file has this path now.
        """
        file = self._files.get(key)
        if file is not None or path is None:
            yield file
        else:
            with closing(_opened(key, path)) as own:
                yield own

    def peek(self, key: Key) -> LogFile | None:
        """Return a file if it is open, None otherwise."""
        return self._files.get(key)

    def size(self, key: Key) -> int:
        """Return the size of a file in bytes. 0 if the file is not open, or is compressed."""
        file = self._files.get(key)
        return file.stat().st_size if file is not None and not file.compressed else 0

    def drop(self, key: Key) -> None:
        """Close a file if it is open."""
        file = self._files.pop(key, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Close all open files."""
        for key in list(self._files):
            self.drop(key)


def _opened(key: Key, path: Path) -> LogFile:
    file = LogFile(path)
    stat = file.stat()
    if (stat.st_dev, stat.st_ino) != key:
        file.close()
        raise OSError(f"{path.name} was replaced while it was opened")
    return file
