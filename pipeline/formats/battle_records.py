"""Reads a battle file as columns of codes, record by record through the decoder, for a rating without a store.

Laws: the first record that is not a battle is an error with its row, or is left out and counted if the caller wants
that; a battle of a model against itself is left out and counted; times are not used and may be missing; of records with
one id the first counts.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from pipeline.errors import BadRecord
from pipeline.events import decode_votes
from pipeline.events.decode import Reject
from pipeline.events.strict_checks import MAX_BYTES
from pipeline.events.vote import SCHEMA, Vote, encode_event
from pipeline.formats.battle_file import BattleFile, Waits, decoded
from pipeline.formats.battle_format import CODE, FLAGS, Fields
from pipeline.formats.cell_values import truth_value
from pipeline.formats.left_out import NO_OUTCOME, NO_VOTE, SELF_BATTLE, LeftOut
from pipeline.formats.record_reader import RecordCheck, mapped_records
from pipeline.formats.row_mapping import SKIPPED, WITHOUT_OUTCOME
from pipeline.formats.vote_ids import with_checked
from pipeline.ratings import STYLE_FEATURES, encode_battles, encode_groups
from pipeline.ratings.battle_columns import GROUPS, BattleColumns
from pipeline.vocabulary.arrays import Int8, Int32
from pipeline.vocabulary.voter_identity import find_voter

PLACEHOLDER_TIME = "2000-01-01T00:00:00Z"
_CHUNK = 20_000
# Stands for a missing id, and no id is spelled so.
_NO_ID = "(none)"


def read_by_record(
    file: BattleFile,
    step: Callable[[int], None] | None,
    waits: Waits | None = None,
    left_out: LeftOut | None = None,
    check: RecordCheck | None = None,
) -> BattleColumns:
    """Read a battle file record by record; `waits` and `check` as in `read_records`.

    Raises:
        UnknownFormat: no reader for this file.
        BadRecord: a record that is not a battle, with its row.
    """
    left_out = left_out or LeftOut()
    names = ("vote_id", "model_a", "model_b", "winner", "voter_id", *GROUPS)
    parts: dict[str, list[Any]] = {name: [] for name in names}
    flags: dict[str, list[int]] = {name: [] for name in FLAGS}
    labels: list[int] = []
    bits: dict[str, int] = {}
    styles: list[Int32] = []
    for chunk, rows in _chunks(file, waits, left_out, check):
        votes, kept = _decoded(file.containers[0].name, chunk, rows, left_out)
        for name, column in parts.items():
            column.extend(getattr(vote, name) for vote in votes)
        styles.append(_styles(votes))
        for name, values in flags.items():
            values.extend(map(_flag, map(attrgetter(name), votes)) if name != CODE else (_code(chunk[i]) for i in kept))
        labels.extend(_labels(vote.categories or (), bits) for vote in votes)
        if step is not None:
            step(len(votes))
    models, a, b, outcome = encode_battles(parts["model_a"], parts["model_b"], parts["winner"])
    voters, voter = encode_groups([find_voter(text, file.mapping.proxies) for text in parts["voter_id"]], "voter")
    style = np.concatenate([np.zeros((0, 2, len(STYLE_FEATURES)), dtype=np.int32), *styles])
    places: dict[str, int] = {}
    identity = [-1 if one == _NO_ID else places.setdefault(one, row) for row, one in enumerate(parts["vote_id"])]
    return BattleColumns(
        models=models,
        a=a,
        b=b,
        outcome=outcome,
        voters=voters,
        voter=voter.astype(np.int64),
        groups={name: encode_groups(parts[name], name) for name in GROUPS},
        style=(style[:, 0], style[:, 1]),
        flags={name: np.array(values, dtype=np.int8) for name, values in flags.items() if max(values, default=-1) >= 0},
        categories=(tuple(bits), np.array(labels if bits else [], dtype=np.int64)),
    ).without_repeats(np.array(identity, dtype=np.int64))


def _chunks(
    file: BattleFile, waits: Waits | None, left_out: LeftOut, check: RecordCheck | None
) -> Iterator[tuple[list[bytes | Fields], list[int]]]:
    """Yield lists of records with their rows, without records that are not votes of the format."""
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
        yield chunk, rows


def _decoded(
    name: str, chunk: Sequence[bytes | Fields], rows: Sequence[int], left_out: LeftOut
) -> tuple[list[Vote], list[int]]:
    """Return the votes and their positions in the chunk."""
    raws = [record if isinstance(record, bytes) else _encoded(record) for record in chunk]
    votes, positions, rejects = decode_votes(raws)
    if not rejects:
        return votes, positions
    # A battle with a missing or invalid time can be rated: it is decoded again with a placeholder time.
    untimed = {reject.position for reject in rejects if _is_about_time(reject)}
    votes, positions, rejects = decode_votes(
        [_with_placeholder_time(raw) if position in untimed else raw for position, raw in enumerate(raws)]
    )
    for reject in rejects:
        if reject.reason != SELF_BATTLE and not left_out.skip_bad:
            raise BadRecord(name, rows[reject.position], reject.reason, reject.detail)
        if reject.reason == SELF_BATTLE:
            row = np.array([rows[reject.position]], dtype=np.int64)
            left_out.add_self_battles(row, _flags_of(chunk[reject.position]))
        else:
            left_out.add(reject.reason, rows[reject.position], reject.detail)
    return votes, positions


def _flags_of(record: bytes | Fields) -> dict[str, Int8]:
    """Return the flags that a record states."""
    fields = decoded(record) if isinstance(record, bytes) else record
    stated = {name: fields.get(name) for name in FLAGS} if isinstance(fields, dict) else {}
    return {name: np.array([_flag(v)], dtype=np.int8) for name, v in stated.items() if isinstance(v, bool)}


def _encoded(fields: Fields) -> bytes:
    """Return a record as an event; an id is not derived, because equal rows of a file are different votes."""
    event = {key: value for key, value in with_checked(fields).items() if value is not None}
    return encode_event({"schema": SCHEMA, "vote_id": _NO_ID, **event})


def _is_about_time(reject: Reject) -> bool:
    return reject.reason == "bad_time" or (reject.reason == "missing_field" and "cast_at" in reject.detail)


def _with_placeholder_time(raw: bytes) -> bytes:
    event: dict[str, Any] = msgspec.json.decode(raw)
    return encode_event({**event, "cast_at": PLACEHOLDER_TIME, "voter_since": None})


def _flag(value: bool | None) -> int:
    return -1 if value is None else int(value)


def _code(record: bytes | Fields) -> int:
    """Return the flag that events do not have; `convert` writes it beside the fields of an event."""
    if not isinstance(record, bytes):
        return _flag(record.get(CODE))
    event = decoded(record) if b'"is_code"' in record else None
    return _flag(truth_value(event.get("is_code")) if isinstance(event, dict) else None)


def _labels(found: Sequence[str], bits: dict[str, int]) -> int:
    return sum({1 << bits.setdefault(label, len(bits)) for label in found})


def _styles(votes: Sequence[Vote]) -> Int32:
    """Return int32[n, 2, 5], style counts of both answers of each vote, −1 without counts."""
    result = np.full((len(votes), 2, len(STYLE_FEATURES)), -1, dtype=np.int32)
    for row, vote in enumerate(votes):
        for side, style in enumerate((vote.style_a, vote.style_b)):
            if style is not None:
                result[row, side] = [getattr(style, name) for name in STYLE_FEATURES]
    return result
