"""Limits for the contents of a bundle, so that a small bundle cannot fill the memory of its reader.

Honest files are far below each limit: a manifest of 10,000 models and 10,000 seals has 5 MB, and a segment unpacks to
some five times its size, since a third of a leaf are hashes, which do not compress.
"""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import Refuted
from ..vocabulary.parquet_pages import ChunkSizes, chunk_sizes
from .merkle import WIDTH

MAX_FILES = 100_000
MAX_PATH = 200
"""Characters of a file's path."""
MAX_JSON = 16 * 1024 * 1024
"""Bytes of a manifest and of proof.json."""
MAX_RECEIPT = 1024 * 1024
MAX_SMALL = 64 * 1024
"""Bytes of a checkpoint and of key.txt."""

_MIB = 1024 * 1024
# A file may unpack to this many times its size, and to this many bytes besides.
_RATIO, _FREE = 20, 4 * _MIB
_MAX_PAGE = 64 * _MIB
# Matrices of a fit, and the memory that they may take: so many bytes, and so many times the votes' files.
_MATRICES, _FREE_FIT, _FIT_RATIO = 12, 96 * _MIB, 500


def require_size(where: str, size: int, most: int) -> None:
    """Refuse a file that is larger than its kind can be.

    Raises:
        Refuted: reason `limit`.
    """
    if size > most:
        raise Refuted("limit", where, f"expected at most {most:,} bytes, got {size:,}")


def open_parquet(
    data: bytes, where: str, reason: str, rows: int, **options: Any
) -> tuple[pq.ParquetFile, list[ChunkSizes]]:
    """Open a Parquet file after its declared sizes were checked.

    Args:
        data: the file.
        where: its path.
        reason: reason of the error if the file is not Parquet.
        rows: the most rows that the file may have.
        options: options of `pyarrow.parquet.ParquetFile`.

    Raises:
        Refuted: with `reason`, or with reason `limit`.
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
    unpacked, most = sum(chunk.unpacked for chunk in chunks), _FREE + _RATIO * len(data)
    if unpacked > most or any(chunk.largest > _MAX_PAGE for chunk in chunks):
        raise Refuted("limit", where, f"{len(data):,} bytes unpack to {unpacked:,}, expected at most {most:,}")
    for chunk in chunks:
        if chunk.values != chunk.rows or chunk.prefixed:
            raise Refuted("limit", where, f"expected one value of {chunk.column} in a row, none of them as a prefix")
    return file, chunks


def most_leaves(data: bytes) -> int:
    """Return the largest number of leaves that a segment of this size can have: each leaf has its own hash."""
    return len(data) // WIDTH


def require_ratable(models: int, votes: int, where: str) -> None:
    """Refuse a board whose fit takes much more memory than its votes.

    Args:
        models: number of rated models.
        votes: size of the vote log's files in bytes.
        where: the view.

    Raises:
        Refuted: reason `limit`.
    """
    needed, most = models**2 * 8 * _MATRICES, _FREE_FIT + _FIT_RATIO * votes
    if needed > most:
        raise Refuted(
            "limit",
            where,
            f"rating {models:,} models takes {needed:,} bytes, expected at most {most:,} for these votes",
        )
