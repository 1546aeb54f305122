"""Maps the lines of a growing log to vote events. The format is found for each line by itself.

A line that is not a record of a vote is left out. A line that looks like a vote but is faulty is passed on, and the
decoder rejects it.
"""

from collections.abc import Callable

from pipeline.events.strict_checks import MAX_BYTES
from pipeline.formats.battle_file import recognised
from pipeline.formats.battle_format import Fields, Record
from pipeline.formats.battle_formats import fastchat_log
from pipeline.formats.battle_formats.table import table_format, with_columns
from pipeline.formats.column_names import ColumnMapping
from pipeline.formats.record_reader import RecordCheck, map_json
from pipeline.formats.row_mapping import SKIPPED, row_mapper
from pipeline.formats.vote_ids import VoteIds

# The columns of FastChat's log that every action has, votes or not.
_ACTION = frozenset({"type", "tstamp"})
# Columns that only a battle has.
_OUTCOMES = frozenset({"winner", "winner_model_a", "chosen_model_name"})
_MARK = b"\xef\xbb\xbf"
# Sets of columns whose mapping is remembered.
_MOST_SHAPES = 1_000


class LineEvents:
    """Maps the lines of a growing JSON Lines log to vote events.

    Attributes:
        id_key: the key with which conversations are hashed to vote ids, in logs that identify a vote by its
            conversation (`ColumnMapping.id_key`).
    """

    def __init__(self, mapping: ColumnMapping | None = None, check: RecordCheck | None = None) -> None:
        """Create a mapper of lines.

        Args:
            mapping: the user's names of columns and outcomes; None if there are none.
            check: adds fields computed from the texts of a record; None if texts need not be read.
        """
        self._mapping, self._check = mapping or ColumnMapping(), check
        self.id_key = self._mapping.id_key
        self._mappers: dict[frozenset[str], Callable[[Record], Fields]] = {}

    def event(self, line: bytes, ids: VoteIds) -> bytes | None:
        """Return the event of a line as bytes; None if the line is not a vote.

        A faulty line that may be a vote is returned unchanged; if it is too large, it is cut to a length that the
        decoder rejects.

        Args:
            line: the line.
            ids: derives the id of a vote that has none.
        """
        return self._mapped(line, ids, self._check)

    def count(self, line: bytes, ids: VoteIds) -> None:
        """Count a line that was already read in an earlier run.

        A derived id depends on the number of identical records before it. So earlier lines must be counted before the
        ids of later lines are derived.
        """
        self._mapped(line, ids, None)

    def _mapped(self, line: bytes, ids: VoteIds, check: RecordCheck | None) -> bytes | None:
        record = map_json(line.removeprefix(_MARK), self._read, check)
        if isinstance(record, bytes):
            return record[: MAX_BYTES + 1]
        return None if record == SKIPPED else ids.encode(record)

    def _read(self, record: Record) -> Fields:
        names = frozenset(record)
        if names not in self._mappers:
            if len(self._mappers) >= _MOST_SHAPES:
                self._mappers.clear()
            self._mappers[names] = self._mapper(names)
        return self._mappers[names](record)

    def _mapper(self, names: frozenset[str]) -> Callable[[Record], Fields]:
        mapping = self._mapping
        if names >= _ACTION and not names & _OUTCOMES:
            form = fastchat_log.FORMAT
        else:
            form = recognised(names) or table_format(names)
        if mapping.columns or mapping.winner_is:
            form = with_columns(form, mapping.columns, winner_is_name=bool(mapping.winner_is))
        return row_mapper(form, {**form.spellings, **mapping.outcomes})
