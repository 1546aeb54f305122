"""Remembers new files that may still be growing copies, until they have stopped growing."""

from os import stat_result

# Polls after which a file that still grows is read all the same.
_MOST_POLLS = 60

Key = tuple[int, int]


class SettlingFiles:
    """Decides when a new file is read: when it has not changed since the previous poll, or after 60 polls.

    A file is known by its device and inode, so a renamed file is still the same file.
    """

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[int, int, int]] = {}

    def is_settled(self, key: Key, stat: stat_result) -> bool:
        """Return whether a file can be read: it did not change since the previous poll, or was polled 60 times.

        Args:
            key: (device, inode) of the file.
            stat: present status of the file. It is remembered, to be compared at the next poll.
        """
        size, mtime, polls = self._seen.get(key, (-1, 0, 0))
        self._seen[key] = (stat.st_size, stat.st_mtime_ns, polls + 1)
        return (size, mtime) == (stat.st_size, stat.st_mtime_ns) or polls >= _MOST_POLLS

    def is_waited_for(self, key: Key) -> bool:
        """Return whether the follower still waits for a file. The wait ends after 60 polls of the file."""
        return self._seen.get(key, (0, 0, 0))[2] < _MOST_POLLS

    def forget(self, key: Key) -> None:
        """Stop remembering a file. Nothing happens if the file is not remembered."""
        self._seen.pop(key, None)

    def keys(self) -> list[Key]:
        """Return (device, inode) of all remembered files."""
        return list(self._seen)
