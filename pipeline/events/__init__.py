"""Vote and registry events: what they look like, and how bytes become columns or a reject.

vote.py       the vote event, the canonical record and the id derived from it
registry.py   the registry events
decode.py     bytes → votes or registry events, each one decoded or rejected with a reason; never an exception
hygiene.py    what a strict reader refuses: duplicate keys, deep nesting, hidden characters
batch.py      votes → numpy columns (VoteBatch)
schema.py     the JSON Schema of each event, generated from the same classes
"""

from pipeline.events.batch import VoteBatch, columns
from pipeline.events.decode import Reject, decode_registry, decode_votes
from pipeline.events.vote import Style, Vote, canonical, derived_id, to_bytes

__all__ = [
    "Reject",
    "Style",
    "Vote",
    "VoteBatch",
    "canonical",
    "columns",
    "decode_registry",
    "decode_votes",
    "derived_id",
    "to_bytes",
]
