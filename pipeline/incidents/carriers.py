"""Defines the form in which alerts are grouped: each alert together with the votes and the voters that it is about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.incidents.claims import Claim
from pipeline.vocabulary.arrays import Int64

NONE: Int64 = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ResultChange:
    """A change of a model's results, with the decided votes on the model since the change.

    Attributes:
        hits: int64[n], the votes that the model won if its results became better, or lost if they became worse,
            ascending.
        misses: int64[m], the other decided votes, ascending.
        expected: how many hits the snapshots in force expected among all these votes.
    """

    hits: Int64
    misses: Int64
    expected: float

    @classmethod
    def of(cls, evidence: Mapping[str, Any], won: Int64, lost: Int64) -> ResultChange:
        """Return the change that the evidence of an alert states.

        Args:
            evidence: has "decided", the number of decided votes on the model since the change; "won", how many of them
                the model won; and "expected", how many wins the snapshots in force expected.
            won, lost: int64[n] each, the votes of that time that the model won, and that it lost, ascending.
        """
        expected = float(evidence["expected"])
        if evidence["won"] >= expected:
            return cls(won, lost, expected)
        return cls(lost, won, evidence["decided"] - expected)

    def share_by(self, votes: Int64) -> float:
        """Return which share of the unexpected hits is due to some votes, from 0 to 1.

        As many hits as the snapshots expect among `votes` do not count. So voters who vote as often as others do on a
        model that changed explain no more of the change than others do.

        Args:
            votes: int64[k], packed positions, ascending.
        """
        decided, hits = len(self.hits) + len(self.misses), common(self.hits, votes)
        beyond = hits - (hits + common(self.misses, votes)) * self.expected / max(1, decided)
        return min(1.0, max(0.0, beyond) / max(1.0, len(self.hits) - self.expected))


@dataclass(frozen=True, slots=True, eq=False)
class CarriedAlert:
    """An alert with the votes and the voters that it is about.

    A vote is given by an integer that stands for its position, a voter by the pseudonym.

    Attributes:
        alert_id: the id of the alert.
        claim: what the alert states.
        voter: the voter if the alert is about a single voter, else 0.
        strength: ln of the e-value; 0 for an alert without an e-value.
        is_critical: whether its severity is critical.
        opened_at: when the alert opened, in microseconds since 1970 UTC.
        begun_at, last_at: the beginning and the end of the period that the alert is about. For an alert about a voter,
            the period covers all votes of the voter and the opening of the alert. For an alert about windows, the
            period begins with the window in the evidence. It ends with the evidence or, if the end of the evidence is
            not stored, when the alert opened. For an alert without known votes, it begins when the alert opened.
        votes: int64[n], the votes that the alert is about, ascending. For an alert about a voter, these are all counted
            votes of the voter. For an alert about a model, these are the votes for or against the model. For an alert
            that states only more votes than usual, these are all votes on its subject. The votes of an alert about
            windows end where its evidence ends. Empty if the votes are not known.
        core: int64[m], the part of `votes` up to the moment of the strongest evidence, ascending.
        voters: int64[k], the voters who cast `votes`, ascending, without 0.
        excess: how many more votes `core` has than expected; None if the evidence states no expectation.
        leanings: one claim for each model that the voter votes for or against far more often than honest voters do
            (`leanings.find_leanings`), with the share of the voter's votes that are such votes. Empty unless the alert
            is about a voter.
        members: names of the provider's models. Empty unless the alert is about a provider.
        followers: for an alert about windows which claims that votes favour or harm a model, the voters whose counted
            votes mostly do so: at least half of their votes (`leanings.MOST`), and at least five. Voter → these votes,
            int64[j] each, ascending. Empty for any other alert.
        change: the change of results that the alert states; None for an alert that states none. The alert is about no
            particular votes, so `votes`, `core` and `voters` are empty then.
    """

    alert_id: str
    claim: Claim
    voter: int
    strength: float
    is_critical: bool
    opened_at: int
    begun_at: int
    last_at: int
    votes: Int64 = field(default_factory=lambda: NONE)
    core: Int64 = field(default_factory=lambda: NONE)
    voters: Int64 = field(default_factory=lambda: NONE)
    excess: float | None = None
    leanings: Mapping[Claim, float] = field(default_factory=dict)
    members: frozenset[str] = frozenset()
    followers: Mapping[int, Int64] = field(default_factory=dict)
    change: ResultChange | None = None

    @property
    def order(self) -> tuple[int, str]:
        """The sort key of alerts: by time, then by id."""
        return self.opened_at, self.alert_id


def incident_id(first: CarriedAlert) -> str:
    """Return the id of the incident whose earliest alert is `first`: 12 hexadecimal digits.

    The id is a hash of the alert's id alone. If it also contained the time, the public could find out an exact time by
    trial. A merge or a late alert may change which alert of an incident is the earliest, and so change the id of the
    incident. So the ids computed from the incident's other alerts are stored too. They still find the incident.
    """
    return hashlib.sha256(f"incident|{first.alert_id}".encode()).hexdigest()[:12]


def common(one: Int64, other: Int64) -> int:
    """Return how many integers two ascending arrays of distinct integers have in common."""
    if len(one) > len(other):
        one, other = other, one
    if not len(one):
        return 0
    place = np.minimum(np.searchsorted(other, one), len(other) - 1)
    return int(np.count_nonzero(other[place] == one))


def union(parts: list[Int64]) -> Int64:
    """Return the distinct integers of several arrays as one ascending array, int64."""
    return np.unique(np.concatenate([NONE, *parts]))


class AlertSpan:
    """Represents several alerts, and computes when they opened, and when their votes began and ended.

    All times are microseconds since 1970 UTC.

    Attributes:
        alerts: the alerts, in the order of time.
    """

    __slots__ = ()
    alerts: tuple[CarriedAlert, ...]

    @property
    def opened_at(self) -> int:
        """The time at which the first alert opened."""
        return self.alerts[0].opened_at

    @property
    def begun_at(self) -> int:
        """The time at which the first of the alerts' votes was cast: the smallest `begun_at` of an alert."""
        return min(one.begun_at for one in self.alerts)

    @property
    def last_at(self) -> int:
        """The end of the latest of the periods that the alerts are about."""
        return max(one.last_at for one in self.alerts)

    def count_followed(self, claim: Claim, votes: Int64) -> int:
        """Count the votes in `votes` that were cast by followers of the alerts with a claim.

        Args:
            claim: the claim.
            votes: int64[n], packed positions, ascending.
        """
        cast = [mine for one in self.alerts if one.claim == claim for mine in one.followers.values()]
        return common(union(cast), votes)

    def share_of_changes(self, votes: Int64) -> float:
        """Return which share of the changes of results that the alerts state is due to some votes, from 0 to 1.

        0 if an alert states something else. If several alerts state changes, the smallest of their shares counts.

        Args:
            votes: int64[n], packed positions, ascending.
        """
        return min(0.0 if one.change is None else one.change.share_by(votes) for one in self.alerts)
