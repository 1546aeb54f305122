"""Finds votes whose id is already known. The first vote with an id counts, and later votes are duplicates.

A stored vote comes before all votes of the batch. Within the batch, the vote with the smallest partition_no and offset
comes first. An alert opens if the body (all fields but the id) of a duplicate differs from the body of the first vote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.events import VoteBatch
from pipeline.events.pseudonym import format_pseudonym
from pipeline.events.vote_batch import first_occurrences
from pipeline.scoring.signals import AlertSignal
from pipeline.store.cold import cold_ids
from pipeline.store.votes import file_readings, ingest
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.vote_flags import STATED

# Of `ingest.vote_bodies`: time, models and outcome; what an erasure empties: voter, network, prompt, age of the
# account, style, turn and session; what it empties of an old vote alone: language and categories; what votes that an
# earlier version stored do not state.
_PUBLIC, _PRIVATE, _LABELS, _LATER = slice(1, 5), (0, 7, 8, 9, 10, 11, 12), (5, 6, 13), slice(11, None)
# What `publish` adds from the text of a battle, and a file that is read without Kafka has not: prompt and leak flags.
_PROMPT, _FLAGS, _LEAK = 8, 14, sum(STATED["identity_leak"])


@dataclass(frozen=True)
class Deduplication:
    """Tells which of the n votes of a batch are new, and which d votes are duplicates.

    Attributes:
        is_new: bool[n], False for a duplicate.
        rows: int64[d], indices of the duplicates in the batch.
        originals: for each duplicate, the position (partition_no, offset) of the first vote with its id.
        same_body: for each duplicate, whether its body equals the body of the first vote. Fields that the stored vote
            lost by an erasure, or that an earlier version did not store, are not compared.
        archive_version: `cold_ids.version` before the search, to be checked when the new votes are written.
    """

    is_new: Bool
    rows: Int64
    originals: list[ingest.VotePosition]
    same_body: list[bool]
    archive_version: int


def deduplicate(connection: Connection, votes: VoteBatch, numbers: Mapping[str, Any]) -> Deduplication:
    """Find the duplicates of a batch, and compare their bodies with those of the first votes. Nothing is written.

    Args:
        connection: a transaction, which reads the stored votes.
        votes: the n votes of the batch.
        numbers: name of a column → int32[n], the numbers of the store's dictionary for the names in the n votes, from
            `number_batch`.

    Returns:
        Which votes are new. For each duplicate, the result also has the position of the first vote with its id, and
        whether both bodies are equal. The first vote is in the store or earlier in the batch.
    """
    version = cold_ids.version(connection)
    keys, first = ingest.vote_keys(votes), first_occurrences(votes.key)
    is_first = first == np.arange(len(votes))
    known = ingest.find_by_key(connection, keys[is_first])
    is_new = is_first.copy()
    stored: dict[int, ingest.VotePosition] = {}
    if known:
        for row in np.flatnonzero(is_first).tolist():
            place = known.get(keys[row].tobytes())
            if place is not None:
                stored[row] = place
                is_new[row] = False
    rows = np.flatnonzero(~is_new)
    if not len(rows):
        return Deduplication(is_new, rows, [], [], version)
    first_rows = first[rows].tolist()
    originals = [stored.get(i) or (int(votes.partition[i]), int(votes.offset[i])) for i in first_rows]
    same = _same_bodies(connection, votes, numbers, rows, first_rows, stored)
    return Deduplication(is_new, rows, originals, same, version)


def _same_bodies(
    connection: Connection,
    votes: VoteBatch,
    numbers: Mapping[str, Any],
    rows: Int64,
    first_rows: list[int],
    stored: Mapping[int, ingest.VotePosition],
) -> list[bool]:
    involved = np.unique(np.concatenate([rows, np.array(first_rows, dtype=np.int64)]))
    bodies = ingest.vote_bodies(votes.take(involved), {name: values[involved] for name, values in numbers.items()})
    in_batch = dict(zip(involved.tolist(), bodies, strict=True))
    in_store = ingest.stored_bodies(connection, list(stored.values())) if stored else []
    of_store = dict(zip(stored, in_store, strict=True))
    originals = in_batch | of_store
    return [
        in_batch[row] == originals[first] or (first in of_store and _repeats_less(in_batch[row], of_store[first]))
        for row, first in zip(rows.tolist(), first_rows, strict=True)
    ]


def _repeats_less(repeat: tuple[Any, ...], original: tuple[Any, ...]) -> bool:
    """Return whether a stored vote (`original`) equals its repeat, apart from fields that the stored vote lacks.

    Three kinds of missing fields are allowed. An early version did not store the later fields. A vote that was read
    from a file, not from Kafka, lacks the fields that `publish` computes from its texts. An erasure removed private
    fields.
    """
    repeat = _without_text_fields(repeat, original)
    if repeat == original:
        return True
    earlier = not any(original[_LATER]) and repeat[: _LATER.start] == original[: _LATER.start]
    return earlier or _repeats_erased(repeat, original)


def _without_text_fields(repeat: tuple[Any, ...], original: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a repeat without those fields that `publish` computed from texts and that the stored vote lacks.

    These fields are the hash of the prompt and the flag about identity leaks.
    """
    body = list(repeat)
    body[_PROMPT] = repeat[_PROMPT] if original[_PROMPT] else 0
    body[_FLAGS] = repeat[_FLAGS] if original[_FLAGS] & _LEAK else repeat[_FLAGS] & ~_LEAK
    return tuple(body)


