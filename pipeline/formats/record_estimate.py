"""Estimates the number of records of a battle file from its size and its first records, for a progress bar."""

from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.formats.battle_file import BattleFile, raw_records
from pipeline.formats.containers import Container

_HEAD = 1024 * 1024
_FIRST_RECORDS = 500


def estimate_records(file: BattleFile) -> int | None:
    """Estimate the number of records of a file, or of several files together.

    Returns:
        The exact number for Parquet, an estimate for other files. None if a Parquet file cannot be read, or if a file
            is compressed, since its size then says little about the number of records.
    """
    counts = [_estimate(container) for container in file.containers]
    return None if None in counts else sum(count or 0 for count in counts)


def _estimate(container: Container) -> int | None:
    if container.codec:
        return None
    if container.kind == "parquet":
        try:
            return int(pq.read_metadata(container.path).num_rows)
        except (pa.ArrowException, OSError):
            return None  # reading it will say what is wrong
    size = container.path.stat().st_size
    if container.kind == "json array":
        first = [len(raw) + len(",\n") for raw in islice(raw_records(container), _FIRST_RECORDS)]
        return size * len(first) // sum(first) if first else 0
    with container.path.open("rb") as stream:
        head = stream.read(_HEAD)
    return size * head.count(b"\n") // len(head) if head else 0
