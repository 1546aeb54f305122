"""Reads a battle file as columns of integer codes, one record at a time, with the decoder of events.

The first record that is not a battle raises an error, which states its row. If the caller asks for it, such records are
left out and counted instead. A battle of a model against itself is left out and counted. A vote whose time is missing
or invalid counts without a time. Of several records with one id, the first counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from pipeline.events import decode_votes
from pipeline.events.decode import Reject
from pipeline.events.strict_checks import MAX_BYTES
from pipeline.events.vote import SCHEMA, Vote, encode_event
from pipeline.formats.battle_file import BattleFile, Waits
from pipeline.formats.battle_format import CODE, CONVERSATION, FLAGS, Fields
from pipeline.formats.cell_values import truth_value
from pipeline.formats.json_pieces import decoded
from pipeline.formats.left_out import NO_OUTCOME, NO_VOTE, SELF_BATTLE, LeftOut
from pipeline.formats.number_columns import vote_numbers
from pipeline.formats.record_places import bad_record
from pipeline.formats.record_reader import RecordCheck, mapped_records
from pipeline.formats.row_mapping import SKIPPED, WITHOUT_OUTCOME
from pipeline.formats.vote_collector import ALL_COLUMNS, MAX_CATEGORIES, NeededColumns, VoteCollector
from pipeline.formats.vote_ids import hash_conversation, with_checked
from pipeline.ratings import STYLE_FEATURES
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.vocabulary.arrays import Int8, Int32
from pipeline.vocabulary.outcomes import OUTCOME_CODES

PLACEHOLDER_TIME = "2000-01-01T00:00:00Z"
_CHUNK = 20_000
# Times of an event; the decoder refuses one of them at a time.
_TIMES = 2
_NAMES = ("model_a", "model_b")
# Stands for a missing id, and no id is spelled so.
_NO_ID = "(none)"


def read_by_record(
    file: BattleFile,
    step: Callable[[int], None] | None,
    waits: Waits | None = None,
    left_out: LeftOut | None = None,
    check: RecordCheck | None = None,
    needed: NeededColumns = ALL_COLUMNS,
) -> BattleColumns:
    """Read a battle file record by record.

    Args:
        file: the file.
        step: called with the number of records read since the last call; None for no calls.
        waits: called with a description of an incomplete record at the end of the file; None if the file is complete.
        left_out: counts the records that are left out. A record that the decoder rejects is left out only if
            `left_out.skip_bad` is true; otherwise it is an error. None gives no counts, and such a record is an error.
        check: adds fields computed from the texts of a record; None if texts need not be read.
        needed: the columns that are collected.

    Returns:
        The votes as columns. If several votes have the same id, only the first is returned. Battles of a model against
            itself are left out. `flags` has only flags that at least one vote states.

    Raises:
        UnknownFormat: the file has a kind that cannot be read.
        BadRecord: a record is not a battle, and `left_out.skip_bad` is false. The message has its row.
    """
    left_out = left_out or LeftOut()
    collected = VoteCollector(FLAGS, file.mapping.proxies, needed, ids_are_checked=True)
    for chunk, rows, records in _chunks(file, waits, left_out, check):
        votes, kept = _decoded(file, chunk, rows, left_out)
        _collect(collected, votes, [chunk[i] for i in kept], needed)
        if step is not None:
            step(records)
    found = collected.finish()
    stated = {name: values for name, values in found.flags.items() if values.max(initial=-1) >= 0}
    return replace(found, flags=stated, more_categories=len(collected.more_categories))


def _collect(
    collected: VoteCollector, votes: Sequence[Vote], records: Sequence[bytes | Fields], needed: NeededColumns
) -> None:
    """Add votes and the records that they come from."""
    columns = {field: list(map(attrgetter(field), votes)) for field in (*_NAMES, *needed.texts)}
    columns["vote_id"] = [None if one == _NO_ID else one for one in columns["vote_id"]]
    flags = {flag: list(map(_flag, map(attrgetter(flag), votes))) for flag in FLAGS if flag != CODE}
    flags[CODE] = list(map(_code, records))
    labels = [_labels(vote.categories, collected) if vote.categories else 0 for vote in votes]
    texts = {field: pa.array(values, pa.string()).dictionary_encode() for field, values in columns.items()}
    outcome = np.array([OUTCOME_CODES[vote.winner] for vote in votes], dtype=np.int8)
    has_style = any(vote.style_a or vote.style_b for vote in votes)
    style = _styles(votes) if has_style else None
    collected.add(
        [texts.pop(side) for side in _NAMES],
        outcome,
        texts,
        {flag: np.array(values, dtype=np.int8) for flag, values in flags.items()},
        None if style is None else (style[:, 0], style[:, 1]),
        np.array(labels, dtype=np.int64) if any(labels) else None,
        {name: vote_numbers(name, [getattr(vote, name) for vote in votes]) for name in sorted(needed.numbers)},
    )


def _chunks(
    file: BattleFile, waits: Waits | None, left_out: LeftOut, check: RecordCheck | None
) -> Iterator[tuple[list[bytes | Fields], list[int], int]]:
    """Yield the records in lists. Records that are not votes of the format are left out.

    Yields:
        (list of records, row of each record, number of records that were read for the list, including those left out)
    """
    records = enumerate(mapped_records(file, waits, check))
    while some := list(islice(records, _CHUNK)):
        chunk, rows = [], []
        for row, record in some:
            if record == SKIPPED:
                left_out.add(NO_VOTE, row)
            elif not isinstance(record, bytes) and record.get(WITHOUT_OUTCOME):
                left_out.add(NO_OUTCOME, row)
            else:
                chunk.append(record[: MAX_BYTES + 1] if isinstance(record, bytes) else record)
                rows.append(row)
        yield chunk, rows, len(some)


def _decoded(
    file: BattleFile, chunk: Sequence[bytes | Fields], rows: Sequence[int], left_out: LeftOut
) -> tuple[list[Vote], list[int]]:
    """Decode a chunk of records. A vote whose time is missing or invalid is decoded without the time.

    Returns:
        The votes, and the position of each in the chunk.
    """
    raws = [record if isinstance(record, bytes) else _encoded(record) for record in chunk]
    votes, positions, rejects = decode_votes(raws)
    if not rejects:
        return votes, positions
    # A battle with a missing or invalid time can be rated: it is decoded again without this time.
    for _ in range(_TIMES):
        wrong = {reject.position: reject for reject in rejects if _is_about_time(reject)}
        if wrong:
            raws = [_without_time(raw, wrong[at]) if at in wrong else raw for at, raw in enumerate(raws)]
            votes, positions, rejects = decode_votes(raws)
    for reject in rejects:
        if reject.reason != SELF_BATTLE and not left_out.skip_bad:
            raise bad_record(file, rows[reject.position], reject.reason, reject.detail)
        if reject.reason == SELF_BATTLE:
            row = np.array([rows[reject.position]], dtype=np.int64)
            left_out.add_self_battles(row, _flags_of(chunk[reject.position]))
        else:
            left_out.add(reject.reason, rows[reject.position], reject.detail)
    return votes, positions


def _flags_of(record: bytes | Fields) -> dict[str, Int8]:
    """Return the flags that a record states: flag → int8[1], 1 for true or 0 for false."""
    fields = decoded(record) if isinstance(record, bytes) else record
    stated = {name: fields.get(name) for name in FLAGS} if isinstance(fields, dict) else {}
    return {name: np.array([_flag(v)], dtype=np.int8) for name, v in stated.items() if isinstance(v, bool)}


def _encoded(fields: Fields) -> bytes:
    """Return a record as the bytes of an event. A record without an id gets a placeholder as its id."""
    event = {key: value for key, value in with_checked(fields).items() if value is not None}
    if conversation := event.pop(CONVERSATION, None):
        event["vote_id"] = hash_conversation(str(conversation))
    return encode_event({"schema": SCHEMA, "vote_id": _NO_ID, **event})


def _is_about_time(reject: Reject) -> bool:
    return reject.reason == "bad_time" or (reject.reason == "missing_field" and "cast_at" in reject.detail)


def _without_time(raw: bytes, reject: Reject) -> bytes:
    """Return an event without the time that the decoder refused.

    `voter_since` becomes null. `cast_at` becomes a placeholder, because every event must have this field.
    """
    event: dict[str, Any] = msgspec.json.decode(raw)
    if reject.detail.startswith("voter_since"):
        return encode_event({**event, "voter_since": None})
    return encode_event({**event, "cast_at": PLACEHOLDER_TIME})


def _flag(value: bool | None) -> int:
    return -1 if value is None else int(value)


def _code(record: bytes | Fields) -> int:
    """Return the flag `code` of a record: 1 for true, 0 for false, −1 if it is not stated.

    `code` is not a field of an event. In events that `convert` wrote, it is under the key `is_code`.
    """
    if not isinstance(record, bytes):
        return _flag(record.get(CODE))
    event = decoded(record) if b'"is_code"' in record else None
    return _flag(truth_value(event.get("is_code")) if isinstance(event, dict) else None)


def _labels(found: Sequence[str], collected: VoteCollector) -> int:
    """Return the labels as bits of one number: bit k is 1 if the label with the number k is among them.

    A new label gets the next free bit. If there is none, it is added to `collected.more_categories`.
    """
    bits = collected.bits
    for label in found:
        if label not in bits:
            if len(bits) < MAX_CATEGORIES:
                bits[label] = len(bits)
            else:
                collected.more_categories.add(label)
    return sum({1 << bits[label] for label in found if label in bits})


def _styles(votes: Sequence[Vote]) -> Int32:
    """Return int32[n, 2, 5]: five style counts for each answer of each vote; −1 for an answer without counts."""
    result = np.full((len(votes), 2, len(STYLE_FEATURES)), -1, dtype=np.int32)
    for row, vote in enumerate(votes):
        for side, style in enumerate((vote.style_a, vote.style_b)):
            if style is not None:
                result[row, side] = [getattr(style, name) for name in STYLE_FEATURES]
    return result
