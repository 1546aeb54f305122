"""What of a store is not in its database, copied with it: the files of its public ledger, and its keys."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.open_store import open_store


def copy_files(there: str, here: str, key: bytes) -> None:
    """Give a copy of a store what seals have written and signed beside the database."""
    for old, new in zip(_folders(there, key), _folders(here, key), strict=True):
        shutil.copytree(old, new, dirs_exist_ok=True)


def _folders(url: str, key: bytes) -> tuple[Path, Path]:
    store = open_store(url, voter_key=key)
    store.close()
    return store.files.folder, store.key_folder
