"""Names the rules by which a method leaves votes out, and the bit for each rule in the flags of a vote.

A method is a named set of rules by which the defended view leaves votes out. A vote that several rules leave out is
counted under the first of them, in the order of RULE_BITS.
"""

from collections.abc import Iterable, Mapping

from . import vote_flags
from .arrays import Int64

RULE_BITS: Mapping[str, int] = {
    "not_anonymous": vote_flags.NOT_ANONYMOUS,
    "refusal": vote_flags.REFUSAL,
    "deduplicated": vote_flags.DEDUPLICATED,
    "identity_leak": vote_flags.IDENTITY_LEAK,
    "frequent_prompt": vote_flags.FREQUENT_PROMPT,
}
"""Name of a rule → its bit in the flags of a vote and in the labels of a leaf."""

SENTENCES: Mapping[str, str] = {
    "not_anonymous": "cast with the models' names in view",
    "refusal": "on an answer that is a refusal",
    "deduplicated": "left out by the publisher's deduplication of frequent prompts",
    "identity_leak": "on a conversation that gives a model's identity away",
    "frequent_prompt": "on a frequent prompt, beyond the sample of it that stays",
}
"""Name of a rule → words that describe the votes that the rule leaves out, for a sentence that begins "N votes"."""

ALL_BITS = sum(RULE_BITS.values())


def rule_mask(rules: Iterable[str]) -> int:
    """Return the sum of the bits of some rules.

    Args:
        rules: names in RULE_BITS, without repetition.
    """
    return sum(RULE_BITS[rule] for rule in rules)


def count_by_first_rule(flags: Int64, votes: Int64, rules: Iterable[str]) -> dict[str, int]:
    """Return the number of votes that each rule leaves out, by name of the rule.

    A vote counts under the first rule that leaves it out, in the order of RULE_BITS.

    Args:
        flags: int64[n], the flags of n groups of votes.
        votes: int64[n], the number of votes of each group.
        rules: names in RULE_BITS.

    >>> import numpy as np
    >>> count_by_first_rule(np.array([0, 1, 3, 2]), np.array([5, 1, 1, 4]), ["not_anonymous", "refusal"])
    {'not_anonymous': 2, 'refusal': 4}
    """
    found, earlier = {}, 0
    for rule in RULE_BITS:
        if rule in set(rules):
            named = ((flags & RULE_BITS[rule]) != 0) & ((flags & earlier) == 0)
            found[rule] = int(votes[named].sum())
            earlier |= RULE_BITS[rule]
    return found
