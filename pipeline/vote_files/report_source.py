"""Says where the votes of a report come from: the hashes of their files, and how they were read."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.formats.containers import list_files
from pipeline.report.report import SourceFile
from pipeline.vote_files.vote_input import VoteInput

# What `rate` says about reading a file, and a report too.
_READING = ("format", "records", "unread_columns", "left_out", "method", "unrated", "repeated_ids", "conflicting_ids")


def reading_facts(read: VoteInput) -> Mapping[str, Any]:
    """Return how votes were read, as plain values for the `reading` of a report's source."""
    return {name: read.document[name] for name in _READING} | {"notes": read.notes}


def hashed_files(paths: Sequence[Path]) -> list[SourceFile]:
    """Return each file that the paths name, with its hash."""
    return [_hashed(one) for path in paths for one in list_files(path)]


def _hashed(path: Path) -> SourceFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFile(name=path.name, sha256=digest, bytes=path.stat().st_size)
