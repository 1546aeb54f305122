"""Maximises a likelihood of the strengths of K models and one more parameter, by a damped Newton method.

A row is a pair of models (a, b) with its votes. The likelihood of a row depends on d = θ_a − θ_b and on the parameter
φ only. `tie_models` and `pair_covariate` give the terms of the likelihood; all are concave in (θ, φ).

No step decreases the likelihood. The strengths have mean zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..errors import NotConverged
from ..vocabulary.arrays import Float64, Int32
from .blas_threads import single_blas_thread

_STEPS = 100
_HALVINGS = 40
_TOLERANCE = 1e-10
# Relative rounding of a sum, by which the likelihood may seem to decrease at its maximum.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class RowTerms:
    """The log-likelihood of R rows, and its derivatives by d and φ.

    d is the difference θ_a − θ_b of a row. φ is the other parameter, one number for all rows.

    Attributes:
        value: the log-likelihood of all rows; −inf if the value of φ is not allowed.
        by_d, by_phi: float64[R], first derivatives of each row by d and by φ.
        by_dd, by_dphi, by_phiphi: float64[R], negative second derivatives of each row.
    """

    value: float
    by_d: Float64
    by_phi: Float64
    by_dd: Float64
    by_dphi: Float64
    by_phiphi: Float64


Likelihood = Callable[[Float64, float], RowTerms]
"""A function that computes the log-likelihood of R rows and its derivatives, from d (float64[R]) and the number φ."""


@dataclass(frozen=True, slots=True, eq=False)
class ParameterFit:
    """The maximum-likelihood estimates of K strengths and one more parameter φ.

    Attributes:
        theta: float64[K], strengths in logits, with mean zero.
        phi: the other parameter.
        hessian: float64[K + 1, K + 1], the observed information of (θ, φ).
    """

    theta: Float64
    phi: float
    hessian: Float64

    def covariance(self, scatter: Float64 | None = None) -> Float64:
        """Return the covariance of (θ, φ), float64[K + 1, K + 1].

        Without `scatter` it is H⁺, the pseudo-inverse of the information. With the matrix B in `scatter` it is the
        sandwich H⁺ B H⁺.

        Raises:
            NotConverged: the information is singular in float64.
        """
        size = len(self.theta)
        inverse = _solve(self.hessian, np.eye(size + 1))
        if inverse is None:
            raise NotConverged(0, float("inf"))
        centre = np.eye(size + 1)
        centre[:size, :size] -= 1 / size
        inverse = centre @ inverse @ centre
        return inverse if scatter is None else inverse @ scatter @ inverse


@single_blas_thread
def maximise_with_parameter(
    a: Int32, b: Int32, size: int, likelihood: Likelihood, start: tuple[Float64, float]
) -> ParameterFit:
    """Find the strengths and the parameter that maximise a likelihood.

    Args:
        a, b: int32[R], codes of the two models of each row.
        size: K, the number of models.
        likelihood: computes the `RowTerms` of all rows.
        start: a pair to start from: the strengths, float64[K], and the parameter.

    Raises:
        NotConverged: no step increases the likelihood, the steps are used up, or the information is singular in
            float64.
    """
    theta, phi = start[0] - start[0].mean(), start[1]
    norm = float("inf")
    for done in range(_STEPS):
        terms = likelihood(theta[a] - theta[b], phi)
        gradient, hessian = _assembled(a, b, size, terms)
        norm = float(np.abs(gradient).max())
        step = _solve(hessian, gradient)
        if step is None:
            raise NotConverged(done, norm)
        if np.abs(step).max() <= _TOLERANCE:
            return ParameterFit(theta, phi, hessian)
        floor = terms.value - _ROUNDING * abs(terms.value)
        for halving in range(_HALVINGS):
            move = step * 0.5**halving
            try_theta, try_phi = theta + move[:size], phi + float(move[size])
            if likelihood(try_theta[a] - try_theta[b], try_phi).value >= floor:
                theta, phi = try_theta - try_theta.mean(), try_phi
                break
        else:
            raise NotConverged(done, norm)
    raise NotConverged(_STEPS, norm)


def _assembled(a: Int32, b: Int32, size: int, terms: RowTerms) -> tuple[Float64, Float64]:
    """Return the gradient by (θ, φ), float64[K + 1], and the information, float64[K + 1, K + 1], as sums over rows."""
    gradient, hessian = np.empty(size + 1), np.zeros((size + 1, size + 1))
    gradient[:size] = _by_model(a, b, size, terms.by_d)
    gradient[size] = terms.by_phi.sum()
    edges = np.bincount(a.astype(np.int64) * size + b, terms.by_dd, size * size).reshape(size, size)
    edges = edges + edges.T
    hessian[:size, :size] = np.diag(edges.sum(axis=1)) - edges
    hessian[size, :size] = hessian[:size, size] = _by_model(a, b, size, terms.by_dphi)
    hessian[size, size] = terms.by_phiphi.sum()
    return gradient, hessian


def _by_model(a: Int32, b: Int32, size: int, values: Float64) -> Float64:
    return np.asarray(np.bincount(a, values, size) - np.bincount(b, values, size), dtype=np.float64)


def _solve(hessian: Float64, right: Float64) -> Float64 | None:
    """Solve H x = right; None if H is singular in float64 even after the change below.

    H maps a shift of all strengths to zero, because such a shift changes no probability. So a multiple of 11ᵀ is first
    added to the part of H that belongs to the strengths.
    """
    size = len(hessian) - 1
    regular = hessian.copy()
    regular[:size, :size] += np.trace(hessian[:size, :size]) / size**2
    try:
        result: Float64 = cho_solve(cho_factor(regular, check_finite=False), right, check_finite=False)
    except LinAlgError:
        return None
    return result if np.isfinite(result).all() else None
