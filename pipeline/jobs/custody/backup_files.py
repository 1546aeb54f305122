"""Writes and reads the files of a backup, which is a folder or a tar file with a list of digests.

The list `backup.json` is written last, so a backup without this file is not complete. Only files in the list are read,
and only names of a few fixed forms are allowed, so no name leads outside the target of a restore. All files are
readable by their owner only.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from pipeline.errors import Refuted, Usage
from pipeline.store.db.database_copy import FILE_NAMES

FORMAT, DOCUMENT = "leaderboard-integrity-backup/1", "backup.json"
_NAMES = re.compile(
    r"database\.(sqlite|pgdump)|(ledger/files|archive)/[0-9a-f]{2}/[0-9a-f]{64}|ledger/heads/[0-9]{9,18}"
    r"|keys/[a-z-]{1,40}\.key"
)
_FACTS = {
    "store_id": r"[0-9a-f]{16}",  # a folder's name
    "database": r"sqlite|postgresql",
    "tables": r"[0-9]{4}",
    "made_at": r"[0-9T:.Z+-]{10,40}",
    "voter_key_check": r"[0-9a-f]{64}",
    "snapshots": r"[0-9]{1,9}",
    "last_snapshot": r"[0-9a-f]{64}|None",
}
_WHOLE = ("snapshots",)
_BLOCK, _LARGEST_DOCUMENT = 1 << 20, 1 << 28


class BackupWriter:
    """Writes a backup, one file at a time. The backup is complete after `finish`.

    Attributes:
        listed: name of a file in the backup → {"sha256", "bytes"}, for the files that were added.
    """

    def __init__(self, to: Path) -> None:
        """Create an empty backup: a tar if the name ends in .tar, else a folder.

        Raises:
            Usage: the tar file exists already, the folder is not empty, or the backup cannot be created.
        """
        self._to = to
        self._tar: tarfile.TarFile | None = None
        self._file: BinaryIO | None = None
        self.listed: dict[str, dict[str, Any]] = {}
        try:
            if to.suffix == ".tar":
                self._file = _private(to)
                self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            else:
                to.mkdir(mode=0o700, parents=True, exist_ok=True)
                if any(to.iterdir()):
                    raise Usage(f"--out: expected a folder that does not exist or is empty, got {to}")
        except (OSError, ValueError) as error:
            raise Usage(f"--out: expected a new folder, or a new file ending in .tar, got {to}: {error}") from None

    @property
    def draft(self) -> Path:
        """The path for a temporary file, which a caller may create and then pass to `add` with `take`."""
        return self._to.with_name(self._to.name + ".draft") if self._tar is not None else self._to / "database.draft"

    def add(self, name: str, source: Path, *, take: bool = False) -> str:
        """Add a file to the backup and return its SHA-256.

        Args:
            name: name of the file in the backup.
            source: the file to add.
            take: whether to move the file instead of copying it.
        """
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            counted = _HashedFile(file)
            if self._tar is not None:
                self._tar.addfile(_member(name, size), cast("BinaryIO", counted))
            elif take:
                while counted.read(_BLOCK):
                    pass
            else:
                with _private(self._to / name) as copy:
                    shutil.copyfileobj(cast("BinaryIO", counted), copy, _BLOCK)
                    _flush(copy)
        if take and self._tar is None:
            source.rename(self._to / name)
        elif take:
            source.unlink()
        self.listed[name] = {"sha256": counted.digest(), "bytes": size}
        return counted.digest()

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Complete the backup by writing `backup.json`.

        This file has the fields of `facts` and the list of files with their digests.
        """
        document = {"format": FORMAT, **facts, "files": dict(sorted(self.listed.items()))}
        data = json.dumps(document, indent=1).encode() + b"\n"
        if self._tar is None:
            with _private(self._to / DOCUMENT) as file:
                file.write(data)
                _flush(file)
            return
        self._tar.addfile(_member(DOCUMENT, len(data)), io.BytesIO(data))
        self._tar.close()
        _flush(cast("BinaryIO", self._file))

    def close(self) -> None:
        """Close the tar file, and delete the temporary file at `draft` if there is one."""
        self.draft.unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()


