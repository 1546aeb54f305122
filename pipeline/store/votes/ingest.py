"""Writes the votes, duplicates and rejects of a batch, and finds which vote ids are stored already."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.events.decode import Reject
from pipeline.events.vote_batch import VoteBatch
from pipeline.store.cold import cold_ids
from pipeline.store.cold.vote_positions import read_at
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import NO_TIME

VotePosition = tuple[int, int]
"""(partition number (partition_no), offset) of a vote"""

VoteKeys = npt.NDArray[np.void]
"""n keys of 16 bytes, as an array of numpy's type V16: the first 128 bits of SHA-256(vote_id)."""

_BODY = (
    "voter", "cast_at", "model_a", "model_b", "outcome", "language", "category", "network", "prompt", "voter_since",
    "style", "turn", "session", "categories", "flags",
)  # fmt: skip
_RARE = ("flags", "turn", "session", "categories")


def vote_keys(votes: VoteBatch) -> VoteKeys:
    """Return V16[n], the keys under which the store finds n votes: the first 128 bits of SHA-256(vote_id)."""
    return np.ascontiguousarray(votes.key.astype(">u8")).view("V16").ravel()


def find_by_key(connection: Connection, keys: VoteKeys) -> dict[bytes, VotePosition]:
    """Return the positions of stored votes, as key → (partition_no, offset).

    Keys without a stored vote are left out.
    """
    known: dict[bytes, VotePosition] = {}
    key = dialect.key_bytes(connection, "key")
    for start in range(0, len(keys), dialect.CHUNK):
        where, parameters = dialect.any_of(connection, "key", keys[start : start + dialect.CHUNK])
        query = f'SELECT {key}, partition_no, "offset" FROM vote_key WHERE {where}'  # noqa: S608
        known.update((bytes(k), (p, o)) for k, p, o in connection.exec_driver_sql(query, parameters))
    # After the hot table: a vote that is archived in between is found here.
    return {**cold_ids.find(connection, keys), **known}


def find_by_vote_id(connection: Connection, vote_ids: Iterable[str]) -> set[VotePosition]:
    """Return the positions (partition_no, offset) of the stored votes with these ids. Unknown ids are ignored."""
    keys = b"".join(hashlib.sha256(vote_id.encode()).digest()[:16] for vote_id in vote_ids)
    return set(find_by_key(connection, np.frombuffer(keys, dtype="V16")).values())


def expect_stored(connection: Connection, vote_id: str) -> VotePosition:
    """Return the position (partition_no, offset) of the vote with this id.

    Raises:
        Usage: no stored vote has this id.
    """
    found = find_by_vote_id(connection, [vote_id])
    if not found:
        raise Usage(f"expected the id of a stored vote, got {vote_id!r}")
    return found.pop()


def stored_bodies(connection: Connection, positions: Sequence[VotePosition]) -> list[tuple[Any, ...]]:
    """Return the bodies of the stored votes at these positions, in the given order.

    A body is a tuple of all fields of a vote but its id (`vote_bodies`).
    """
    found = read_at(connection, _BODY, positions)
    return [found[position] for position in positions]


