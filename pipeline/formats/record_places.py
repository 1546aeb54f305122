"""Finds the file and the record that belong to a row number, if rows are counted over several files."""

import re
from itertools import islice

import pyarrow.parquet as pq

from pipeline.errors import BadRecord
from pipeline.formats.battle_file import OWN, BattleFile, raw_records
from pipeline.formats.battle_format import BattleFormat, NamedWinner, SpelledOutcome
from pipeline.formats.containers import Container
from pipeline.formats.json_pieces import read_lines
from pipeline.formats.left_out import hint
from pipeline.formats.tables import delimited_records, line_of_row

_SKIP_BAD = "--skip-bad"
_LEAVES_OUT = "leaves such records out and counts them"
# What the decoder says of a record without a field; in the record of a table the cell is empty.
_LACKING = re.compile("Object missing required field `([a-z_]+)`")
# The field that a detail is about.
_FIELD = re.compile(r"`\$\.(\w+)`|^(\w+) is empty| in '(\w+)'$")


def find_record(file: BattleFile, row: int) -> tuple[str, int]:
    """Find the file that contains a row, and the record of the row in that file.

    Files other than Parquet are read again up to the row. A row after the end is counted in the last file.

    Args:
        file: the files that are read as one.
        row: the 0-based row, counted over all files.

    Returns:
        Two values: the name of the file; and the 0-based number of the record in the file.
    """
    index, record = _find(file, row)
    return file.containers[index].name, record


def _find(file: BattleFile, row: int) -> tuple[int, int]:
    """Return the position of the file that contains a row, and the 0-based number of the row in that file."""
    *containers, _ = file.containers
    for index, container in enumerate(containers):
        records = _count(container)
        if row < records:
            return index, row
        row -= records
    return len(containers), row


def bad_record(file: BattleFile, row: int, reason: str, detail: str) -> BadRecord:
    """Return the error about a row that is not a battle, with its file, record and line, and options that may help.

    Args:
        file: the file, or the files that are read as one.
        row: the 0-based row, counted over all files.
        reason: one word for the kind of fault.
        detail: what was expected and what was found.
    """
    index, record = _find(file, row)
    part = file.parts[index]
    detail = plain_detail(file, detail)
    hints = [
        detail + _header(part.form, reason, detail),
        hint(reason, detail),
        "" if _SKIP_BAD in detail else f"{_SKIP_BAD} {_LEAVES_OUT}",
    ]
    return BadRecord(part.container.name, record, reason, "; ".join(filter(None, hints)), _line(part.container, record))


def _header(form: BattleFormat, reason: str, detail: str) -> str:
    """Return " (column HEADER)", where HEADER is the file's name of the column that an error is about.

    The result is "" if the column is not known, or if the file has the same name for the column as we have.
    """
    named = _FIELD.search(detail)
    name = "winner" if reason == "unknown_outcome" else named[1] or named[2] or named[3] if named else ""
    columns = {"model_a": form.model_a.column, "model_b": form.model_b.column}
    columns |= {field: source.column for field, source in {**form.texts, **form.times}.items()}
    if isinstance(form.outcome, SpelledOutcome | NamedWinner):
        columns["winner"] = form.outcome.column
    header = columns.get(name, "")
    return f" (column {header})" if header not in ("", name) else ""


def plain_detail(file: BattleFile, detail: str) -> str:
    """Return the fault of a record in words that fit its file.

    Unless the file has our own events, "Object missing required field `F`" becomes "F is empty".

    Args:
        file: the file, or the files that are read as one.
        detail: the fault, as the decoder of events states it.
    """
    field = None if file.form.name == OWN else _LACKING.match(detail)
    return f"{field[1]} is empty{detail[field.end() :]}" if field else detail


def _line(container: Container, record: int) -> int | None:
    """Return the 1-based line on which a record of CSV, TSV or JSON Lines begins; None in other files."""
    if container.kind in ("csv", "tsv"):
        return line_of_row(container, record)
    if container.kind != "json lines":
        return None
    with container.open() as stream:
        filled = (line for line, text in enumerate(read_lines(stream), 1) if text.strip())
        return next(islice(filled, record, None), None)


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
