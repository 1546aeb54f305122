"""Reduces an alert to what it states, a short form by which alerts are grouped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LIFTED, LOWERED, MORE = "lifted", "lowered", "more votes"
MODEL, PROVIDER, HABIT, NETWORK, BOARD, FACT = "model", "provider", "habit", "network", "board", "fact"

_VERBS = {"promotes": LIFTED, "promoted": LIFTED, "demotes": LOWERED, "demoted": LOWERED}
# Detectors of votes that come in numbers. Their votes may be honest, and what they share is only the moment.
_CROWDS = frozenset({"vote_burst", "traffic"})


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """What an alert states: a subject, and what happened to it.

    Attributes:
        kind: MODEL or PROVIDER if there are votes for or against it, or more votes on it than usual. HABIT if voters
            have a habit that is not about one model. NETWORK or BOARD if it has more votes than usual. FACT for every
            other statement of a detector or an audit.
        name: name of the model, provider or network; text of the habit; for a FACT the detector and its subject.
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
    """Return what an alert states.

    Args:
        alert: an alert as `pipeline.store.alerting.alert_queries` returns it, with "detector", "subject" ({"kind",
            "id"}), "direction" and "evidence". Models are given by name.

    >>> claim_of({"detector": "vote_burst", "subject": {"kind": "model", "id": "m"}, "direction": "", "evidence": {}})
    Claim(kind='model', name='m', effect='more votes')
    """
    detector, subject, evidence = alert["detector"], alert["subject"], alert["evidence"]
    if evidence.get("likeliest"):
        return _explanation(evidence["likeliest"][0])
    effect = _VERBS.get(str(alert["direction"]).partition(" ")[0]) or _effect_of_period(str(alert["direction"]))
    if effect is not None and subject["kind"] in (MODEL, PROVIDER):
        return Claim(subject["kind"], subject["id"], effect)
    if detector in _CROWDS:
        return Claim(subject["kind"], subject["id"], MORE)
    if subject["kind"] == "voter":
        return Claim(HABIT, detector)
    return Claim(FACT, f"{detector} {subject['id']}", str(alert["direction"]))


def _effect_of_period(direction: str) -> str | None:
    """Return the effect that an alert about a model's results in some weeks states."""
    return LIFTED if direction.startswith("wins more") else LOWERED if direction.startswith("wins less") else None


def _explanation(best: Mapping[str, Any]) -> Claim:
    """Return the claim of the best explanation of a voter's votes."""
    effect = _VERBS.get(str(best["what"]).partition(" ")[0])
    if effect is not None:
        for kind in (MODEL, PROVIDER):
            if kind in best:
                return Claim(kind, str(best[kind]), effect)
    return Claim(HABIT, str(best["what"]))
