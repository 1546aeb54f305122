"""Counts the records of a battle file that are left out of a rating."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.vocabulary.arrays import Bool, Int8, Int64

NO_OUTCOME = "no_outcome"
NO_VOTE = "no_vote"
SELF_BATTLE = "self_battle"

HINTS = {
    "unknown_outcome": "`--outcomes 1=model_a,2=model_b,…` says what other words and numbers mean, `--winner-is name` "
    "reads the name of the winning model",
    "bad_utf8": "save the file as UTF-8",
}
"""Reason why the decoder rejects a record → sentence about the options that may help."""

_SIDES = (
    ("a", "b"), ("left", "right"), ("1", "2"), ("first", "second"), ("model_1", "model_2"), ("a>b", "b>a"),
    ("[[a]]", "[[b]]"), ("assistant_a", "assistant_b"), ("option_a", "option_b"), ("a wins", "b wins"),
)  # fmt: skip
_GOT = re.compile(r", got '(.{1,80})'$")

EXPLANATIONS = {
    NO_OUTCOME: "no outcome",
    NO_VOTE: "no vote",
    SELF_BATTLE: "a model against itself",
}
"""Reason for leaving out a record → explanation for people. For any other reason, the decoder rejected the record."""


def hint(reason: str, detail: str) -> str:
    """Return a sentence about the options that may help with a record; "" if there are none.

    If the outcome of the record is a usual word for a side, such as "B" or "left", the sentence has the whole option.

    Args:
        reason: why the decoder rejected the record.
        detail: what the decoder expected and got.
    """
    got = _GOT.search(detail) if reason == "unknown_outcome" else None
    for pair in _SIDES:
        if got and got[1].casefold() in pair:
            upper = got[1].isupper()
            first, second = (word.upper() if upper else word for word in pair)
            option = shlex.quote(f"{first}=model_a,{second}=model_b")
            return f"if {first} is model_a and {second} is model_b, add `--outcomes {option}`"
    return HINTS.get(reason, "")


@dataclass(slots=True)
class LeftOut:
    """Counts the records of a battle file that are left out because they are not votes.

    Attributes:
        skip_bad: whether records that the decoder rejects are left out. If false, the first rejected record is an
            error.
        counts: reason → number of records.
        first: reason → a pair: the 0-based row of the first such record, and the detail of its fault.
        self_battles: battles of a model against itself that have flags. Each call of `add_self_battles` adds one pair:
            the rows of the battles; and flag → the battles' values.
    """

    skip_bad: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[int, str]] = field(default_factory=dict)
    self_battles: list[tuple[Int64, dict[str, Int8]]] = field(default_factory=list)

    def add(self, reason: str, row: int, detail: str = "") -> None:
        """Count one record that is left out.

        Args:
            reason: why the record is left out.
            row: 0-based row of the record in the file.
            detail: explanation of the reason.
        """
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first.setdefault(reason, (row, detail))

    def add_rows(self, reason: str, rows: Int64) -> None:
        """Count several records that are left out for one reason.

        Args:
            reason: why the records are left out.
            rows: int64[n], 0-based rows of the records, ascending.
        """
        if len(rows):
            self.counts[reason] = self.counts.get(reason, 0) + len(rows)
            self.first.setdefault(reason, (int(rows[0]), ""))

    def add_self_battles(self, rows: Int64, flags: Mapping[str, Int8]) -> None:
        """Count battles of a model against itself.

        Args:
            rows: int64[n], their 0-based rows, ascending.
            flags: flag → int8[n]: 1 for true, 0 for false, −1 for a battle that does not state the flag.
        """
        self.add_rows(SELF_BATTLE, rows)
        if len(rows) and flags:
            self.self_battles.append((rows, dict(flags)))

    def flagged_self_battles(self) -> tuple[Int64, dict[str, Int8]]:
        """Return the battles of a model against itself that have flags.

        Returns:
            Two values: int64[n], the rows of the battles; and flag → int8[n], 1 for true, 0 for false, −1 for a battle
                that does not state the flag.
        """
        names = {name: None for _, flags in self.self_battles for name in flags}
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *(rows for rows, _ in self.self_battles)])
        unknown = [{name: np.full(len(rows), -1, dtype=np.int8) for name in names} for rows, _ in self.self_battles]
        parts = [{**missing, **flags} for missing, (_, flags) in zip(unknown, self.self_battles, strict=True)]
        return rows, {name: np.concatenate([part[name] for part in parts]) for name in names}

    def forget_self_battles(self, named: Bool) -> None:
        """Subtract some battles of a model against itself from the counts.

        These are the battles that a rule of the rating method leaves out too. The caller counts them under that rule.

        Args:
            named: bool[n], true for the battles that a rule leaves out, in the order of `flagged_self_battles`.
        """
        rows, _ = self.flagged_self_battles()
        if not named.any():
            return
        self.counts[SELF_BATTLE] -= int(named.sum())
        if not self.counts[SELF_BATTLE]:
            del self.counts[SELF_BATTLE], self.first[SELF_BATTLE]
        elif len(rest := rows[~named]) and self.first[SELF_BATTLE][0] in rows[named]:
            self.first[SELF_BATTLE] = (int(rest.min()), "")

    def document(self) -> dict[str, dict[str, int]]:
        """Return a JSON object: reason → {"records": number of records, "first": row of the first one}."""
        return {reason: {"records": count, "first": self.first[reason][0]} for reason, count in self.counts.items()}

    def clear(self) -> None:
        """Set all counts to zero, for a file that is read again."""
        self.counts.clear()
        self.first.clear()
        self.self_battles.clear()
