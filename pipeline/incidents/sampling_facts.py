"""Recognises the facts about how often models are drawn for battles. Such facts have one cause: the sampler.

If one model is drawn more often than declared, other models are drawn less often, and each of them raises an alert of
its own. So all such facts of about the same time are one group. If a model is drawn more often, it also gets more votes
than usual, which is a side effect. In turn, an attack on one model makes it seem to be drawn more often than declared.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.incidents.claims import FACT, MODEL, PROVIDER, Claim
from pipeline.vocabulary.time import DAY

SAMPLING = Claim(FACT, "sampling")
"""The claim that replaces the claims of all facts about sampling, so that they form one group."""

SAMPLING_GAP = 30 * DAY
"""The longest pause between facts about sampling in one group, in microseconds.

The pause is long because a fact about a rarely drawn model is found late.
"""

_DETECTORS = frozenset({"sampling_skew", "silent_deprecation", "sampling_fairness"})
_BOARD = "board"


def is_sampling(claim: Claim) -> bool:
    """Return whether a claim is a fact about how often models are drawn."""
    return claim.kind == FACT and claim.name.partition(" ")[0] in _DETECTORS


def is_about_board(claim: Claim) -> bool:
    """Return whether a claim is a fact about sampling on the whole board, which names no model."""
    return is_sampling(claim) and _subject(claim) == _BOARD


def drawn_more(claims: Iterable[Claim]) -> frozenset[str]:
    """Return the models and providers that are drawn more often than declared, according to facts about sampling."""
    return frozenset(_subject(one) for one in claims if is_sampling(one) and one.effect.startswith("more"))


def are_effect_of(claims: Iterable[Claim], attack: Claim) -> bool:
    """Return whether an attack explains facts about sampling.

    The facts must name the attack's target as drawn more often, and no other model or provider.
    """
    named = [one for one in claims if is_sampling(one) and not is_about_board(one)]
    return attack.kind in (MODEL, PROVIDER) and drawn_more(named) == {attack.name} == {_subject(one) for one in named}


def _subject(claim: Claim) -> str:
    return claim.name.partition(" ")[2]
