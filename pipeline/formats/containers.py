"""Opens battle files: one file or many, compressed or not, each by its kind.

A container states the path of a file and how to read its bytes: kind, compression, encoding. The suffix is ignored if
the content of a file shows its kind. JSON Lines are often named .json, and a spreadsheet may write semicolons or
UTF-16. If the content has another kind than the suffix names, `Container.note` says so.
"""

from __future__ import annotations

import glob
import io
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
"""Suffix → kind. A .json file is read as an array if it begins with a bracket."""

_FAMILY: dict[Kind, str] = {
    "json array": "JSON",
    "json lines": "JSON",
    "csv": "delimited text",
    "tsv": "delimited text",
    "parquet": "Parquet",
}
_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "a 7z archive"}
_COMPRESSED = {".gz", ".gzip", ".zst", ".zstd"}
_PARQUET = b"PAR1"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",\t;|"
_QUOTED = re.compile(r'"[^"]*"')
# Least cells of a first line that make a file named .json a table.
_LEAST_CELLS = 3
STANDARD_INPUT = Path("-")
_HEAD = 64 * 1024
_BUFFER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Container:
    """A file of records: its format, compression and encoding.

    Attributes:
        path: the file.
        name: name of the file in messages.
        kind: the file format, such as "csv" or "parquet".
        codec: gzip or zstd; "" if the file is not compressed.
        encoding: utf-8 or utf-16, the encoding of the file. `open` always returns UTF-8.
        delimiter: the character between the cells of a CSV or TSV file.
        note: a sentence for people if the content has another kind than the suffix names; else "".
    """

    path: Path
    name: str
    kind: Kind
    codec: str
    encoding: str = "utf-8"
    delimiter: str = ","
    note: str = ""

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Yield a stream of the uncompressed bytes in UTF-8, for a `with` block.

        Raises:
            UnknownFormat: the compressed file is damaged, or its text is not valid UTF-16.
        """
        with self.path.open("rb") as raw:
            stream: Any = raw
            try:
                if self.codec:
                    stream = pa.CompressedInputStream(stream, self.codec)
                if self.encoding != "utf-8":
                    plain = stream if self.codec else pa.PythonFile(stream, "r")
                    stream = pa.transcoding_input_stream(plain, self.encoding, "utf-8")
                yield io.BufferedReader(stream, _BUFFER)
            except OSError as error:
                raise UnknownFormat(f"{self.name}: expected {self.codec or 'readable'} data: {error}") from None
            except UnicodeDecodeError as error:
                if self.encoding == "utf-8":
                    raise
                raise UnknownFormat(f"{self.name}: expected {self.encoding} text: {error}") from None

    @contextmanager
    def plain_path(self) -> Iterator[Path]:
        """Yield the path of a file with the uncompressed bytes, for a `with` block.

        The path leads to the file itself if the file is not compressed, else to a temporary copy.
        """
        if not self.codec:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="votes-") as folder:
            copy = Path(folder, self.name)
            with self.open() as stream:
                _copy(stream, copy)
            yield copy


def list_files(path: Path) -> list[Path]:
    """Return the files that a path names, sorted: the file itself, the shards in a folder, or the matches of a glob.

    In a folder, a file is not a shard if its name begins with a dot or an underscore. A path that does not exist and is
    not a glob is returned as it is.

    Raises:
        UnknownFormat: the folder or the glob contains no file of a known kind.
    """
    if path.is_dir():
        found = sorted(
            one for one in path.rglob("*") if one.is_file() and _known_suffix(one) and not _is_aside(one, path)
        )
    elif not path.exists() and _is_glob(path):
        found = sorted(one for one in map(Path, _matches(str(path))) if one.is_file())
    else:
        return [path]
    if not found:
        raise UnknownFormat(f"expected files named {', '.join(SUFFIXES)}, found none at {path}")
    return found


def _is_glob(path: Path) -> bool:
    return any(sign in str(path) for sign in "*?[")


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern


def inspect(path: Path) -> Container:
    """Find out the kind of a file, its compression, and the encoding of its text, from its name and its first bytes.

    Raises:
        UnknownFormat: the suffix has no reader, the file is an archive, or JSON is neither an array nor JSON Lines.
    """
    suffix = _known_suffix(path)
    if suffix is None and path.suffix and path.suffix.lower() not in _COMPRESSED:
        raise UnknownFormat(f"expected one of {', '.join(SUFFIXES)}, got {path.name!r}")
    with path.open("rb") as file:
        magic = file.read(8)
    for start, what in _ARCHIVES.items():
        if magic.startswith(start):
            raise UnknownFormat(f"{path.name}: expected a plain file, gzip or zstd, got {what}: unpack it first")
    codec = next((name for start, name in _CODECS.items() if magic.startswith(start)), "")
    raw = Container(path, path.name, SUFFIXES.get(suffix or "", "csv"), codec)
    with raw.open() as stream:
        head = stream.read(_HEAD)
    if head.startswith(_PARQUET) or suffix == ".parquet":
        return _noted(replace(raw, kind="parquet"), suffix)
    encoding = "utf-16" if head.startswith(_UTF16) else "utf-8"
    text = head.decode(encoding, "replace").removeprefix("\ufeff").lstrip()
    kind = _kind_of(text, raw, suffix)
    delimiter = _delimiter(text, "\t" if suffix == ".tsv" else ",")
    return _noted(replace(raw, kind=kind, encoding=encoding, delimiter=delimiter), suffix)


def _noted(container: Container, suffix: str | None) -> Container:
    named = SUFFIXES.get(suffix or "")
    if named is None or _FAMILY[named] == _FAMILY[container.kind]:
        return container
    return replace(container, note=f"{container.name} contains {_FAMILY[container.kind]}, and is read as that")


def exists(path: Path) -> bool:
    """Return whether a path names a file, a folder, or a glob with matches."""
    return path.exists() or (_is_glob(path) and bool(_matches(str(path))))


@contextmanager
def readable_path(path: Path) -> Iterator[Path]:
    """Yield the path of a file that can be read more than once, for a `with` block.

    For "-", standard input is copied to a temporary file, and the path of the copy is yielded. Any other path is
    yielded unchanged.
    """
    if path != STANDARD_INPUT:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="votes-") as folder:
        copy = Path(folder, "standard input")
        _copy(sys.stdin.buffer, copy)
        yield copy


def _copy(stream: IO[bytes], path: Path) -> None:
    with path.open("wb") as target:
        while block := stream.read(_BUFFER):
            target.write(block)


def _known_suffix(path: Path) -> str | None:
    names = [suffix.lower() for suffix in path.suffixes[-2:]]
    if names and names[-1] in _COMPRESSED:
        names.pop()
    return names[-1] if names and names[-1] in SUFFIXES else None


def _is_aside(path: Path, folder: Path) -> bool:
    """Return whether a file is not a shard: a name in its path below `folder` begins with "_" or ".", as _metadata."""
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _kind_of(start: str, raw: Container, suffix: str | None) -> Kind:
    if start[:1] == "[":
        return "json array"
    if start[:1] == "{":
        return "json lines"
    named = SUFFIXES.get(suffix or "")
    if named in ("csv", "tsv"):
        return named
    if named is not None and suffix != ".json":
        return "json lines"
    line = start.partition("\n")[0]
    if not start or (named is not None and line.count(_delimiter(start, ",")) + 1 < _LEAST_CELLS):
        what = "a JSON array of battles, or JSON Lines," if named else "records,"
        raise UnknownFormat(f"{raw.name}: expected {what} got {start[:40]!r}")
    return "csv"


def _delimiter(start: str, named: str) -> str:
    """Return the delimiter that is most frequent in a table's first line, outside of quotes.

    If no delimiter is more frequent than `named`, the result is `named`. A first line `sep=;` states the delimiter.
    """
    line = start.partition("\n")[0]
    if line.startswith("sep=") and len(line.rstrip()) == len("sep=;"):
        return line[4]
    bare = _QUOTED.sub("", line)
    most = max(_DELIMITERS, key=bare.count)
    return most if bare.count(most) > bare.count(named) else named
