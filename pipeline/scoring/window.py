"""A closed window as window detectors read it: five minutes of accepted votes, merged over all partitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.scoring.signals import NO_PARTITION, AlertSignal, SubjectKind
from pipeline.vocabulary.arrays import Int64

MEASURES = (
    "appearances",
    "chosen",
    "wins",
    "losses",
    "evaluated",
    "evaluated_wins",
    "evaluated_losses",
    "expected_wins",
    "expected_losses",
)
"""Counts of a model in a window, one column each; the order is that of the stored counts.

A late vote of a stream counts in the window of its partition's newest event time, with its outcome alone: it is no
appearance and no chosen side, so detectors of sampling skip it.

`chosen`: the model stood on the side that bit 0 of SHA-256(vote_id) names. `evaluated`: both models of the vote are in
the snapshot in force. Only evaluated votes count in `evaluated_wins` and `evaluated_losses`, and in `expected_wins` and
`expected_losses`: what the snapshot expects, in 2⁻¹⁰ votes, rounded up."""

COHORTS = ("unknown", "established", "new")
"""Age classes of the voter's account; the code of a cohort is its position here."""


@dataclass(frozen=True, slots=True)
class GroupedModelCounts:
    """Counts of models within groups of votes, r rows.

    Attributes:
        group: what the votes of each row have in common: a cohort, a network or a prompt.
        model: the model that is counted, by its registered name.
        counts: int64[r, 9], in the order of MEASURES.
    """

    group: tuple[str, ...]
    model: tuple[str, ...]
    counts: Int64

    def column(self, measure: str) -> Int64:
        """Return one measure of each row, int64[r]."""
        return np.asarray(self.counts[:, MEASURES.index(measure)])


@dataclass(frozen=True, slots=True)
class Window:
    """Five minutes of accepted votes of all partitions.

    Attributes:
        start, end: microseconds since 1970 UTC.
        accepted: number of votes that count with every measure.
        late: number of late votes, which count with their outcome alone.
        models: every model of the window, sorted.
        totals: int64[m, 9], counts of each model in the order of MEASURES.
        cohorts: one row per (cohort, model); the groups are names in COHORTS.
        networks, prompts: one row per (network, model), and one per (prompt, model).
        votes_of: number of votes of each network.
    """

    start: int
    end: int
    accepted: int
    late: int
    models: tuple[str, ...]
    totals: Int64
    cohorts: GroupedModelCounts
    networks: GroupedModelCounts
    prompts: GroupedModelCounts
    votes_of: Mapping[str, int]

    def alert(
        self,
        detector: str,
        subject_kind: SubjectKind,
        subject: str,
        direction: str,
        e_value: float | None,
        level: int,
        evidence: Mapping[str, Any],
    ) -> AlertSignal:
        """Return the signal that a subject's evidence reached a level in this window; critical from level 2 on."""
        return AlertSignal(
            detector=detector,
            subject_kind=subject_kind,
            subject=subject,
            direction=direction,
            severity="critical" if level > 1 else "warning",
            e_value=e_value,
            level=level,
            partition=NO_PARTITION,
            offset=self.start,
            at=self.end,
            evidence=evidence,
        )
