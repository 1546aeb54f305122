"""Contains baselines: rules against manipulated votes that others have published, for comparison only.

Each rule computes a score from a voter's first 100 votes, and flags voters whose score reaches a threshold. The rules
use the same snapshot as the detectors. If a formula needs a first model, the model with the lower number is taken,
because the published rules do not use the side of the screen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit

from pipeline.evidence import Reference, group_starts, running_sums
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.vocabulary.arrays import Bool, Float64, Int64
from pipeline.vocabulary.time import HOUR

VOTES_USED = 100
"""The number of votes of each voter that the rules evaluate."""

_LEAST_P = 1e-12
_UNIT = 2**20
# Fisher's test is evaluated after these votes; the paper draws them at random.
_CHECKPOINTS = (20, 40, 60, 80, 100)


@dataclass(frozen=True)
class Baseline:
    """A published rule that flags voters.

    Attributes:
        score: function from votes and the reference of a snapshot to a score for each voter, float64[voters]. A higher
            score is more suspicious.
        bar: the threshold. Voters with at least this score are flagged.
    """

    score: Callable[[VoterVotes, Reference], Float64]
    bar: float

    def flags(self, votes: VoterVotes, reference: Reference) -> Bool:
        """Evaluate the rule. Returns bool[voters], true for each voter that the rule flags."""
        return np.asarray(self.score(votes, reference) >= self.bar)


def outcome_probabilities(votes: VoterVotes, reference: Reference) -> tuple[Float64, Int64]:
    """Return for each vote the probabilities of a win, a loss and a tie, and the actual outcome.

    Args:
        votes: n votes, sorted by voter.
        reference: the ratings of a snapshot, with their covariance and the tie rates.

    Returns:
        Two arrays. "First" and "second" refer to the model numbers: the first model of a battle has the lower number.

        float64[n, 3]: probability that the first model wins, that the second model wins, and of a tie; NaN if the
        snapshot lacks one of the models.
        int64[n]: the column (0, 1 or 2) of the actual outcome.
    """
    a, b = reference.index_of(votes.model_a), reference.index_of(votes.model_b)
    known, turned = (a >= 0) & (b >= 0), votes.model_a > votes.model_b
    difference = np.where(known, reference.theta[a] - reference.theta[b], np.nan) * np.where(turned, -1, 1)
    t = reference.tie_share
    decided = (1 - t) * np.stack([expit(difference), expit(-difference)], axis=1)
    outcome = np.minimum(votes.outcome, 2).astype(np.int64)
    outcome = np.where(turned & (outcome < 2), 1 - outcome, outcome)
    return np.column_stack([decided, np.where(known, t, np.nan)]), outcome


def _p_values(votes: VoterVotes, reference: Reference) -> Float64:
    """Return float64[n], the p-value of each vote: the probability of an outcome at least as good for the first model.

    A win is better than a tie, and a tie is better than a loss. For unknown models the p-value is 1.
    """
    p, outcome = outcome_probabilities(votes, reference)
    at_least = np.stack([p[:, 0], np.ones(len(p)), p[:, 0] + p[:, 2]], axis=1)
    chosen = at_least[np.arange(len(p)), outcome]
    return np.asarray(np.clip(np.nan_to_num(chosen, nan=1.0), _LEAST_P, 1))


def _index_in_voter(votes: VoterVotes) -> Int64:
    """Return the index of each vote among its voter's votes, from 0."""
    order = np.arange(len(votes.voter))
    begin = order[group_starts(votes.voter)] if len(order) else order
    return np.asarray(order - np.repeat(begin, np.diff(np.append(begin, len(order)))))


def _first(votes: VoterVotes) -> VoterVotes:
    return votes.take(_index_in_voter(votes) < VOTES_USED)


def _running(values: Float64, votes: VoterVotes) -> Float64:
    units = np.floor(values * _UNIT).astype(np.int64)
    return np.asarray(running_sums(units, votes.voter, np.zeros(len(votes.names), dtype=np.int64)) / _UNIT)


