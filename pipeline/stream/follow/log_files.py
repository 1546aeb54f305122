"""Lists the files of a followed log, or of the logs in a followed folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.errors import Usage
from pipeline.formats.containers import SUFFIXES

DEFAULT_PATTERN = "*-conv*"
"""Pattern of the names of logs in a folder. FastChat names a log 2026-08-14-conv.json, and a rotation adds a suffix."""

_TABLES = frozenset(suffix for suffix, kind in SUFFIXES.items() if kind != "json lines")
_AFTER_NAME = (".", "-")


@dataclass(frozen=True, slots=True)
class LogFiles:
    """Finds the files of a followed log or folder.

    Attributes:
        path: a folder or a log; it need not exist yet.
        pattern: pattern of the names of logs in a folder, as in a shell.
    """

    path: Path
    pattern: str

    @classmethod
    def of(cls, path: Path, pattern: str) -> LogFiles:
        """Check a path that a person gave, and return the files to follow.

        Args:
            path: a folder or a log; it need not exist yet.
            pattern: pattern of the names of logs in a folder; "" for DEFAULT_PATTERN, the names of FastChat's logs.

        Raises:
            Usage: the path is a table, which cannot be read line by line, or its parent folder does not exist.
        """
        if path.suffix.lower() in _TABLES:
            raise Usage(f"--follow: expected a log of JSON Lines or a folder of such logs, got {path.name!r}")
        if not path.parent.is_dir():
            raise Usage(f"--follow: expected a log or a folder, got {path}: its folder {path.parent} does not exist")
        return cls(path, pattern or DEFAULT_PATTERN)

    def paths(self) -> Mapping[str, Path]:
        """Return name → path of all files that exist now. Hidden files are left out.

        For a followed folder, these are the files in the folder and its subfolders. For a followed log, these are the
        files in the folder of the log. Files that are not named like a log are listed too, because a rotation may give
        a log any name.
        """
        if self.path.is_dir():
            found = [one for one in self.path.rglob("*") if one.is_file() and not one.name.startswith(".")]
            return {str(one.relative_to(self.path)): one for one in found}
        return {one.name: one for one in self.path.parent.iterdir() if one.is_file() and not one.name.startswith(".")}

    def is_log(self, name: str) -> bool:
        """Return whether a file is a log, judged by its name.

        In a followed folder, the name of a log matches the pattern. For a followed log, the name is that of the log,
        with or without a suffix that a rotation added.
        """
        if self.path.is_dir():
            return fnmatchcase(Path(name).name, self.pattern)
        return name == self.path.name or (
            name.startswith(self.path.name) and name[len(self.path.name) :].startswith(_AFTER_NAME)
        )
