"""Remembers new files that may still be growing copies: such a file is read when it has stopped growing."""

from os import stat_result

# Polls after which a file that still grows is read all the same.
_MOST_POLLS = 60

Key = tuple[int, int]


class SettlingFiles:
    """The new files, by device and inode."""

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[int, int, int]] = {}

    def is_settled(self, key: Key, stat: stat_result) -> bool:
        """Return whether a file has the size and time that it had in the poll before, or was waited for too long."""
        size, mtime, polls = self._seen.get(key, (-1, 0, 0))
        self._seen[key] = (stat.st_size, stat.st_mtime_ns, polls + 1)
        return (size, mtime) == (stat.st_size, stat.st_mtime_ns) or polls >= _MOST_POLLS

    def is_waited_for(self, key: Key) -> bool:
        """Return whether a file was not waited for too long yet."""
        return self._seen.get(key, (0, 0, 0))[2] < _MOST_POLLS

    def forget(self, key: Key) -> None:
        """Forget a file."""
        self._seen.pop(key, None)

    def keys(self) -> list[Key]:
        """Return the files that are remembered."""
        return list(self._seen)