def _highest(values: Float64, votes: VoterVotes) -> Float64:
    highest = np.full(len(votes.names), -np.inf)
    np.maximum.at(highest, votes.voter, values)
    return highest


def production_rule(votes: VoterVotes, reference: Reference) -> Float64:
    """Compute the scores of a rule that a public board has published, float64[voters].

    The score of a voter is the largest value of ln Π 1/(2p) within the first 100 votes. The product is over the votes
    so far, and p is the p-value of a vote's outcome.
    """
    votes = _first(votes)
    return _highest(_running(-np.log(2 * _p_values(votes, reference)), votes), votes)


def fisher(votes: VoterVotes, reference: Reference) -> Float64:
    """Compute scores by Fisher's method, float64[voters].

    The method is applied after 20, 40, 60, 80 and 100 votes. The score is 1 − 5 times the smallest of the five
    p-values. The p-value after n votes is P(χ² with 2n degrees of freedom ≥ −2 Σ ln p), where p is the p-value of a
    vote's outcome. Source: Chiang et al. 2024, section 5.3.
    """
    votes = _first(votes)
    sums, count = _running(-2 * np.log(_p_values(votes, reference)), votes), _index_in_voter(votes) + 1
    p = np.where(np.isin(count, _CHECKPOINTS), stats.chi2.sf(sums, 2 * count), 1.0)
    return 1 - len(_CHECKPOINTS) * -_highest(-p, votes)


def likelihood_ratio(votes: VoterVotes, reference: Reference) -> Float64:
    """Compute how unlikely each voter's outcomes are, float64[voters] (Huang et al. 2025).

    The score is the number of standard deviations by which Σ ln P(outcome) is below the sum of an honest voter. That
    sum is taken as normal, with the exact mean and variance for the same battles. The score is 0 if the snapshot can
    predict none of the voter's battles.
    """
    votes = _first(votes)
    p, outcome = outcome_probabilities(votes, reference)
    logs = np.log(np.clip(np.nan_to_num(p, nan=1.0), _LEAST_P, 1))
    weight = np.nan_to_num(p, nan=0.0)
    mean = (weight * logs).sum(axis=1)
    variance = (weight * logs**2).sum(axis=1) - mean**2
    seen = np.where(weight.any(axis=1), logs[np.arange(len(p)), outcome], 0.0)
    n = len(votes.names)
    total, expected, spread = (np.bincount(votes.voter, weights=w, minlength=n) for w in (seen, mean, variance))
    return np.asarray(np.divide(expected - total, np.sqrt(spread), out=np.zeros(n), where=spread > 0))


def fixed_rule(votes: VoterVotes, reference: Reference) -> Float64:  # noqa: ARG001
    """Compute each voter's largest number of votes within an hour, float64[voters].

    The rule gives no bound on the probability of false alarms.
    """
    order = np.lexsort((votes.at, votes.voter))
    voter, at = votes.voter[order], votes.at[order]
    # One time line for all voters, on which votes of different voters are more than an hour apart.
    line = at - at.min(initial=0) + voter * (int(np.ptp(at) if len(at) else 0) + 2 * HOUR)
    within = np.searchsorted(line, line + HOUR, side="left") - np.arange(len(line))
    most = np.zeros(len(votes.names))
    np.maximum.at(most, voter, within)
    return most


BASELINES: dict[str, Baseline] = {
    "production rule": Baseline(production_rule, float(np.log(1 / 0.05))),
    "Fisher": Baseline(fisher, 0.9),
    "likelihood ratio": Baseline(likelihood_ratio, float(stats.norm.isf(0.01))),
    "30 an hour": Baseline(fixed_rule, 31.0),
}
"""Name of a rule in the table → the rule with its published threshold.

The first three thresholds were published for false-alarm rates of 5%, 10% and 1%. No rate was published for the fourth.
"""
