"""Writes the files of a copy of the ledger: into a folder, or into an object store through pyarrow's filesystems."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import fs

from pipeline.errors import Unavailable, Usage
from pipeline.vocabulary.url_passwords import without_passwords

_THREADS = 8
_DRAFT = ".new"


class CopyPlace:
    """A folder or an address of an object store, below which the files of a copy are stored.

    A file is complete or absent: object stores show a file when all of it has arrived, and a file in a folder is first
    written under another name.

    Attributes:
        name: the folder or the address, without passwords.
    """

    def __init__(self, place: str) -> None:
        """Open a place. Nothing is read or written yet.

        Args:
            place: a folder, or an address such as s3://BUCKET/PATH, whose query has options of the filesystem.

        Raises:
            Usage: the address cannot be parsed, or its scheme is unknown.
        """
        self.name = without_passwords(place)
        try:
            if "://" in place:
                system, path = fs.FileSystem.from_uri(place)
            else:
                system, path = fs.LocalFileSystem(), str(Path(place).absolute())
        except (ValueError, OSError, pa.ArrowException) as error:
            raise Usage(f"expected a folder or an address such as s3://BUCKET/PATH, got {self.name}: {error}") from None
        self._files, self._base = system, path.rstrip("/")
        self._renames = isinstance(system, fs.LocalFileSystem)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return path → size in bytes of all files below a folder; the paths are relative to the place.

        Raises:
            Unavailable: the place cannot be read.
        """
        selector = fs.FileSelector(f"{self._base}/{folder}", allow_not_found=True, recursive=True)
        with self._named(folder):
            found = self._files.get_file_info(selector)
        drop = len(self._base) + 1
        return {
            one.path[drop:]: one.size for one in found if one.type == fs.FileType.File and not one.path.endswith(_DRAFT)
        }

    def read(self, path: str) -> bytes | None:
        """Return the content of a file; None if there is no such file.

        Raises:
            Unavailable: the place cannot be read.
        """
        with self._named(path):
            if self._files.get_file_info(f"{self._base}/{path}").type == fs.FileType.NotFound:
                return None
            with self._files.open_input_file(f"{self._base}/{path}") as file:
                return bytes(file.read())

    def write(self, path: str, data: bytes | BinaryIO, content_type: str = "application/octet-stream") -> int:
        """Store a file, in place of a file with the same path.

        Args:
            path: path of the file below the place.
            data: the content, or a stream that is read to its end.
            content_type: its media type, which an object store tells to browsers.

        Returns:
            The number of bytes.

        Raises:
            Unavailable: the place cannot be written to.
        """
        full = f"{self._base}/{path}"
        with self._named(path):
            if self._renames:
                Path(full).parent.mkdir(parents=True, exist_ok=True)
            draft = full + _DRAFT if self._renames else full
            with self._files.open_output_stream(draft, metadata={"Content-Type": content_type}) as file:
                if isinstance(data, bytes):
                    file.write(data)
                else:
                    shutil.copyfileobj(data, file, 1 << 20)
                size = int(file.tell())
            if self._renames:
                self._files.move(draft, full)
        return size

    def write_all(self, files: Iterable[tuple[str, bytes]], *, ahead: int) -> Iterator[int]:
        """Store files in several threads, and yield the size of each in bytes.

        Args:
            files: path below the place, and content.
            ahead: how many files are written, or wait for it, at a time; they are in memory.

        Raises:
            Unavailable: the place cannot be written to. Files after the first that failed may be stored or not.
        """
        with ThreadPoolExecutor(min(_THREADS, ahead)) as threads:
            left = iter(files)
            running = [threads.submit(self.write, *one) for one in islice(left, ahead)]
            while running:
                yield running.pop(0).result()
                running += [threads.submit(self.write, *one) for one in islice(left, 1)]

    @contextmanager
    def _named(self, path: str) -> Iterator[None]:
        """Convert an error of the filesystem to `Unavailable`, which names the file and has no password."""
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            text = f"the copy's file {path} below {self.name} cannot be read or written: {what.splitlines()[0]}"
            raise Unavailable(without_passwords(text)) from None
