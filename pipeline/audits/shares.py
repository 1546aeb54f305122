"""Computes shares of groups, their concentration (HHI) and their inequality (Gini coefficient).

Let the shares s_1 … s_K sum to 1. HHI = Σ s² (Herfindahl 1950, Hirschman 1945) lies between 1/K and 1.
Gini = Σ_i (2i − K − 1) s_(i) / K (Gini 1912), with the shares s_(i) in ascending order, lies between 0 and 1 − 1/K.

>>> shares({"x": 3, "y": 1})
{'x': 0.75, 'y': 0.25}
>>> hhi([3, 1]), gini([3, 1]), gini([2, 2])
(0.625, 0.25, 0.0)
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

import numpy as np

from pipeline.errors import BadCounts

OPEN, PROPRIETARY, UNKNOWN = "open", "proprietary", "unknown"

_NOT_SAID = frozenset({"", "-", "?", "n/a", "none", "other", "unknown"})
# Public tables misspell it ("Propretary", 62 rows of one board's history); no name of a licence is as similar.
_ALIKE = 0.9


def shares(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return for each name its amount divided by the sum of all amounts, in the order of `amounts`.

    Raises:
        BadCounts: an amount is negative or infinite (the message gives its name), or the sum is 0.
    """
    for name, amount in amounts.items():
        if not 0 <= amount < float("inf"):
            raise BadCounts(f"expected amounts of at least 0, got {amount} of {name}")
    total = sum(amounts.values())
    if total == 0:
        raise BadCounts(f"expected a sum above 0, got 0 over {len(amounts)} groups")
    return {name: amount / total for name, amount in amounts.items()}


def summed(groups: Iterable[str], amounts: Iterable[float]) -> dict[str, float]:
    """Sum the amounts of each group.

    Args:
        groups: the group of each amount.
        amounts: the amounts, as many as `groups`.

    Returns:
        Group → sum of its amounts, sorted by group.
    """
    result: dict[str, float] = {}
    for group, amount in zip(groups, amounts, strict=True):
        result[group] = result.get(group, 0.0) + float(amount)
    return dict(sorted(result.items()))


def hhi(amounts: Sequence[float]) -> float:
    """Return the concentration HHI: the probability that two units, drawn at random from all amounts, are of one group.

    Raises:
        BadCounts: an amount is negative or infinite, or the sum is 0.
    """
    return float(sum(share**2 for share in shares({str(i): a for i, a in enumerate(amounts)}).values()))


def gini(amounts: Sequence[float]) -> float:
    """Return the Gini coefficient: the mean absolute difference of two amounts divided by twice the mean amount.

    Raises:
        BadCounts: an amount is negative or infinite, or the sum is 0.
    """
    s = np.sort(list(shares({str(i): a for i, a in enumerate(amounts)}).values()))
    place = np.arange(1, len(s) + 1)
    return float(((2 * place - len(s) - 1) * s).sum() / len(s))


def license_group(license_name: str | None) -> str:
    """Return the group of a licence: open weights, proprietary, or unknown.

    >>> [license_group(name) for name in ("Proprietary", "Propretary", "Apache 2.0", "Llama 3.1 Community", "-")]
    ['proprietary', 'proprietary', 'open', 'open', 'unknown']
    """
    name = (license_name or "").strip().lower()
    if name in _NOT_SAID:
        return UNKNOWN
    return PROPRIETARY if SequenceMatcher(None, name, PROPRIETARY).ratio() >= _ALIKE else OPEN
