"""Defines a method: named rules that leave votes out of a board, and limits on which models and boards are shown.

A rule leaves out each vote whose flag has the rule's value. A vote that does not state the flag is kept. A vote that
several rules leave out is reported under the first of them.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import rfc8785

from ..errors import BadInput
from ..vocabulary.arrays import Bool, Int8
from ..vocabulary.method_rules import RULE_BITS, SENTENCES
from .battle_columns import BattleColumns

__all__ = ["ALL_VOTES", "RULES", "SENTENCES", "Method", "apply_method", "find_counted"]

RULES: Mapping[str, tuple[str, int]] = {
    "not_anonymous": ("anonymous", 0),
    "refusal": ("refusal", 1),
    "deduplicated": ("deduplicated", 1),
    "identity_leak": ("identity_leak", 1),
    "frequent_prompt": ("frequent_prompt", 1),
}
"""Name of a rule (in the order of RULE_BITS) → the flag of a vote that the rule tests, and the value of the flag (1
true, 0 false) at which the vote is left out."""

_PRIVATE = ("hidden", "shown")
_MOST = 10**12
_KEYS = "name, [rules], [listing] and [boards]"


@dataclass(frozen=True, slots=True)
class Method:
    """The method of a board: which votes are left out, and which models and boards are listed.

    Attributes:
        name: name of the method.
        rules: names of the rules that leave votes out, in the order of RULES.
        least_votes: a model with fewer votes than this is rated, but is not listed on a board.
        preliminary_votes: a model with fewer votes than this is marked as preliminary.
        private_models: "hidden" if models under test are not listed; "shown" if they are.
        least_board_votes: a category or language with fewer votes than this has no board of its own.
    """

    name: str
    rules: tuple[str, ...]
    least_votes: int = 0
    preliminary_votes: int = 0
    private_models: str = "shown"
    least_board_votes: int = 0

    @classmethod
    def parse(cls, text: str, source: str) -> "Method":
        """Parse a method from a TOML document with a `name` and the optional tables [rules], [listing] and [boards].

        Without `private_models` in [listing], models under test are hidden. Missing numbers are 0.

        Args:
            text: the TOML document.
            source: where the document comes from, for messages.

        Raises:
            BadInput: the text is not TOML, has no `name`, or has an unknown table, key or value. The message has the
                source, and what was expected and found.
        """
        try:
            document: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{source}: expected TOML: {error}") from None
        tables = {table: document.pop(table, {}) for table in ("rules", "listing", "boards")}
        name = document.pop("name", "")
        if document or not all(isinstance(table, dict) for table in tables.values()):
            raise BadInput(f"{source}: expected {_KEYS}, got {', '.join(document) or text[:80]!r}")
        if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
            raise BadInput(f'{source}: expected name = "…" of 1 to 200 visible characters, got {name!r:.80}')
        listing = {"private_models": "hidden", **tables["listing"]}
        return cls(
            name,
            _rules(tables["rules"], source),
            private_models=_choice(listing.pop("private_models"), source),
            **_numbers(listing, ("least_votes", "preliminary_votes"), "listing", source),
            **{f"least_board_{key.removeprefix('least_')}": value
               for key, value in _numbers(tables["boards"], ("least_votes",), "boards", source).items()},
        )  # fmt: skip

    def digest(self) -> str:
        """Return the SHA-256 of the method in canonical JSON, as 64 hexadecimal digits."""
        return hashlib.sha256(rfc8785.dumps({**asdict(self), "rules": list(self.rules)})).hexdigest()


def _rules(table: Mapping[str, Any], source: str) -> tuple[str, ...]:
    for rule, value in table.items():
        if rule not in RULE_BITS or not isinstance(value, bool):
            raise BadInput(
                f"{source}: expected a rule of {', '.join(RULES)} with true or false, got {rule} = {value!r:.80}"
            )
    return tuple(rule for rule in RULES if table.get(rule))


def _numbers(table: Mapping[str, Any], names: tuple[str, ...], where: str, source: str) -> dict[str, int]:
    for key, value in table.items():
        if key not in names or type(value) is not int or not 0 <= value <= _MOST:
            raise BadInput(
                f"{source}: [{where}]: expected {' or '.join(names)} with a whole number of votes, "
                f"got {key} = {value!r:.80}"
            )
    return dict(table)


def _choice(value: Any, source: str) -> str:
    if value not in _PRIVATE:
        raise BadInput(f"{source}: [listing]: expected private_models = {' or '.join(_PRIVATE)}, got {value!r:.80}")
    return str(value)


ALL_VOTES = Method("none", ())
"""The method without rules, which leaves no vote out and lists all models."""


def apply_method(battles: BattleColumns, method: Method) -> tuple[BattleColumns, dict[str, int]]:
    """Leave out votes by the rules of a method.

    Args:
        battles: the votes, with their flags.
        method: the method.

    Returns:
        Two values: the votes that the method keeps; and rule → number of votes that the rule left out. If the votes do
        not have the flag that a rule reads, the rule is missing from the second value.
    """
    counts, left_out = find_counted(battles.flags, len(battles), method)
    return (battles if counts.all() else battles.select(counts)), left_out


def find_counted(flags: Mapping[str, Int8], votes: int, method: Method) -> tuple[Bool, dict[str, int]]:
    """Find the votes that the rules of a method keep.

    Args:
        flags: flag → int8[n]: 1 for true, 0 for false, −1 if the vote does not state the flag.
        votes: n, the number of votes.
        method: the method whose rules are applied.

    Returns:
        Two values: bool[n], true for the votes that the method keeps; and rule → number of votes that the rule leaves
            out. A vote is counted under the first rule that leaves it out. A rule is missing if `flags` lacks its flag.
    """
    counts = np.ones(votes, dtype=np.bool_)
    left_out: dict[str, int] = {}
    for rule in method.rules:
        flag, value = RULES[rule]
        if flag in flags:
            named = counts & (flags[flag] == value)
            left_out[rule] = int(np.count_nonzero(named))
            counts &= ~named
    return counts, left_out
