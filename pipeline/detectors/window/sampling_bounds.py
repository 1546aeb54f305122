"""Computes how far a model's share of the votes may lie from its declared share although models are drawn as declared.

A policy declares the shares of battles, but detectors count votes. Voters complete battles with some models more often
than with others, an operator may avoid pairs of one provider, and weights may differ between categories. The declared
share of a model is therefore computed twice. By the usual rule, any two models may meet. By the other rule, only models
of different providers may meet. A model's share of the votes must lie within a factor 1 ± ε of one of these two shares.
ε is 0.15. If most models deviate, ε is larger: three times the spread of all models' deviations beyond the noise of
sampling, at most 0.5. This spread is a median, so a few models that are drawn wrongly do not change it.

If the operator publishes the battles that it shows (`battle.issued`), these battles are counted, and ε is 0.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.registry import RegistryState
from pipeline.vocabulary.arrays import Float64

TOLERANCE, MOST_TOLERANCE = 0.15, 0.5
"""The least and the largest ε. A model's share of the votes may be its declared share times 1 − ε to 1 + ε."""

_SPREADS = 3.0
# Fewer models give no spread.
_FEWEST_MODELS, _FEWEST_VOTES = 8, 5.0
_MAD_TO_SD = 1.4826


def other_rule(appearance: Mapping[str, float], weights: Mapping[str, float], registry: RegistryState) -> Float64:
    """Return the probability that a battle includes each model, float64[m], if pairs of one provider are avoided.

    The first model is drawn by weight, and the second by weight among the models of other providers. If one provider
    has all the weight, the probabilities in `appearance` are returned.

    Args:
        appearance: model → probability by the usual rule, by which any two models may meet. The result has the order of
            this mapping.
        weights: model → declared weight.
        registry: has the provider of each model. A model without a provider is treated as a provider of its own.
    """
    names = list(appearance)
    w = np.array([weights[name] for name in names], dtype=np.float64)
    p = w / w.sum()
    owners = [registry.provider_of(name) or f"\x1f{name}" for name in names]
    _, owner = np.unique(np.array(owners, dtype=np.str_), return_inverse=True)
    own = np.bincount(owner, weights=p)
    rest = 1 - own
    if len(own) < 2 or (rest <= 0).any():
        return np.array(list(appearance.values()))
    drawn = p / rest[owner]
    # The second model: Σ over first models of other providers.
    return np.asarray(p + p * (drawn.sum() - np.bincount(owner, weights=drawn)[owner]))


def tolerance(chosen: Sequence[int] | Float64, votes: Float64, theta: Float64) -> float:
    """Return ε: a model's share of the votes may lie within a factor 1 ± ε of its declared share.

    ε is TOLERANCE if too few models have enough votes to estimate the spread of deviations.

    Args:
        chosen: int or float64[m], number of counted votes of each model (one side of each battle is counted).
        votes: float64[m], number of counted votes of each model's group.
        theta: float64[m], declared share of each model in its group.
    """
    expected = votes * theta
    enough = expected >= _FEWEST_VOTES
    if enough.sum() < _FEWEST_MODELS:
        return TOLERANCE
    deviation = np.abs(np.asarray(chosen)[enough] / expected[enough] - 1)
    noise = (1 - theta[enough]) / expected[enough]
    spread = max((_MAD_TO_SD * np.median(deviation)) ** 2 - float(np.median(noise)), 0.0) ** 0.5
    return float(np.clip(_SPREADS * spread, TOLERANCE, MOST_TOLERANCE))
