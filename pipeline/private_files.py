"""Checks whether users other than the owner have access to files with secrets."""

import logging
import stat
from pathlib import Path

_log = logging.getLogger(__name__)
_told: set[Path] = set()


def is_open_to_others(path: Path) -> bool:
    """Return whether users other than a file's owner have any permission on the file; False for a missing file."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def warn_if_open(path: Path) -> None:
    """Log a warning if other users have any permission on a file with a secret, at most once per file and process."""
    if path in _told or not is_open_to_others(path):
        return
    _told.add(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    _log.warning("%s holds a secret, and others can read it (mode %04o): `chmod 600 %s`", path, mode, path)
