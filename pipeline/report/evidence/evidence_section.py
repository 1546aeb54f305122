"""Represents the result of a test for one kind of manipulation: its findings, and how often the test errs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

VOTERS, COHORTS, BURSTS, SAMPLING = GROUPS = ("voters", "cohorts", "bursts", "sampling")
"""Ids of the groups of sections about evidence, in the order in which a report shows them."""

_MOST_LOG = 700.0

MOST_LISTED = 1_000
"""A report keeps at most this many findings of a section. `EvidenceSection.found` is the number of all findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFinding:
    """One finding of a test for manipulation, with the strength of its evidence.

    Attributes:
        kind: what the finding is about.
        subject: a model's name, or the random label of voters, a prompt, a network or a session.
        direction: what is unusual, in a few words.
        sentence: the finding in plain English.
        odds: the strength of the evidence: an e-value, or 1 divided by a p-value that is corrected for all tests of its
            kind. Under the assumptions of the test, at most one honest subject in `odds` shows evidence this strong.
        votes: number of votes that the finding is about.
        details: further figures, as plain values for JSON.
    """

    kind: Literal["voter", "model", "prompt", "network", "session", "board"]
    subject: str
    direction: str
    sentence: str
    odds: float
    votes: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSection:
    """The findings of one kind of test.

    Attributes:
        id: name of the section, such as `voters`.
        group: the part of the report with the section: one of GROUPS.
        accuses: true if a finding means that votes were cast to change the board; false if a finding may also have an
            innocent cause.
        title: name of the section for people.
        question: the question that the section answers.
        error_rate: how often the test finds something where nothing is wrong, as a sentence.
        answer: the answer in one sentence.
        findings: the findings, the strongest first, at most MOST_LISTED.
        found: number of all findings.
        unavailable: why the question could not be answered, as the end of a sentence; None if it was answered.
        tested: what was tested, as plain values for JSON, such as the number of voters.
    """

    id: str
    group: str
    accuses: bool
    title: str
    question: str
    error_rate: str
    answer: str
    findings: Sequence[EvidenceFinding] = ()
    found: int = 0
    unavailable: str | None = None
    tested: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the section as a dictionary of plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceTest:
    """A test for one kind of manipulation. The section with its result has the same attributes.

    Attributes:
        id: name of the section, such as `voters`.
        group: the part of the report with the section: one of GROUPS.
        accuses: whether a finding says that votes were cast to change the board.
        title: name of the section for people.
        question: the question that the test answers.
        error_rate: how often the test finds something where nothing is wrong, as a sentence.
    """

    id: str
    group: str
    accuses: bool
    title: str
    question: str
    error_rate: str

    def answered(self, findings: Sequence[EvidenceFinding], nothing: str, **tested: Any) -> EvidenceSection:
        """Return the section of a test whose question was answered.

        Args:
            findings: all findings, in any order.
            nothing: the answer if there are no findings.
            tested: what was tested, as plain values for JSON, such as the number of voters.
        """
        ranked = sorted(findings, key=lambda one: -one.odds)
        many = f"{len(ranked):,} findings; the strongest: {ranked[0].sentence}" if len(ranked) > 1 else ""
        answer = many or (ranked[0].sentence if ranked else nothing)
        return EvidenceSection(
            **asdict(self), answer=answer, findings=tuple(ranked[:MOST_LISTED]), found=len(ranked), tested=tested
        )

    def unanswered(self, reason: str) -> EvidenceSection:
        """Return the section of a test that could not be made; `reason` is the end of a sentence that says why."""
        return EvidenceSection(**asdict(self), answer=f"Not checked: {reason}.", unavailable=reason)


def count(number: int, what: str) -> str:
    """Return a number with its noun, such as "1 vote" or "2,000 votes"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def odds_of(log_e: float) -> float:
    """Return the e-value whose logarithm is `log_e`. The result is at most e^700, so that it stays finite."""
    return math.exp(min(log_e, _MOST_LOG))


def capital(text: str) -> str:
    """Return a text whose first letter is a capital. The other letters are unchanged."""
    return text[:1].upper() + text[1:]
