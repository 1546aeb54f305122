"""Reads every vote of a battle file with all of its fields, to write the votes in another format.

Laws: the votes have the order and the ids that `work` and `publish` give them; what `rate` leaves out of the file is
left out here and counted under the same reason; the first record that is not a vote is an error with its row, or is
left out and counted if the caller wants that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.errors import BadRecord
from pipeline.events import decode_votes
from pipeline.events.decode import Reject
from pipeline.events.vote import VOTE_FIELDS, encode_event
from pipeline.formats.battle_file import OWN, BattleFile, BattlePart, decoded
from pipeline.formats.battle_format import Fields
from pipeline.formats.battle_records import PLACEHOLDER_TIME
from pipeline.formats.cell_values import truth_value
from pipeline.formats.left_out import NO_OUTCOME, NO_VOTE, SELF_BATTLE, LeftOut
from pipeline.formats.record_reader import identified, is_registry_event, mapped_records
from pipeline.formats.row_mapping import SKIPPED, WITHOUT_OUTCOME
from pipeline.formats.vote_columns import CODE_COLUMN, to_columns

REGISTRY_EVENT = "registry_event"
_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a vote comes from.

    Attributes:
        row: row of its record in the file.
        code: whether the record says that it is about code, None if it does not say.
        timed: False if the record is known to have no time.
    """

    row: int
    code: bool | None
    timed: bool = True


@dataclass
class VoteReader:
    """Reads the votes of one battle file.

    Attributes:
        file: the file.
        left_out: counts the records that are no votes.
        unknown: keys of our own events that no field of a vote has, in the order in which they were met.
    """

    file: BattleFile
    left_out: LeftOut
    unknown: dict[str, None] = field(default_factory=dict)

    @property
    def unread(self) -> tuple[str, ...]:
        """The columns that were not read; complete when all votes are read."""
        tabled = [column for part in self.file.parts for column in _unread(part)]
        return tuple(dict.fromkeys([*tabled, *self.unknown]))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the votes in the order of the file, in batches with the columns of VOTE_COLUMNS.

        Raises:
            UnknownFormat: as in `read_records`.
            BadRecord: a record that is not a vote.
        """
        places: list[_Place] = []
        events = identified(self._records(places))
        while chunk := list(islice(events, _CHUNK)):
            of_chunk = places[: len(chunk)]
            del places[: len(chunk)]
            yield self._decoded(chunk, of_chunk)

    def _records(self, places: list[_Place]) -> Iterator[bytes | Fields]:
        """Yield the records that may be votes, and append the place of each."""
        for row, record in enumerate(mapped_records(self.file)):
            if record == SKIPPED:
                self.left_out.add(NO_VOTE, row)
            elif isinstance(record, bytes):
                places.append(_Place(row, self._read_own(record)))
                yield record
            elif record.get(WITHOUT_OUTCOME):
                self.left_out.add(NO_OUTCOME, row)
            else:
                places.append(_Place(row, record.get("code"), timed=record.get("cast_at") is not None))
                yield record

    def _read_own(self, raw: bytes) -> bool | None:
        """Return whether one of our own events is about code, and collect its keys that no vote has."""
        event = decoded(raw)
        if not isinstance(event, dict):
            return None
        self.unknown.update(dict.fromkeys(key for key in event if key not in VOTE_FIELDS and key != CODE_COLUMN))
        return truth_value(event.get(CODE_COLUMN))

    def _decoded(self, chunk: list[bytes], places: list[_Place]) -> pa.RecordBatch:
        untimed = {position for position, place in enumerate(places) if not place.timed}
        votes, positions, rejects = decode_votes(_timed(chunk, untimed))
        if late := {reject.position for reject in rejects if _lacks_time(reject)}:
            untimed |= late
            votes, positions, rejects = decode_votes(_timed(chunk, untimed))
        for reject in rejects:
            self._leave_out(reject, chunk[reject.position], places[reject.position].row)
        rows = {row for row, position in enumerate(positions) if position in untimed}
        return to_columns(votes, rows, [places[position].code for position in positions])

    def _leave_out(self, reject: Reject, raw: bytes, row: int) -> None:
        reason, detail = reject.reason, reject.detail
        if is_registry_event(raw):
            reason, detail = REGISTRY_EVENT, "expected a vote, got a registry event, which `publish` and `work` read"
        if reason == "bad_time":
            detail += "; --columns cast_at= (or voter_since=) reads the votes without this field"
        if reason == SELF_BATTLE:
            detail = ""
        elif not self.left_out.skip_bad:
            raise BadRecord(self.file.containers[0].name, row, reason, detail)
        self.left_out.add(reason, row, detail)


def _unread(part: BattlePart) -> tuple[str, ...]:
    if part.form.name != OWN:
        return part.unread
    known = part.form.columns() | VOTE_FIELDS | {CODE_COLUMN}
    return tuple(column for column in part.columns if column not in known)


def _lacks_time(reject: Reject) -> bool:
    return reject.reason == "missing_field" and "cast_at" in reject.detail


def _timed(chunk: list[bytes], untimed: set[int]) -> list[bytes]:
    """Return events with a placeholder for the time at the given positions."""
    return [_with_time(raw) if position in untimed else raw for position, raw in enumerate(chunk)] if untimed else chunk


def _with_time(raw: bytes) -> bytes:
    event: dict[str, Any] = msgspec.json.decode(raw)
    return encode_event({**event, "cast_at": PLACEHOLDER_TIME})
