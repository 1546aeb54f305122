"""Opens battle files: one file or many, compressed or not, by the kind of each file.

The content decides if the suffix leaves a choice: JSON Lines are often named .json.
"""

from __future__ import annotations

import glob
import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa

from pipeline.errors import UnknownFormat

Kind = Literal["json array", "json lines", "csv", "tsv", "parquet"]

SUFFIXES: dict[str, Kind] = {
    ".json": "json lines",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
"""Suffix → kind; .json is an array where it begins with a bracket."""

_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_COMPRESSED = {".gz", ".gzip", ".zst", ".zstd"}
_HEAD = 64 * 1024
_BUFFER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Container:
    """A file with records.

    Attributes:
        path: the file.
        name: name of the file in messages.
        kind: how its bytes are read.
        codec: gzip or zstd, "" if it is not compressed.
    """

    path: Path
    name: str
    kind: Kind
    codec: str

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the uncompressed bytes.

        Raises:
            UnknownFormat: the compressed file is damaged.
        """
        with self.path.open("rb") as raw:
            if not self.codec:
                yield io.BufferedReader(raw, _BUFFER)
                return
            try:
                yield io.BufferedReader(pa.CompressedInputStream(raw, self.codec), _BUFFER)
            except OSError as error:
                raise UnknownFormat(f"{self.name}: expected {self.codec} data: {error}") from None

    @contextmanager
    def plain_path(self) -> Iterator[Path]:
        """Yield the path of a file with the uncompressed bytes: this file, or a temporary copy."""
        if not self.codec:
            yield self.path
            return
        with self.open() as stream:
            copy = spool(stream)
        try:
            yield copy
        finally:
            copy.unlink()


def list_files(path: Path) -> list[Path]:
    """Return the files that a path names: itself, the shards of a folder, or the matches of a glob, sorted.

    Raises:
        UnknownFormat: a folder or a glob without a file of a known kind.
    """
    if path.is_dir():
        found = sorted(one for one in path.rglob("*") if one.is_file() and _known_suffix(one))
    elif not path.exists() and any(sign in str(path) for sign in "*?["):
        found = sorted(one for one in map(Path, _matches(str(path))) if one.is_file())
    else:
        return [path]
    if not found:
        raise UnknownFormat(f"expected files named {', '.join(SUFFIXES)}, found none at {path}")
    return found


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern


def inspect(path: Path) -> Container:
    """Return the container of a file: its kind and its compression.

    Raises:
        UnknownFormat: a suffix without a reader, or JSON that is neither an array nor lines.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    codec = next((name for start, name in _CODECS.items() if magic.startswith(start)), "")
    suffix = _known_suffix(path)
    if suffix is None and path.suffix and path.suffix.lower() not in _COMPRESSED:
        raise UnknownFormat(f"expected one of {', '.join(SUFFIXES)}, got {path.name!r}")
    container = Container(path, path.name, SUFFIXES.get(suffix or "", "csv"), codec)
    if container.kind == "parquet" or (suffix is None and magic == b"PAR1"):
        return Container(path, path.name, "parquet", codec)
    if suffix is not None and container.kind != "json lines":
        return container
    with container.open() as stream:
        head = stream.read(_HEAD)
    return Container(path, path.name, _kind_of(head, container.kind if suffix else None, path), codec)


def spool(stream: IO[bytes] | None = None) -> Path:
    """Copy standard input to a temporary file, which can be read more than once."""
    with tempfile.NamedTemporaryFile(prefix="votes-", delete=False) as target:
        source: Any = stream or sys.stdin.buffer
        while block := source.read(_BUFFER):
            target.write(block)
    return Path(target.name)


def _known_suffix(path: Path) -> str | None:
    names = [suffix.lower() for suffix in path.suffixes[-2:]]
    if names and names[-1] in _COMPRESSED:
        names.pop()
    return names[-1] if names and names[-1] in SUFFIXES else None


def _kind_of(head: bytes, named: Kind | None, path: Path) -> Kind:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] == b"[":
        return "json array"
    if start[:1] == b"{" or (named is not None and path.suffix.lower() != ".json"):
        return "json lines"
    if named is not None or not start:
        what = "a JSON array of battles, or JSON Lines," if named else "records,"
        raise UnknownFormat(f"{path.name}: expected {what} got {start[:40].decode(errors='replace')!r}")
    first = start.splitlines()[0]
    return "tsv" if first.count(b"\t") > first.count(b",") else "csv"
