"""Votes as numpy columns.

Laws: column i of every array speaks of the same vote; names stay strings here (the store turns
them into small integers); the voter is a keyed pseudonym before anything else sees it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.events.vote import OUTCOMES, Vote, to_bytes

Int64 = npt.NDArray[np.int64]

NO_TIME = np.iinfo(np.int64).min
"""Stands for an absent time in a column of microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_OUTCOME = {name: code for code, name in enumerate(OUTCOMES)}


def pseudonym(key: bytes, voter_id: str) -> int:
    """A voter's keyed pseudonym: the first 64 bits of HMAC-SHA-256, as a signed integer.

    64 bits: among 10 million voters two share a pseudonym with probability 3e-6, and without the
    key nobody can search for such a pair. It is shown as 16 hexadecimal digits.
    """
    return int.from_bytes(hmac.digest(key, voter_id.encode(), "sha256")[:8], "big", signed=True)


@dataclass(frozen=True, slots=True)
class VoteBatch:
    """Votes as columns, all of length n, in the order of the source.

    Attributes:
        partition: the store's number of the partition each vote came from.
        offset: its offset there.
        appended_at, cast_at: microseconds since 1970 UTC.
        key: uint64[n, 2], the first 128 bits of SHA-256(vote_id).
        side: uint8[n], bit 0 of SHA-256(vote_id): which side a sampling test looks at.
        body: bytes[n] of 8, a digest of everything the vote says (voter as pseudonym).
        vote_id, model_a, model_b: strings.
        outcome: int8[n], a position in OUTCOMES.
        voter: pseudonym; `has_voter` says where there is one.
        language, category, prompt_hash, network: strings or None.
        voter_since: microseconds, or NO_TIME.
        style: int32[n, 10], tokens, headers, lists, bold, emoji of a, then of b; −1 where absent.
    """

    partition: npt.NDArray[np.int32]
    offset: Int64
    appended_at: Int64
    cast_at: Int64
    key: npt.NDArray[np.uint64]
    side: npt.NDArray[np.uint8]
    body: list[bytes]
    vote_id: list[str]
    model_a: list[str]
    model_b: list[str]
    outcome: npt.NDArray[np.int8]
    voter: Int64
    has_voter: npt.NDArray[np.bool_]
    language: list[str | None]
    category: list[str | None]
    prompt_hash: list[str | None]
    network: list[str | None]
    voter_since: Int64
    style: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """The number of votes."""
        return len(self.offset)

    def take(self, rows: npt.NDArray[Any]) -> VoteBatch:
        """The votes at `rows` (a mask or indices), in that order."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        if len(index) == len(self) and rows.dtype == np.bool_:
            return self
        chosen = index.tolist()
        taken: dict[str, Any] = {
            name: [value[i] for i in chosen] if isinstance(value, list) else value[index]
            for name in self.__slots__
            for value in (getattr(self, name),)
        }
        return VoteBatch(**taken)


def columns(
    votes: Sequence[Vote],
    partition: npt.NDArray[np.int32],
    offset: Int64,
    appended_at: Int64,
    name_of: Callable[[str], int],
) -> VoteBatch:
    """Turn decoded votes into columns.

    Args:
        votes: n votes.
        partition, offset, appended_at: their coordinates, each of length n.
        name_of: voter_id → pseudonym (cached by the caller: heavy voters come again and again).
    """
    digests = [hashlib.sha256(v.vote_id.encode()).digest() for v in votes]
    heads = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(votes), 32)
    return VoteBatch(
        partition=partition,
        offset=offset,
        appended_at=appended_at,
        cast_at=_times([v.cast_at for v in votes]),
        key=np.ascontiguousarray(heads[:, :16]).view(">u8").astype(np.uint64),
        side=(heads[:, 31] & 1).astype(np.uint8),
        body=[_body(v, name_of) for v in votes],
        vote_id=[v.vote_id for v in votes],
        model_a=[v.model_a for v in votes],
        model_b=[v.model_b for v in votes],
        outcome=np.array([_OUTCOME[v.winner] for v in votes], dtype=np.int8),
        voter=np.array([0 if v.voter_id is None else name_of(v.voter_id) for v in votes], dtype=np.int64),
        has_voter=np.array([v.voter_id is not None for v in votes], dtype=np.bool_),
        language=[v.language for v in votes],
        category=[v.category for v in votes],
        prompt_hash=[v.prompt_hash for v in votes],
        network=[v.network for v in votes],
        voter_since=_times([v.voter_since for v in votes]),
        style=_styles(votes),
    )


def _body(vote: Vote, name_of: Callable[[str], int]) -> bytes:
    """Eight bytes that differ when any two votes say different things.

    The voter enters as pseudonym: a digest of the plain name could be searched for.
    """
    raw = to_bytes(vote)
    if vote.voter_id is not None:
        raw = raw.replace(to_bytes({"voter_id": vote.voter_id})[1:-1], b"%d" % name_of(vote.voter_id))
    return hashlib.sha256(raw).digest()[:8]


def _times(times: Sequence[datetime | None]) -> Int64:
    return np.array(
        [NO_TIME if t is None else _exact(t) for t in times],
        dtype=np.int64,
    )


def _exact(time: datetime) -> int:
    # A float of seconds is exact to the microsecond until 2106, and twice as quick.
    return round(time.timestamp() * 1e6) if time.year < 2100 else microseconds(time)


def microseconds(time: datetime) -> int:
    """Microseconds since 1970 UTC, exact."""
    return (time - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The UTC time of a number of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(value))


def _styles(votes: Sequence[Vote]) -> npt.NDArray[np.int32]:
    style = np.full((len(votes), 10), -1, dtype=np.int32)
    for row, vote in enumerate(votes):
        for first, s in ((0, vote.style_a), (5, vote.style_b)):
            if s is not None:
                style[row, first : first + 5] = (s.tokens, s.headers, s.lists, s.bold, s.emoji)
    return style
