"""Converts the argument of a caller, which is a path or a table in memory, to files that can be read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from leaderboard_integrity.memory_tables import is_table, not_a_table, write_table
from pipeline.errors import Usage
from pipeline.formats.containers import STANDARD_INPUT
from pipeline.vote_files.report_source import require_each_once


@runtime_checkable
class ArrowTable(Protocol):
    """A table of any library with the Arrow C stream interface, such as pandas, polars, Arrow and DuckDB."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> object:
        """Return the columns as an Arrow C stream."""


PathLikeText: TypeAlias = str | PathLike[str]
VoteData: TypeAlias = PathLikeText | Sequence[PathLikeText] | ArrowTable


@dataclass(frozen=True, slots=True)
class VoteFiles:
    """Files with votes, for the duration of a `with` block.

    Attributes:
        paths: paths of the files to read.
        named: paths as the caller named them; empty if the votes come from a table in memory.
        notes: sentences about the parts of a table in memory that are not read.
    """

    paths: tuple[Path, ...]
    named: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@contextmanager
def vote_files(data: VoteData) -> Iterator[VoteFiles]:
    """Provide a caller's votes in the form of files, for the duration of a `with` block.

    Args:
        data: a path (a file, a folder of shards, or a glob), several paths, or a table.

    Raises:
        Usage: a file does not exist or is named twice, or `data` is of another type.
        BadInput: a table cannot be read.
    """
    if is_table(data):
        with tempfile.TemporaryDirectory(prefix="votes-") as folder:
            path, notes = write_table(data, Path(folder))
            yield VoteFiles((path,), notes=tuple(notes))
        return
    named = tuple(_paths(data))
    if not named or STANDARD_INPUT in named:
        raise Usage(f"expected files, got {'standard input' if named else 'an empty list of paths'}")
    require_each_once(named)
    yield VoteFiles(named, named)


def _paths(data: object) -> list[Path]:
    if isinstance(data, str | PathLike):
        return [Path(data).expanduser()]
    if isinstance(data, list | tuple) and all(isinstance(one, str | PathLike) for one in data):
        return [Path(one).expanduser() for one in data]
    raise not_a_table(data)
