"""Checks the headers of records: signature, rejection by the publisher, and pseudonyms.

If publishers are configured, a record needs the signature of one of them and is rejected otherwise. A record that its
publisher found invalid is rejected with the publisher's reason. A header may state that the voter id in a record is a
pseudonym already. The worker then uses this pseudonym unchanged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

from pipeline.events import Reject, Vote, decode_votes, reject_sample
from pipeline.events.decode import REASONS
from pipeline.events.pseudonym import key_id, parse_pseudonym
from pipeline.events.record_signature import NO_MARKS, RecordMarks, RecordVerifier, parse_publishers
from pipeline.events.vote_batch import hash_sessions
from pipeline.vocabulary.arrays import Int64

BAD_PSEUDONYM = "bad_pseudonym"
# The publisher's reason is not one of ours.
_OTHER_REASON = "invalid_at_publisher"
_DECLARED = re.compile(rb"([a-z0-9_]{1,40}) ([0-9a-f]{64}) (.*)", re.DOTALL)

Event = TypeVar("Event")
Decoded = tuple[list[Event], list[int], list[Reject]]


class MarkedVotes(NamedTuple):
    """The result of decoding n records: v votes with the pseudonyms of their voters, and the rejects.

    Attributes:
        votes: the v votes.
        positions: for each vote, the index of its record.
        rejects: the rejected records, in order of position.
        voter: int64[v], pseudonym of each vote's voter, 0 for a vote without a voter.
        session: int64[v], pseudonym of each vote's session, 0 for a vote without a session.
    """

    votes: list[Vote]
    positions: list[int]
    rejects: list[Reject]
    voter: Int64
    session: Int64


@dataclass
class RecordScreen:
    """Holds what a worker needs to check the headers of its records.

    Attributes:
        verifier: checks signatures; None if records need no signature.
        own_key: id of the store's voter key (`pseudonym.key_id`).
    """

    verifier: RecordVerifier | None = None
    own_key: str = ""
    _known_keys: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, source: str, publishers: str, voter_key: bytes) -> RecordScreen:
        """Return the checks of headers for a worker.

        Args:
            source: name of the source, kafka:CLUSTER/TOPIC or file:….
            publishers: the setting INTEGRITY_PUBLISHERS.
            voter_key: the voter key of the worker's store.
        """
        return cls(verifier_of(source, publishers), key_id(voter_key))

    def other_keys(self, marks: Sequence[RecordMarks]) -> list[tuple[int, str]]:
        """Find voter keys in the headers that are not the store's key and that no earlier call found.

        Args:
            marks: headers of records.

        Returns:
            One pair for each key, sorted by index: the index in `marks` of the first record that names the key, and the
            id of the key.
        """
        found = {mark[0] for mark in marks if mark[0] is not None} - self._known_keys - {self.own_key.encode()}
        self._known_keys |= found
        first = (next(at for at, mark in enumerate(marks) if mark[0] == key) for key in found)
        return sorted((at, (marks[at][0] or b"").decode("ascii", "replace")[:16]) for at in first)


def verifier_of(source: str, publishers: str) -> RecordVerifier | None:
    """Return the verifier for the records of a source, or None if its records need no signature.

    Without publishers, no record needs a signature. The records of a file never need one, because the person who starts
    the worker chooses the file.

    Args:
        source: name of the source, kafka:CLUSTER/TOPIC or file:….
        publishers: the setting INTEGRITY_PUBLISHERS.
    """
    kind, _, place = source.partition(":")
    known = parse_publishers(publishers)
    return RecordVerifier(place.rpartition("/")[2], known) if known and kind == "kafka" else None


def decode_marked(
    values: Sequence[bytes | None],
    marks: Sequence[RecordMarks] | None,
    verifier: RecordVerifier | None,
    decode: Callable[[Sequence[bytes | None]], Decoded[Event]],
) -> Decoded[Event]:
    """Check the headers of records, and decode the records that pass.

    A record becomes a reject if it lacks a valid signature, or if its publisher found it invalid.

    Args:
        values: the records, None for a record without a value.
        marks: signature and other headers of each record; None if no record has such headers.
        verifier: checks the signatures; None if records need no signature.
        decode: a function that decodes records, such as `decode_votes` or `decode_registry`.

    Returns:
        Three lists: the events; for each event its index in `values`; and all rejects, in order of position.
    """
    refused: dict[int, Reject] = {}
    if verifier is not None:
        for position, value in enumerate(values):
            mark = marks[position] if marks is not None else NO_MARKS
            fault = verifier.find_fault(mark, value or b"")
            if fault is not None:
                refused[position] = _reject(position, value or b"", *fault)
    for position, mark in enumerate(marks or ()):
        if mark[1] is not None and position not in refused:
            refused[position] = _declared(position, values[position] or b"", mark[1])
    if not refused:
        return decode(values)
    kept = [position for position in range(len(values)) if position not in refused]
    events, positions, rejects = decode([values[position] for position in kept])
    rejects = [replace(one, position=kept[one.position]) for one in rejects] + list(refused.values())
    return events, [kept[at] for at in positions], sorted(rejects, key=lambda one: one.position)


def decode_marked_votes(
    values: Sequence[bytes | None],
    marks: Sequence[RecordMarks] | None,
    verifier: RecordVerifier | None,
    pseudonyms: Callable[[Sequence[str | None]], Int64],
) -> MarkedVotes:
    """Decode records into votes, and find the pseudonyms of their voters and sessions.

    If a header of a record says that its ids are pseudonyms, but an id is no pseudonym, the record becomes a reject.

    Args:
        values: the records, None for a record without a value.
        marks: signature and other headers of each record; None if no record has such headers.
        verifier: checks the signatures; None if records need no signature.
        pseudonyms: a function that takes voter ids or sessions, and returns their pseudonyms, 0 for nobody.

    Returns:
        The votes with the pseudonyms, and the rejects.
    """
    votes, positions, rejects = decode_marked(values, marks, verifier, decode_votes)
    hashed = np.zeros(len(votes), dtype=np.bool_)
    if marks is not None:
        hashed = np.array([marks[position][0] is not None for position in positions], dtype=np.bool_)
    if not hashed.any():
        voters = pseudonyms([vote.voter_id for vote in votes])
        return MarkedVotes(votes, positions, rejects, voters, hash_sessions(votes, pseudonyms))
    given = [
        (_given(vote.voter_id), _given(vote.session)) if is_hashed else (0, 0)
        for vote, is_hashed in zip(votes, hashed.tolist(), strict=True)
    ]
    wrong = [row for row, both in enumerate(given) if None in both]
    if wrong:
        rejects += [
            _bad_pseudonym(positions[row], values[positions[row]] or b"", given[row][0] is None) for row in wrong
        ]
        rejects.sort(key=lambda one: one.position)
        good = [row for row, both in enumerate(given) if None not in both]
        votes, positions, given = ([column[row] for row in good] for column in (votes, positions, given))  # type: ignore[assignment]  # three lists of their own types
        hashed = hashed[good]
    voter, session = np.array(given, dtype=np.int64).reshape(-1, 2).T.copy()
    if not hashed.all():
        raw = np.flatnonzero(~hashed)
        some = [votes[row] for row in raw.tolist()]
        voter[raw], session[raw] = pseudonyms([vote.voter_id for vote in some]), hash_sessions(some, pseudonyms)
    return MarkedVotes(votes, positions, rejects, voter, session)


def _bad_pseudonym(position: int, value: bytes, of_voter: bool) -> Reject:
    what = "the pseudonym of a voter (voter_id)" if of_voter else "the pseudonym of a session (session)"
    detail = f"expected {what} as its header says, 16 hexadecimal digits, got another text"
    return _reject(position, value, BAD_PSEUDONYM, detail)


@lru_cache(maxsize=200_000)
def _given(text: str | None) -> int | None:
    """Return the pseudonym that a record states, 0 if it states none, None if its text is not a pseudonym."""
    if text is None:
        return 0
    try:
        return parse_pseudonym(text) or None
    except ValueError:
        return None


def _declared(position: int, value: bytes, text: bytes) -> Reject:
    found = _DECLARED.fullmatch(text)
    reason = found[1].decode() if found else _OTHER_REASON
    detail = found[3].decode("utf-8", "replace") if found else "expected a vote, its publisher found none"
    reject = _reject(position, value, reason if reason in REASONS else _OTHER_REASON, detail)
    return replace(reject, sha256=bytes.fromhex(found[2].decode())) if found else reject


def _reject(position: int, value: bytes, reason: str, detail: str) -> Reject:
    sample = reject_sample.sample_record(value)
    return Reject(position, reason, reject_sample.clean_text(detail)[:500], hashlib.sha256(value).digest(), sample)
