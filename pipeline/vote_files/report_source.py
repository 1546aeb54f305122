"""Describes where the votes of a report come from: hashes of the files, how they were read, and the command."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from pipeline.errors import Usage
from pipeline.formats.containers import STANDARD_INPUT, exists, list_files
from pipeline.report.report import ReportSource, SourceFile
from pipeline.vote_files.vote_input import VoteInput

# What `rate` says about reading a file, and a report too.
_READING = ("format", "records", "unread_columns", "left_out", "method", "unrated", "repeated_ids", "conflicting_ids")


def report_source(
    paths: Sequence[Path], named: Sequence[Path], read: VoteInput, options: Mapping[str, str | bool], seed: int
) -> ReportSource:
    """Describe where the votes of a report come from.

    Files are named without their folders, because a folder may name a person.

    Args:
        paths: the files, as they can be read again; none if the votes come from memory.
        named: the files as the user named them; "-" for standard input.
        read: the votes as they were read.
        options: option of `integrity report` → its value; "" and False for an option that is not given.
        seed: seed of all random draws.
    """
    words = [word for name, value in options.items() if value for word in _option(name, value)]
    names = ["-" if one == STANDARD_INPUT else _shown(one) for one in named]
    return ReportSource(
        files=[_hashed(one) for path in paths for one in list_files(path)],
        reading={name: read.document[name] for name in _READING} | {"notes": read.notes},
        command=shlex.join(["integrity", "report", *names, *words]) if named else "",
        version=version("leaderboard-integrity"),
        seed=seed,
    )


def require_each_once(files: Sequence[Path]) -> list[Path]:
    """Check that a user named each file only once, and return the resolved paths of all files.

    A folder or glob is replaced by its files. "-" for standard input stays.

    Raises:
        Usage: a file does not exist, or is named twice.
    """
    for one in files:
        if one != STANDARD_INPUT and not exists(one):
            raise Usage(f"expected a file, a folder, a glob or -, got {one}")
    found = [path if path == STANDARD_INPUT else path.resolve() for one in files for path in list_files(one)]
    for place, one in enumerate(found):
        if one in found[:place]:
            raise Usage(f"expected each file once, got {one.name} twice: its votes would count twice")
    return found


def _option(name: str, value: str | bool) -> list[str]:
    """Return an option as words of a command; a value that names a file loses its folders."""
    if value is True:
        return [name]
    return [name, Path(str(value)).name if name == "--method" else str(value)]


def _shown(path: Path) -> str:
    return path.name or path.resolve().name


def _hashed(path: Path) -> SourceFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFile(name=path.name, sha256=digest, bytes=path.stat().st_size)
