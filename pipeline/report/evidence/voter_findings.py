"""The sentences about single voters who click at random or have a habit, and which findings e-BH keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from pipeline.backlog import RandomFinding, VoterFinding
from pipeline.backlog.voter_habits import HabitFinding
from pipeline.report.evidence.discoveries import discoveries
from pipeline.report.evidence.evidence_section import EvidenceFinding, capital, count

About = TypeVar("About", VoterFinding, RandomFinding, HabitFinding)
LabelOf: TypeAlias = Callable[[int], str]
"""Gives the label of a voter from the voter's position in the backlog."""


def random_click_finding(one: RandomFinding, label_of: LabelOf) -> EvidenceFinding:
    """Say of a voter that the outcomes of the voter's votes look random. `label_of` gives the voter's label."""
    label = label_of(one.voter)
    return EvidenceFinding(
        kind="voter", subject=label, direction="clicks at random", odds=one.e_value, votes=one.votes,
        sentence=f"{capital(label)} seems to click at random, in {count(one.votes, 'vote')}.",
        details={"ties": one.ties},
    )  # fmt: skip


def habit_finding(one: HabitFinding, label_of: LabelOf) -> EvidenceFinding:
    """Say which habit a voter has, and how many votes show it. `label_of` gives the voter's label."""
    label = label_of(one.voter)
    shown = f"{one.hits:,} of {one.votes:,} votes that could show it, where {one.expected:.0f} are expected"
    return EvidenceFinding(
        kind="voter", subject=label, direction=one.habit, odds=one.e_value, votes=one.votes,
        sentence=f"{capital(label)}: {one.habit}: {shown}.",
        details={"hits": one.hits, "expected": one.expected},
    )  # fmt: skip


def kept(found: Sequence[About], tested: int, value: Callable[[Any], float]) -> list[About]:
    """Return the findings about voters that e-BH keeps, so that the expected share of false findings is limited.

    Args:
        found: the findings with large e-values.
        tested: number of all voters that were tested.
        value: gives the e-value of a finding.
    """
    keeps = discoveries(np.array([value(one) for one in found]), tested)
    return [one for one, keep in zip(found, keeps.tolist(), strict=True) if keep]


def average(one: VoterFinding | RandomFinding | HabitFinding) -> float:
    """Return the e-value of a finding. It decides whether e-BH keeps the finding."""
    return one.e_value


def least(one: VoterFinding) -> float:
    """Return the e-value that decides whether a voter is named.

    This is `strict`. If `strict` is None, it is the smaller of `e_value` and `cells`.
    """
    return min(one.e_value, one.cells) if one.strict is None else one.strict
