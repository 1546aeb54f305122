"""Reads files of the ledger from the place at which workers find them: a folder, or an object store.

Object stores are read through pyarrow's filesystems: s3://BUCKET/PATH, gs://BUCKET/PATH, abfs://CONTAINER@ACCOUNT/PATH,
hdfs://HOST:PORT/PATH. Their credentials come from the worker's own environment.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from pipeline.errors import Unavailable
from pipeline.vocabulary.url_passwords import without_passwords


def read_file(place: str, name: str) -> bytes:
    """Return the content of a file of the ledger.

    Args:
        place: a folder, or an address, whose query has options of the filesystem.
        name: path of the file below the place.

    Raises:
        Unavailable: the file is missing, or the place cannot be read. The message has no password of the address.
    """
    try:
        if "://" not in place:
            return (Path(place) / name).read_bytes()
        system, folder = _filesystem(place)
        with system.open_input_file(f"{folder.rstrip('/')}/{name}") as file:
            return bytes(file.read())
    except (OSError, pa.ArrowException, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = f"expected the ledger's file {join(place, name)}, got: {what}"
        # Without its cause, whose message may have the address too, and which a log would show.
        raise Unavailable(without_passwords(message)) from None


def join(place: str, name: str) -> str:
    """Return the place with a path below it. The query of an address stays at the end."""
    path, separator, query = place.partition("?") if "://" in place else (place, "", "")
    return f"{path.rstrip('/')}/{name}{separator}{query}"


@lru_cache(maxsize=8)
def _filesystem(place: str) -> tuple[Any, str]:
    found: tuple[Any, str] = fs.FileSystem.from_uri(place)
    return found
