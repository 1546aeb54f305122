"""A battle file as columns of codes, for a rating without a store.

Laws: strict, the first record that is no battle is an error with its row; times are not read, so a file without them
can be rated; a table (CSV, Parquet) is read by column and what is not needed is not looked at; whatever is not plainly
right there is read record by record instead, which either names the culprit or succeeds.

A column goes through Arrow some hundred times as fast as a record through the decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.errors import BadRecord
from pipeline.events import decode_votes
from pipeline.events.decode import Reject
from pipeline.events.vote import Vote, encode_event
from pipeline.formats import ColumnMapping, read_records
from pipeline.ratings import STYLE_FEATURES, encode_battles, encode_groups
from pipeline.ratings.battle_columns import GROUPS, BattleColumns
from pipeline.vocabulary.arrays import Int64

NO_TIME = "1970-01-01T00:00:00Z"
_CHUNK = 20_000


def read_by_record(path: Path, mapping: ColumnMapping, step: Callable[[int], None] | None) -> BattleColumns:
    """Read a battle file record by record.

    Raises:
        UnknownFormat: no reader for this file.
        BadRecord: a record that is no battle, with its row.
    """
    parts: dict[str, list[Any]] = {name: [] for name in ("model_a", "model_b", "winner", "voter_id", *GROUPS)}
    styles: list[Int64] = []
    records, row = iter(read_records(path, mapping)), 0
    while chunk := list(islice(records, _CHUNK)):
        votes = _decoded(path, chunk, row)
        row += len(chunk)
        for name, column in parts.items():
            column.extend(getattr(vote, name) for vote in votes)
        styles.append(_styles(votes))
        if step is not None:
            step(len(votes))
    models, a, b, outcome = encode_battles(parts["model_a"], parts["model_b"], parts["winner"])
    voters, voter = encode_groups(parts["voter_id"], "voter")
    style = np.concatenate([np.zeros((0, 2, len(STYLE_FEATURES)), dtype=np.int64), *styles])
    return BattleColumns(
        models=models,
        a=a,
        b=b,
        outcome=outcome,
        voters=voters,
        voter=voter.astype(np.int64),
        groups={name: encode_groups(parts[name], name) for name in GROUPS},
        style=(style[:, 0], style[:, 1]),
    )


def _decoded(path: Path, chunk: Sequence[bytes], first: int) -> list[Vote]:
    votes, _, rejects = decode_votes(chunk)
    if not rejects:
        return votes
    # A battle without a time, or with a strange one, can be rated: those are read again with one put in.
    votes, _, rejects = decode_votes(
        [_timed(raw) if _about_time(reject) else raw for raw, reject in _paired(chunk, rejects)]
    )
    if rejects:
        bad = rejects[0]
        raise BadRecord(path.name, first + bad.position, bad.reason, bad.detail)
    return votes


def _paired(chunk: Sequence[bytes], rejects: Iterable[Reject]) -> Iterator[tuple[bytes, Reject | None]]:
    by_position = {reject.position: reject for reject in rejects}
    for position, raw in enumerate(chunk):
        yield raw, by_position.get(position)


def _about_time(reject: Reject | None) -> bool:
    return reject is not None and (
        reject.reason == "bad_time" or (reject.reason == "missing_field" and "cast_at" in reject.detail)
    )


def _timed(raw: bytes) -> bytes:
    event: dict[str, Any] = msgspec.json.decode(raw)
    return encode_event({**event, "cast_at": NO_TIME, "voter_since": None})


def _styles(votes: Sequence[Vote]) -> Int64:
    """int64[n, 2, 5]."""
    result = np.full((len(votes), 2, len(STYLE_FEATURES)), -1, dtype=np.int64)
    for row, vote in enumerate(votes):
        for side, style in enumerate((vote.style_a, vote.style_b)):
            if style is not None:
                result[row, side] = [getattr(style, name) for name in STYLE_FEATURES]
    return result
