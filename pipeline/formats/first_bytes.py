"""Finds out from the first bytes of a file what it contains: its compression, encoding, kind and delimiter."""

import re
from typing import Literal

Kind = Literal["json array", "json lines", "csv", "tsv", "parquet"]

PARQUET = b"PAR1"
LEAST_CELLS = 3
"""Least cells of a first line that make a file a table, if its name does not say that it is one."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# A zstd file may begin with a frame of other data, whose first byte is one of sixteen.
_ZSTD_OTHER = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "a 7z archive",
}
_TAR, _TAR_AT = b"ustar", 257
# What is saved or downloaded in place of votes, and what to do.
_FOREIGN = {
    b"version https://git-lfs": "a pointer of Git LFS in place of the file: `git lfs pull` fetches the file",
    b"<!doctype html": "a web page: download the file itself",
    b"<html": "a web page: download the file itself",
    b"<?xml": "XML: save it as CSV, JSON or Parquet",
    b"arrow1\x00\x00": "an Arrow file: save it as Parquet",
    b"\xff\xff\xff\xff": "an Arrow stream: save it as Parquet",
    b"fea1": "a Feather file: save it as Parquet",
    b"sqlite format 3\x00": "an SQLite database: save the table as CSV",
    b"obj\x01": "an Avro file: save it as Parquet",
    b"\x89hdf": "an HDF5 file: save the table as Parquet",
    b"\xd0\xcf\x11\xe0": "a workbook of a spreadsheet: save it as CSV",
}
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x95}\](c]")
_DELIMITERS = ",\t;|"
_QUOTED = re.compile(r'"[^"]*"')
# Bytes by which UTF-16 without a byte order mark is told.
_LEAST, _SAMPLE = 8, 64


def codec_of(magic: bytes) -> str:
    """Return how a file is compressed: gzip, zstd, or "" if it is not."""
    if magic.startswith(_GZIP):
        return "gzip"
    return "zstd" if magic.startswith(_ZSTD) or _ZSTD_OTHER.match(magic) else ""


def find_archive(magic: bytes) -> str | None:
    """Return what an archive is, in words, if a file begins as one that must be unpacked first; else None."""
    if magic[_TAR_AT:].startswith(_TAR):
        return "a tar archive"
    return next((what for start, what in _ARCHIVES.items() if magic.startswith(start)), None)


def find_foreign(head: bytes) -> str | None:
    """Return what a file is, and what to do, if it is a known kind of file without readable votes; else None."""
    if _PICKLE.match(head):
        return "a Python pickle, which may run code when it is opened: save it as Parquet"
    start = head.lstrip().lower() if head[:1] in b" \t\r\n<" else head[:32].lower()
    return next((what for begin, what in _FOREIGN.items() if start.startswith(begin)), None)


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text: utf-32, utf-16, utf-16-le or utf-16-be if it begins as one, else utf-8."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    first, second = head[:_SAMPLE:2], head[1:_SAMPLE:2]
    if len(head) < _LEAST:
        return "utf-8"
    if all(first) and not any(second):
        return "utf-16-le"
    return "utf-16-be" if all(second) and not any(first) else "utf-8"


def kind_of(start: str, named: Kind | None, *, is_certain: bool) -> Kind | None:
    """Return the kind of a text, None if it is no kind of file with votes.

    Args:
        start: the beginning of the text, without a byte order mark and leading spaces.
        named: the kind that the name of the file states; None if it states none.
        is_certain: whether the name says for sure that the lines of the file are JSON, even if the first is damaged.
    """
    if start[:1] == "[":
        return "json array"
    if start[:1] == "{":
        return "json lines"
    if named in ("csv", "tsv"):
        return named
    lines = start.split("\n")
    cells = lines[0].count(delimiter_of(start, ",")) + 1
    if is_certain and not (cells >= LEAST_CELLS and len(lines) > 1 and not any(line[:1] == "{" for line in lines)):
        return "json lines"
    if not start or (named is not None and cells < LEAST_CELLS):
        return None
    return "csv"


def delimiter_of(start: str, named: str) -> str:
    """Return the delimiter that is most frequent in a table's first line, outside of quotes.

    If no delimiter is more frequent than `named`, the result is `named`. A first line `sep=;` states the delimiter.
    """
    line = start.partition("\n")[0]
    if line.startswith("sep=") and len(line.rstrip()) == len("sep=;"):
        return line[4]
    bare = _QUOTED.sub("", line)
    most = max(_DELIMITERS, key=bare.count)
    return most if bare.count(most) > bare.count(named) else named
