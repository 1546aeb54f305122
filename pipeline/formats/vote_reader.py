"""Reads every vote of a battle file with all of its fields, so that the votes can be written in another format.

The votes have the same order and ids as when `work` or `publish` reads the file. Records without a vote or without an
outcome are left out and counted, as by `rate`. Battles of a model against itself are returned, which `rate` leaves out.
The first invalid record raises an error that states its row. With `LeftOut.skip_bad`, invalid records are left out and
counted instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.events import decode_votes
from pipeline.events.decode import Reject
from pipeline.events.vote import VOTE_FIELDS, Vote, encode_event
from pipeline.formats.battle_file import OWN, BattleFile, BattlePart
from pipeline.formats.battle_format import Fields
from pipeline.formats.battle_records import PLACEHOLDER_TIME
from pipeline.formats.cell_values import truth_value
from pipeline.formats.json_pieces import decoded
from pipeline.formats.left_out import NO_OUTCOME, NO_VOTE, SELF_BATTLE, LeftOut
from pipeline.formats.record_places import bad_record
from pipeline.formats.record_reader import RecordCheck, identified, is_registry_event, mapped_records
from pipeline.formats.row_mapping import SKIPPED, WITHOUT_OUTCOME
from pipeline.formats.vote_columns import CODE_COLUMN, to_columns
from pipeline.formats.vote_ids import with_checked
from pipeline.vocabulary.time import END_TIME, FIRST_TIME, to_microseconds

REGISTRY_EVENT = "registry_event"
BAD_TIME = "bad_time"
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
        left_out: counts the records that are not votes.
        check: adds fields computed from the texts of a record; None if texts need not be read.
        self_battles: number of battles of a model against itself so far. These battles are returned as votes, but no
            rating counts them.
        bad_times: counts values that are not times. If `left_out.skip_bad` is true, a vote with such a value is read
            without the time, because a rating needs none. Otherwise the first such value is an error.
        unknown: keys in our own events that are not fields of a vote, in the order in which they were found.
    """

    file: BattleFile
    left_out: LeftOut
    check: RecordCheck | None = None
    self_battles: int = 0
    bad_times: LeftOut = field(default_factory=LeftOut)
    unknown: dict[str, None] = field(default_factory=dict)

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of the columns that were not read. The list is complete after all votes were read."""
        tabled = [column for part in self.file.parts for column in _unread(part)]
        return tuple(dict.fromkeys([*tabled, *self.unknown]))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the votes in the order of the file, in batches with the columns of VOTE_COLUMNS.

        Raises:
            UnknownFormat: the file cannot be parsed.
            BadRecord: a record is not a vote, and `left_out.skip_bad` is false.
        """
        places: list[_Place] = []
        events = identified(self._records(places), self.file.mapping.id_key)
        while chunk := list(islice(events, _CHUNK)):
            of_chunk = places[: len(chunk)]
            del places[: len(chunk)]
            yield self._decoded(chunk, of_chunk)

    def _records(self, places: list[_Place]) -> Iterator[bytes | Fields]:
        """Yield the records that may be votes, and append the place of each."""
        for row, record in enumerate(mapped_records(self.file, check=self.check)):
            if record == SKIPPED:
                self.left_out.add(NO_VOTE, row)
            elif isinstance(record, bytes):
                places.append(_Place(row, self._read_own(record)))
                yield record
            elif record.get(WITHOUT_OUTCOME):
                self.left_out.add(NO_OUTCOME, row)
            else:
                places.append(_Place(row, record.get("code"), timed=record.get("cast_at") is not None))
                # Merged here: the ids' encoder drops what text decided from a record without a time.
                yield with_checked(record)

    def _read_own(self, raw: bytes) -> bool | None:
        """Return whether one of our own events is about code, None if it does not say. Collect its unknown keys."""
        event = decoded(raw)
        if not isinstance(event, dict):
            return None
        self.unknown.update(dict.fromkeys(key for key in event if key not in VOTE_FIELDS and key != CODE_COLUMN))
        return truth_value(event.get(CODE_COLUMN))

    def _decoded(self, chunk: list[bytes], places: list[_Place]) -> pa.RecordBatch:
        votes, positions, untimed = self._votes(chunk, places)
        rows = {row for row, position in enumerate(positions) if position in untimed}
        return to_columns(votes, rows, [places[position].code for position in positions])

    def _votes(self, chunk: list[bytes], places: list[_Place]) -> tuple[list[Vote], list[int], set[int]]:
        """Return the votes of a chunk, their positions in the chunk, and the positions of records without a time."""
        untimed = {position for position, place in enumerate(places) if not place.timed}
        bad_times: list[Reject] = []
        while True:
            votes, positions, rejects = decode_votes(_timed(chunk, untimed))
            lacking = {reject.position for reject in rejects if _lacks_time(reject)}
            wrong = [reject for reject in rejects if reject.reason == BAD_TIME and self.left_out.skip_bad]
            if not lacking and not wrong:
                break
            bad_since = {reject.position for reject in wrong if reject.detail.startswith("voter_since")}
            untimed |= lacking | {reject.position for reject in wrong} - bad_since
            chunk = [_without_voter_since(raw) if at in bad_since else raw for at, raw in enumerate(chunk)]
            bad_times += wrong
        found = dict(zip(positions, votes, strict=True))
        for reject in rejects:
            raw = _timed([chunk[reject.position]], {0} if reject.position in untimed else set())[0]
            if vote := _self_battle(reject, raw):
                found[reject.position] = vote
                self.self_battles += 1
            else:
                self._leave_out(reject, chunk[reject.position], places[reject.position].row)
        for reject in sorted(bad_times, key=lambda reject: reject.position):
            if reject.position in found:
                self.bad_times.add(BAD_TIME, places[reject.position].row, reject.detail)
        return [found[position] for position in sorted(found)], sorted(found), untimed

    def _leave_out(self, reject: Reject, raw: bytes, row: int) -> None:
        reason, detail = reject.reason, reject.detail
        if is_registry_event(raw):
            reason, detail = REGISTRY_EVENT, "expected a vote, got a registry event, which `publish` and `work` read"
        if reason == BAD_TIME:
            detail += "; --skip-bad writes such votes without the time, --columns cast_at= (or voter_since=) all votes"
        if not self.left_out.skip_bad:
            raise bad_record(self.file, row, reason, detail)
        self.left_out.add(reason, row, detail)


