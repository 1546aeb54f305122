"""A bundle as one file: a zip whose bytes follow from the bundle.

Laws: entries are stored, not compressed, in the order of their paths, with one fixed time; a zip that is not, byte by
byte, the one that its own entries give is refused, so nothing can hide between them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import Refuted
from .bundle import BundleFiles, BundleFolder

# Zip knows no earlier one. A bundle says its own time, signed, in the manifest.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(out: BinaryIO, files: BundleFiles) -> None:
    """Write a bundle, one file in memory at a time; `out` need not be able to seek."""
    with zipfile.ZipFile(_Forward(out.write), "w", zipfile.ZIP_STORED) as packed:  # type: ignore[call-overload]
        for name in sorted(files):
            packed.writestr(_entry(name), files[name])


class _Forward:
    """A stream that only goes on: a zip in a file and one sent over a wire have the same bytes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # a file made on another system must have the same bytes
    return entry


class BundleArchive(BundleFiles):
    """A bundle in a zip; a file is read when it is asked for.

    Raises:
        Refuted: reason `archive`; this is no zip as `write` makes it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._packed = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
            raise Refuted("archive", str(path), f"expected a zip: {error}") from None
        names = self._packed.namelist()
        for name in names:
            info = self._packed.getinfo(name)
            parts = name.split("/")
            if names.count(name) > 1 or ".." in parts or "" in parts or "\\" in name:
                raise Refuted("archive", name, "expected each path once, inside of the bundle")
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
                raise Refuted("archive", name, "expected a stored entry")
        self._names = names
        self._compare(path)

    def _compare(self, path: Path) -> None:
        with path.open("rb") as given:

            def same(data: bytes) -> None:
                place = given.tell()
                if given.read(len(data)) != data:
                    raise Refuted("archive", str(path), f"from byte {place} on it is not the zip of its entries")

            write(_Forward(same), self)  # type: ignore[arg-type]
            if given.read(1):
                raise Refuted("archive", str(path), f"expected its end at byte {given.tell() - 1}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            Refuted: reason `archive`; the entry is damaged.
        """
        try:
            return self._packed.read(name)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise Refuted("archive", name, f"expected a whole entry: {error}") from None


def open_bundle(path: Path) -> BundleFiles:
    """Open a bundle in a folder or a zip.

    Raises:
        Refuted: reason `missing`, `archive` or `not_a_file`.
    """
    return BundleArchive(path) if path.is_file() else BundleFolder(path)