def _repeats_erased(repeat: tuple[Any, ...], original: tuple[Any, ...]) -> bool:
    """Return whether a vote equals a stored vote, apart from private fields that an erasure removed.

    Such a repeat gives no alert, because an alert would link the id of the vote to its voter again.
    """
    labels = all(original[at] in (0, repeat[at]) for at in _LABELS)
    return not any(original[at] for at in _PRIVATE) and labels and repeat[_PUBLIC] == original[_PUBLIC]


def write_duplicates(connection: Connection, votes: VoteBatch, duplicates: Deduplication) -> list[AlertSignal]:
    """Store the duplicates of a batch, and return alerts about duplicates whose body differs from the first vote's.

    Call this function after the new votes of the batch were written.

    Raises:
        sqlalchemy.exc.OperationalError: votes were archived since the search for duplicates, so a new vote may be a
            duplicate of an archived one. The batch can be processed again.
    """
    cold_ids.expect_version(connection, duplicates.archive_version)
    ingest.write_duplicates(connection, votes.take(duplicates.rows), duplicates.originals, duplicates.same_body)
    pairs = zip(duplicates.rows.tolist(), duplicates.originals, duplicates.same_body, strict=True)
    other = [((int(votes.partition[i]), int(votes.offset[i])), first) for i, first, same in pairs if not same]
    records = file_readings.name_places(connection, [place for pair in other for place in pair])
    return [
        AlertSignal(
            detector="duplicate_votes",
            subject_kind="voter" if votes.has_voter[i] else "board",
            subject=format_pseudonym(int(votes.voter[i])) if votes.has_voter[i] else "votes",
            direction="same id, other vote",
            severity="warning",
            e_value=None,
            level=1,
            partition=int(votes.partition[i]),
            offset=int(votes.offset[i]),
            at=int(votes.cast_at[i]),
            evidence={
                "vote_id": votes.vote_id[i],
                "counted": _place(part, offset, records),
                "ignored": _place(int(votes.partition[i]), int(votes.offset[i]), records),
            },
        )
        for i, (part, offset), same in zip(
            duplicates.rows.tolist(), duplicates.originals, duplicates.same_body, strict=True
        )
        if not same
    ]


def _place(partition: int, offset: int, records: Mapping[ingest.VotePosition, str]) -> dict[str, Any]:
    """Return a position as a dictionary, with the origin (file and record number) of its record if that is known."""
    record = records.get((partition, offset))
    return {"partition": partition, "offset": offset, **({"record": record} if record else {})}
