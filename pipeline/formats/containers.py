"""Opens battle files: one file or many, compressed or not, each by its kind.

A container states the path of a file and how to read its bytes: kind, compression, encoding. The suffix is ignored if
the content of a file shows its kind. JSON Lines are often named .json, and a spreadsheet may write semicolons or
UTF-16. If the content has another kind than the suffix names, `Container.note` says so.
"""

from __future__ import annotations

import glob
import io
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from pipeline.errors import UnknownFormat
from pipeline.formats.first_bytes import (
    LEAST_CELLS,
    PARQUET,
    Kind,
    codec_of,
    delimiter_of,
    encoding_of,
    find_archive,
    find_foreign,
    kind_of,
)

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
_DESCRIPTIONS = {"dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"}
_COMPRESSED = {".gz", ".gzip", ".zst", ".zstd"}
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
        encoding: the encoding of the file's text, as `encoding_of` names it. `open` always returns UTF-8.
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
            UnknownFormat: the file cannot be read, its compressed data is damaged, or its text is not valid UTF-16 or
                UTF-32.
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

    In a folder, a file is not a shard if a name in its path begins with a dot or an underscore, or if it is one of the
    files in which Hugging Face Datasets describes a dataset, such as `dataset_info.json`. A path that does not exist
    and is not a glob is returned as it is.

    Raises:
        UnknownFormat: the folder or the glob contains no file of a known kind, or contains a link to a missing file.
    """
    if path.is_dir():
        found = _files(one for one in path.rglob("*") if _known_suffix(one) and not _is_aside(one, path))
    elif not path.exists() and _is_glob(path):
        found = _files(map(Path, _matches(str(path))))
    else:
        return [path]
    if not found:
        raise UnknownFormat(f"expected files named {', '.join(SUFFIXES)}, found none at {path}")
    return found


def _files(found: Iterable[Path]) -> list[Path]:
    """Return the paths that lead to files, sorted. A link to a missing file raises UnknownFormat: it may be a shard."""
    result = []
    for path in sorted(found):
        if path.is_file():
            result.append(path)
        elif path.is_symlink() and not path.exists():
            raise UnknownFormat(f"{path}: expected a file, got a link to a file that is not there")
    return result


def _is_glob(path: Path) -> bool:
    return any(sign in str(path) for sign in "*?[")


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern


def inspect(path: Path) -> Container:
    """Find out the kind of a file, its compression, and the encoding of its text, from its name and its first bytes.

    Raises:
        UnknownFormat: the file cannot be read; it is an archive, or of another kind that has no reader; or neither its
            suffix nor its content shows its kind.
    """
    suffix = _known_suffix(path)
    magic = _first_bytes(Container(path, path.name, "csv", ""))
    if what := find_archive(magic):
        raise UnknownFormat(f"{path.name}: expected a plain file, gzip or zstd, got {what}: unpack it first")
    raw = Container(path, path.name, SUFFIXES.get(suffix or "", "csv"), codec_of(magic))
    head = _first_bytes(raw) if raw.codec else magic
    if raw.codec and (what := find_archive(head) or codec_of(head)):
        raise UnknownFormat(f"{path.name}: expected records in {raw.codec}, got {what} in {raw.codec}: unpack it once")
    if what := find_foreign(head):
        raise UnknownFormat(f"{path.name}: expected a file of records, got {what}")
    if head.startswith(PARQUET):
        return _noted(replace(raw, kind="parquet"), suffix)
    encoding = encoding_of(head)
    text = head.decode(encoding, "replace").removeprefix("\ufeff").lstrip()
    if suffix == ".parquet" and not _is_table(text):
        return replace(raw, kind="parquet")  # its reader says what is wrong with it
    kind = _kind_of(text, path, suffix)
    delimiter = delimiter_of(text, "\t" if suffix == ".tsv" else ",")
    return _noted(replace(raw, kind=kind, encoding=encoding, delimiter=delimiter), suffix)


def _first_bytes(container: Container) -> bytes:
    with container.open() as stream:
        return stream.read(_HEAD)


def _noted(container: Container, suffix: str | None) -> Container:
    named, found = SUFFIXES.get(suffix or ""), _FAMILY[container.kind]
    other = container.path.suffix.lower()
    if _FAMILY[named] == found if named else (not other or other in _COMPRESSED):
        return container
    return replace(container, note=f"{container.name} contains {found}, and is read as that")


def exists(path: Path) -> bool:
    """Return whether a path names a file, a folder, or a glob with matches."""
    return path.exists() or (_is_glob(path) and bool(_matches(str(path))))


@contextmanager
def readable_path(path: Path) -> Iterator[Path]:
    """Yield the path of a file that can be read more than once, for a `with` block.

    For "-" and for a pipe (as /dev/stdin, or `<(command)` of a shell), the data is copied to a temporary file, and the
    path of the copy is yielded. Any other path is yielded unchanged.
    """
    if path != STANDARD_INPUT and not path.is_fifo():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="votes-") as folder:
        if path == STANDARD_INPUT:
            copy = Path(folder, "standard input")
            _copy(sys.stdin.buffer, copy)
        else:
            copy = Path(folder, path.name if path.suffix else f"pipe {path.name}")
            with path.open("rb") as pipe:
                _copy(pipe, copy)
        yield copy


def _copy(stream: IO[bytes], path: Path) -> None:
    with path.open("wb") as target:
        while block := stream.read(_BUFFER):
            target.write(block)


def bare_path(path: Path) -> Path:
    """Return a path without the suffixes of kinds and compressions at its end: `votes.csv.gz` gives `votes`."""
    path = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
    return path.with_suffix("") if path.suffix.lower() in SUFFIXES else path


def _known_suffix(path: Path) -> str | None:
    names = [suffix.lower() for suffix in path.suffixes[-2:]]
    if names and names[-1] in _COMPRESSED:
        names.pop()
    return names[-1] if names and names[-1] in SUFFIXES else None


def _is_aside(path: Path, folder: Path) -> bool:
    """Return whether a file below `folder` is no shard: it describes a dataset, or a name in its path shows it."""
    return path.name in _DESCRIPTIONS or any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _is_table(text: str) -> bool:
    """Return whether a text begins with JSON, or with a line of several cells without NUL."""
    line = text.partition("\n")[0]
    return text[:1] in ("[", "{") or ("\0" not in line and line.count(delimiter_of(text, ",")) + 1 >= LEAST_CELLS)


def _kind_of(text: str, path: Path, suffix: str | None) -> Kind:
    """Return the kind of a text file.

    Args:
        text: the beginning of the file, without leading spaces.
        path: the file.
        suffix: the known suffix of its name, or None.

    Raises:
        UnknownFormat: neither the name nor the text shows the kind.
    """
    if suffix is None and path.suffix and path.suffix.lower() not in _COMPRESSED and not _is_table(text):
        raise UnknownFormat(f"expected one of {', '.join(SUFFIXES)}, got {path.name!r}")
    named = None if suffix == ".parquet" else SUFFIXES.get(suffix or "")
    kind = kind_of(text, named, is_certain=suffix in (".jsonl", ".ndjson"))
    if kind is None:
        what = "a JSON array of battles, or JSON Lines," if named else "records,"
        raise UnknownFormat(f"{path.name}: expected {what} got {text[:40]!r}")
    if kind in ("csv", "tsv") and "\0" in text.partition("\n")[0]:
        raise UnknownFormat(f"{path.name}: expected text, JSON or Parquet, got binary data (NUL in the first line)")
    return kind
