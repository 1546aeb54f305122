"""Estimates the number of rows of a battle file from its first rows, for a progress bar."""

from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UnknownFormat
from pipeline.formats.battle_file import BattleFile, raw_records
from pipeline.formats.containers import Container
from pipeline.formats.tables import delimited_records

_FIRST_ROWS = 1_000


def estimate_rows(file: BattleFile) -> int:
    """Return the estimated total number of rows of the files; 0 if it cannot be estimated for one of them."""
    total = 0
    for container in file.containers:
        rows = _rows_of(container)
        if rows is None:
            return 0
        total += rows
    return total


def _rows_of(container: Container) -> int | None:
    if container.codec:
        return None
    try:
        if container.kind == "parquet":
            return int(pq.read_metadata(container.path).num_rows)
        sizes = list(islice(_sizes(container), _FIRST_ROWS))
    except (pa.ArrowException, OSError, UnknownFormat):
        return None  # the reader says what is wrong
    if len(sizes) < _FIRST_ROWS:
        return len(sizes)
    return round(container.path.stat().st_size / (sum(sizes) / len(sizes)))


def _sizes(container: Container) -> Iterator[int]:
    """Yield the approximate size in bytes of each row in the file."""
    if container.kind in ("csv", "tsv"):
        for row in delimited_records(container, None):
            yield sum(len(cell or "") for cell in row.values()) + len(row)
    else:
        for raw in raw_records(container):
            yield len(raw) + 1
