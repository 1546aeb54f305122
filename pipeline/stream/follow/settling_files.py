"""Remembers new files that may still be growing copies. Such a file is read when it has stopped growing."""

from os import stat_result

# Polls after which a file that still grows is read all the same.
_MOST_POLLS = 60

Key = tuple[int, int]


class SettlingFiles:
    """Keeps the size, the modification time and the number of polls of each new file that is not read yet.

    A file is identified by (device, inode).
    """

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[int, int, int]] = {}

    def is_settled(self, key: Key, stat: stat_result) -> bool:
        """Return whether a file can be read: it did not change since the previous poll, or it was polled 60 times.

        Args:
            key: (device, inode) of the file.
            stat: present status of the file. It is remembered and compared at the next poll.
        """
        size, mtime, polls = self._seen.get(key, (-1, 0, 0))
        self._seen[key] = (stat.st_size, stat.st_mtime_ns, polls + 1)
        return (size, mtime) == (stat.st_size, stat.st_mtime_ns) or polls >= _MOST_POLLS

    def is_waited_for(self, key: Key) -> bool:
        """Return whether a file was polled fewer than 60 times. After 60 polls the follower no longer waits for it."""
        return self._seen.get(key, (0, 0, 0))[2] < _MOST_POLLS

    def forget(self, key: Key) -> None:
        """Remove a file from the remembered files. Does nothing if it is not remembered."""
        self._seen.pop(key, None)

    def keys(self) -> list[Key]:
        """Return (device, inode) of all remembered files."""
        return list(self._seen)
