"""Writes the text of an incident, for the command line and the pages.

The text says what happened, how sure it is, what was done, and what to do. An incident groups the alerts of one
campaign. It is the body of a stored incident, or its public form (`pipeline.store.alerting.public_incidents`), which
has no accounts, networks or exact times: its headline says what votes did, to the hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.alert_text import format_e_value

_VERB = {"lifted": "lifted", "lowered": "lowered"}
_CONFIDENCE = ((1e8, "practically certain"), (1e6, "very strong"), (1e4, "strong"), (1e2, "moderate"))
_HABITS = {
    "always votes for the left side": "always choose the left answer",
    "always votes for the right side": "always choose the right answer",
    "votes against the rating": "choose the weaker model",
    "clicks at random": "vote no better than at random",
    "voter_rate": "vote faster than anybody can read",
    "duplicate_votes": "vote on the same battle again and again",
    "voter_share": "share one id",
}


def confidence(e_value: float | None) -> str:
    """Return how sure an incident is, as words and the e-value; None is the e-value of a recorded fact.

    >>> confidence(3e6)
    'very strong evidence (e-value 3,000,000)'
    """
    if e_value is None:
        return "a recorded fact, no statistical test"
    word = next((word for least, word in _CONFIDENCE if e_value >= least), "weak")
    return f"{word} evidence (e-value {format_e_value(e_value)})"


def headline(incident: Mapping[str, Any], private: Mapping[str, Any] | None = None) -> str:
    """Return one sentence that says what happened.

    Args:
        incident: the public form of the incident.
        private: the operators' form, with networks and exact times. None gives the sentence for the public.
    """
    about = incident["about"][0]
    sentence = {"model": _effect, "provider": _effect, "habit": _habit, "network": _crowd, "board": _crowd}.get(
        about["kind"], _fact
    )(incident, about, private)
    begin = sentence if about["kind"] == "fact" else f"{sentence[0].upper()}{sentence[1:]}"  # a name keeps its case
    return f"{begin}{_left_out(incident)}{_standing(incident)}."


def explain_lines(incident: Mapping[str, Any], private: Mapping[str, Any] | None = None) -> list[str]:
    """Return the whole text of an incident, one string per line.

    Args:
        incident: the public form of the incident.
        private: the operators' form, with networks and exact times. None gives the text for the public.
    """
    first, last = ("begun_at", "last_at") if private is None else ("first", "last")
    counts = ", ".join(f"{number} {name}" for name, number in incident["detectors"].items())
    lines = [
        f"{incident['severity'].upper()}  incident {incident['id']}  {incident['state']}",
        f"What happened: {headline(incident, private)}",
        f"How sure: {confidence(incident['e_value'])}.",
        f"When: {(private or incident)[first][:16]} to {(private or incident)[last][:16]} UTC.",
        f"Alerts: {incident['alerts']} ({counts}).",
    ]
    also = [_about(one) for one in incident["about"][1:]]
    if also:
        lines.append(f"Merged with: {', '.join(also)}.")
    lines.append(f"What was done: {what_was_done(incident)}")
    return [*lines, *_what_to_do(incident)]


def _about(about: Mapping[str, str]) -> str:
    return " ".join(part for part in (about["kind"], about["name"], about["effect"]) if part)


def _actors(incident: Mapping[str, Any], private: Mapping[str, Any] | None) -> str:
    accounts, votes = incident["accounts"], incident["votes"]
    if accounts and private is not None:
        networks = len(private["networks"])
        where = f" on {count(networks, 'network')}" if networks else ""
        return f"{count(accounts, 'account')}{where}"
    if accounts != 0:  # None: so few that the public does not read how many
        return f"{count(votes, 'vote')} that fit no honest pattern"
    return f"about {count(votes, 'vote')} more than expected"


def _effect(incident: Mapping[str, Any], about: Mapping[str, str], private: Mapping[str, Any] | None) -> str:
    if about["effect"] == "more votes":
        return _crowd(incident, about, private)
    return f"{_actors(incident, private)} {_VERB[about['effect']]} {_name(about)}{_between(incident, private)}"


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
    return f"more votes than usual on {where}{_between(incident, private)}; nothing is unusual in how they were cast"


def _fact(incident: Mapping[str, Any], about: Mapping[str, str], _: Mapping[str, Any] | None) -> str:
    return incident["what"] or f"{about['name']}: {about['effect']}"


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


def _left_out(incident: Mapping[str, Any]) -> str:
    left_out = incident["votes_left_out"]
    return f"; {count(left_out, 'vote')} of theirs are left out" if left_out else ""


def _standing(incident: Mapping[str, Any]) -> str:
    """Return a clause with the model's rank with and without the excluded votes.

    Returns "" if the incident has no rank, if no votes are excluded, or if both ranks are equal.
    """
    rank = incident.get("rank")
    if rank is None or not incident["votes_left_out"] or rank["raw"] == rank["defended"]:
        return ""
    return f"; counting all votes it stands at #{rank['raw']}, without those left out at #{rank['defended']}"


def count(number: int, noun: str) -> str:
    """Return a number and a noun as text: "1 vote", "2,000 votes". The plural ends in s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def what_was_done(incident: Mapping[str, Any]) -> str:
    """Return what is left out because of an incident, and by whom, as a sentence without a first capital letter."""
    by = incident["excluded_by"]
    if not by:
        return "nothing is left out because of it."
    accounts = f" from {count(incident['accounts_left_out'], 'account')}" if incident["accounts_left_out"] else ""
    return f"{', '.join(by)} left out {count(incident['votes_left_out'], 'vote')}{accounts}."


def next_step(incident: Mapping[str, Any]) -> str:
    """Return what an operator should do about an incident, without commands: for the pages."""
    about = incident["about"][0]
    if incident["state"] == "resolved":
        return "Nothing: it is resolved."
    if about["kind"] == "fact":
        return "Ask the operator of the board; there are no votes to leave out."
    if about["kind"] in ("network", "board") or about["effect"] == "more votes":
        return "Look for an event that explains the visitors (a release, a news page). If there is one, resolve it."
    return (
        "Look at its accounts and its evidence. Leave their votes out, after a preview, or resolve it if it is honest."
    )


def _what_to_do(incident: Mapping[str, Any]) -> list[str]:
    name, kind = incident["id"], incident["about"][0]["kind"]
    if incident["state"] == "resolved":
        return [f"What to do: nothing; it is resolved. `integrity incidents reopen {name}` opens it again."]
    if kind == "fact":
        return ["What to do: ask the operator of the board; there are no votes to exclude."]
    if kind in ("network", "board") or incident["about"][0]["effect"] == "more votes":
        return [
            "What to do: look for an event that explains the visitors (a release, a news page). If there is one: "
            f"`integrity incidents resolve {name} --reason WHY`."
        ]
    return [
        f"What to do: inspect its votes (`integrity incidents show {name} --verbose`). Then leave them out with "
        f"`integrity incidents exclude {name} --reason WHY`, which shows a preview first, or close it with "
        f"`integrity incidents resolve {name} --reason WHY`."
    ]
