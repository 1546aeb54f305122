"""Defines vote and registry events, and turns bytes into columns or rejects.

vote              defines the vote event, its canonical form and the id derived from it
registry_events   defines the registry events
battle_issued     defines the event that a battle was shown
decode            decodes bytes into votes or registry events; a faulty record becomes a reject with a reason
strict_checks     finds duplicate keys, deep nesting and hidden characters
unread_text       reads records whose only fault is in text that is not used
vote_batch        represents votes as numpy columns (VoteBatch)
pseudonym         computes a voter's pseudonym and its text
codenames         names voters for operators in words
record_signature  signs and verifies records of a topic
reject_sample     makes samples of rejected records, which the store keeps instead of the records
record_origins    reads the origin of a record from the record's headers when the origin is asked for
chunk             represents undecoded records of one partition, as a source delivers them
"""

from typing import TYPE_CHECKING

from pipeline.vocabulary.lazy_names import lazy_names

if TYPE_CHECKING:
    from pipeline.events.decode import Reject, decode_registry, decode_votes
    from pipeline.events.vote import Style, Vote, canonical_record, derive_vote_id, encode_event
    from pipeline.events.vote_batch import VoteBatch, to_columns
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "decode": "Reject decode_registry decode_votes",
            "vote": "Style Vote canonical_record derive_vote_id encode_event",
            "vote_batch": "VoteBatch to_columns",
        },
    )

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
