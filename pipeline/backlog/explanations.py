"""Names the alternatives that explain the votes of a voter best.

An alternative is one way of not being honest, such as promoting a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.backlog.band_values import generic_evidence, generic_sums, target_evidence
from pipeline.backlog.voter_values import VoterEvaluator, log_cells
from pipeline.detectors.voter.voter_bias.evidence_path import GENERIC
from pipeline.evidence import DELTAS, E_UNIT, Reference
from pipeline.evidence.cells import WEIGHTS
from pipeline.vocabulary.arrays import Bool

_VERBS = ("promotes", "demotes")
_SUFFIXES = ("", " all models of the provider of")
# The most alternatives that are named, and ln of the largest ratio of one of them.
_NAMED, _MAX_LOG = 3, 600.0


def explain_voters(evaluator: VoterEvaluator, reference: Reference, who: Bool) -> dict[int, list[dict[str, Any]]]:
    """Find the alternatives that contribute most to each voter's e-value.

    A voter has two e-values, and this function explains their average.

    Args:
        evaluator: has the votes and their cells.
        reference: the reference that evaluated the voters.
        who: bool[v], the voters to explain.

    Returns:
        Position of a voter → up to three alternatives, the largest share first. Each is a dictionary: "what" is a text
            for people, and "share" is the alternative's share of the e-value, from 0 to 1. An alternative about a model
            also has "model", the model's number in the backlog, and "delta", the size of the bias in logits. In an
            alternative about a provider, "what" says so, and "model" is one of the provider's models.
    """
    votes, cells = evaluator.votes, evaluator.cells
    ranked = evaluator.ranked.of_voters(cells, who)
    sums = generic_sums(votes, np.flatnonzero(who[votes.voter]), reference)
    generic = generic_evidence(sums) * E_UNIT
    found: dict[int, dict[tuple[Any, ...], float]] = {
        v: {(what,): float(share) for what, share in zip(GENERIC, generic[v], strict=True)}
        for v in np.flatnonzero(who).tolist()
    }
    band = target_evidence(votes, cells, ranked, reference).reshape(-1, len(_VERBS), len(DELTAS)) * E_UNIT / 2
    _add(found, cells.voter[ranked.cell], cells.model[ranked.cell], band)
    for one, suffix in zip(evaluator.weighted_cells(reference, who, ranked), _SUFFIXES, strict=False):
        logs = log_cells(one.counts, reference, reference.taste.upper).reshape(-1, *WEIGHTS.shape)
        mixture = (np.exp(np.minimum(logs, _MAX_LOG)) * WEIGHTS).sum(axis=2) * one.weight[:, None, None] / 2
        _add(found, one.voter, one.key, mixture, suffix)
    return {v: _largest(parts) for v, parts in found.items()}


def _add(found: dict[int, dict[tuple[Any, ...], float]], voter: Any, model: Any, parts: Any, suffix: str = "") -> None:
    """Add the evidence about c cells to what was found about their voters.

    Args:
        found: voter → (verb, model or provider, δ) → evidence; changed in place.
        voter, model: int[c], the voter of each cell, and its model or provider.
        parts: [c, verbs, δ], the evidence of each cell for each verb (promotes, …) and δ.
        suffix: text that is appended to the verb.
    """
    for v, m, by_verb in zip(voter.tolist(), model.tolist(), parts.tolist(), strict=True):
        for verb, by_size in zip(_VERBS, by_verb, strict=True):
            for delta, share in zip(DELTAS, by_size, strict=True):
                key = (verb + suffix, m, delta)
                found[v][key] = found[v].get(key, 0.0) + share


def _largest(parts: dict[tuple[Any, ...], float]) -> list[dict[str, Any]]:
    whole = sum(parts.values()) or 1.0
    best = sorted(parts.items(), key=lambda one: (-one[1], str(one[0])))[:_NAMED]
    names = ("what", "model", "delta")
    return [{**dict(zip(names, key, strict=False)), "share": round(share / whole, 3)} for key, share in best]
