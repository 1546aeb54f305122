"""Lists the files that belong to a followed log or folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.errors import Usage
from pipeline.formats.containers import SUFFIXES

DEFAULT_PATTERN = "*-conv.json*"
"""Pattern of the names of logs in a folder. FastChat names a log 2026-08-14-conv.json, and a rotation adds a suffix."""

_TABLES = frozenset(suffix for suffix, kind in SUFFIXES.items() if kind != "json lines")
_AFTER_NAME = (".", "-")


def file_lister(path: Path, pattern: str) -> Callable[[], Mapping[str, Path]]:
    """Return a function that lists the files to follow: their paths by name.

    Args:
        path: a folder or a log; it need not exist yet. Of a folder, all files with matching names are listed, also in
            its subfolders. A log is listed together with its rotated copies in the same folder.
        pattern: pattern of the names in a folder, as in a shell.

    Raises:
        Usage: the path is a table, which cannot be read line by line, or its parent folder does not exist.
    """
    if path.suffix.lower() in _TABLES:
        raise Usage(f"--follow: expected a log of JSON Lines or a folder of such logs, got {path.name!r}")
    if not path.parent.is_dir():
        raise Usage(f"--follow: expected a log or a folder, got {path}: its folder {path.parent} does not exist")

    def listed() -> Mapping[str, Path]:
        if path.is_dir():
            found = [one for one in path.rglob(pattern) if one.is_file() and not one.name.startswith(".")]
            return {str(one.relative_to(path)): one for one in found}
        names = [one for one in path.parent.iterdir() if _is_copy(one.name, path.name) and one.is_file()]
        return {one.name: one for one in names}

    return listed


def _is_copy(name: str, log: str) -> bool:
    return name == log or (name.startswith(log) and name[len(log) :].startswith(_AFTER_NAME))
