"""Limits the contents of a bundle, so that a small bundle cannot fill the memory of its reader.

Honest files are far below each limit. A manifest of 10,000 models and 10,000 seals has 5 MB. A segment grows to about
five times its size when it is unpacked. A third of the segment is hashes, which do not compress.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import Refuted
from ..vocabulary.parquet_pages import ChunkSizes, chunk_sizes
from .merkle import WIDTH

MAX_FILES = 100_000
MAX_PATH = 200
"""Largest number of characters of a file's path."""
MAX_JSON = 16 * 1024 * 1024
"""Largest number of bytes of a manifest, of proof.json and of a snapshot's body."""
MAX_RECEIPT = 1024 * 1024
MAX_SMALL = 64 * 1024
"""Largest size in bytes of a checkpoint, and also of key.txt."""

_MIB = 1024 * 1024
# A file may unpack to this many times its size, and to this many bytes besides.
_RATIO, _FREE = 20, 4 * _MIB
_MAX_PAGE = 64 * _MIB
# Matrices of a fit, and the memory that they may take: so many bytes, and so many times the votes' files.
_MATRICES, _FREE_FIT, _FIT_RATIO = 12, 96 * _MIB, 500


def require_size(where: str, size: int, most: int) -> None:
    """Refuse a file that is larger than `most` bytes.

    Args:
        where: name of the file, for messages.
        size: size of the file in bytes.
        most: largest accepted size in bytes.

    Raises:
        Refuted: reason `limit`: the file is larger.
    """
    if size > most:
        raise Refuted("limit", where, f"expected at most {most:,} bytes, got {size:,}")


def open_parquet(
    data: bytes,
    where: str,
    reason: str,
    rows: int,
    lists: Mapping[str, int] | None = None,
    row_bytes: int = 0,
    **options: Any,
) -> tuple[pq.ParquetFile, list[ChunkSizes]]:
    """Check the sizes that a Parquet file declares, then open the file.

    Args:
        data: content of the file.
        where: path of the file, for messages.
        reason: reason of the error if the file is not Parquet.
        rows: largest accepted number of rows.
        lists: path of a column of lists → largest accepted mean length of its lists. Any other column must have one
            value per row. None if there is no column of lists.
        row_bytes: number of unpacked bytes that are allowed for each of `rows` rows, in addition to what the size of
            the file allows.
        options: options of `pyarrow.parquet.ParquetFile`.

    Returns:
        Two values: the open file, and the declared sizes of each column in each row group.

    Raises:
        Refuted: the given reason if the file is not Parquet. Reason `limit`: the file has too many rows, or is too
            large when unpacked.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), **options)
        if file.metadata.num_rows > rows:
            raise Refuted(
                "limit", where, f"expected at most {rows:,} rows, the file declares {file.metadata.num_rows:,}"
            )
        chunks = list(chunk_sizes(file.metadata, lambda at, size: data[at : at + size]))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted(reason, where, f"expected a Parquet file: {error}") from None
    unpacked, most = sum(chunk.unpacked for chunk in chunks), _FREE + _RATIO * len(data) + row_bytes * rows
    if unpacked > most or any(chunk.largest > _MAX_PAGE for chunk in chunks):
        raise Refuted("limit", where, f"{len(data):,} bytes unpack to {unpacked:,}, expected at most {most:,}")
    for chunk in chunks:
        most = (lists or {}).get(chunk.column, 1)
        if not chunk.rows <= chunk.values <= most * chunk.rows or chunk.prefixed:
            many = "one value" if most == 1 else f"at most {most} values"
            raise Refuted("limit", where, f"expected {many} of {chunk.column} in a row, none of them as a prefix")
    return file, chunks


def most_leaves(data: bytes) -> int:
    """Return the largest number of leaves that a segment file of this length can have.

    Each leaf takes at least the 32 bytes of its hash.
    """
    return len(data) // WIDTH


def require_ratable(models: int, votes: int, where: str) -> None:
    """Refuse a board whose rating would take far more memory than usual for a vote log of this size.

    Args:
        models: number of rated models.
        votes: size of the vote log's files in bytes.
        where: name of the view, for messages.

    Raises:
        Refuted: reason `limit`: the number of models is too large for the size of the log.
    """
    needed, most = models**2 * 8 * _MATRICES, _FREE_FIT + _FIT_RATIO * votes
    if needed > most:
        raise Refuted(
            "limit",
            where,
            f"rating {models:,} models takes {needed:,} bytes, expected at most {most:,} for these votes",
        )
