"""The flags of a vote as bits of one number, as the store keeps them.

Laws: a bit of RULES says that a rule of a method may leave the vote out; a vote that states nothing has no bit, and
counts. What a vote states as the opposite is a bit of its own, so that an export gives back what was said. The numbers
are stored and published: a bit keeps its meaning for ever.
"""

from collections.abc import Mapping
from types import MappingProxyType

NOT_ANONYMOUS = 1
"""Cast with the names of the models in view."""
REFUSAL = 2
"""A model refused to answer."""
DEDUPLICATED = 4
"""Left out by its publisher's deduplication of prompts."""
IDENTITY_LEAK = 8
"""The conversation tells which model answers."""
FREQUENT_PROMPT = 16
"""Outside the sample of a frequent prompt, as decided when the vote was sealed."""

RULES = NOT_ANONYMOUS | REFUSAL | DEDUPLICATED | IDENTITY_LEAK | FREQUENT_PROMPT
"""All bits for which a rule may leave a vote out."""

_STATED = 5  # the opposite of a stated bit is this many places above it

STATED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "anonymous": (NOT_ANONYMOUS << _STATED, NOT_ANONYMOUS),
        "refusal": (REFUSAL, REFUSAL << _STATED),
        "deduplicated": (DEDUPLICATED, DEDUPLICATED << _STATED),
        "identity_leak": (IDENTITY_LEAK, IDENTITY_LEAK << _STATED),
    }
)
"""Field of a vote → (bit for true, bit for false)."""


def stated_value(flags: int, field: str) -> bool | None:
    """Return what a vote with these flags states in a field, None if it states nothing.

    >>> stated_value(NOT_ANONYMOUS, "anonymous"), stated_value(REFUSAL, "anonymous")
    (False, None)
    """
    true, false = STATED[field]
    return True if flags & true else False if flags & false else None


def flags_of(stated: Mapping[str, bool | None]) -> int:
    """Return the flags of a vote from its fields; None states nothing.

    >>> flags_of({"anonymous": True, "refusal": True, "deduplicated": None})
    34
    """
    return sum(STATED[field][0 if value else 1] for field, value in stated.items() if value is not None)
