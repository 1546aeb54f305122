"""Compares the order of models on a board with their order on another board, such as a ranking by usage.

The result has two rank correlations over the models on both boards: Kendall's τ_b (1945, Biometrika 33) and Spearman's
ρ (1904). It also has the models whose places differ most. Two names match if they are equal without case and
punctuation.

Blind spot: two boards that measure different things may both be right, so a disagreement is not a finding.

>>> opinion = second_opinion({"a": 1300, "b": 1200, "c": 1100, "d": 1000}, {"A": 9, "b": 1, "C": 5, "e": 2})
>>> opinion.common, round(opinion.tau, 2), opinion.apart[0]
(3, 0.33, RankDisagreement(model='b', place=2, other_place=3))
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from pipeline.errors import BadCounts


@dataclass(frozen=True, slots=True)
class RankDisagreement:
    """A model whose place differs between two boards.

    Attributes:
        model: name of the model.
        place: place on this board among the common models; 1 is best, and models with equal scores share the better
            place.
        other_place: place on the other board among the common models.
    """

    model: str
    place: int
    other_place: int


@dataclass(frozen=True, slots=True)
class BoardAgreement:
    """Measures of how well the orders of two boards agree.

    Attributes:
        common: number of models on both boards.
        tau: Kendall's τ_b, from −1 to 1.
        tau_p: p-value of `tau` for the null hypothesis that the two orders are independent.
        rho: Spearman's ρ, from −1 to 1.
        apart: models with different places, largest difference first.
    """

    common: int
    tau: float
    tau_p: float
    rho: float
    apart: tuple[RankDisagreement, ...]


def second_opinion(board: Mapping[str, float], other: Mapping[str, float]) -> BoardAgreement:
    """Compare the orders of two boards.

    Args:
        board: model → score on this board; higher is better.
        other: model → score on the other board; higher is better.

    Returns:
        Two rank correlations, and the models whose places differ.

    Raises:
        BadCounts: fewer than three models are on both boards.
    """
    named = {_plain(name): value for name, value in other.items()}
    common = sorted((name for name in board if _plain(name) in named), key=lambda name: (-board[name], name))
    if len(common) < 3:
        raise BadCounts(f"expected at least three models on both boards, got {common}")
    x = np.array([board[name] for name in common])
    y = np.array([named[_plain(name)] for name in common])
    places = scipy.stats.rankdata(-x, method="min"), scipy.stats.rankdata(-y, method="min")
    found = [RankDisagreement(name, int(a), int(b)) for name, a, b in zip(common, *places, strict=True) if a != b]
    tau = scipy.stats.kendalltau(x, y)
    return BoardAgreement(
        len(common), float(tau.statistic), float(tau.pvalue), float(scipy.stats.spearmanr(x, y).statistic),
        tuple(sorted(found, key=lambda one: (-abs(one.place - one.other_place), one.place))),
    )  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
