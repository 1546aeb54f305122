"""Defines the signals that a detector emits: an alert opens or escalates, or an alert ends.

An alert is identified by detector, subject, direction and the vote (or window) at which it opened. So the same events
give the same alert ids. An alert opens when the evidence, an e-value, reaches 1/α (ALPHA). It is emitted again when the
evidence reaches the next of LEVELS. An alert about a model, a provider, a network or the board is cleared when its
evidence stays low.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["warning", "critical"]
SubjectKind = Literal["voter", "model", "provider", "network", "board"]

ALPHA = 0.01
"""Largest probability that a voter detector ever raises a false alarm about an honest voter."""

CRITICAL = 1e4
LEVELS = (1 / ALPHA, CRITICAL, 1e6, 1e8)
"""e-values: an alert opens at the first, and is emitted again at each of the others."""

NO_PARTITION = 0
"""Stands for the partition in an alert about a window. Real partitions have numbers from 1."""


@dataclass(frozen=True, slots=True)
class AlertSignal:
    """The signal that an alert opens, or that its evidence reached a higher level.

    Attributes:
        detector, subject_kind, subject, direction: the key of the alert; at most one alert with this key is open.
        severity: warning from e ≥ 1/α; critical from e ≥ 10⁴ where the detector's error rate is proved.
        e_value: the evidence when the signal is emitted; None if the alert states an observed fact, which has no error
            rate.
        level: how many of LEVELS the evidence has reached; level 1 opens the alert.
        partition, offset: place of the vote at which the level was reached; for a window, NO_PARTITION and its start.
        at: event time of the vote, or end of the window, in microseconds since 1970 UTC.
        evidence: text and figures with which a person can check the alert.
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
        """The id of an alert that opens with this signal: 16 hexadecimal digits.

        The id is a hash of the alert's key and of the place of its vote or window.
        """
        key = f"{self.detector}|{self.subject}|{self.direction}|{self.partition}|{self.offset}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ClearedSignal:
    """The signal that an alert ends, because its evidence stayed low or because its statement is no longer true.

    Attributes:
        detector, subject, direction: the key of the alert.
        at: event time at which the alert ends, in microseconds since 1970 UTC.
        reason: why the alert ends.
    """

    detector: str
    subject: str
    direction: str
    at: int
    reason: str


Signal = AlertSignal | ClearedSignal
