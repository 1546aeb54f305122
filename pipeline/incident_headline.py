"""Writes the headline of an incident: one sentence about what happened, what was left out, and the model's rank.

The functions take the body of a stored incident, or the public form of an incident
(`pipeline.store.alerting.public_incidents`). The headline for operators has the numbers of accounts and networks, and
times to the minute. The headline for the public states what votes did, and times to the hour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TIME = re.compile(r"\b(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?Z")
_CHANGED = ("lifted", "lowered")
_TARGETS = ("model", "provider")
_HABITS = {
    "always votes for the left side": "always choose the left answer",
    "always votes for the right side": "always choose the right answer",
    "votes against the rating": "choose the weaker model",
    "votes at random": "choose between the answers at random",
    "clicks at random": "vote no better than at random",
    "voter_rate": "vote faster than anybody can read",
    "duplicate_votes": "vote on the same battle again and again",
    "voter_share": "share one id",
}


def count(number: int, noun: str) -> str:
    """Return a number and a noun as text: "1 vote", "2,000 votes". The plural ends in s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def headline(incident: Mapping[str, Any], private: Mapping[str, Any] | None = None) -> str:
    """Return one sentence that says what happened.

    Args:
        incident: the public form of the incident, or the body of a stored incident.
        private: the operators' form, with networks and exact times. None gives the sentence for the public.
    """
    about = incident["about"][0]
    kinds = {"model": _effect, "provider": _effect, "habit": _habit, "network": _crowd, "board": _crowd}
    sentence = kinds.get(about["kind"], _fact)(incident, about, private)
    begin = sentence if about["kind"] == "fact" else f"{sentence[0].upper()}{sentence[1:]}"  # a name keeps its case
    return f"{begin}{_unmoved(incident)}{_left_out(incident, private)}{_standing(incident)}."


def _actors(incident: Mapping[str, Any], private: Mapping[str, Any] | None) -> str:
    accounts, votes = incident["accounts"], incident["votes"]
    if accounts and private is not None:
        networks = len(private["networks"])
        where = f" on {count(networks, 'network')}" if networks else ""
        return f"{count(accounts, 'account')}{where}"
    if accounts != 0:  # None: so few that the public does not read how many
        return f"{count(votes, 'vote')} that {'fits' if votes == 1 else 'fit'} no honest pattern"
    return f"about {count(votes, 'vote')} more than expected"


def _effect(incident: Mapping[str, Any], about: Mapping[str, str], private: Mapping[str, Any] | None) -> str:
    if about["effect"] not in _CHANGED:
        return _crowd(incident, about, private)
    actors = _actors(incident, private)
    return f"{actors} {about['effect']} {_name(about)}{_moved(incident)}{_also(incident)}{_between(incident, private)}"


def _also(incident: Mapping[str, Any]) -> str:
    """Return a clause about the further targets of an incident that a person merged; "" without any.

    The headline needs the clause because its numbers of accounts and votes are those of all merged parts.
    """
    others = [one for one in incident["about"][1:] if one["kind"] in _TARGETS and one["effect"] in _CHANGED]
    texts = []
    for effect in _CHANGED:
        names = [_name(one) for one in others if one["effect"] == effect]
        if names:
            same = effect == incident["about"][0]["effect"]
            texts.append(f"{'' if same else f'{effect} '}{', '.join(names)}")
    return "".join(f" and {text}" for text in texts)


def _habit(incident: Mapping[str, Any], about: Mapping[str, str], private: Mapping[str, Any] | None) -> str:
    how = _HABITS.get(about["name"], f"vote by a habit ({about['name']})")
    accounts = "a few accounts" if incident["accounts"] is None else count(incident["accounts"], "account")
    if incident["accounts"] == 1:
        verb, _, rest = how.partition(" ")
        how = f"{verb}s {rest}" if verb != "always" else f"always {rest.replace('choose', 'chooses', 1)}"
    return f"{accounts} {how}{_between(incident, private)} ({count(incident['votes'], 'vote')})"


def _crowd(incident: Mapping[str, Any], about: Mapping[str, str], private: Mapping[str, Any] | None) -> str:
    where = "the board" if about["kind"] == "board" else _name(about)
    if about["kind"] == "network" and private is None:
        where = "one network"
    votes = f"{incident['votes']:,} votes more than usual" if incident["votes"] > 1 else "more votes than usual"
    return (
        f"{votes} on {where}{_between(incident, private)}, without a sign that they lift or lower a model: perhaps an "
        "honest surge"
    )


def _fact(incident: Mapping[str, Any], about: Mapping[str, str], _: Mapping[str, Any] | None) -> str:
    what = _TIME.sub(r"\1 \2 UTC", incident["what"])
    subject = about["name"].partition(" ")[2]  # the name of a fact is its detector and subject
    if not what:
        return f"{about['name']}: {about['effect']}"
    return what if not subject or subject in what else f"{subject}: {what}"


