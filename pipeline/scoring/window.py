"""Represents a closed window as window detectors read it.

A window has the counts of five minutes of votes, merged over all partitions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.scoring.signals import NO_PARTITION, AlertSignal, SubjectKind
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import DAY

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
"""Names of the counts of a model in a window, in the order of the stored columns.

`appearances`: votes on the model. `chosen`: votes whose id chose the model's side (bit 0 of SHA-256(vote_id): 0 for
side a, 1 for side b). `wins`, `losses`: votes for the model, and against it. `evaluated`: votes whose two models are
both in the snapshot in force. `evaluated_wins`, `evaluated_losses`: wins and losses in evaluated votes.
`expected_wins`, `expected_losses`: how many evaluated wins and losses the snapshot in force expects, in units of 2⁻¹⁰
votes, rounded up.

A late vote of a stream counts in the window of its partition's newest event time. Such a vote counts neither in
`appearances` nor in `chosen`, so detectors of sampling do not see it."""

COHORTS = ("unknown", "established", "new")
"""The cohorts of voters' accounts. The code of a cohort is its position here."""

NEW_ACCOUNT = 7 * DAY
"""Largest age of a new account at the time of the vote, in microseconds."""


@dataclass(frozen=True, slots=True)
class GroupedModelCounts:
    """Counts of the votes on each model within groups of votes: r rows, one for each model of a group.

    Attributes:
        group: r names. A group is what the votes of a row have in common: a cohort, a network or a prompt.
        model: r names: the model that is counted, by its first name in the registry.
        counts: int64[r, 9], in the order of MEASURES.
    """

    group: tuple[str, ...]
    model: tuple[str, ...]
    counts: Int64

    def column(self, measure: str) -> Int64:
        """Return the counts of one measure, int64[r]. `measure` is a name in MEASURES."""
        return np.asarray(self.counts[:, MEASURES.index(measure)])


@dataclass(frozen=True, slots=True)
class IssuedBattles:
    """The battles that the operator showed in a window.

    Attributes:
        battles: number of battles.
        appearances: model → number of battles that include it.
        chosen: model → number of battles in which the counted side is this model. Bit 0 of SHA-256(battle_id) chooses
            the side.
    """

    battles: int = 0
    appearances: Mapping[str, int] = field(default_factory=dict)
    chosen: Mapping[str, int] = field(default_factory=dict)

    def renamed(self, aliases: Mapping[str, str]) -> "IssuedBattles":
        """Return the counts by first names of models; `aliases` maps a later name to the first name.

        If no name has an alias, these counts are returned unchanged.
        """
        if not aliases.keys() & self.appearances.keys():
            return self
        counts: list[dict[str, int]] = []
        for given in (self.appearances, self.chosen):
            merged: dict[str, int] = {}
            for name, number in given.items():
                first = aliases.get(name, name)
                merged[first] = merged.get(first, 0) + number
            counts.append(merged)
        return IssuedBattles(self.battles, *counts)


NO_BATTLES = IssuedBattles()


@dataclass(frozen=True, slots=True)
class Window:
    """The counts of five minutes, summed over all partitions.

    Attributes:
        start, end: microseconds since 1970 UTC.
        accepted: number of votes that count in every measure.
        late: number of late votes, which count in every measure except `appearances` and `chosen`.
        models: the names of all m models in the window, sorted.
        totals: int64[m, 9], counts of each model, in the order of MEASURES.
        cohorts: counts by cohort and model; the groups are names in COHORTS.
        networks, prompts: counts by network and model, and by prompt and model.
        votes_of: network → number of its accepted votes.
        sittings: number of sittings that begin in the window. A sitting is a series of votes of one voter without a
            pause of half an hour (`scoring.sittings`). None if voters were not counted; then every vote counts as a
            sitting.
        sampled_sittings: number of sittings that `sittings_of` counts: all sittings, or a sample of them on a busy
            board.
        sittings_of: network → number of its counted sittings.
        issued: the battles that the operator showed; None on a board that does not publish them.
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
    sittings: int | None = None
    sampled_sittings: int = 0
    sittings_of: Mapping[str, int] = field(default_factory=dict)
    issued: IssuedBattles | None = None

    @property
    def arrivals(self) -> int:
        """The number of sittings that begin in the window; the number of votes if voters were not counted."""
        return self.accepted if self.sittings is None else self.sittings

    def arrivals_by_network(self) -> tuple[int, Mapping[str, int]]:
        """Return the number of arrivals in the window, and the number for each network.

        An arrival is a sitting that begins in the window. If voters were not counted, every vote is an arrival. On a
        busy board only a sample of the sittings is counted.

        Returns:
            Two values: the number of counted arrivals; and network → number of its counted arrivals.
        """
        if self.sittings is None:
            return self.accepted, self.votes_of
        return self.sampled_sittings, self.sittings_of

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
        """Return the signal that a subject's evidence reached a level in this window.

        The severity is warning at level 1 and critical from level 2 on.

        Args:
            detector: name of the detector.
            subject_kind: what the subject is, such as a model or a network.
            subject: name of the subject.
            direction: what is irregular, in a few words.
            e_value: the evidence after this window; None if the alert states an observed fact.
            level: how many of `signals.LEVELS` the evidence has reached.
            evidence: text and figures with which a person can check the alert.
        """
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
