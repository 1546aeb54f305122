"""A method: the named rules by which votes are left out of a board.

A rule leaves out the votes whose flag has a value. A vote that several rules name is counted under the first of them.
A vote that does not say is counted.
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
"""Rule → the flag of a vote, and the value by which it is left out."""

SENTENCES: Mapping[str, str] = {
    "not_anonymous": "cast with the models' names in view",
    "refusal": "on an answer that is a refusal",
    "deduplicated": "left out by the publisher's deduplication of frequent prompts",
}
"""What a rule leaves out, after "N votes"."""


@dataclass(frozen=True, slots=True)
class Method:
    """The rules of a board.

    Attributes:
        name: of the method.
        rules: names in RULES, in their order there.
    """

    name: str
    rules: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, source: str) -> "Method":
        """Parse a TOML document: `name`, and `[rules]` with each rule true or false.

        Raises:
            BadInput: not TOML, an unknown rule, or a value that is neither true nor false; names the source.
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
"""Leaves no vote out."""


def apply_method(battles: BattleColumns, method: Method) -> tuple[BattleColumns, dict[str, int]]:
    """Return the votes that count, and for each rule the number of votes that it leaves out."""
    counts = np.ones(len(battles), dtype=np.bool_)
    left_out: dict[str, int] = {}
    for rule in method.rules:
        flag, value = RULES[rule]
        if flag in battles.flags:
            named = counts & (battles.flags[flag] == value)
            left_out[rule] = int(np.count_nonzero(named))
            counts &= ~named
    return (battles if counts.all() else battles.select(counts)), left_out
