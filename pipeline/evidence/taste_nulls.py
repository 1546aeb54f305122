"""Computes likelihood ratios of counts against honest voters of unknown taste and share of ties ("mixture null").

An honest voter's logit of a win of model m differs from the board's by s z. Here z is standard normal, and s is the
board's taste. A mean chance p over the voter's votes on m becomes p(z) = σ(logit p + c + s z). The number c makes the
mean over z equal to p. z takes the values of `_NODES`. Each node is the upper end of an interval of z, and has the
probability of this interval. So this approximation never makes wins rarer. At the last node, infinity, the voter always
wins.

Ratios of W wins in d decided battles, for each size δ of a bias in `DELTAS`:

    e^(δW) / E_z (1 + p(z)(e^δ − 1))^d

Given z, the expectation of the numerator is at most the denominator's term, since Π(1 + p_i x) ≤ (1 + p x)^d for
chances p_i with mean p. So the expectation of the ratio is at most 1, for every d.

The share t of ties of a voter has a beta distribution: the posterior after the voter's votes outside the cell. This
distribution is made wider by `TIE_SPREAD`, since models differ too in how often they tie. t takes the values of a grid.
Let n votes have k ties and X losses. κ is in `TIES_KEPT`, f is the factor by which unequal models tie more rarely, and
b = 2 − e^(−δ). Three ratios use t:

    too few ties          E_t (κft)^k (1 − κft)^(n−k) / E_t (ft)^k (1 − ft)^(n−k)
    too few losses        e^(−δX) / E_t,z (1 + (1 − t)(1 − p(z))(e^(−δ) − 1))^n
    losses became ties    b^k e^(−δX) / E_t,z (1 + t (b − 1) + (1 − t)(1 − p(z))(e^(−δ) − 1))^n

The last ratio is large if there are too many ties and too few losses. A strong taste for the model can explain that
losses are rare, but not that ties are frequent, since it makes wins more frequent instead.

Source: mixture null and method of moments e-values (Ramdas et al. 2023, "Game-theoretic statistics and safe
anytime-valid inference", section 3); own construction for taste.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtr

from pipeline.evidence.honest_reference import DELTAS
from pipeline.evidence.tie_ratios import TIES_KEPT
from pipeline.vocabulary.arrays import Float64

TIE_SPREAD = 0.25
"""Standard deviation of the difference, in logits, between a voter's shares of ties on one model and on all models."""

EVEN_TIES = 1.05
"""Share of ties between equal models divided by the share over all pairs, measured on a real board."""

MOST_TOLD = 11.0
"""Largest log-likelihood ratio of too many ties on a model (`told_ratios`). A voter may have a reason to tie more on
one model, so these ratios alone must not suffice to exclude a voter. Together with other ratios, such as the ratio of
too few losses, the same votes may exclude a voter."""

_NODES = np.array([-2, -1, -0.5, *np.arange(-0.25, 3.01, 0.25), 3.5, 4, 4.5, 5, 5.5, 6, 6.5, np.inf])
_WEIGHTS = np.diff(ndtr(_NODES), prepend=0.0)
# Where the mean of p(z) is computed: inside the intervals, so that p(z) at their ends has a larger mean.
_INSIDE = np.array([-2.4, *(_NODES[:-2] + _NODES[1:-1]) / 2, 7.0])
# Every second interval joins the next one where ties and taste are integrated out together: half the time.
_JOINED = np.append(np.arange(1, len(_NODES) - 1, 2), len(_NODES) - 1)
_JOINED_WEIGHTS = np.diff(ndtr(_NODES[_JOINED]), prepend=0.0)
_TIE_NODES = np.linspace(-3.2, 3.2, 9)
_SIZES = np.array(DELTAS)
_KEPT = np.array(TIES_KEPT)
_LEAST = 1e-9


def chances_by_taste(p: Float64, sd: float | Float64) -> Float64:
    """Return the chance of a win for each value of the taste: float64[n, nodes], with one column for each of `_NODES`.

    Args:
        p: float64[n], mean chances of a win over all tastes.
        sd: s, the standard deviation of tastes, in logits: one number, or float64[n].
    """
    p, sd = np.clip(p, _LEAST, 1 - _LEAST), np.asarray(sd, dtype=np.float64)
    logit = np.log(p) - np.log1p(-p)
    shift, spread = logit * (np.sqrt(1 + 0.346 * sd**2) - 1), sd[..., None]
    for _ in range(4):  # Newton on the logit of the mean, which is nearly a straight line
        inside = expit((logit + shift)[:, None] + spread * _INSIDE)
        mean, slope = _mean(inside), _mean(inside * (1 - inside))
        shift += (logit - np.log(mean) + np.log1p(-mean)) * mean * (1 - mean) / slope
    nodes = np.concatenate([spread * _NODES[:-1], np.full_like(spread, np.inf)], axis=-1)
    return np.asarray(expit((logit + shift)[:, None] + nodes))


def win_ratios(wins: Float64, decided: Float64, chances: Float64) -> Float64:
    """Return float64[n, 3], the log-likelihood ratio of W wins in d decided battles, for each δ in DELTAS.

    The alternative is that the logit of each win is δ higher than an honest voter's logit, with unknown taste.

    Args:
        wins, decided: float64[n], number W of wins and number d of decided battles in each cell.
        chances: float64[n, nodes], the chance of a win for each value of the taste, from `chances_by_taste`.
    """
    grown = np.log1p(chances[:, None, :] * np.expm1(_SIZES)[:, None]) * decided[:, None, None]
    return np.asarray(wins[:, None] * _SIZES - _log_mean(grown, _WEIGHTS))


