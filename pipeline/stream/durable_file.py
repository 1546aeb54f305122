"""Replaces a small file atomically: after a crash, it has either all of the old content or all of the new."""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Replace the content of a file atomically, and flush it to the disk.

    The file is created if it does not exist. Afterwards only its owner can read and write it.

    Args:
        path: path of the file.
        data: the new content.
    """
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
