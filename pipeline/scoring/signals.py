"""What a detector emits: an alert that opens or escalates, or the end of an alert.

Laws: an alert is identified by detector, subject, direction and the vote (or window) at which it opened, so the same
events give the same alert ids. An alert opens when the evidence reaches 1/α and is emitted again only at 100 times more
evidence. An alert about a model, a provider, a network or the board is cleared when its evidence stays low.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["warning", "critical"]
SubjectKind = Literal["voter", "model", "provider", "network", "board"]

ALPHA = 0.01
"""Probability that a voter detector ever raises a false alarm about one voter."""

CRITICAL = 1e4
LEVELS = (1 / ALPHA, CRITICAL, 1e6, 1e8)
"""e-values at which an alert opens and is emitted again."""

NO_PARTITION = 0
"""The partition of an alert about a window: the store numbers partitions from 1."""


@dataclass(frozen=True, slots=True)
class AlertSignal:
    """The signal that an alert opens, or that there is 100 times more evidence for the alert.

    Attributes:
        detector, subject_kind, subject, direction: the key; at most one alert with this key is open.
        severity: warning from e ≥ 1/α; critical from e ≥ 10⁴ where the detector's error rate is proved.
        e_value: the evidence at that moment; None for a fact, which has no error rate.
        level: how many of LEVELS the evidence has reached (1 opens the alert).
        partition, offset: the vote that reached the level; for a window, NO_PARTITION and the window's start.
        at: event time in microseconds.
        evidence: text and figures that a person can check.
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
        """The id of the alert: 16 hexadecimal digits, derived from the key and from partition and offset."""
        key = f"{self.detector}|{self.subject}|{self.direction}|{self.partition}|{self.offset}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ClearedSignal:
    """The signal that an alert ends: its evidence stayed low, or its fact is no longer true."""

    detector: str
    subject: str
    direction: str
    at: int
    reason: str


Signal = AlertSignal | ClearedSignal