def _name(about: Mapping[str, str]) -> str:
    return about["name"] if about["kind"] == "model" else f"{about['kind']} {about['name']}"


def _between(incident: Mapping[str, Any], private: Mapping[str, Any] | None) -> str:
    if private is None:
        begin, end = incident["begun_at"], incident["last_at"]
        hour = f" in the hour from {begin[11:16]} UTC on {begin[:10]}"
        if begin == end:
            return hour
        if begin[:10] == end[:10]:
            return f" between the hours of {begin[11:16]} and {end[11:16]} UTC on {begin[:10]}"
        return f" from {begin[:10]} {begin[11:16]} to {end[:10]} {end[11:16]} UTC, to the hour"
    first, last = private["first"], private["last"]
    if first[:10] == last[:10]:
        return f" between {first[11:16]} and {last[11:16]} UTC on {first[:10]}"
    return f" from {first[:10]} {first[11:16]} to {last[:10]} {last[11:16]} UTC"


def places_of(incident: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the ranks of the model before and after the incident, counting all votes; None if they are not known.

    If there is no snapshot from before the incident, but all votes of the incident are left out, the rank without these
    votes is taken for the rank before.
    """
    rank = incident.get("rank")
    if rank is None:
        return None
    before, after = rank.get("before"), rank.get("after")
    if before is not None and after is not None:
        return before, after
    known = _are_left_out(incident) and not some_still_count(incident)
    return (rank["defended"], rank["raw"]) if known else None


def some_still_count(incident: Mapping[str, Any]) -> bool:
    """Return whether some votes of an incident are left out while votes of its other accounts still count.

    The result is false for an incident that names no account, because its number of votes is only an estimate.
    """
    return bool(incident["accounts"] != 0 and 0 < incident["votes_left_out"] < incident["votes"])


def _are_left_out(incident: Mapping[str, Any]) -> bool:
    """Return whether some votes of the incident are left out, and no exclusion of them waits for the next refresh."""
    return bool(incident["votes_left_out"]) and not incident.get("awaits_refresh", False)


def _is_as_stated(incident: Mapping[str, Any], before: int, after: int) -> bool:
    return after != before and (after < before) == (incident["about"][0]["effect"] == "lifted")


def _moved(incident: Mapping[str, Any]) -> str:
    """Return " from #3 to #1" for a model that moved in the direction that the incident states; otherwise ""."""
    places = places_of(incident)
    return f" from #{places[0]} to #{places[1]}" if places is not None and _is_as_stated(incident, *places) else ""


def _unmoved(incident: Mapping[str, Any]) -> str:
    """Return a clause about a model that did not move in the direction that the incident states."""
    places = places_of(incident)
    about = incident["about"][0]
    if places is None or about["effect"] not in _CHANGED or _is_as_stated(incident, *places):
        return ""
    before, after = places
    if before == after:
        return f"; its rank stayed #{after}"
    return f"; its rank still {'fell' if after > before else 'rose'} from #{before} to #{after}"


def _left_out(incident: Mapping[str, Any], private: Mapping[str, Any] | None) -> str:
    left_out = incident["votes_left_out"]
    if not left_out:
        return ""
    if some_still_count(incident) and incident.get("rank") is not None and _are_left_out(incident):
        return ""  # `_standing` says it together with the ranks
    are = "is" if left_out == 1 else "are"
    theirs = f"{count(left_out, 'vote')} {are}"
    if some_still_count(incident):
        theirs = f"{_part(incident)} {are}"
    elif incident["accounts"] != 0:
        theirs = f"{left_out:,} of {'them' if private is None else 'their votes'} {are}"
    return f"; {theirs} left out{' from the next refresh on' if incident.get('awaits_refresh') else ''}"


def _part(incident: Mapping[str, Any]) -> str:
    """Return which part of an incident's votes is left out: "6 of the 8 accounts (1,005 of the 1,279 votes)"."""
    votes = f"{incident['votes_left_out']:,} of the {count(incident['votes'], 'vote')}"
    without, accounts = incident["accounts_left_out"], incident["accounts"]
    if not accounts or not without or without == accounts:  # None: so few that the public does not read how many
        return votes
    return f"{without:,} of the {count(accounts, 'account')} ({votes})"


def _standing(incident: Mapping[str, Any]) -> str:
    """Return a clause with the rank of the incident's model on the defended board.

    The clause is "" if the rank is not known, or if no vote of the incident is left out yet.
    """
    rank = incident.get("rank")
    if rank is None or not _are_left_out(incident):
        return ""
    if some_still_count(incident):
        raw, defended = rank["raw"], rank["defended"]
        both = (
            f"#{raw} counting all votes and now" if raw == defended else f"#{raw} counting all votes; #{defended} now"
        )
        return f"; {both}, with {_part(incident)} left out"
    same = " with or" if rank["raw"] == rank["defended"] else ""
    return f";{same} without them it stands at #{rank['defended']}"
