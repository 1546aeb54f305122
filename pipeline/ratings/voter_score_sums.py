"""Sums the scores of voters over votes (`voter_scores.VoterScores`). A verifier reads these sums and sees no voters."""

from dataclasses import dataclass

import numpy as np

from ..vocabulary.arrays import Bool, Int8, Int32, Int64
from .bradley_terry import Fit
from .clustered_sandwich import voter_scores
from .residuals import residuals
from .voter_scores import VoterScores

# Votes of which the scores are in memory at a time; about 100 bytes each.
_BLOCK = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class VoterBattles:
    """n votes with their voters, as columns.

    Attributes:
        voter: int64[n], equal for votes of one voter; 0 for an unknown voter.
        model_a, model_b: int32[n] or int64[n], codes of the models.
        outcome: int8[n] or wider, codes of the outcomes.
    """

    voter: Int64
    model_a: Int32 | Int64
    model_b: Int32 | Int64
    outcome: Int8 | Int32 | Int64

    def where(self, kept: Bool) -> "VoterBattles":
        """Return the votes for which `kept`, bool[n], is true."""
        return VoterBattles(self.voter[kept], self.model_a[kept], self.model_b[kept], self.outcome[kept])


def sum_voter_scores(fitted: Fit, models: tuple[str, ...], votes: VoterBattles) -> VoterScores:
    """Sum s sᵀ and the elementwise s⁴ over all voters, where s is the score of a voter.

    The score is what the voter's votes add to the gradient of the fit. A vote without a voter counts as one voter.

    Args:
        fitted: the fit of these votes.
        models: names of the fitted models, in the order of the fit. The codes of the votes are positions in `models`.
        votes: the votes, in any order.
    """
    size = len(models)
    scatter, fourth = np.zeros((size, size)), np.zeros(size)
    order = np.argsort(votes.voter, kind="stable")
    voter = votes.voter[order]
    begins = np.append(True, (voter[1:] != voter[:-1]) | (voter[1:] == 0)) if len(voter) else np.zeros(0, dtype=bool)
    cluster = np.cumsum(begins) - 1
    first = 0
    while first < len(order):
        last = min(first + _BLOCK, len(order))
        # A block ends where a voter's votes end.
        last = int(np.searchsorted(cluster, cluster[last - 1], side="right"))
        rows = order[first:last]
        a, b, outcome = (column[rows].astype(np.int32) for column in (votes.model_a, votes.model_b, votes.outcome))
        residual = residuals(fitted.theta, a, b, outcome)
        scores = voter_scores(a, b, residual, cluster[first:last] - cluster[first], size)
        scatter += (scores.T @ scores).toarray()
        fourth += np.asarray(scores.power(4).sum(axis=0)).ravel()
        first = last
    return VoterScores(models, scatter, fourth)
