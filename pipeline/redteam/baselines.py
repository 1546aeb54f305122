"""What others do against manipulated votes, from their published formulas: to stand beside, not to be used.

Each takes a voter's first hundred votes and says whether it would flag the voter. All judge by the same snapshot as
our detectors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import expit

from pipeline.alerts import VoterVotes
from pipeline.evidence import Reference, running_sums, starts

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

FIRST = 100
"""Votes of a voter that are looked at."""


def outcome_probabilities(votes: VoterVotes, reference: Reference) -> tuple[Floats, npt.NDArray[np.int64]]:
    """P(a wins), P(b wins), P(tie) of each vote, float64[n, 3], and which of them came true, int64[n].

    Votes on models that the snapshot lacks have NaN.
    """
    a, b = reference.index_of(votes.model_a), reference.index_of(votes.model_b)
    known = (a >= 0) & (b >= 0)
    difference = np.where(known, reference.theta[a] - reference.theta[b], np.nan)
    t = reference.tie_share
    decided = (1 - t) * np.stack([expit(difference), expit(-difference)], axis=1)
    return np.column_stack([decided, np.where(known, t, np.nan)]), np.minimum(votes.outcome, 2).astype(np.int64)


def _p_values(votes: VoterVotes, reference: Reference) -> Floats:
    """P(an outcome at least as good for a as this one): a win over a tie over a loss; 1 where nothing is known."""
    p, outcome = outcome_probabilities(votes, reference)
    at_least = np.stack([p[:, 0], np.ones(len(p)), p[:, 0] + p[:, 2]], axis=1)
    return np.nan_to_num(at_least[np.arange(len(p)), outcome], nan=1.0)


def _first(votes: VoterVotes) -> VoterVotes:
    order = np.arange(len(votes.voter))
    begin = order[starts(votes.voter)] if len(order) else order
    place = order - np.repeat(begin, np.diff(np.append(begin, len(order))))
    return votes.only(place < FIRST)


def production_rule(votes: VoterVotes, reference: Reference, alpha: float = 0.05) -> Flags:
    """M = Π 1/(2p), flagged when it ever reaches 1/α within the first hundred votes: the public board's rule."""
    votes = _first(votes)
    log_m = -np.log(2 * np.maximum(_p_values(votes, reference), 1e-12))
    units = np.floor(log_m * 2**20).astype(np.int64)
    running = running_sums(units, votes.voter, np.zeros(len(votes.names), dtype=np.int64))
    highest = np.full(len(votes.names), -(2**62), dtype=np.int64)
    np.maximum.at(highest, votes.voter, running)
    return np.asarray(highest >= np.log(1 / alpha) * 2**20)


def fisher(votes: VoterVotes, reference: Reference, alpha: float = 0.01) -> Flags:
    """−2 Σ ln p against χ² of 2n degrees: Fisher's combination, as in Chiang et al. 2024, section 5.3."""
    votes = _first(votes)
    sums = np.bincount(
        votes.voter, weights=-2 * np.log(np.maximum(_p_values(votes, reference), 1e-12)), minlength=len(votes.names)
    )
    count = np.bincount(votes.voter, minlength=len(votes.names))
    return np.asarray((count > 0) & (sums > stats.chi2.ppf(1 - alpha, 2 * np.maximum(count, 1))))


def likelihood_ratio(votes: VoterVotes, reference: Reference, alpha: float = 0.01) -> Flags:
    """Σ ln P(outcome) below what an honest voter's would be, at level α: the test of Huang et al. 2025.

    The honest distribution of the sum is taken as normal with the exact mean and variance of the battles shown.
    """
    votes = _first(votes)
    p, outcome = outcome_probabilities(votes, reference)
    safe = np.clip(np.nan_to_num(p, nan=1.0), 1e-12, 1)
    logs = np.log(safe)
    seen = logs[np.arange(len(p)), outcome]
    weight = np.nan_to_num(p, nan=0.0)
    mean = (weight * logs).sum(axis=1)
    variance = (weight * logs**2).sum(axis=1) - mean**2
    n = len(votes.names)
    total, expected, spread = (np.bincount(votes.voter, weights=w, minlength=n) for w in (seen, mean, variance))
    z = np.divide(total - expected, np.sqrt(spread), out=np.zeros(n), where=spread > 0)
    return np.asarray(z < stats.norm.ppf(alpha))


def fixed_rule(votes: VoterVotes, reference: Reference, most: int = 30) -> Flags:  # noqa: ARG001
    """More than thirty votes within any hour: a rule of thumb without an error rate."""
    order = np.lexsort((votes.at, votes.voter))
    voter, at = votes.voter[order], votes.at[order]
    # Times of one voter stand together, and no two voters' come within an hour of each other.
    line = at - at.min(initial=0) + voter * (int(np.ptp(at) if len(at) else 0) + 2 * 3_600_000_000)
    after = np.searchsorted(line, line + 3_600_000_000, side="left") - np.arange(len(line))
    flags = np.zeros(len(votes.names), dtype=np.bool_)
    flags[voter[after > most]] = True
    return flags


BASELINES: dict[str, Callable[[VoterVotes, Reference], Flags]] = {
    "production rule": production_rule,
    "Fisher": fisher,
    "likelihood ratio": likelihood_ratio,
    "30 an hour": fixed_rule,
}
"""By the name that the table shows."""
