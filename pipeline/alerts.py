"""Alerts, and what a detector is.

Law: an alert is known by detector, subject, direction and the vote (or window) at which it opened,
so the same events give the same alert ids. It opens when the evidence reaches 1/α, and is told again
only at 100 times more evidence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.errors import IntegrityError

Int64 = npt.NDArray[np.int64]
Severity = Literal["warning", "critical"]
SubjectKind = Literal["voter", "model", "provider", "network", "board"]

ALPHA = 0.01
"""Probability of a false alarm, per key, ever."""

CRITICAL = 1e4
LEVELS = (1 / ALPHA, CRITICAL, 1e6, 1e8)
"""e-values at which an alert opens and is told again."""

STATES = ("open", "acknowledged", "snoozed", "appealed", "resolved")


class UnknownAlert(IntegrityError):
    """No alert has this id."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A detector's word that something is wrong, or that there is more evidence for it.

    Attributes:
        detector, subject_kind, subject, direction: the key; one alert a key is open at a time.
        severity: warning from e ≥ 1/α, critical from e ≥ 10⁴ where the detector is proved.
        e_value: the evidence at that moment; None where there is a fact and no doubt.
        level: how many of LEVELS it has reached (1 opens the alert).
        partition, offset: the vote at which it was reached.
        at: event time in microseconds.
        evidence: what was seen, in words and figures a person can check.
    """

    detector: str
    subject_kind: SubjectKind
    subject: str
    direction: str
    severity: Severity
    e_value: float | None
    level: int
    partition: int
    offset: int
    at: int
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alert_id(self) -> str:
        """16 hexadecimal digits from the key and the place of opening."""
        key = f"{self.detector}|{self.subject}|{self.direction}|{self.partition}|{self.offset}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class VoterVotes:
    """Votes as a voter detector sees them: sorted by voter, then by offset.

    Attributes:
        voter: int64[n], index of the voter among those of this call, ascending.
        names: int64[v], pseudonym of each voter of this call.
        partition: the partition they all came from.
        offset, at: int64[n], coordinates and event time (microseconds).
        model_a, model_b: int64[n], the store's numbers.
        outcome: int8[n], a position in OUTCOMES.
    """

    voter: Int64
    names: Int64
    partition: int
    offset: Int64
    at: Int64
    model_a: Int64
    model_b: Int64
    outcome: npt.NDArray[np.int8]

    def only(self, rows: npt.NDArray[Any]) -> VoterVotes:
        """The votes at `rows` (a mask or positions); the voters keep their indices."""
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in ("voter", "offset", "at", "model_a", "model_b", "outcome")},
        )


class VoterDetector(Protocol):
    """Evidence about one voter, vote by vote.

    Laws (tests/unit/detectors/test_laws.py runs them over every detector): however the votes are cut
    into calls, the states and alerts are the same; a state is bytes and holds all there is to know;
    the detector itself never changes.
    """

    name: str

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Any,
        earlier: Callable[[int], Any] | None = None,
    ) -> tuple[list[bytes], list[Raised]]:
        """Take in votes.

        Args:
            votes: new votes of v voters.
            prior: the state of each of them, None for a voter not met before.
            reference: honest behaviour as of the snapshot in force.
            earlier: sequence number → reference of a snapshot that was in force before: a state may speak
                of one.

        Returns:
            The new state of each voter, and what was raised, in order of offset.
        """
        ...


def voter_label(pseudonym: int) -> str:
    """A pseudonym as people see it: 16 hexadecimal digits."""
    return f"{pseudonym & 0xFFFFFFFFFFFFFFFF:016x}"


def voter_number(label: str) -> int:
    """The pseudonym that a label stands for.

    Raises:
        ValueError: not 16 hexadecimal digits.
    """
    if not re.fullmatch("[0-9a-f]{16}", label):
        raise ValueError(f"expected 16 lower-case hexadecimal digits, got {label!r}")
    value = int(label, 16)
    return value - (1 << 64) if value >= 1 << 63 else value
