"""Prepares records for `publish`: removes voter ids and everything else about a person, and adds a signature.

A valid vote is sent with its known fields only, and with pseudonyms of its voter and session. An invalid record is
replaced by a sample of its content, with the reason of its rejection in a header. The worker rejects the sample for the
same reason. Registry events have no voter and are sent unchanged.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from pipeline.events import Reject, Vote, decode_votes, encode_event
from pipeline.events.pseudonym import format_pseudonym, key_id
from pipeline.events.record_signature import NO_MARKS, RecordMarks, RecordSigner
from pipeline.events.vote_batch import hash_sessions
from pipeline.formats import is_registry_event
from pipeline.stream.decoding import PseudonymCache
from pipeline.stream.source.kafka_client import PSEUDONYM_HEADER, REJECTED_HEADER, SIGNATURE_HEADER

_CHUNK = 1_000
_MAX_DETAIL = 500
_KEY = re.compile(rb'"(voter_id|vote_id)"\s*:\s*"((?:[^"\\]|\\.)+)"')


@dataclass(frozen=True, slots=True)
class PreparedRecord:
    """A record as it is sent to a topic.

    Attributes:
        is_vote: False for a registry event. An invalid record counts as a vote.
        value: bytes of the record.
        key: the bytes that decide the partition. The key of a vote is the pseudonym of its voter, or the id of the vote
            if it has no voter. The key of an invalid record is its SHA-256.
        event_id: the event's id in its CloudEvents header.
        marks: (name, value) of each header that this project defines.
    """

    is_vote: bool
    value: bytes
    key: bytes
    event_id: bytes
    marks: list[tuple[str, bytes]]


@dataclass(frozen=True)
class RecordPreparer:
    """Prepares the records of files for a topic.

    Attributes:
        topic, registry_topic: topics to which votes and registry events are sent.
        pseudonyms: computes pseudonyms of voter ids. None sends records as they are.
        voter_key: id of the key with which pseudonyms are computed.
        signer: signs the records. None sends records unsigned.
    """

    topic: str
    registry_topic: str
    pseudonyms: PseudonymCache | None = None
    voter_key: bytes = b""
    signer: RecordSigner | None = None

    def prepare(self, records: Iterable[bytes], name: str) -> Iterator[PreparedRecord]:
        """Prepare the records of a file, in their order.

        Args:
            records: the records as bytes, in the order of the file.
            name: name of the file. A record without an id gets a key that is derived from this name.
        """
        left, row = iter(records), 0
        while chunk := list(islice(left, _CHUNK)):
            registry = [is_registry_event(raw) for raw in chunk]
            votes = iter(self._votes([raw for raw, is_event in zip(chunk, registry, strict=True) if not is_event]))
            for raw, is_event in zip(chunk, registry, strict=True):
                if is_event:
                    yield self._as_it_is(raw, is_vote=False, name=name, row=row)
                else:
                    yield next(votes) or self._as_it_is(raw, is_vote=True, name=name, row=row)
                row += 1

    def _votes(self, raws: Sequence[bytes]) -> list[PreparedRecord | None]:
        """Prepare votes and invalid records. The result has None in place of a record that is sent unchanged."""
        if self.pseudonyms is None:
            return [None] * len(raws)
        votes, positions, rejects = decode_votes(raws)
        prepared: list[PreparedRecord | None] = [None] * len(raws)
        pseudonyms = self.pseudonyms([vote.voter_id for vote in votes]).tolist()
        sessions = hash_sessions(votes, self.pseudonyms).tolist()
        for position, vote, pseudonym, session in zip(positions, votes, pseudonyms, sessions, strict=True):
            prepared[position] = self._vote(vote, pseudonym, session)
        for reject in rejects:
            prepared[reject.position] = self._rejected(reject)
        return prepared

    def _vote(self, vote: Vote, pseudonym: int, session: int) -> PreparedRecord:
        voter = format_pseudonym(pseudonym) if pseudonym else None
        of_session = format_pseudonym(session) if session else None
        value = encode_event(msgspec.structs.replace(vote, voter_id=voter, session=of_session))
        event_id = vote.vote_id.encode()
        return self._signed(True, value, voter.encode() if voter else event_id, event_id, self._hashed)

    def _rejected(self, reject: Reject) -> PreparedRecord:
        digest = reject.sha256.hex()
        why = f"{reject.reason} {digest} {reject.detail[:_MAX_DETAIL]}".encode()
        return self._signed(True, reject.sample, digest.encode(), digest.encode(), (self._hashed[0], why, None))

    def _as_it_is(self, raw: bytes, *, is_vote: bool, name: str, row: int) -> PreparedRecord:
        found = dict(_KEY.findall(raw[: 64 * 1024]))
        key = bytes(found.get(b"voter_id") or found.get(b"vote_id") or f"{name}#{row}".encode())
        event_id = found.get(b"vote_id") or hashlib.sha256(key + raw[: 64 * 1024]).hexdigest().encode()
        return self._signed(is_vote, raw, key, event_id, NO_MARKS)

    def _signed(self, is_vote: bool, value: bytes, key: bytes, event_id: bytes, marks: RecordMarks) -> PreparedRecord:
        if self.signer is not None:
            topic = self.topic if is_vote else self.registry_topic
            marks = (marks[0], marks[1], self.signer.sign(topic, marks, value))
        names = (PSEUDONYM_HEADER, REJECTED_HEADER, SIGNATURE_HEADER)
        headers = [(name, mark) for name, mark in zip(names, marks, strict=True) if mark is not None]
        return PreparedRecord(is_vote, value, key, event_id, headers)

    @property
    def _hashed(self) -> RecordMarks:
        return key_id(self.voter_key).encode(), None, None
