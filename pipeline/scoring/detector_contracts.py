"""Defines the contracts of voter detectors and of window detectors: what a detector receives and must return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy.typing as npt

from pipeline.events.pseudonym import format_pseudonym
from pipeline.registry import RegistryState
from pipeline.scoring.signals import AlertSignal, Severity, Signal
from pipeline.scoring.window import Window
from pipeline.vocabulary.arrays import Int8, Int64


@dataclass(frozen=True, slots=True)
class VoterVotes:
    """Votes as a voter detector reads them: sorted by voter, then by offset.

    Attributes:
        voter: int64[n], position of each vote's voter in `names`, ascending.
        names: int64[v], the pseudonym of each voter.
        partition: partition number (partition_no) of all these votes.
        offset, at: int64[n], offset and event time (microseconds since 1970 UTC).
        model_a, model_b: int64[n], model numbers (model_no).
        outcome: int8[n], a position in OUTCOMES.
        prompt: int64[n], 64 bits of the prompt's hash, 0 without a prompt.
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

    def take(self, rows: npt.NDArray[Any]) -> VoterVotes:
        """Return the votes of some rows; `names` stays the same.

        Args:
            rows: bool[n], true for the selected votes; or int64, their positions.
        """
        columns = ("voter", "offset", "at", "model_a", "model_b", "outcome", "prompt")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def alert(
        self,
        row: int,
        detector: str,
        direction: str,
        severity: Severity,
        e_value: float | None,
        level: int,
        evidence: Mapping[str, Any],
    ) -> AlertSignal:
        """Return the signal that a voter's evidence reached a level at a vote.

        Args:
            row: the row of the vote, which also gives the voter.
            detector: name of the detector.
            direction: what is irregular, in a few words. It is a part of the alert's key.
            severity: warning or critical.
            e_value: the evidence after the vote; None if the alert states an observed fact.
            level: how many of `signals.LEVELS` the evidence has reached.
            evidence: text and figures with which a person can check the alert.
        """
        return AlertSignal(
            detector=detector,
            subject_kind="voter",
            subject=format_pseudonym(int(self.names[self.voter[row]])),
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
    """Computes evidence about one voter, vote by vote.

    Every detector guarantees (tests/unit/detectors/test_laws.py checks this):

    1. States and alerts do not depend on how the votes are split into calls.
    2. The state of a voter is bytes, and contains everything that the detector remembers about the voter.
    3. The detector object never changes.
    4. Votes are compared with one snapshot, the snapshot in force. A vote on a model that this snapshot does not rate
       is no evidence.

    Attributes:
        name: the name in the detector's alerts.
        tag: 1 to 255, identifies the detector's states in the store; unique among detectors.
    """

    name: str
    tag: int

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Any,
        earlier: Callable[[int], Any] | None = None,
    ) -> tuple[list[bytes], list[AlertSignal]]:
        """Compute the states of voters after their new votes, and the alerts.

        Args:
            votes: new votes of v voters.
            prior: v states before these votes, in the order of `votes.names`; None for a new voter.
            reference: `pipeline.evidence.Reference` of the snapshot in force.
            earlier: returns the reference of an earlier snapshot, given its sequence number, for states that refer to
                an earlier snapshot.

        Returns:
            Two values: the v new states, in the order of `votes.names`; and the alerts in order of offset.
        """
        ...


@dataclass(frozen=True, slots=True)
class WindowContext:
    """The data that a window detector may use besides the window itself.

    Attributes:
        registry: the registry as of the window's start.
        steady: whether the sampling policy stayed the same in this window and the window before.
        false_alarms: tolerated number of false alarms of a detector per month, over all its subjects.
        false_share: tolerated share of false alarms among alerts that open together.
    """

    registry: RegistryState
    steady: bool = True
    false_alarms: float = 1.0
    false_share: float = 0.1


WindowState = Mapping[str, npt.NDArray[Any]]
"""The complete state of a window detector as named arrays; empty before the first window."""


class WindowDetector(Protocol):
    """Computes evidence about models, providers, networks and the board, window by window.

    Every detector guarantees (tests/unit/detectors/test_laws_windows.py checks this):

    1. `observe` changes neither the detector nor the state that it receives.
    2. Packing and unpacking a state does not change it.
    3. The same windows give the same alerts.
    4. A state has a bounded number of bytes per subject.

    Attributes:
        name: the name in the detector's alerts.
    """

    name: str

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Compute the state after a window, and the signals of the window.

        Args:
            window: the next window. The caller passes every window once, in order of time, empty windows included.
            state: the state after the previous window.
            context: the registry and the settings for this window.

        Returns:
            Two values: the state after the window; and the signals.
        """
        ...
