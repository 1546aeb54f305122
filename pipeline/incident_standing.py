"""Describes the accounts of an incident for operators: which of their votes count, and what an operator can do.

Suspected accounts are told apart from the accounts of the incident: no alert is about them, and machines never exclude
them (`pipeline.incidents.suspects`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.alert_text import format_e_value
from pipeline.incident_headline import count

SHORT = 8
"""Number of digits of an id in a command. `integrity incidents` and `integrity alerts` accept shortened ids."""

_NAMED = 5
"""How many accounts a sentence names."""


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """What the alerts of an incident say about one account, and whether its votes count.

    Attributes:
        voter, codename: the pseudonym and its words, for operators only.
        votes: number of counted votes of the account.
        alert_ids: ids of the alerts of the incident about the account. Empty for a follower of an alert about windows.
        severity, e_value: the highest severity and e-value of these alerts; the e-value is None if no alert has one.
        excluded_by: author of the exclusion in force, None without an exclusion.
        counts_now, counts_next: whether the votes count in the newest snapshot, and in the next snapshot.
        is_suspected: whether the account is only suspected; its e-value is then that of its votes on the target.
    """

    voter: str
    codename: str
    votes: int
    alert_ids: tuple[str, ...]
    severity: str
    e_value: float | None
    excluded_by: str | None
    counts_now: bool
    counts_next: bool
    is_suspected: bool = False

    def line(self) -> str:
        """Return the account as one line for `integrity incidents show --verbose`."""
        if not self.votes:
            state = "no votes that name it"  # the voter was erased
        elif self.counts_next:
            state = "still counted" if self.counts_now else "left out now, counted from the next refresh on"
        else:
            by = f" by {self.excluded_by}" if self.excluded_by else ""
            state = f"left out{by}{' from the next refresh on' if self.counts_now else ''}"
        evidence = "a fact" if self.e_value is None else f"e-value {format_e_value(self.e_value)}"
        about = f"{count(len(self.alert_ids), 'alert')}, {self.severity}, {evidence}"
        if self.is_suspected:
            about = f"suspected, no alert of its own, {evidence}"
        elif not self.alert_ids:
            about = "no alert of its own, but most of its votes do what the incident says"
        return f"  {self.codename}  {self.voter}: {count(self.votes, 'vote')}, {about}, {state}"


@dataclass(frozen=True, slots=True)
class IncidentStanding:
    """The accounts of an incident, and what resolving the incident changes.

    Attributes:
        accounts: the accounts, without suspected ones.
        votes_back: number of votes that count again if the incident is resolved.
        suspected: the suspected accounts.
    """

    accounts: tuple[AccountStanding, ...]
    votes_back: int
    suspected: tuple[AccountStanding, ...] = ()

    @property
    def counting(self) -> tuple[AccountStanding, ...]:
        """The accounts with votes that count in the next snapshot. An erased account has no such votes."""
        return tuple(one for one in self.accounts if one.counts_next and one.votes)

    @property
    def suspected_counting(self) -> tuple[AccountStanding, ...]:
        """The suspected accounts with votes that count in the next snapshot."""
        return tuple(one for one in self.suspected if one.counts_next and one.votes)


def suspected_text(incident: Mapping[str, Any], standing: IncidentStanding | None) -> list[str]:
    """Return a line about the suspected accounts of an incident, as a list; empty if there are none.

    Args:
        incident: the body of the incident.
        standing: its accounts; None for the public.
    """
    suspected = standing.suspected if standing is not None else ()
    if not suspected:
        return []
    targets = " and ".join(one["name"] for one in incident["about"] if one["kind"] == "model")
    one = len(suspected) == 1
    who = f"{count(len(suspected), 'more account')} with {count(sum(mine.votes for mine in suspected), 'vote')}"
    like = "its accounts do" if incident["accounts"] else "its alerts say"
    return [
        f"Suspected too: {who}. No alert is about {'it' if one else 'them'}, but on {targets} "
        f"{'it votes' if one else 'they vote'} as {like}. At most one suspected account in twenty is expected to be "
        "honest. No machine leaves them out; `exclude` does, after its preview."
    ]


def _suspected_clause(standing: IncidentStanding | None, before: str, after: str) -> str:
    """Return a clause about the suspected accounts that still count; "" if there are none.

    The verb takes the place of "{count}" in `after`.
    """
    counting = standing.suspected_counting if standing is not None else ()
    votes = count(sum(one.votes for one in counting), "vote")
    after = after.format(count="counts" if len(counting) == 1 else "count")
    return f"{before}{count(len(counting), 'suspected account')} with {votes}{after}" if counting else ""


def still_counting_lines(incident: Mapping[str, Any], standing: IncidentStanding | None, name: str) -> list[str]:
    """Return lines about the votes that still count, with the commands that list these votes and exclude them."""
    counting = standing.counting if standing is not None else ()
    look = [f"  integrity alerts show {one.alert_ids[0][:SHORT]}" for one in counting if one.alert_ids][:1]
    look = look or [f"  integrity incidents show {name} --verbose"]
    exclude = f"  integrity incidents exclude {name} --reason WHY"
    if standing is None or not any(one.votes for one in standing.accounts):
        votes = max(incident["votes"] - incident["votes_left_out"], 0)
        still = f"{count(votes, 'vote')} still {'counts' if votes == 1 else 'count'}. " if votes else ""
        also = _suspected_clause(standing, "Also, ", " still {count}. ")
        return [f"What to do: {still}{also}Look at its votes.", *look, "To leave them out, after a preview:", exclude]
    if not counting and standing.suspected_counting:
        left = _suspected_clause(standing, "", " still {count}.")
        return [
            f"What to do: nothing is left to exclude of its accounts, but {left} Look at them:", *look,
            "To leave them out, after a preview:", exclude,
        ]  # fmt: skip
    if not counting:
        state = "The board without them is published."
        every = (*standing.accounts, *standing.suspected)
        if any(one.counts_now and one.votes for one in every):
            now = sum(one.votes for one in every if not one.counts_now)
            more = sum(one.votes for one in every if one.counts_now)
            return [
                f"What to do: nothing is left to exclude: {now:,} votes are left out now; {more:,} more at the next "
                "refresh, which publishes the board without them:",
                "  integrity refresh",
            ]
        return [f"What to do: nothing is left to exclude: no vote of its accounts counts. {state}"]
    votes = sum(one.votes for one in counting)
    names = few([f"{one.codename} ({count(one.votes, 'vote')})" for one in counting])
    verb = "counts" if len(counting) == 1 else "count"
    return [
        f"What to do: {len(counting):,} of {count(len(standing.accounts), 'account')} still {verb}, with "
        f"{count(votes, 'vote')}: {names}{_besides(incident, standing)}"
        f"{_suspected_clause(standing, '; so do ', '')}. Look at the votes:",
        *look,
        "To leave out what still counts, after a preview:",
        exclude,
    ]


def _besides(incident: Mapping[str, Any], standing: IncidentStanding) -> str:
    """Return a clause about votes that are excluded one by one, beside those of excluded accounts; "" without any."""
    without = sum(one.votes for one in standing.accounts if not one.counts_next)
    return "; some of these votes are left out one by one" if incident["votes_left_out"] > without else ""


def resolve_means(standing: IncidentStanding | None) -> str:
    """Return a clause about the votes that count again if an incident is resolved.

    With None, the clause has no number of votes.
    """
    if standing is None:
        return "what a policy left out counts again at the next refresh"
    back = standing.votes_back
    again = f"{count(back, 'vote')} that a policy left out {'counts' if back == 1 else 'count'} again"
    return f"{again} at the next refresh" if back else "no vote counts again"


def few(texts: Sequence[str]) -> str:
    """Return the first _NAMED texts, separated by commas, and how many more there are."""
    more = len(texts) - _NAMED
    return ", ".join([*texts[:_NAMED], *([f"and {more:,} more"] if more > 0 else [])])