class BackupReader:
    """Reads the files of a backup. `backup.json` is read when the reader is made; `check` compares every file with it.

    Attributes:
        facts: the content of `backup.json`.
        listed: name of a file in the backup → {"sha256", "bytes"}, as `backup.json` states them.
    """

    def __init__(self, source: Path, tar: tarfile.TarFile | None) -> None:
        self._source, self._tar = source, tar
        self.facts = self._read_facts()
        self.listed: dict[str, dict[str, Any]] = self.facts["files"]

    def check(self) -> None:
        """Read every file of the backup, and compare its size and digest with the list in `backup.json`.

        Raises:
            Refuted: a file is missing, or its size or digest differs from the list.
        """
        for name, one in self.listed.items():
            size, hashed = 0, hashlib.sha256()
            for block in self._blocks(name):
                size += len(block)
                hashed.update(block)
            found = {"sha256": hashed.hexdigest(), "bytes": size}
            if found != one:
                raise Refuted("digest", f"{self._source}: {name}", f"expected {_shown(one)}, got {_shown(found)}")

    def read(self, name: str) -> bytes:
        """Return the content of a file of the backup. The digest is not compared.

        Raises:
            Refuted: the backup has no such file.
        """
        return b"".join(self._blocks(name))

    @contextmanager
    def as_file(self, name: str) -> Iterator[Path]:
        """Provide the path of a file of the backup for the duration of a `with` block, for programs that need a path.

        A file inside a tar is copied to a temporary file first.
        """
        if self._tar is None:
            yield self._source / name
            return
        with tempfile.NamedTemporaryFile(dir=self._source.parent, prefix=".restore-") as copy:
            for block in self._blocks(name):
                copy.write(block)
            copy.flush()
            yield Path(copy.name)

    def _blocks(self, name: str) -> Iterator[bytes]:
        try:
            with self._open(name) as file:
                while block := file.read(_BLOCK):
                    yield block
        except (OSError, KeyError, tarfile.TarError) as error:
            raise Refuted("missing", f"{self._source}: {name}", f"expected this file, got: {error}") from None

    def _open(self, name: str) -> BinaryIO:
        if self._tar is None:
            return (self._source / name).open("rb")
        found = self._tar.extractfile(name)
        if found is None:
            raise KeyError(f"{name} is no file")
        return cast("BinaryIO", found)

    def _read_facts(self) -> dict[str, Any]:
        where = f"{self._source}: {DOCUMENT}"
        try:
            with self._open(DOCUMENT) as file:
                data = file.read(_LARGEST_DOCUMENT)
        except (OSError, KeyError, tarfile.TarError):
            raise Usage(
                f"expected a backup with {DOCUMENT}, which is written last, got none in {self._source}: this is no "
                "backup, or one that did not finish"
            ) from None
        try:
            facts = json.loads(data)
            if facts["format"] != FORMAT:
                raise Refuted("format", where, f"expected {FORMAT}, got {facts['format']!r}")
            _check_facts(facts, where)
            for name, one in facts["files"].items():
                if not _NAMES.fullmatch(name) or set(one) != {"sha256", "bytes"}:
                    raise Refuted("name", where, f"expected names and digests of a backup's files, got {name!r}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Refuted("document", where, f"expected the list of the files, got: {error!r}") from None
        return cast("dict[str, Any]", facts)


def _check_facts(facts: Mapping[str, Any], where: str) -> None:
    for name, form in _FACTS.items():
        value = facts.get(name)
        kind = int if name in _WHOLE else (str, type(None))
        if not isinstance(value, kind) or isinstance(value, bool) or not re.fullmatch(form, str(value)):
            raise Refuted("fact", where, f"{name}: expected a value of the form {form}, got {value!r}")
    if FILE_NAMES[facts["database"]] not in facts["files"]:
        raise Refuted("fact", where, "files: expected the database among them, got none")


@contextmanager
def open_backup(source: Path) -> Iterator[BackupReader]:
    """Open a backup (a folder or a tar file) for the duration of a `with` block.

    Raises:
        Usage: there is no backup at `source`, or it is not complete.
        Refuted: the list `backup.json` cannot be read.
    """
    try:
        if source.is_dir():
            yield BackupReader(source, None)
            return
        tar = tarfile.open(source, "r:")  # noqa: SIM115
    except (OSError, ValueError, tarfile.TarError) as error:
        raise Usage(f"expected a backup, a folder or a tar, got {source}: {error}") from None
    with tar:
        yield BackupReader(source, tar)


class _HashedFile:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes (−1: all), and hash them."""
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        """Return the SHA-256 of the bytes that were read so far, in hexadecimal."""
        return self._hash.hexdigest()


def _private(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _shown(one: Mapping[str, Any]) -> str:
    return f"{one['bytes']} bytes with SHA-256 {str(one['sha256'])[:16]}…"
