"""Explains alerts by campaigns, the strongest campaign first.

An attack on one model has side effects that raise alerts too. The opponents of the model lose, so they seem to be
demoted; the attackers' network has a burst of votes; the board has more traffic. These alerts are about the same votes
or voters as the attack. So groups of alerts with the same claim are processed from the strongest to the weakest. A
group joins a stronger group if most of its votes or voters belong to the stronger group.

An alert about more votes than usual on a provider joins the attack on one of the provider's models. Without an attack,
the alerts about more votes on the provider's models join the alert about the provider.

Facts about how often models are drawn have one cause, the sampler. So such facts of about the same time are one group
(`sampling_facts`).

At first there are two kinds of groups. All alerts about one voter are a group. The claim of this group is the claim of
its strongest alert. Each alert of a window detector is a group of its own. Then groups with the same claim are joined
if there is no long pause between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pipeline.incidents.carriers import AlertSpan, CarriedAlert, common, union
from pipeline.incidents.claims import (
    AIMLESS,
    AT_RANDOM,
    BOARD,
    FACT,
    HABIT,
    LIFTED,
    MODEL,
    MORE,
    NETWORK,
    PROVIDER,
    Claim,
    shift_of,
)
from pipeline.incidents.leanings import aims_behind
from pipeline.incidents.sampling_facts import (
    SAMPLING,
    SAMPLING_GAP,
    are_effect_of,
    drawn_more,
    is_about_board,
    is_sampling,
)
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import DAY

GAP = 3 * DAY
"""Alerts with the same claim are one campaign if the pause between them is at most this long, in microseconds. Facts
about sampling have a limit of their own (SAMPLING_GAP)."""

MOSTLY = 0.5
"""A group is a side effect if stronger groups explain at least this share of its votes or voters (`_share_in`)."""

_AIMLESS = Claim(HABIT, "votes at random or against the rating")


@dataclass(frozen=True, slots=True, eq=False)
class Campaign(AlertSpan):
    """A campaign: alerts that one claim explains. While campaigns are computed, the object also represents a group.

    Attributes:
        claim: the claim of the strongest group of alerts.
        alerts: the alerts, by time. They include alerts with other claims that the campaign explains.
        votes, core, voters: int64 each, the votes, core votes and voters of the alerts with the claim, as in
            `CarriedAlert`. They are ascending and without repeats.
        excess: estimated number of votes in `core` beyond the number expected of honest voters. If the evidence of an
            alert states no expectation, all of the alert's votes count.
        by_voters: whether one of the alerts is about a single voter.
        strength: sum of ln(e-value) over the alerts with the claim.
    """

    claim: Claim
    alerts: tuple[CarriedAlert, ...]
    votes: Int64
    core: Int64
    voters: Int64
    excess: float
    by_voters: bool
    strength: float

    @property
    def rank(self) -> tuple[int, float, int, str]:
        """The sort key of campaigns: first by kind, then the strongest campaign first.

        The kinds are in this order: attacks by named voters; other attacks; facts about sampling; more votes than usual
        on a provider, on a model, from a network, and on the board; and all other facts.
        """
        return _rank(self), -self.strength, *self.alerts[0].order


def find_campaigns(alerts: Iterable[CarriedAlert]) -> list[Campaign]:
    """Return the campaigns that explain the alerts, the strongest first. Each alert is in exactly one campaign."""
    firm, vague = list[Campaign](), list[Campaign]()
    for one in _by_voter(alerts):
        (vague if one.by_voters and (one.claim.name in AT_RANDOM or _aims(one)) else firm).append(one)
    aims = _explain(_join_claims(firm))
    led: list[tuple[str, Campaign]] = []  # a voter without an aim, and an alert of the campaign that it leans to
    for one in sorted(vague, key=lambda one: one.rank):
        aim = next((other for other in aims if other.claim in _aims(one) and not _are_apart(one, other, GAP)), None)
        if aim is None:
            firm.append(one)
        else:
            led.append((aim.alerts[0].alert_id, one))
    campaigns = _explain(_join_claims(firm))
    place = {alert.alert_id: at for at, one in enumerate(campaigns) for alert in one.alerts}
    for alert_id, one in led:
        campaigns[place[alert_id]] = _absorb(campaigns[place[alert_id]], one)
    return campaigns


def _explain(groups: Iterable[Campaign]) -> list[Campaign]:
    """Merge each group that stronger groups explain (`_share_in`) into the one that explains most. Return the rest."""
    campaigns: list[Campaign] = []
    for group in sorted(groups, key=lambda one: one.rank):
        shares = [_share_in(group, one) for one in campaigns]
        # Two campaigns at once can share a side effect: it joins the one that explains more of it.
        if sum(shares) >= MOSTLY:
            place = shares.index(max(shares))
            campaigns[place] = _absorb(campaigns[place], group)
        else:
            campaigns.append(group)
    return campaigns


def _aims(one: Campaign) -> set[Claim]:
    return aims_behind(one.claim, one.alerts[0].leanings)  # all alerts of a voter have the voter's leanings


def _rank(one: Campaign) -> int:
    if one.claim.kind == FACT:
        return 2 if is_sampling(one.claim) else 7
    if one.claim.kind == BOARD:
        return 6
    if one.claim.is_crowd:
        return {PROVIDER: 3, NETWORK: 5}.get(one.claim.kind, 4)
    return 0 if one.by_voters else 1


def _by_voter(alerts: Iterable[CarriedAlert]) -> list[Campaign]:
    """Return one group for each voter with alerts, and one for each other alert."""
    single, of_voter = list[Campaign](), dict[int, list[CarriedAlert]]()
    for one in alerts:
        if one.voter:
            of_voter.setdefault(one.voter, []).append(one)
        else:
            single.append(_campaign([one], one.claim))
    for mine in of_voter.values():
        best = max(mine, key=lambda one: (one.is_critical, one.strength, one.claim.kind != HABIT, one.alert_id))
        single.append(_campaign(mine, best.claim))
    return single


def _campaign(alerts: Sequence[CarriedAlert], claim: Claim) -> Campaign:
    ordered = tuple(sorted(alerts, key=lambda one: one.order))
    excess = max(len(one.core) if one.excess is None else one.excess for one in ordered)
    return Campaign(
        claim,
        ordered,
        union([one.votes for one in ordered]),
        union([one.core for one in ordered]),
        union([one.voters for one in ordered]),
        float(excess),
        any(one.voter for one in ordered),
        sum(one.strength for one in ordered if one.claim == claim),
    )


def _join_claims(groups: Iterable[Campaign]) -> list[Campaign]:
    """Join groups with the same claim, if no pause between them is longer than GAP (for sampling: SAMPLING_GAP)."""
    joined: list[Campaign] = []
    ordered = sorted(groups, key=lambda one: (_same(one.claim), one.begun_at, one.alerts[0].alert_id))
    for _, same in groupby(ordered, key=lambda one: _same(one.claim)):
        chain: list[Campaign] = []
        end = 0
        for one in same:
            if chain and one.begun_at > end + (SAMPLING_GAP if is_sampling(one.claim) else GAP):
                joined.append(_sum(chain))
                chain = []
            end = max(end, one.last_at) if chain else one.last_at
            chain.append(one)
        joined.append(_sum(chain))
    return joined


def _same(claim: Claim) -> Claim:
    """Return a claim, but SAMPLING for any claim about sampling, and _AIMLESS for any habit without an aim."""
    if is_sampling(claim):
        return SAMPLING
    return _AIMLESS if claim.kind == HABIT and claim.name in AIMLESS else claim


def _sum(groups: Sequence[Campaign]) -> Campaign:
    """Join groups into one group, which gets the claim with the most evidence.

    A fact about sampling on the whole board is the claim only if there is no other claim.
    """
    strength: dict[Claim, float] = {}
    for one in groups:
        strength[one.claim] = strength.get(one.claim, 0.0) + one.strength
    return Campaign(
        max(strength, key=lambda claim: (not is_about_board(claim), round(strength[claim], 6), claim)),
        tuple(sorted((one for group in groups for one in group.alerts), key=lambda one: one.order)),
        union([one.votes for one in groups]),
        union([one.core for one in groups]),
        union([one.voters for one in groups]),
        sum(one.excess for one in groups),
        any(one.by_voters for one in groups),
        sum(one.strength for one in groups),
    )


def _share_in(group: Campaign, other: Campaign) -> float:
    """Return the share of the surplus votes, voters or changed results of `group` that `other` explains: 0 to 1."""
    if _are_apart(group, other, SAMPLING_GAP if is_sampling(other.claim) else GAP):
        return 0.0
    if is_sampling(group.claim) or is_sampling(other.claim):
        return float(_is_by_sampler(group, other))
    if group.claim.is_crowd and _is_on_same(group, other.claim, other.alerts):
        return 1.0
    followed = other.by_voters or other.count_followed(other.claim, other.core) >= MOSTLY * max(1.0, other.excess)
    if followed and shift_of(group.claim) == other.claim:
        return 1.0  # an attack changes results; without accounts that act it may be the model that changed
    votes = min(1.0, common(group.core, other.votes) / max(1.0, min(group.excess, len(group.core))))
    if group.by_voters or not other.by_voters:  # a named voter is not of a campaign that it only voted beside
        return votes
    voters = common(group.voters, other.voters) / max(1, len(group.voters))
    return max(votes, voters, group.share_of_changes(other.votes))


def _is_by_sampler(group: Campaign, other: Campaign) -> bool:
    """Return whether `other` explains `group`. One of the two must be about sampling.

    If a model is drawn more often, this explains why the model has more votes than usual. An attack on a model explains
    why the model seems to be drawn more often.
    """
    if is_sampling(other.claim):
        return group.claim.is_crowd and not _subjects(group).isdisjoint(drawn_more(one.claim for one in other.alerts))
    return are_effect_of((one.claim for one in group.alerts), other.claim)


def _is_on_same(crowd: Campaign, claim: Claim, alerts: Iterable[CarriedAlert]) -> bool:
    """Return whether a group about more votes than usual and another campaign are about the same subject.

    They are about the same subject in three cases: both have the same subject; the group is about a provider, and the
    campaign about one of its models; the group is about a model, and the campaign about more votes than usual on the
    model's provider.

    Args:
        crowd: the group about more votes than usual.
        claim: the claim of the other campaign.
        alerts: the alerts of the other campaign.
    """
    mine = crowd.claim
    if (mine.kind, mine.name) == (claim.kind, claim.name):
        return True
    if claim.kind == MODEL and mine.kind == PROVIDER:
        return claim.name in _subjects(crowd)
    return claim.is_crowd and mine.kind == MODEL and any(mine.name in one.members for one in alerts)


def _subjects(group: Campaign) -> set[str]:
    """Return the name of a group's subject. For a provider, the names of the provider's models are included."""
    return {group.claim.name}.union(*(one.members for one in group.alerts))


def _are_apart(one: Campaign, other: Campaign, gap: int) -> bool:
    return one.begun_at > other.last_at + gap or other.begun_at > one.last_at + gap


def _absorb(strong: Campaign, weak: Campaign) -> Campaign:
    """Return the strong campaign, extended by the alerts of the weak one. Its votes and voters do not change.

    Its claim changes only in two cases. A claim MORE becomes LIFTED if the weak campaign states LIFTED of the same
    subject. If both claims are MORE, the new claim may name one model or its provider (`_crowd_of`).
    """
    alerts = tuple(sorted((*strong.alerts, *weak.alerts), key=lambda one: one.order))
    claim = strong.claim
    if claim.effect == MORE and weak.claim == Claim(claim.kind, claim.name, LIFTED):
        claim = weak.claim
    elif claim.is_crowd and weak.claim.is_crowd:
        claim = _crowd_of(alerts) or claim
    return replace(strong, claim=claim, alerts=alerts)


def _crowd_of(alerts: Iterable[CarriedAlert]) -> Claim | None:
    """Return the claim for several alerts about more votes than usual; None unless they are about exactly one provider.

    The claim is about the one model with more votes. If several models have more votes, or none has, it is about the
    provider.
    """
    crowds = {one.claim for one in alerts if one.claim.is_crowd}
    providers = [one for one in crowds if one.kind == PROVIDER]
    models = [one for one in crowds if one.kind == MODEL]
    return None if len(providers) != 1 else models[0] if len(models) == 1 else providers[0]