def tie_shares(own_ties: Float64, own_votes: Float64, prior: tuple[float, float]) -> tuple[Float64, Float64]:
    """Compute the distribution of a voter's share t of ties in a cell, given the voter's votes outside the cell.

    Args:
        own_ties, own_votes: float64[n], number of the voter's ties and votes outside each of n cells.
        prior: α and β of the beta distribution of the share of ties over voters.

    Returns:
        Two arrays, float64[n, g] each: g values of t, and the logarithms of their probabilities.
    """
    a, b = prior[0] + own_ties, prior[1] + own_votes - own_ties
    variance = 1 / a + 1 / b
    kept = variance / (variance + TIE_SPREAD**2)
    a, b = a * kept, b * kept
    x = np.log(a / b)[:, None] + np.sqrt(1 / a + 1 / b)[:, None] * _TIE_NODES
    density = a[:, None] * x - (a + b)[:, None] * np.logaddexp(0, x)
    return expit(x), np.asarray(density - _log_mean(density, None)[:, None])


def tie_ratios(ties: Float64, votes: Float64, factor: Float64, shares: tuple[Float64, Float64]) -> Float64:
    """Return float64[n, 3], the log-likelihood ratio of too few ties in each cell, for each factor κ in TIES_KEPT.

    The alternative is that a tie is κ times as likely as for an honest voter. The null hypothesis is that the voter's
    share of ties has the distribution `shares`.

    Args:
        ties, votes: float64[n], number of ties and number of votes of each cell.
        factor: float64[n], mean over the votes of the factor by which unequal models tie more rarely, at most 1.
        shares: two arrays float64[n, g], the result of `tie_shares`.
    """
    k, d = ties[:, None], (votes - ties)[:, None]
    honest = np.clip(shares[0] * factor[:, None], _LEAST, 1 - _LEAST)
    below = _log_mean(shares[1] + k * np.log(honest) + d * np.log1p(-honest), None)
    rarer = honest[:, None, :] * _KEPT[:, None]
    above = shares[1][:, None] + k[:, None] * np.log(rarer) + d[:, None] * np.log1p(-rarer)
    return np.asarray(_log_mean(above, None) - below[:, None])


def loss_ratios(losses: Float64, votes: Float64, chances: Float64, shares: tuple[Float64, Float64]) -> Float64:
    """Return float64[n, 3], the log-likelihood ratio of the number of losses in each cell, for each δ in DELTAS.

    The alternative is that losses are rarer than for an honest voter.

    Args:
        losses, votes: float64[n], number of losses and number of votes, ties included, in each of n cells.
        chances: float64[n, nodes], from `chances_by_taste` with the mean chances over all votes.
        shares: two arrays float64[n, g], the result of `tie_shares`.
    """
    decided = 1 - np.minimum(shares[0] * EVEN_TIES, 1 - _LEAST)
    below = np.empty((len(losses), len(_SIZES)))
    lost = decided[:, :, None] * (1 - chances[:, None, _JOINED])
    for i, shrink in enumerate(np.expm1(-_SIZES)):
        grown = np.log1p(lost * shrink) * votes[:, None, None]
        below[:, i] = _log_mean(_log_mean(grown, _JOINED_WEIGHTS) + shares[1], None)
    return np.asarray(-losses[:, None] * _SIZES - below)


def told_ratios(
    ties: Float64, losses: Float64, votes: Float64, chances: Float64, shares: tuple[Float64, Float64]
) -> Float64:
    """Return float64[n, 3], the log-likelihood ratio of too many ties in each cell, for each δ in DELTAS.

    The null hypothesis is an honest voter. The alternative is a voter who votes "tie" where an honest voter votes
    against the model. The result is at most MOST_TOLD, so that many ties alone exclude nobody.

    Args:
        ties, losses, votes: float64[n], the numbers of ties, losses and all votes in each cell.
        chances: float64[n, nodes], from `chances_by_taste` with the mean chances over all votes.
        shares: the two arrays that `tie_shares` returns, float64[n, g].
    """
    tied = np.minimum(shares[0] * EVEN_TIES, 1 - _LEAST)
    below = np.empty((len(losses), len(_SIZES)))
    lost = (1 - tied)[:, :, None] * (1 - chances[:, None, _JOINED])
    for i, shrink in enumerate(np.expm1(-_SIZES)):
        grown = np.log1p(lost * shrink - (tied * shrink)[:, :, None]) * votes[:, None, None]
        below[:, i] = _log_mean(_log_mean(grown, _JOINED_WEIGHTS) + shares[1], None)
    return np.asarray(np.minimum(told_logs(ties, losses) - below, MOST_TOLD))


def told_logs(ties: Float64, losses: Float64) -> Float64:
    """Return float64[n, 3], the part of `told_ratios` that depends on a cell's counts, for each δ in DELTAS.

    It is ln(bᵏ e^(−δX)), the numerator of the likelihood ratio, for k ties and X losses, with b = 2 − e^(−δ).
    """
    return np.asarray(ties[:, None] * np.log1p(-np.expm1(-_SIZES)) - losses[:, None] * _SIZES)


def _mean(values: Float64) -> Float64:
    """Return float64[n], the mean over the distribution of tastes of each row of `values`, float64[n, nodes].

    The result of a row does not depend on the number of rows.
    """
    return np.asarray((values * _WEIGHTS).sum(axis=1))


def _log_mean(logs: Float64, weights: Float64 | None) -> Float64:
    """Return ln Σ w e^x over the last axis of `logs` (x), with the weights w; all w are 1 if `weights` is None."""
    top = logs.max(axis=-1)
    grown = np.exp(logs - top[..., None])
    return np.asarray(top + np.log(grown.sum(axis=-1) if weights is None else (grown * weights).sum(axis=-1)))
