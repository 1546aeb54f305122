"""Defines the flags of a vote as bits of one number, as the store keeps them.

Each bit in RULES belongs to a rule of a method, and means that the rule may leave the vote out. A vote that states none
of the fields in STATED has none of their bits set, and counts. A field has one bit for true and another for false, so
that an export can write what the vote stated. The numbers are stored and published, so a bit never changes its meaning.
"""

from collections.abc import Mapping
from types import MappingProxyType

NOT_ANONYMOUS = 1
"""The voter saw the names of the models."""
REFUSAL = 2
"""A model refused to answer."""
DEDUPLICATED = 4
"""The publisher's deduplication of prompts left the vote out."""
IDENTITY_LEAK = 8
"""The conversation reveals which model answers."""
FREQUENT_PROMPT = 16
"""The prompt is frequent, and a seal left the vote out of the sample of the prompt's votes. Only the sample counts."""

RULES = NOT_ANONYMOUS | REFUSAL | DEDUPLICATED | IDENTITY_LEAK | FREQUENT_PROMPT
"""The bits of all rules. A rule can leave out only votes with the rule's bit."""

_STATED = 5  # the opposite of a stated bit is this many places above it

STATED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "anonymous": (NOT_ANONYMOUS << _STATED, NOT_ANONYMOUS),
        "refusal": (REFUSAL, REFUSAL << _STATED),
        "deduplicated": (DEDUPLICATED, DEDUPLICATED << _STATED),
        "identity_leak": (IDENTITY_LEAK, IDENTITY_LEAK << _STATED),
    }
)
"""Name of a field of a vote → two bits of the flags: the bit for true and the bit for false."""


def flags_of(stated: Mapping[str, bool | None]) -> int:
    """Return the flags of a vote as one number. Each field has two bits in it: one for true, and one for false.

    Args:
        stated: name of a field in STATED → true or false sets one of the field's bits. None sets neither: the vote does
            not state the field.

    >>> flags_of({"anonymous": True, "refusal": True, "deduplicated": None})
    34
    """
    return sum(STATED[field][0 if value else 1] for field, value in stated.items() if value is not None)
