"""Flags of votes: bits that mean one thing each, and the same thing as in a method."""

from itertools import product

from pipeline.vocabulary import vote_flags
from pipeline.vocabulary.method_rules import RULE_BITS
from pipeline.vocabulary.vote_flags import RULES, STATED, flags_of


def stated_value(flags: int, field: str) -> bool | None:
    """What a vote with these flags states in a field, None if it states nothing."""
    true, false = STATED[field]
    return True if flags & true else False if flags & false else None


def test_the_rules_of_a_method_have_the_bits_of_the_flags() -> None:
    assert {name: getattr(vote_flags, name.upper()) for name in RULE_BITS} == RULE_BITS
    assert sum(RULE_BITS.values()) == RULES


def test_what_is_stated_is_read_back() -> None:
    bits = [bit for pair in STATED.values() for bit in pair]
    assert len({*bits}) == len(bits) == 8
    for values in product((None, True, False), repeat=len(STATED)):
        stated = dict(zip(STATED, values, strict=True))
        flags = flags_of(stated)
        assert {field: stated_value(flags, field) for field in STATED} == stated
        assert flags & vote_flags.FREQUENT_PROMPT == 0