def _self_battle(reject: Reject, raw: bytes) -> Vote | None:
    """Return the vote of a rejected record if its only fault is that both models are the same; otherwise None."""
    if reject.reason != SELF_BATTLE:
        return None
    vote = msgspec.json.decode(encode_event(_known_fields(raw)), type=Vote)
    times = [to_microseconds(time) for time in (vote.cast_at, vote.voter_since) if time is not None]
    return vote if all(FIRST_TIME <= time < END_TIME for time in times) else None


def _unread(part: BattlePart) -> tuple[str, ...]:
    if part.form.name != OWN:
        return part.unread
    known = part.form.columns() | VOTE_FIELDS | {CODE_COLUMN}
    return tuple(column for column in part.columns if column not in known)


def _lacks_time(reject: Reject) -> bool:
    return reject.reason == "missing_field" and "cast_at" in reject.detail


def _timed(chunk: list[bytes], untimed: set[int]) -> list[bytes]:
    """Return the events of a chunk. The events at the positions `untimed` get a placeholder as their time."""
    return [_with_time(raw) if position in untimed else raw for position, raw in enumerate(chunk)] if untimed else chunk


def _with_time(raw: bytes) -> bytes:
    return encode_event({**_known_fields(raw), "cast_at": PLACEHOLDER_TIME})


def _without_voter_since(raw: bytes) -> bytes:
    return encode_event({key: value for key, value in _known_fields(raw).items() if key != "voter_since"})


def _known_fields(raw: bytes) -> dict[str, Any]:
    """Return the fields of a vote in an event, without other keys.

    The event may lack the time, and its two models may be the same. It must have no other fault.
    """
    event = decoded(raw)
    return {key: value for key, value in event.items() if key in VOTE_FIELDS}
