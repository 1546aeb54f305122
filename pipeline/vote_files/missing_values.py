"""Writes notes about votes that lack a time or a turn, although their file has a column of them."""

import numpy as np

from pipeline.formats.battle_file import BattleFile
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.vocabulary.arrays import Bool
from pipeline.vocabulary.time import NO_TIME


def missing_notes(battles: BattleColumns, file: BattleFile) -> list[str]:
    """Return a note about votes without a readable time, and a note about votes without a readable turn.

    There is a note only if such votes exist, the file has a column of times or turns, and this column was collected.
    """
    times, turns = battles.numbers.get("cast_at"), battles.numbers.get("turn")
    timed = {part.form.times["cast_at"].column for part in file.parts if "cast_at" in part.form.times}
    turned = {part.form.turn.column for part in file.parts if part.form.turn is not None}
    turned &= {column for part in file.parts for column in part.columns}  # a format may have it and its file not
    notes = [] if times is None else _notes(times == NO_TIME, "time", timed)
    return notes if turns is None else notes + _notes(turns == 0, "turn", turned)


def _notes(missing: Bool, what: str, columns: set[str]) -> list[str]:
    count = int(np.count_nonzero(missing))
    if not (count and columns):
        return []
    which = f"all {count:,}" if count == len(missing) else f"{count:,} of {len(missing):,}"
    return [f"{which} votes have no {what} in {', '.join(sorted(columns))} that could be read"]
