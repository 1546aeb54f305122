"""Vote and registry events: their fields, and how bytes become columns or a reject.

vote              the vote event, its canonical form and the id derived from it
registry_events   the registry events
decode            bytes → votes or registry events; each record is decoded or rejected with a reason, never an exception
strict_checks     what a strict reader rejects: duplicate keys, deep nesting, hidden characters
unread_text       records whose only fault is in text that nobody reads
vote_batch        votes → numpy columns (VoteBatch)
pseudonym         a voter's pseudonym and its text
record_signature  signatures of records on a topic
reject_sample     what is kept of a rejected record
chunk             undecoded records of one partition, as a source delivers them
"""

from pipeline.events.decode import Reject, decode_registry, decode_votes
from pipeline.events.vote import Style, Vote, canonical_record, derive_vote_id, encode_event
from pipeline.events.vote_batch import VoteBatch, to_columns

__all__ = [
    "Reject",
    "Style",
    "Vote",
    "VoteBatch",
    "canonical_record",
    "decode_registry",
    "decode_votes",
    "derive_vote_id",
    "encode_event",
    "to_columns",
]
