"""Writes and reads bundles as zip files with reproducible bytes.

Entries are stored without compression, sorted by path, all with the same fixed time. A zip is accepted only if `write`
would make the same bytes from its entries. Therefore no data can be hidden between entries.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import Refuted
from . import size_limits
from .bundle import BundleFiles, BundleFolder

# The earliest time of the format. The time of a snapshot is in its signed manifest.
_TIME = (1980, 1, 1, 0, 0, 0)
# The end of a zip without a comment: the number of entries and the bytes of their list are fields 4 and 5; in a zip of
# more than 4 GiB, fields 7 and 8 of the record before.
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_LOCATOR = 20
# Bytes of an entry in the list of files: 46, its path, and 28 where it begins beyond 4 GiB.
_MOST_ENTRY = 46 + 28 + 4 * size_limits.MAX_PATH


def write(out: BinaryIO, files: BundleFiles) -> None:
    """Write the files of a bundle as a zip to a stream.

    Args:
        out: the stream. It need not be seekable.
        files: path → content of each file.
    """
    with zipfile.ZipFile(_ForwardOnly(out.write), "w", zipfile.ZIP_STORED) as packed:  # type: ignore[call-overload]
        for name in sorted(files):
            packed.writestr(_entry(name), files[name])


class _ForwardOnly:
    """A stream that cannot seek, so that `zipfile` writes the same bytes to a file as to a socket."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # the same bytes on every system
    return entry


class BundleArchive(BundleFiles):
    """Reads a bundle in a zip, as a mapping of paths to contents. A file is read when it is looked up.

    Raises:
        Refuted: reason `archive`: the file is not the zip that `write` makes from its entries. Reason `limit`: the zip
            has too many files, or a name is too long.
    """

    def __init__(self, path: Path) -> None:
        try:
            _require_small_directory(path)
            self._packed = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
            raise Refuted("archive", str(path), f"expected a zip: {error}") from None
        names = self._packed.namelist()
        repeated = len(set(names)) < len(names)
        for name in names:
            info = self._packed.getinfo(name)
            parts = name.split("/")
            if len(name) > size_limits.MAX_PATH:
                raise Refuted("limit", name[:80], f"expected a path of at most {size_limits.MAX_PATH} characters")
            if repeated or ".." in parts or "" in parts or "\\" in name:
                raise Refuted("archive", name, "expected each path once, and none outside the bundle")
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
                raise Refuted("archive", name, "expected an entry without compression and encryption")
        self._names = names
        self._compare(path)

    def _compare(self, path: Path) -> None:
        with path.open("rb") as given:

            def same(data: bytes) -> None:
                place = given.tell()
                if given.read(len(data)) != data:
                    raise Refuted("archive", str(path), f"from byte {place} on it differs from the zip of its entries")

            write(_ForwardOnly(same), self)  # type: ignore[arg-type]
            if given.read(1):
                raise Refuted("archive", str(path), f"expected the end of the file at byte {given.tell() - 1}")

    def size(self, name: str) -> int:
        """Return the size of a file in bytes, without reading it."""
        return self._packed.getinfo(name).file_size

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            Refuted: reason `archive`: the entry is damaged.
        """
        try:
            return self._packed.read(name)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise Refuted("archive", name, f"expected an undamaged entry: {error}") from None


def _require_small_directory(path: Path) -> None:
    """Refuse a ZIP archive with a large directory (list of files), since `zipfile` reads the whole directory."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END.size))
        end = file.read()
        if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
            raise Refuted("archive", str(path), "expected a zip that ends without a comment")
        entries, length = _END.unpack(end)[4:6]
        if entries == 0xFFFF or length == 0xFFFFFFFF:
            file.seek(max(0, size - _END.size - _END_64_LOCATOR - _END_64.size))
            wide = file.read(_END_64.size)
            entries, length = _END_64.unpack(wide)[7:9] if len(wide) == _END_64.size else (0, 0)
    if entries > size_limits.MAX_FILES or length > size_limits.MAX_FILES * _MOST_ENTRY:
        raise Refuted("limit", str(path), f"expected at most {size_limits.MAX_FILES:,} files, it declares {entries:,}")


def open_bundle(path: Path) -> BundleFiles:
    """Open a bundle in a folder or a zip.

    Returns:
        The files of the bundle, as a mapping of paths to contents.

    Raises:
        Refuted: reason `missing`: the path is neither a folder nor a file. Reason `archive`: the file is not a zip that
            `write` made. Reason `limit`: the zip has too many files, or a name is too long.
    """
    return BundleArchive(path) if path.is_file() else BundleFolder(path)