def vote_bodies(votes: VoteBatch, numbers: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return the body of each vote of a batch: a tuple of all its fields but the id.

    Two records with the same vote id are the same vote if their bodies are equal.

    Args:
        votes: n votes.
        numbers: name of a column → int32[n], the numbers of the store's dictionary. The columns are model_a, model_b,
            language, category, network and categories.
    """
    columns = (
        np.where(votes.has_voter, votes.voter, 0), votes.cast_at, numbers["model_a"], numbers["model_b"], votes.outcome,
        numbers["language"], numbers["category"], numbers["network"], votes.prompt,
    )  # fmt: skip
    since = [None if time == NO_TIME else time for time in votes.voter_since.tolist()]
    lists = numbers.get("categories", np.zeros(len(votes), dtype=np.int32))
    rare = [column.tolist() for column in (votes.turn, votes.session, lists, votes.flags)]
    return list(zip(*(column.tolist() for column in columns), since, _styles(votes), *rare, strict=True))


def write_votes(connection: Connection, votes: VoteBatch, numbers: Mapping[str, Any], fate: Any) -> None:
    """Insert new votes, and the keys by which they are found.

    Args:
        connection: the transaction.
        votes: n votes without duplicates.
        numbers: name of a column → int32[n], the numbers of the store's dictionary. The columns are model_a, model_b,
            language, category, network and categories.
        fate: int8[n], fate of each vote.
    """
    rare = {"flags": votes.flags, "turn": votes.turn, "session": votes.session}
    columns = {**numbers, **rare}
    dialect.load(
        connection,
        schema.vote,
        {
            "partition_no": votes.partition.astype(np.int64),
            "offset": votes.offset,
            "vote_id": votes.vote_id,
            "voter": np.where(votes.has_voter, votes.voter, 0),
            "cast_at": votes.cast_at,
            "appended_at": votes.appended_at,
            "outcome": votes.outcome,
            "fate": fate,
            # Few batches have a vote with one of these, and writing their defaults would cost a tenth of the rest.
            **{name: column for name, column in columns.items() if name not in _RARE or column.any()},
            "prompt": votes.prompt,
            "voter_since": np.ma.masked_equal(votes.voter_since, NO_TIME),
            "style": _styles(votes),
        },
    )
    order = np.lexsort((votes.key[:, 1], votes.key[:, 0]))  # sorted keys touch neighbouring pages of the index
    dialect.load(
        connection,
        schema.vote_key,
        {
            "key": vote_keys(votes)[order],
            "partition_no": votes.partition.astype(np.int64)[order],
            "offset": votes.offset[order],
        },
    )


def _styles(votes: VoteBatch) -> list[bytes | None]:
    present = np.asarray((votes.style >= 0).any(axis=1))
    if not present.any():
        return [None] * len(votes)
    raw = votes.style.astype("<i4").tobytes()
    return [raw[40 * i : 40 * i + 40] if there else None for i, there in enumerate(present.tolist())]


def write_duplicates(
    connection: Connection, votes: VoteBatch, firsts: Sequence[VotePosition], same: Sequence[bool]
) -> None:
    """Store the positions of duplicates, each with the position of the first vote that has the same id.

    Args:
        connection: the transaction.
        votes: n duplicates.
        firsts: n positions (partition_no, offset), those of the first votes.
        same: for each duplicate, whether its body equals that of the first vote.
    """
    dialect.load(
        connection,
        schema.duplicate,
        {
            "partition_no": votes.partition.astype(np.int64),
            "offset": votes.offset,
            "first_partition_no": np.array([part for part, _ in firsts], dtype=np.int64),
            "first_offset": np.array([offset for _, offset in firsts], dtype=np.int64),
            "same_body": np.array(same, dtype=np.bool_),
        },
    )


def write_rejects(
    connection: Connection,
    rejects: Sequence[Reject],
    partition: Int64,
    offset: Int64,
    appended_at: Int64,
    origins: Sequence[str | None],
) -> None:
    """Store rejected records, each with its place and the reason.

    Args:
        connection: the transaction.
        rejects: the rejects. The field `position` of a reject is an index into the following arrays.
        partition: int64[n], partition number (partition_no) of each record of the batch.
        offset: int64[n], offset of each record.
        appended_at: int64[n], append time of each record, in microseconds since 1970 UTC.
        origins: the origin that each record states, None for a record without an origin.
    """
    rows = [
        {
            "partition_no": int(partition[r.position]),
            "offset": int(offset[r.position]),
            "appended_at": int(appended_at[r.position]),
            "reason": r.reason,
            "detail": r.detail.replace("\x00", "\\0"),  # PostgreSQL's text holds no NUL
            "origin": origins[r.position],
            "sha256": r.sha256,
            "sample": r.sample,
        }
        for r in rejects
    ]
    if rows:
        connection.execute(schema.reject.insert(), rows)
