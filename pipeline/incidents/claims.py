"""Reduces an alert to a claim, the short form by which alerts are grouped into incidents.

A claim names a model, a provider, a habit, a network or a whole board, and says what happened to it: it was lifted or
lowered by votes, or it had more votes than usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LIFTED, LOWERED, MORE = "lifted", "lowered", "more votes"
MODEL, PROVIDER, HABIT, NETWORK, BOARD, FACT = "model", "provider", "habit", "network", "board", "fact"

_VERBS = {"promotes": LIFTED, "promoted": LIFTED, "demotes": LOWERED, "demoted": LOWERED}
_RESULTS = {"wins more": LIFTED, "wins less": LOWERED, "performs better": LIFTED, "performs worse": LOWERED}
AT_RANDOM = frozenset({"votes at random", "clicks at random"})
"""Habits of a voter whose votes show no aim."""

AIMLESS = AT_RANDOM | {"votes against the rating"}
"""Habits of a voter whose votes do not depend on which model is better. A few votes hardly tell these habits apart."""

# Detectors of votes that come in numbers. Their votes may be honest, and what they share is only the moment.
_CROWDS = frozenset({"vote_burst", "traffic"})


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """Represents what an alert states: a subject, and what happened to the subject.

    Attributes:
        kind: MODEL or PROVIDER if votes favour or harm the subject, or if there are more votes on it than usual. HABIT
            if the alert is about how a voter votes and not about one model. NETWORK or BOARD if the network or the
            whole board has more votes than usual. FACT for every other statement of a detector or an audit.
        name: name of the model, provider or network. For a HABIT, the text that describes the habit; if there is no
            text, the name of the detector. For a FACT, the name of the detector and the id of the alert's subject.
        effect: LIFTED, LOWERED or MORE; for a FACT the direction of the alert; empty for a habit.
    """

    kind: str
    name: str
    effect: str = ""

    @property
    def is_crowd(self) -> bool:
        """Whether the alert states only that there were more votes than usual."""
        return self.effect == MORE


def claim_of(alert: Mapping[str, Any]) -> Claim:
    """Return the claim of an alert.

    The first rule that applies decides the claim:

    1. If the evidence has explanations of a voter's votes ("likeliest"), the first explanation decides. If it promotes
       or demotes a model or provider, the claim is LIFTED or LOWERED; otherwise it is a HABIT with its text.
    2. An alert about a model or provider states LIFTED if its direction begins with a form of "promote", "wins more" or
       "performs better"; LOWERED for a form of "demote", "wins less" or "performs worse".
    3. An alert of the detector "vote_burst" or "traffic" states MORE about its subject.
    4. Another alert about a voter states a HABIT with the detector's name.
    5. Every other alert states a FACT.

    Args:
        alert: an alert as `pipeline.store.alerting.alert_queries` returns it, with "detector", "subject" ({"kind",
            "id"}), "direction" and "evidence". Models are given by name.

    >>> claim_of({"detector": "vote_burst", "subject": {"kind": "model", "id": "m"}, "direction": "", "evidence": {}})
    Claim(kind='model', name='m', effect='more votes')
    """
    detector, subject, evidence = alert["detector"], alert["subject"], alert["evidence"]
    if evidence.get("likeliest"):
        return _explanation(evidence["likeliest"][0])
    effect = _VERBS.get(str(alert["direction"]).partition(" ")[0]) or _effect_of_results(alert)
    if effect is not None and subject["kind"] in (MODEL, PROVIDER):
        return Claim(subject["kind"], subject["id"], effect)
    if detector in _CROWDS:
        return Claim(subject["kind"], subject["id"], MORE)
    if subject["kind"] == "voter":
        return Claim(HABIT, detector)
    return Claim(FACT, f"{detector} {subject['id']}", str(alert["direction"]))


def shift_of(claim: Claim) -> Claim | None:
    """Return the claim that votes lifted or lowered a model, given the claim that the model's results changed.

    None for any other claim. For example, a claim of `model_shift` with "wins more" gives LIFTED.
    """
    detector, _, model = claim.name.partition(" ")
    effect = _RESULTS.get(" ".join(claim.effect.split()[:2]))
    return Claim(MODEL, model, effect) if claim.kind == FACT and detector == "model_shift" and effect else None


def _effect_of_results(alert: Mapping[str, Any]) -> str | None:
    """Return LIFTED or LOWERED for an alert about changed results of a model.

    None for any other alert, and for an alert which says that the model itself changed.
    """
    if alert["evidence"].get("reading") == "change":
        return None
    return _RESULTS.get(" ".join(str(alert["direction"]).split()[:2]))


def _explanation(best: Mapping[str, Any]) -> Claim:
    """Return the claim of the best explanation: about the model or provider that it names, or else about a habit."""
    effect = _VERBS.get(str(best["what"]).partition(" ")[0])
    if effect is not None:
        for kind in (MODEL, PROVIDER):
            if kind in best:
                return Claim(kind, str(best[kind]), effect)
    return Claim(HABIT, str(best["what"]))
