"""Turns the findings about a backlog into alerts. A backlog is a set of votes that are evaluated together afterwards.

In the nested form of the evaluation, a voter's votes cannot influence the reference that evaluates the voter. So the
e-value of a finding about a voter bounds the probability of a false alarm. Such a finding may be critical, and then the
policy `backfill-voter/1` excludes the voter. All other findings are warnings, which propose to a person what to
exclude. Alerts about models are public. Their times are therefore whole hours around the votes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pipeline.backlog import BacklogFindings, RandomFinding, VoterFinding
from pipeline.backlog.answer_styles import StyleFinding
from pipeline.backlog.cohorts import AGE, AGE_NAMES, NETWORK, PROMPT
from pipeline.backlog.model_periods import PeriodFinding
from pipeline.backlog.pool_rounds import PooledFinding
from pipeline.backlog.pooled_groups import GroupFinding
from pipeline.backlog.voter_habits import HabitFinding
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.backlog.backlog_input import BacklogInput
from pipeline.scoring.signals import CRITICAL, LEVELS, NO_PARTITION, AlertSignal
from pipeline.store.alerting.alert_queries import POOLED_VOTERS as POOL
from pipeline.store.alerting.alert_queries import VOTER_HABIT as HABIT
from pipeline.store.boards.exclusion_list import BACKFILL_VOTER_DETECTOR as VOTER
from pipeline.vocabulary.time import HOUR, format_rfc3339

PERIOD = "model_period"
STYLE = "model_style"

# ln of the largest e-value that is stored: a float64 holds it.
_MOST = 700.0
_PASSIVE = {"promotes": "promoted", "demotes": "demoted"}


@dataclass(frozen=True)
class BacklogAlerts:
    """Turns the findings of one evaluation into alerts.

    Attributes:
        given: the votes that were evaluated.
        findings: what was found in these votes.
    """

    given: BacklogInput
    findings: BacklogFindings

    def signals(self) -> list[AlertSignal]:
        """Return all alerts about the findings.

        If a group of voters promotes or demotes a model, the alert about the model comes before the alerts about the
        voters.
        """
        return [
            *(self._voter(one) for one in self.findings.voters),
            *(self._random(one) for one in self.findings.random),
            *(signal for one in self.findings.pools for signal in self._pool(one)),
            *(
                signal
                for kind, found in self.findings.groups.items()
                for one in found
                for signal in self._cohort(kind, one)
            ),
            *(self._period(one) for one in self.findings.periods),
            *(self._style(one) for one in self.findings.styles),
            *(self._habit(one) for one in self.findings.habits),
        ]

    def discoveries(self, signals: list[AlertSignal]) -> list[AlertSignal]:
        """Return the signals that count as discoveries in e-LOND.

        Signals about models count, because they result from tests of groups of voters and of weeks. There is one
        exception: signals about a group of accomplices. Accomplices are voters who vote like a voter who was found
        alone. Signals about voters do not count.
        """
        known = {
            (self.given.model_name(one.model), _PASSIVE[one.direction])
            for one in self.findings.pools
            if one.accomplices
        }
        return [
            one for one in signals
            if one.subject_kind == "model" and not (one.detector == POOL and (one.subject, one.direction) in known)
        ]  # fmt: skip

    def afterwards(self, nested: bool = False) -> str:
        """Return a phrase for the text of an alert: how the votes were evaluated, and in how many rounds.

        Args:
            nested: whether the alert is based on the nested form of the evaluation (`pipeline.backlog.voter_rounds`).
        """
        rounds = self.findings.nested_rounds if nested else self.findings.rounds
        form = ", nested form" if nested else ""
        return f"found afterwards, by cross-fitting, {rounds} round{'' if rounds == 1 else 's'}{form}"

    def _voter(self, one: VoterFinding) -> AlertSignal:
        strict = one.strict is not None and one.strict >= CRITICAL
        e = one.strict if strict and one.strict is not None else one.e_value
        likeliest = [
            {**alternative, "model": int(self.given.models[alternative["model"]])}
            if "model" in alternative
            else alternative
            for alternative in one.likeliest
        ]
        evidence = {
            "votes": one.votes,
            "ties": one.ties,
            "proved": strict,
            "likeliest": likeliest,
            "afterwards": self.afterwards(strict),
        }
        return self._about_voter(VOTER, one.voter, "biased", "critical" if strict else "warning", e, evidence)

    def _random(self, one: RandomFinding) -> AlertSignal:
        evidence = {
            "votes": one.votes,
            "ties": one.ties,
            "proved": False,
            "likeliest": [{"what": "clicks at random", "share": 1.0}],
            "afterwards": self.afterwards(),
        }
        return self._about_voter(VOTER, one.voter, "random", "warning", one.e_value, evidence)

    def _pool(self, one: PooledFinding) -> list[AlertSignal]:
        """Return the alert about the model, and an alert about each member of the group."""
        model, first_end = (
            self.given.model_name(one.model),
            whole_hours(self.given.period(one.members if len(one.members) else None)),
        )
        who = (
            f"{len(one.members):,} voters can be named, with {one.votes:,} votes"
            if len(one.members)
            else "nobody can be named"
        )
        how = "as voters who were found alone do" if one.accomplices else "taken together"
        what = (
            f"voters with few votes each, {how}, {_verb(one.direction)} it: about {one.expected:.0f} take part; {who}"
        )
        evidence = {"what": what, "members": len(one.members), "period": [format_rfc3339(time) for time in first_end]}
        about = self._about_model(POOL, one.model, _PASSIVE[one.direction], one.log_e, first_end, evidence)
        return [about, *self._members(one, about.alert_id, model)]

    def _members(self, one: PooledFinding | GroupFinding, group: str, model: str) -> list[AlertSignal]:
        """Return an alert about each member of a group. Each alert names the alert about the group."""
        return [
            self._about_voter(
                POOL, voter, one.direction, "warning", min(math.exp(min(one.log_e, _MOST)), 1e300),
                {
                    "what": f"one of {len(one.members):,} voters who together {_verb(one.direction)} {model}: belongs "
                    f"to them with probability {likelihood:.0%}",
                    "group": group, "likelihood": round(likelihood, 4), "afterwards": self.afterwards(),
                },
            )
            for voter, likelihood in zip(one.members.tolist(), one.likelihood.tolist(), strict=True)
        ]  # fmt: skip

    def _cohort(self, kind: str, one: GroupFinding) -> list[AlertSignal]:
        """Return the alert about a model that a cohort promotes or demotes. A cohort is, for example, one network.

        The votes of a network or on a prompt can be selected by a filter. For any other cohort, the list also has an
        alert about each member.
        """
        at = whole_hours(self.given.period(one.members if len(one.members) else None))
        evidence: dict[str, Any] = {"tests": one.tests}
        if kind == NETWORK:
            name = evidence["network"] = self.given.networks.get(one.group, str(one.group))
            who, by = f"voters of network {name}", f"by network {name}"
        elif kind == PROMPT:
            name = evidence["prompt"] = f"{self.given.prompt_of(one.group):08x}"
            who, by = f"voters under prompt {name}", f"under prompt {name}"
        elif kind == AGE:
            who, by = f"voters, {AGE_NAMES[one.group - 1]},", f"by {AGE_NAMES[one.group - 1]}"
        else:
            who, by = "voters in one session", "in one session"
        evidence["what"] = (
            f"{one.voters:,} {who} with few votes each, taken together, {_verb(one.direction)} it; "
            f"{len(one.members):,} of them can be named"
        )
        # A window means that the cohort's votes can be selected by a filter.
        if kind in (NETWORK, PROMPT):
            evidence["window"] = list(at)
        else:
            evidence |= {"period": [format_rfc3339(time) for time in at], "members": len(one.members)}
        direction = f"{_PASSIVE[one.direction]} {by}"
        about = self._about_model(f"pooled_{kind}", one.model, direction, one.log_e, at, evidence)
        if "window" in evidence:
            return [about]
        return [about, *self._members(one, about.alert_id, self.given.model_name(one.model))]

    def _habit(self, one: HabitFinding) -> AlertSignal:
        """Return the warning about a voter's habit. It is never critical, because habits are assumed to be honest."""
        share = f"{one.hits:,} of {one.votes:,} votes that could show it, where {one.expected:.0f} are expected"
        what = f"{one.habit}: {share}; honest habits of this kind differ less"
        evidence = {
            "what": what, "votes": one.votes, "hits": one.hits, "expected": round(one.expected, 1), "proved": False,
            "afterwards": self.afterwards(),
        }  # fmt: skip
        return self._about_voter(HABIT, one.voter, one.habit, "warning", min(one.e_value, 1e300), evidence)

    def _period(self, one: PeriodFinding) -> AlertSignal:
        more = "more" if one.direction == "promotes" else "less"
        what = (
            f"in these weeks it wins {more} often than in all others, among {one.voters:,} voters: an attack, or "
            "the model was changed; this test cannot tell which"
        )
        at = whole_hours((one.first, one.end))
        evidence = {"what": what, "window": list(at), "tests": one.tests}
        direction = f"wins {more} than in other weeks"
        return self._about_model(PERIOD, one.model, direction, one.log_e, at, evidence)

    def _style(self, one: StyleFinding) -> AlertSignal:
        what = (
            f"in these weeks it gives {one.style} than in all others, compared with its opponents' answers to the same "
            f"prompts, among {one.voters:,} voters: the model, its settings or the prompts on it were changed"
        )
        at = whole_hours((one.first, one.end))
        evidence = {"what": what, "window": list(at), "tests": one.tests}
        return self._about_model(STYLE, one.model, f"{one.style} than in other weeks", one.log_e, at, evidence)

    def _about_voter(
        self, detector: str, voter: int, direction: str, severity: Any, e: float, evidence: dict[str, Any]
    ) -> AlertSignal:
        partition, offset, at = self.given.last_vote(voter)
        subject = format_pseudonym(int(self.given.votes.names[voter]))
        return AlertSignal(
            detector, "voter", subject, direction, severity, e, _level(e), partition, offset, at, evidence
        )  # fmt: skip

    def _about_model(
        self, detector: str, model: int, direction: str, log_e: float, period: tuple[int, int], evidence: dict[str, Any]
    ) -> AlertSignal:
        e = math.exp(min(log_e, _MOST))
        return AlertSignal(
            detector, "model", self.given.model_name(model), direction, "warning", e, _level(e), NO_PARTITION,
            period[0], period[1], {**evidence, "afterwards": self.afterwards()},
        )  # fmt: skip


def whole_hours(period: tuple[int, int]) -> tuple[int, int]:
    """Widen a period to whole hours: round its start down and its end up. Times are in microseconds since 1970 UTC.

    >>> whole_hours((HOUR + 1, 2 * HOUR + 1)) == (HOUR, 3 * HOUR)
    True
    """
    first, end = period
    return first // HOUR * HOUR, -(-end // HOUR) * HOUR


def _level(e: float) -> int:
    return max(sum(e >= bound for bound in LEVELS), 1)


def _verb(direction: str) -> str:
    return "promote" if direction == "promotes" else "demote"
