"""The incidents of a set of alerts: the campaigns that explain them, as people have split and merged them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.incidents.campaigns import find_campaigns
from pipeline.incidents.carriers import CarriedAlert, incident_id
from pipeline.incidents.claims import FACT, HABIT, Claim


@dataclass(frozen=True, slots=True)
class Split:
    """A person's decision that some alerts are an incident of their own: `alerts` are their ids."""

    alerts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Merge:
    """A person's decision that the incidents of two alerts are one: `one` and `other` are ids of alerts."""

    one: str
    other: str


Decision = Split | Merge


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident.

    Attributes:
        incident_id: its id, from its earliest alert.
        claims: what it is about: the claim of its strongest campaign, then those of campaigns that a person merged
            with it.
        alerts: its alerts, by time.
        former_ids: the ids under which it may have been known before: those of its other alerts.
    """

    incident_id: str
    claims: tuple[Claim, ...]
    alerts: tuple[CarriedAlert, ...]
    former_ids: frozenset[str]

    @property
    def voters(self) -> frozenset[int]:
        """Numbers of the voters about whom it has alerts."""
        return frozenset(one.voter for one in self.alerts if one.voter)

    @property
    def is_critical(self) -> bool:
        """Whether one of its alerts is critical."""
        return any(one.is_critical for one in self.alerts)

    @property
    def is_note(self) -> bool:
        """Whether it is about one voter's unproved habit, which is no incident to act on."""
        return self.claims[0].kind == HABIT and len(self.voters) <= 1 and not self.is_critical

    @property
    def opened_at(self) -> int:
        """When its first alert opened, in microseconds since 1970 UTC."""
        return self.alerts[0].opened_at

    @property
    def last_at(self) -> int:
        """When the evidence of its last alert ended, in microseconds since 1970 UTC."""
        return max(one.last_at for one in self.alerts)


def group_alerts(alerts: Iterable[CarriedAlert], decisions: Sequence[Decision] = ()) -> list[Incident]:
    """Return the incidents of a set of alerts, the earliest first.

    Args:
        alerts: all alerts, in any order.
        decisions: what people decided, oldest first. A decision about alerts that are not given has no effect.

    A split takes alerts out of their incidents and makes them one incident. A merge joins two incidents. Each undoes
    the other.
    """
    campaigns = find_campaigns(alerts)
    known = {one.alert_id: one for campaign in campaigns for one in campaign.alerts}
    claims = {one.alert_id: campaign.claim for campaign in campaigns for one in campaign.alerts}
    strength = {campaign.claim: at for at, campaign in reversed(list(enumerate(campaigns)))}
    groups = [{one.alert_id for one in campaign.alerts} for campaign in campaigns]
    for decision in decisions:
        groups = _apply(groups, decision)
    incidents = [_incident([known[one] for one in group], claims, strength) for group in groups if group]
    return sorted(incidents, key=lambda one: one.alerts[0].order)


def _apply(groups: list[set[str]], decision: Decision) -> list[set[str]]:
    if isinstance(decision, Split):
        rest = [group - decision.alerts for group in groups]
        return [*rest, set().union(*groups) & decision.alerts]
    one, other = (next((g for g in groups if alert in g), None) for alert in (decision.one, decision.other))
    if one is None or other is None or one is other:
        return groups
    return [*(group for group in groups if group not in (one, other)), one | other]


def _incident(alerts: list[CarriedAlert], claims: dict[str, Claim], strength: dict[Claim, int]) -> Incident:
    ordered = tuple(sorted(alerts, key=lambda one: one.order))
    named = sorted({claims[one.alert_id] for one in ordered}, key=lambda one: (one.kind == FACT, strength[one]))
    first, *later = (incident_id(one) for one in ordered)
    return Incident(first, tuple(named), ordered, frozenset(later))
