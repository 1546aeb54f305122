"""Groups alerts into incidents, and applies the splits and merges that people decided.

At first each campaign, which is a set of alerts that one claim explains, is an incident (`campaigns`). A split takes
alerts out of their incidents and makes them an incident of their own. A merge joins two incidents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.incidents.campaigns import find_campaigns
from pipeline.incidents.carriers import AlertSpan, CarriedAlert, incident_id
from pipeline.incidents.claims import FACT, HABIT, Claim
from pipeline.vocabulary.arrays import Int64


@dataclass(frozen=True, slots=True)
class Split:
    """A person's decision that some alerts, given by id, are an incident of their own."""

    alerts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Merge:
    """A person's decision that two alerts, `one` and `other` by id, belong to the same incident."""

    one: str
    other: str


Decision = Split | Merge


@dataclass(frozen=True, slots=True)
class Incident(AlertSpan):
    """An incident: the alerts of one campaign, or of campaigns that a person merged.

    Attributes:
        incident_id: the id of the incident, computed from its earliest alert.
        claims: the claim of the incident's strongest campaign, then the claims of campaigns that a person merged with
            it.
        alerts: the alerts of the incident, by time.
        former_ids: the ids that the incident may have had before, computed from its other alerts.
    """

    incident_id: str
    claims: tuple[Claim, ...]
    alerts: tuple[CarriedAlert, ...]
    former_ids: frozenset[str]

    @property
    def voters(self) -> frozenset[int]:
        """The accounts of the incident, as pseudonyms.

        These are the voters with an alert of their own, and the followers of the incident's alerts with the incident's
        claim. The followers of an alert are voters who cast most of their votes as the alert claims.
        """
        return frozenset(self.votes_by_voter())

    def votes_by_voter(self) -> dict[int, Int64]:
        """Return account → the packed positions (partition and offset) of its counted votes, int64[n], ascending.

        The accounts are those that an alert names and those that follow an alert. Followers of an alert about a side
        effect, such as an opponent that loses, are left out.
        """
        found = {one.voter: one.votes for one in self.alerts if one.voter}
        for one in self.alerts:
            if one.claim in self.claims:
                found = {**one.followers, **found}
        return found

    @property
    def is_critical(self) -> bool:
        """Whether at least one alert of the incident is critical."""
        return any(one.is_critical for one in self.alerts)

    @property
    def is_note(self) -> bool:
        """Whether nobody needs to act.

        This holds for an incident that is not critical, has at most one voter, and has HABIT as its first claim.
        """
        return self.claims[0].kind == HABIT and len(self.voters) <= 1 and not self.is_critical


def group_alerts(alerts: Iterable[CarriedAlert], decisions: Sequence[Decision] = ()) -> list[Incident]:
    """Return the incidents of a set of alerts, the earliest first.

    A split takes alerts out of their incidents and makes them one incident. A merge joins two incidents. Decisions are
    applied in order, so a merge can undo an earlier split, and a split an earlier merge.

    Args:
        alerts: all alerts, in any order.
        decisions: what people decided, oldest first. A decision about alerts that are not given has no effect.
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
