"""Finds the file and the record that belong to a row number, if rows are counted over several files."""

import pyarrow.parquet as pq

from pipeline.errors import BadRecord
from pipeline.formats.battle_file import BattleFile, raw_records
from pipeline.formats.containers import Container
from pipeline.formats.left_out import HINTS
from pipeline.formats.tables import delimited_records


def find_record(file: BattleFile, row: int) -> tuple[str, int]:
    """Find the file that contains a row, and the record of the row in that file.

    Files other than Parquet are read again up to the row. A row after the end is counted in the last file.

    Args:
        file: the files that are read as one.
        row: the 0-based row, counted over all files.

    Returns:
        Two values: the name of the file; and the 0-based number of the record in the file.
    """
    *containers, last = file.containers
    for container in containers:
        records = _count(container)
        if row < records:
            return container.name, row
        row -= records
    return last.name, row


def bad_record(file: BattleFile, row: int, reason: str, detail: str) -> BadRecord:
    """Return the error about a row that is not a battle, with its file and record and an option that may help.

    Args:
        file: the file, or the files that are read as one.
        row: the 0-based row, counted over all files.
        reason: one word for the kind of fault.
        detail: what was expected and what was found.
    """
    name, record = find_record(file, row)
    hint = HINTS.get(reason, "")
    return BadRecord(name, record, reason, f"{detail}; {hint}" if hint else detail)


def describe_record(file: BattleFile, row: int) -> str:
    """Return the place of a row for people: the number of its record and, if there are several files, its file."""
    name, record = find_record(file, row)
    return f"record {record}" + (f" of {name}" if len(file.parts) > 1 else "")


def _count(container: Container) -> int:
    if container.kind == "parquet":
        with container.plain_path() as path:
            return int(pq.read_metadata(path).num_rows)
    if container.kind in ("csv", "tsv"):
        return sum(1 for _ in delimited_records(container, None))
    return sum(1 for _ in raw_records(container))
