"""A method: the named rules by which votes are left out of a board.

A rule leaves out each vote whose flag has the rule's value. A vote that does not state the flag is kept. A vote that
several rules leave out is reported under the first of them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BadInput
from .battle_columns import BattleColumns

RULES: Mapping[str, tuple[str, int]] = {
    "not_anonymous": ("anonymous", 0),
    "refusal": ("refusal", 1),
    "deduplicated": ("deduplicated", 1),
}
"""Name of a rule → the flag that the rule tests, and the value (1 true, 0 false) at which a vote is left out."""

SENTENCES: Mapping[str, str] = {
    "not_anonymous": "cast with the models' names in view",
    "refusal": "on an answer that is a refusal",
    "deduplicated": "left out by the publisher's deduplication of frequent prompts",
}
"""Name of a rule → the words that describe its votes in messages, as in "12 votes cast with …"."""


@dataclass(frozen=True, slots=True)
class Method:
    """The rules of a board.

    Attributes:
        name: name of the method.
        rules: the names of its rules, in the order of RULES.
    """

    name: str
    rules: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, source: str) -> "Method":
        """Parse a method from a TOML document with a `name` and a table `[rules]` of rule names and true or false.

        Args:
            text: the TOML document.
            source: where the document comes from, for error messages.

        Raises:
            BadInput: the text is not TOML, names an unknown rule, or has a value that is neither true nor false.
        """
        try:
            document: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{source}: expected TOML: {error}") from None
        rules = document.pop("rules", {})
        name = document.pop("name", "")
        if document or not isinstance(rules, dict) or not isinstance(name, str) or not name:
            raise BadInput(f'{source}: expected name = "…" and a table [rules], got {text[:80]!r}')
        for rule, value in rules.items():
            if rule not in RULES or not isinstance(value, bool):
                raise BadInput(
                    f"{source}: expected a rule of {', '.join(RULES)} with true or false, got {rule} = {value}"
                )
        return cls(name, tuple(rule for rule in RULES if rules.get(rule)))


ALL_VOTES = Method("none", ())
"""The method without rules, which leaves no vote out."""


def apply_method(battles: BattleColumns, method: Method) -> tuple[BattleColumns, dict[str, int]]:
    """Return the votes that the method keeps, and rule → number of votes that the rule leaves out.

    A rule is missing from the second result if the votes do not have its flag.
    """
    counts = np.ones(len(battles), dtype=np.bool_)
    left_out: dict[str, int] = {}
    for rule in method.rules:
        flag, value = RULES[rule]
        if flag in battles.flags:
            named = counts & (battles.flags[flag] == value)
            left_out[rule] = int(np.count_nonzero(named))
            counts &= ~named
    return (battles if counts.all() else battles.select(counts)), left_out
