"""Counts the records of a battle file that are left out of a rating."""

from dataclasses import dataclass, field

from pipeline.vocabulary.arrays import Int64

NO_OUTCOME = "no_outcome"
NO_VOTE = "no_vote"
SELF_BATTLE = "self_battle"

EXPLANATIONS = {
    NO_OUTCOME: "no outcome",
    NO_VOTE: "no vote",
    SELF_BATTLE: "a model against itself",
}
"""What people are told of a record that was left out; other reasons are those of rejects."""


@dataclass(slots=True)
class LeftOut:
    """The records that are left out because they are not votes.

    Attributes:
        skip_bad: leave out whatever the decoder rejects; otherwise its first reject is an error.
        counts: reason → number of records.
        first: reason → 0-based row and detail of the first such record.
    """

    skip_bad: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, reason: str, row: int, detail: str = "") -> None:
        """Count a record."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first.setdefault(reason, (row, detail))

    def add_rows(self, reason: str, rows: Int64) -> None:
        """Count records by their ascending rows."""
        if len(rows):
            self.counts[reason] = self.counts.get(reason, 0) + len(rows)
            self.first.setdefault(reason, (int(rows[0]), ""))

    def document(self) -> dict[str, dict[str, int]]:
        """Return reason → number of records and row of the first, for programs."""
        return {reason: {"records": count, "first": self.first[reason][0]} for reason, count in self.counts.items()}

    def clear(self) -> None:
        """Forget all records, since the file is read again."""
        self.counts.clear()
        self.first.clear()
