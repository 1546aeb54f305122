"""Names the alternatives that explain a voter's votes best.

An alternative is one way of not being honest, such as promoting a model. A model is named only if the voter's decided
battles on it, or its losses, differ from what an honest voter has. Evidence that comes only from rare ties is reported
as FEW_TIES, without a model. If clicks at random explain the votes better than every other alternative, only this
alternative is named. A voter with nearly all battles on one model shows nothing about other models, so "against the
rating" is not named: a campaign for a weak model also votes against the rating.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.detectors.voter.voter_bias.cell_counts import CellsOfVotes
from pipeline.detectors.voter.voter_bias.evidence_path import GENERIC
from pipeline.detectors.voter.voter_bias.mixture_evidence import MixtureEvidence, large_cells
from pipeline.evidence import DELTAS, LOG_UNIT
from pipeline.evidence.cell_counts import CellCounts
from pipeline.evidence.cells import KINDS, VERBS, WEIGHTS, honest_chances, log_bounds, log_ratios

AT_RANDOM = "votes at random"
FEW_TIES = "casts few ties"
_NAMED = 3
_NEARLY_ALL = 0.9
_Key = tuple[str, int | None]


def explain(mixture: MixtureEvidence, vote: int, random: int) -> list[dict[str, Any]]:
    """Return up to three alternatives with the largest shares of the evidence after a vote, largest first.

    Args:
        mixture: the evidence.
        vote: position of the vote in the batch of `mixture`.
        random: ln of the likelihood ratio of a voter who clicks at random to an honest voter, in units of 2⁻²⁰ nats.

    Returns:
        A dictionary for each alternative. "what" describes it, and "share" is its share of the evidence. An alternative
            about a model also has "model", its model number (model_no), and "delta", the size of the bias. An
            alternative about a provider names one of the provider's models, and "what" says so.
    """
    looks = np.array([vote])
    (_, models), _ = parts = mixture.parts(looks)
    rows, _ = large_cells(models)
    best = float(log_bounds(models.counts.take(rows), mixture.reference).max(initial=0.0))
    habits, swapped = mixture.habits(vote, models)
    best = max(best, float(mixture.path.generic[vote].max()) * LOG_UNIT, swapped)
    if random * LOG_UNIT > best:
        return [{"what": AT_RANDOM, "share": 1.0}]
    about, generic = mixture.path.shares(vote)
    found: dict[_Key, list[tuple[float, float]]] = {
        (what, None): [(0.0, part + more)] for (what, part), more in zip(generic, habits, strict=True)
    }
    carried = _carried(models)
    for verb, model, delta, part in about:
        key: _Key = (verb, model) if (verb, model) in carried else (FEW_TIES, None)
        found.setdefault(key, []).append((delta, part))
    for (weight, cells), suffix in zip(parts, ("", " all models of the provider of"), strict=True):
        _add(found, mixture, cells, weight, suffix)
    if _on_one_model(models.counts):
        found.pop((GENERIC[2], None), None)
    return _largest(found)


def _on_one_model(counts: CellCounts) -> bool:
    """Return whether one model is in nearly all decided battles of a voter, whose cells of models are given."""
    decided = counts.wins + counts.losses
    # A battle is in the cells of both its models.
    return bool(2 * decided.max(initial=0) >= _NEARLY_ALL * decided.sum() > 0)


def _add(
    found: dict[_Key, list[tuple[float, float]]],
    mixture: MixtureEvidence,
    cells: CellsOfVotes,
    weight: float,
    suffix: str,
) -> None:
    """Add to `found` what each alternative about a cell contributes to the evidence, as (δ, contribution).

    Args:
        found: (text, number of the cell's model or provider) → contributions; changed in place.
        mixture: the evidence.
        cells: the voter's cells, either of models or of providers.
        weight: total weight of the alternatives about these cells.
        suffix: added to the text of each alternative.
    """
    rows, share = large_cells(cells)
    logs = log_ratios(cells.counts.take(rows), mixture.reference, mixture.reference.taste.upper)
    parts = np.exp(np.minimum(logs, 600.0)) * WEIGHTS * (weight * share)[:, None, None, None]
    carried = _carried(cells)
    for number, of_cell in zip(cells.key[rows].tolist(), parts, strict=True):
        for verb, of_verb in zip(VERBS, of_cell, strict=True):
            for kind, of_kind in zip(KINDS, of_verb, strict=True):
                named = kind == KINDS[2] or (verb, number) in carried
                key: _Key = (verb + suffix, number) if named else (FEW_TIES, None)
                found.setdefault(key, []).extend(zip(DELTAS, of_kind.tolist(), strict=True))


def _carried(cells: CellsOfVotes) -> set[tuple[str, int]]:
    """Return the pairs (verb, key of a cell) for which the cell's decided battles support the verb.

    "promotes" is supported if the model wins more of these battles than with an honest voter. "demotes" is supported if
    it wins fewer.
    """
    found = set()
    for verb, counts in zip(VERBS, (cells.counts, cells.counts.turned()), strict=True):
        found |= {(verb, int(key)) for key in cells.key[_more_wins(counts)]}
    return found


def _more_wins(counts: CellCounts) -> Any:
    decided = (counts.wins + counts.losses).astype(np.float64)
    return counts.wins > decided * honest_chances(counts.high, counts.against, decided, 0.0)[0]


def _largest(found: dict[_Key, list[tuple[float, float]]]) -> list[dict[str, Any]]:
    whole = sum(part for parts in found.values() for _, part in parts) or 1.0
    sums = {key: sum(part for _, part in parts) for key, parts in found.items()}
    best = sorted(sums, key=lambda key: (-sums[key], str(key)))[:_NAMED]
    named = []
    for what, model in best:
        one: dict[str, Any] = {"what": what}
        if model is not None:
            one |= {"model": model, "delta": max(found[what, model], key=lambda pair: pair[1])[0]}
        named.append({**one, "share": round(sums[what, model] / whole, 3)})
    return named
