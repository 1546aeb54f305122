"""A bundle on disk, whatever its shape."""

from __future__ import annotations

from pathlib import Path

from .archive import Archive
from .bundle import Files, Folder


def files(path: Path) -> Files:
    """The files of a bundle in a folder or a zip.

    Raises:
        Refuted: reason `missing`, `archive` or `not_a_file`.
    """
    return Archive(path) if path.is_file() else Folder(path)
