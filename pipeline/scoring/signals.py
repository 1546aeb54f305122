"""Alerts, and what a detector is.

Law: an alert is known by detector, subject, direction and the vote (or window) at which it opened,
so the same events give the same alert ids. It opens when the evidence reaches 1/α, and is told again
only at 100 times more evidence. One about a model, a provider, a network or the board is cleared when the
evidence has stayed low for a while.
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
from pipeline.registry import State as RegistryState
from pipeline.vocabulary.arrays import Int8, Int64

Severity = Literal["warning", "critical"]
SubjectKind = Literal["voter", "model", "provider", "network", "board"]

ALPHA = 0.01
"""Probability of a false alarm, per key, ever."""

CRITICAL = 1e4
LEVELS = (1 / ALPHA, CRITICAL, 1e6, 1e8)
"""e-values at which an alert opens and is told again."""

NO_PARTITION = 0
"""Stands for the partition of what was seen in a window: the store numbers partitions from 1."""

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
        partition, offset: the vote at which it was reached; of a window NO_PARTITION and its start.
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
class Cleared:
    """A detector's word that what it told of is over: the evidence stayed low, or the fact is none any more."""

    detector: str
    subject: str
    direction: str
    at: int
    reason: str


Said = Raised | Cleared


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
        prompt: int64[n], 64 bits of the prompt's hash, 0 where there is none.
    """

    voter: Int64
    names: Int64
    partition: int
    offset: Int64
    at: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    prompt: Int64

    def only(self, rows: npt.NDArray[Any]) -> VoterVotes:
        """The votes at `rows` (a mask or positions); the voters keep their indices."""
        columns = ("voter", "offset", "at", "model_a", "model_b", "outcome", "prompt")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def raised(
        self,
        row: int,
        detector: str,
        direction: str,
        severity: Severity,
        e_value: float | None,
        level: int,
        evidence: Mapping[str, Any],
    ) -> Raised:
        """A detector's word about a vote's voter, reached at that vote."""
        return Raised(
            detector=detector,
            subject_kind="voter",
            subject=voter_label(int(self.names[self.voter[row]])),
            direction=direction,
            severity=severity,
            e_value=e_value,
            level=level,
            partition=self.partition,
            offset=int(self.offset[row]),
            at=int(self.at[row]),
            evidence=evidence,
        )


class VoterDetector(Protocol):
    """Evidence about one voter, vote by vote.

    Laws (tests/unit/detectors/test_laws.py runs them over every detector): however the votes are cut
    into calls, the states and alerts are the same; a state is bytes and holds all there is to know;
    the detector itself never changes; a vote on a model that the snapshot lacks is no evidence of anything.

    Attributes:
        name: as alerts carry it.
        tag: 1 to 255, what its states are known by in the store; never that of another detector.
    """

    name: str
    tag: int

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


MEASURES = (
    "appearances",
    "chosen",
    "wins",
    "losses",
    "judged",
    "judged_wins",
    "judged_losses",
    "expected_wins",
    "expected_losses",
)
"""What is counted of a model in a window, a column each. `chosen`: it stood on the side that bit 0 of
SHA-256(vote_id) names. `judged`: votes whose two models both are in the snapshot in force; of those alone the
wins, the losses, and what the snapshot expects of both, in 2⁻¹⁰ votes, rounded up."""

COHORTS = ("unknown", "established", "new")
"""How old the voter's account is: a position here is the code of a cohort."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts of models within groups of votes, r rows.

    Attributes:
        group: what the votes have in common: a cohort, a network, a prompt.
        model: the model that is counted, by its registered name.
        counts: int64[r, 9], in the order of MEASURES.
    """

    group: tuple[str, ...]
    model: tuple[str, ...]
    counts: Int64

    def column(self, measure: str) -> Int64:
        """int64[r] of one measure."""
        return np.asarray(self.counts[:, MEASURES.index(measure)])


@dataclass(frozen=True, slots=True)
class Window:
    """Five minutes of accepted votes of all partitions.

    Attributes:
        start, end: microseconds since 1970 UTC.
        accepted, late: votes.
        models, totals: every model of the window, sorted, and its counts, int64[m, 9] in the order of MEASURES.
        cohorts: one row a (cohort, model); the groups are names in COHORTS.
        networks, prompts: one row a (network, model) and a (prompt, model).
        votes_of: votes of each network.
    """

    start: int
    end: int
    accepted: int
    late: int
    models: tuple[str, ...]
    totals: Int64
    cohorts: Cells
    networks: Cells
    prompts: Cells
    votes_of: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Context:
    """What a window detector may know beside the votes.

    Attributes:
        registry: as of the window's start.
        steady: one sampling policy held during the whole window and the whole one before it.
        false_alarms: how many a month the operator puts up with, for each detector over all of its keys.
        false_share: and which share of those that open together.
    """

    registry: RegistryState
    steady: bool = True
    false_alarms: float = 1.0
    false_share: float = 0.1


WindowState = Mapping[str, npt.NDArray[Any]]
"""Named arrays: all that a window detector remembers. Empty before the first window."""


class WindowDetector(Protocol):
    """Evidence about models, providers, networks and the board, window by window.

    Laws (tests/unit/detectors/test_laws_windows.py runs them over every detector): `observe` changes neither the
    detector nor the state it is given; a state that went through bytes gives the same; the same windows give the
    same alerts; a state holds a bounded number of bytes a key.
    """

    name: str

    def observe(self, window: Window, state: WindowState, context: Context) -> tuple[WindowState, list[Said]]:
        """Take in the next window. Windows come in the order of time, each once, empty ones too."""
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
