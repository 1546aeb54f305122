"""Reads a battle file as columns of votes: by column if possible, which is fast, else record by record."""

from collections.abc import Callable

from pipeline.formats.battle_file import OWN, BattleFile, Waits
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.column_mapping import ColumnMapper
from pipeline.formats.column_pieces import Undecided
from pipeline.formats.left_out import LeftOut
from pipeline.formats.piece_reader import pieces
from pipeline.formats.record_reader import RecordCheck
from pipeline.formats.record_text import TEXT_COLUMNS
from pipeline.formats.vote_collector import ALL_COLUMNS, NeededColumns
from pipeline.ratings.battle_columns import BattleColumns


def read_battles(
    file: BattleFile,
    step: Callable[[int], None] | None = None,
    waits: Waits | None = None,
    left_out: LeftOut | None = None,
    check: RecordCheck | None = None,
    needed: NeededColumns = ALL_COLUMNS,
) -> BattleColumns:
    """Read a recognised battle file as columns: by column if possible, else record by record.

    Args:
        file: the file.
        step: called with the number of records read since the last call. If reading by column fails, `step` is called
            with a negative number, and the records are counted again.
        waits: called with a description of an incomplete record at the end of the file; None if the file is complete.
        left_out: counts the records that are left out. A record that the decoder rejects is left out only if
            `left_out.skip_bad` is true; otherwise it is an error. None gives no counts, and such a record is an error.
        check: adds fields computed from the texts of a record; None if texts need not be read. If the file is read by
            column, only the fields `identity_leak` and `prompt_hash` are used.
        needed: the columns that are collected.

    Returns:
        The votes as columns. Of votes with one id only the first is returned. Battles of a model against itself are
        left out.

    Raises:
        UnknownFormat: the file has a kind that cannot be read, or cannot be parsed.
        BadRecord: a record is not a battle, and `left_out.skip_bad` is false. The message has its row.
    """
    left_out = left_out or LeftOut()
    check = check if has_text(file) else None
    found = read_by_column(file, step, left_out, needed, check)
    if found is not None:
        return found
    left_out.clear()
    return read_by_record(file, step, waits, left_out, check, needed)


def has_text(file: BattleFile) -> bool:
    """Return whether a file has columns that contain the texts of battles."""
    return any(not TEXT_COLUMNS.isdisjoint(part.columns) for part in file.parts)


def read_by_column(
    file: BattleFile,
    step: Callable[[int], None] | None = None,
    left_out: LeftOut | None = None,
    needed: NeededColumns = ALL_COLUMNS,
    check: RecordCheck | None = None,
) -> BattleColumns | None:
    """Read a battle file by column.

    Args:
        file: the file.
        step: called with the number of records read since the last call. If reading fails, it is called with minus the
            number of all records read.
        left_out: counts the records that are left out; None to count nothing. If reading fails, the caller must clear
            the counts.
        needed: the columns that are collected.
        check: adds fields computed from the texts of a record; None if texts need not be read. Only the fields
            `identity_leak` and `prompt_hash` are used.

    Returns:
        The votes as columns; None if the file must be read record by record. If several votes have the same id, only
        the first is returned. Battles of a model against itself are left out.
    """
    if file.mixed or not file.form.model_a.column:
        return None
    if file.form.name == OWN and any(one.kind == "json array" for one in file.containers):
        return None  # the decoder of our own events is strict about duplicate keys
    done = 0
    try:
        outcomes, proxies = file.outcomes(file.form), file.mapping.proxies
        mapper = ColumnMapper(file.form, outcomes, left_out or LeftOut(), proxies, needed, check)
        for piece in pieces(file, needed.fields, TEXT_COLUMNS if check else ()):
            mapper.add(piece)
            done += len(piece)
            if step is not None:
                step(len(piece))
        return mapper.finish()
    except Undecided:
        if step is not None:
            step(-done)
        return None
