"""Reads a battle file as columns of codes, record by record through the decoder, for a rating without a store.

Laws: the first record that is not a battle is an error with its row; times are not used and may be missing; of records
with one id the first counts.
"""

from collections.abc import Callable, Sequence
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
from pipeline.vocabulary.voter_identity import find_voter

PLACEHOLDER_TIME = "2000-01-01T00:00:00Z"
_CHUNK = 20_000


def read_by_record(
    path: Path,
    mapping: ColumnMapping,
    step: Callable[[int], None] | None,
    waits: Callable[[str], None] = lambda _: None,
) -> BattleColumns:
    """Read a battle file record by record; `waits` as in `read_records`.

    Raises:
        UnknownFormat: no reader for this file.
        BadRecord: a record that is not a battle, with its row.
    """
    parts: dict[str, list[Any]] = {
        name: [] for name in ("vote_id", "model_a", "model_b", "winner", "voter_id", *GROUPS)
    }
    styles: list[Int64] = []
    records, row = iter(read_records(path, mapping, waits)), 0
    while chunk := list(islice(records, _CHUNK)):
        votes = _decoded(path, chunk, row)
        row += len(chunk)
        for name, column in parts.items():
            column.extend(getattr(vote, name) for vote in votes)
        styles.append(_styles(votes))
        if step is not None:
            step(len(votes))
    models, a, b, outcome = encode_battles(parts["model_a"], parts["model_b"], parts["winner"])
    voters, voter = encode_groups([find_voter(text, mapping.proxies) for text in parts["voter_id"]], "voter")
    style = np.concatenate([np.zeros((0, 2, len(STYLE_FEATURES)), dtype=np.int64), *styles])
    places: dict[str, int] = {}
    identity = np.array([places.setdefault(one, row) for row, one in enumerate(parts["vote_id"])], dtype=np.int64)
    return BattleColumns(
        models=models,
        a=a,
        b=b,
        outcome=outcome,
        voters=voters,
        voter=voter.astype(np.int64),
        groups={name: encode_groups(parts[name], name) for name in GROUPS},
        style=(style[:, 0], style[:, 1]),
    ).without_repeats(identity)


def _decoded(path: Path, chunk: Sequence[bytes], first: int) -> list[Vote]:
    votes, _, rejects = decode_votes(chunk)
    if not rejects:
        return votes
    # A battle with a missing or invalid time can be rated: it is decoded again with a placeholder time.
    untimed = {reject.position for reject in rejects if _is_about_time(reject)}
    votes, _, rejects = decode_votes(
        [_with_placeholder_time(raw) if position in untimed else raw for position, raw in enumerate(chunk)]
    )
    if rejects:
        first_bad = rejects[0]
        raise BadRecord(path.name, first + first_bad.position, first_bad.reason, first_bad.detail)
    return votes


def _is_about_time(reject: Reject) -> bool:
    return reject.reason == "bad_time" or (reject.reason == "missing_field" and "cast_at" in reject.detail)


def _with_placeholder_time(raw: bytes) -> bytes:
    event: dict[str, Any] = msgspec.json.decode(raw)
    return encode_event({**event, "cast_at": PLACEHOLDER_TIME, "voter_since": None})


def _styles(votes: Sequence[Vote]) -> Int64:
    """Return int64[n, 2, 5], style counts of both answers of each vote, −1 without counts."""
    result = np.full((len(votes), 2, len(STYLE_FEATURES)), -1, dtype=np.int64)
    for row, vote in enumerate(votes):
        for side, style in enumerate((vote.style_a, vote.style_b)):
            if style is not None:
                result[row, side] = [getattr(style, name) for name in STYLE_FEATURES]
    return result
