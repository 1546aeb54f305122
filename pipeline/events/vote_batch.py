"""Represents votes as numpy columns.

Row i of every column is the same vote. Names are strings here; the store turns them into small integers. Columns
contain a voter's pseudonym, never the voter id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.events.pseudonym import session_name
from pipeline.events.vote import Vote, category_list
from pipeline.vocabulary.arrays import Bool, Int8, Int32, Int64, UInt8, UInt64
from pipeline.vocabulary.outcomes import OUTCOME_CODES
from pipeline.vocabulary.time import NO_TIME, SECOND, to_microseconds
from pipeline.vocabulary.vote_flags import STATED, flags_of

# Float seconds are not used beyond 2099.
_EXACT_SECONDS = 4.1e9
_NOTHING = bytes(32)
_FLAGS = tuple(STATED)
_read_flags = attrgetter(*_FLAGS)


@dataclass(frozen=True, slots=True)
class VoteBatch:
    """Votes as columns, all of length n, in the order of the source.

    Attributes:
        partition: partition number (partition_no) of each vote.
        offset: offset of the vote in that partition.
        appended_at, cast_at: when the vote was appended and when it was cast, in microseconds since 1970 UTC.
        key: uint64[n, 2], the first 128 bits of SHA-256(vote_id).
        side: uint8[n], the lowest bit of SHA-256(vote_id). It picks one side of each vote, 0 for a and 1 for b.
            Sampling tests count only the model on this side.
        vote_id, model_a, model_b: strings.
        outcome: int8[n], a position in OUTCOMES.
        voter: pseudonym of the voter, valid only where `has_voter` is true.
        has_voter: whether the vote has a voter.
        language, category: strings or None.
        prompt: 64 bits of SHA-256(prompt_hash), 0 without a prompt.
        network: strings or None.
        voter_since: when the voter's account was made, microseconds since 1970 UTC; NO_TIME where unknown.
        style: int32[n, 10]: tokens, headers, lists, bold, emoji of answer a, then of answer b; −1 where absent.
        of_file: whether the vote comes from a file.
        flags: bits of `vocabulary.vote_flags`, 0 where nothing is stated.
        turn: number of the turn of the conversation, 0 if the vote states none.
        session: pseudonym of the session, 0 without a session.
        categories: all categories of the vote as a sorted JSON list; None if the vote has no category other than
            `category`.
    """

    partition: Int32
    offset: Int64
    appended_at: Int64
    cast_at: Int64
    key: UInt64
    side: UInt8
    vote_id: list[str]
    model_a: list[str]
    model_b: list[str]
    outcome: Int8
    voter: Int64
    has_voter: Bool
    language: list[str | None]
    category: list[str | None]
    prompt: Int64
    network: list[str | None]
    voter_since: Int64
    style: Int32
    of_file: Bool
    flags: Int32
    turn: Int32
    session: Int64
    categories: list[str | None]

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.offset)

    def take(self, rows: npt.NDArray[Any]) -> VoteBatch:
        """Return some of the votes as a batch.

        Args:
            rows: which votes. Either int64[m], their positions, in the order of the result; or bool[n], true for each
                vote of the result. If it is true for all votes, this batch itself is returned.
        """
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


def to_columns(
    votes: Sequence[Vote],
    partition: Int32,
    offset: Int64,
    appended_at: Int64,
    pseudonyms_of: Callable[[Sequence[str | None]], Int64],
    of_file: Bool | None = None,
    session: Int64 | None = None,
) -> VoteBatch:
    """Return decoded votes as columns.

    Args:
        votes: n votes.
        partition, offset: int32[n] and int64[n], the place of each vote.
        appended_at: int64[n], the append time of each vote in microseconds since 1970 UTC.
        pseudonyms_of: returns the pseudonym of each voter id, 0 for None. The caller caches pseudonyms, because few
            voters cast many votes.
        of_file: bool[n], whether the vote comes from a file; default: no vote does.
        session: int64[n], pseudonyms of the sessions; default: they are computed with `pseudonyms_of`.
    """
    ids = [v.vote_id for v in votes]
    voters = [v.voter_id for v in votes]
    heads, voter = _sha256(ids), pseudonyms_of(voters)
    flags, turn, categories = _more_fields(votes)
    if session is None:
        session = hash_sessions(votes, pseudonyms_of)
    return VoteBatch(
        partition=partition,
        offset=offset,
        appended_at=appended_at,
        cast_at=to_times([v.cast_at for v in votes]),
        key=np.ascontiguousarray(heads[:, :16]).view(">u8").astype(np.uint64),
        side=(heads[:, 31] & 1).astype(np.uint8),
        vote_id=ids,
        model_a=[v.model_a for v in votes],
        model_b=[v.model_b for v in votes],
        outcome=np.array([OUTCOME_CODES[v.winner] for v in votes], dtype=np.int8),
        voter=voter,
        has_voter=voter != 0,
        language=[v.language for v in votes],
        category=[v.category for v in votes],
        prompt=_sha256([v.prompt_hash for v in votes])[:, :8].copy().view(">i8").ravel().astype(np.int64),
        network=[v.network for v in votes],
        voter_since=to_times([v.voter_since for v in votes]),
        style=_styles(votes),
        of_file=np.zeros(len(votes), dtype=np.bool_) if of_file is None else of_file,
        flags=flags,
        turn=turn,
        session=session,
        categories=categories,
    )


def hash_sessions(votes: Sequence[Vote], pseudonyms_of: Callable[[Sequence[str | None]], Int64]) -> Int64:
    """Return the pseudonym of each vote's session, int64[n], 0 for a vote without a session.

    Args:
        votes: n votes.
        pseudonyms_of: returns the pseudonym of each text, 0 for None.
    """
    sessions = [v.session for v in votes]
    if sessions.count(None) == len(sessions):
        return np.zeros(len(sessions), dtype=np.int64)
    return pseudonyms_of([session_name(one) for one in sessions])


def _more_fields(votes: Sequence[Vote]) -> tuple[Int32, Int32, list[str | None]]:
    """Return the flags of each vote as bits, the turn (0 if not stated), and `category_list` of the categories."""
    flags, turn = np.zeros((2, len(votes)), dtype=np.int32)
    categories: list[str | None] = [None] * len(votes)
    # One comparison a field: six times as fast as reading the fields of every vote as a tuple.
    stated = [
        row
        for row, v in enumerate(votes)
        if v.anonymous is not None
        or v.refusal is not None
        or v.deduplicated is not None
        or v.identity_leak is not None
        or v.turn is not None
        or v.categories is not None
    ]
    for row in stated:
        vote = votes[row]
        flags[row] = _flags(_read_flags(vote))
        turn[row] = vote.turn or 0
        categories[row] = category_list(vote.category, vote.categories)
    return flags, turn, categories


@lru_cache(maxsize=1_000)
def _flags(stated: tuple[bool | None, ...]) -> int:
    return flags_of(dict(zip(_FLAGS, stated, strict=True)))


def to_times(times: Sequence[datetime | None]) -> Int64:
    """Return times as int64 microseconds since 1970 UTC, NO_TIME for None."""
    try:
        seconds = np.fromiter(map(datetime.timestamp, times), dtype=np.float64, count=len(times))  # type: ignore[arg-type]
    except TypeError:  # a None
        exact = np.full(len(times), NO_TIME, dtype=np.int64)
        given = [row for row, time in enumerate(times) if time is not None]
        exact[given] = to_times([times[row] for row in given])
        return exact
    exact = np.rint(seconds * SECOND).astype(np.int64)
    # Float seconds are exact to the microsecond until 2106 and cost a quarter; later times are computed exactly.
    for row in np.flatnonzero(np.abs(seconds) >= _EXACT_SECONDS).tolist():
        exact[row] = to_microseconds(times[row])  # type: ignore[arg-type]  # no time is None here
    return exact


def _sha256(texts: Sequence[str | None]) -> UInt8:
    """Return the SHA-256 of each text, uint8[n, 32]; zeros for None."""
    digests = [_NOTHING if text is None else hashlib.sha256(text.encode()).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(texts), 32)


def _styles(votes: Sequence[Vote]) -> Int32:
    style = np.full((len(votes), 10), -1, dtype=np.int32)
    for row, vote in [(i, v) for i, v in enumerate(votes) if v.style_a is not None or v.style_b is not None]:
        for first, s in ((0, vote.style_a), (5, vote.style_b)):
            if s is not None:
                style[row, first : first + 5] = (s.tokens, s.headers, s.lists, s.bold, s.emoji)
    return style


def first_occurrences(key: UInt64) -> Int64:
    """Return int64[n], for each row the position of the first row with the same vote id.

    Args:
        key: uint64[n, 2], the column `key` of a batch.
    """
    if not len(key):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((key[:, 1], key[:, 0]))  # stable: of equal ids the first row comes first
    ordered = key[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    first = np.empty(len(key), dtype=np.int64)
    first[order] = order[np.maximum.accumulate(np.where(new, np.arange(len(key)), 0))]
    return first
