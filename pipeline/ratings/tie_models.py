"""Fits two models in which a tie is an outcome of its own, instead of half a win for each side.

Let d = θ_a − θ_b, σ the logistic function and φ the tie parameter.

Rao & Kupper 1967 ("Ties in paired-comparison experiments", JASA 62, equation 2.2), with φ = ln of their threshold θ:
    P(a wins) = σ(d − φ),  P(b wins) = σ(−d − φ),  P(tie) = (e^(2φ) − 1) P(a wins) P(b wins)
Davidson 1970 ("On extending the Bradley-Terry model to accommodate ties", JASA 65, equation 2.4), with φ = ln ν:
    P(a wins) : P(b wins) : P(tie) = e^(d/2) : e^(−d/2) : e^φ

Both have a finite maximum if there is at least one tie and one decisive vote, and the win digraph is strongly
connected. A tie is an edge in both directions. A "both bad" vote counts as a tie.
"""

from __future__ import annotations

from math import exp, expm1, log

import numpy as np
from scipy.special import expit, log_expit

from ..errors import BadCounts
from ..vocabulary.arrays import Float64
from .pair_counts import PairCounts
from .pair_parameter import Likelihood, ParameterFit, RowTerms, maximise_with_parameter
from .win_graph import require_strongly_connected


def fit_rao_kupper(counts: PairCounts, start: Float64) -> ParameterFit:
    """Fit the model of Rao & Kupper by maximum likelihood.

    Args:
        counts: the votes. Their win digraph must be strongly connected.
        start: float64[K], strengths to start from, for example of the Bradley-Terry fit.

    Returns:
        The strengths, and φ (`phi`): the logarithm of the model's threshold, above 0.

    Raises:
        BadCounts: there are no ties, or no decisive votes.
        Disconnected, NotConverged: there is no finite estimate, or the fit does not converge.
    """
    wins_a, wins_b, ties = _columns(counts)
    for_a, for_b, total = wins_a + ties, wins_b + ties, float(ties.sum())
    weight = ties / total

    def terms(d: Float64, phi: float) -> RowTerms:
        if phi <= 0:
            return _not_allowed(d)
        p, q = expit(d - phi), expit(-d - phi)
        value = for_a @ log_expit(d - phi) + for_b @ log_expit(-d - phi) + total * log(expm1(2 * phi))
        lost_a, lost_b = for_a * (1 - p), for_b * (1 - q)
        curved_a, curved_b = lost_a * p, lost_b * q
        # d/dφ of total · ln(e^(2φ) − 1), and minus its second derivative; spread over the rows by their ties.
        slope, curve = 2 / -expm1(-2 * phi), 4 * exp(-2 * phi) / expm1(-2 * phi) ** 2
        return RowTerms(
            float(value), lost_a - lost_b, total * slope * weight - lost_a - lost_b, curved_a + curved_b,
            curved_b - curved_a, curved_a + curved_b + total * curve * weight,
        )  # fmt: skip

    share = total / counts.total
    return _maximum(counts, terms, start, max(log((1 + share) / (1 - share)), 1e-6))


def fit_davidson(counts: PairCounts, start: Float64) -> ParameterFit:
    """Fit the model of Davidson by maximum likelihood.

    Args:
        counts: the votes. Their win digraph must be strongly connected.
        start: float64[K], strengths to start from, for example of the Bradley-Terry fit.

    Returns:
        The strengths, and φ (`phi`): the logarithm of ν.

    Raises:
        BadCounts: there are no ties, or no decisive votes.
        Disconnected, NotConverged: there is no finite estimate, or the fit does not converge.
    """
    wins_a, wins_b, ties = _columns(counts)
    votes, won = wins_a + wins_b + ties, (wins_a - wins_b) / 2

    def terms(d: Float64, phi: float) -> RowTerms:
        logits = np.stack([d / 2, -d / 2, np.full_like(d, phi)])
        top = logits.max(axis=0)
        scale = top + np.log(np.exp(logits - top).sum(axis=0))
        p, q, t = np.exp(logits - scale)
        value = won @ d + ties.sum() * phi - votes @ scale
        mean = (p - q) / 2
        return RowTerms(
            float(value), won - votes * mean, ties - votes * t, votes * ((p + q) / 4 - mean**2), -votes * mean * t,
            votes * t * (1 - t),
        )  # fmt: skip

    total = float(ties.sum())
    return _maximum(counts, terms, start, log(2 * total / (counts.total - total)))


def _columns(counts: PairCounts) -> tuple[Float64, Float64, Float64]:
    ties = (counts.ties + counts.both_bad).astype(np.float64)
    wins_a, wins_b = counts.wins_a.astype(np.float64), counts.wins_b.astype(np.float64)
    if not ties.any() or not (wins_a.any() or wins_b.any()):
        raise BadCounts(f"expected ties and decisive votes, got {ties.sum():g} ties of {counts.total} votes")
    return wins_a, wins_b, ties


def _maximum(counts: PairCounts, terms: Likelihood, start: Float64, phi: float) -> ParameterFit:
    require_strongly_connected(counts.win_matrix(), counts.models)
    return maximise_with_parameter(counts.a, counts.b, len(counts.models), terms, (start, phi))


def _not_allowed(d: Float64) -> RowTerms:
    none = np.zeros_like(d)
    return RowTerms(-np.inf, none, none, none, none, none)
