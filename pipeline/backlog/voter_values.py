"""Computes each voter's e-value after the last vote: the average of a value against bands and one against a mixture.

Both values use a reference that was fitted on the votes of other voters, and are about the null hypothesis of an honest
voter. The value against bands compares with the honest voter in a band of tastes who makes the value smallest
(`band_values`). The value against the mixture compares with an honest voter whose taste is drawn from the measured
distribution of tastes (`pipeline.evidence.cells`, with the weight TARGET_WEIGHT); the alternatives that are not about
one model are added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backlog.backlog_votes import BacklogCells, BacklogVotes
from pipeline.backlog.band_values import RankedCells, generic_evidence, generic_sums, target_evidence
from pipeline.backlog.cell_sums import count_rows
from pipeline.detectors.voter.voter_bias.evidence_path import TARGET_WEIGHT
from pipeline.evidence import E_UNIT, Reference
from pipeline.evidence.cells import WEIGHTS, CellCounts, cell_weights, log_ratios
from pipeline.evidence.honest_reference import CHANCE_UNIT, DELTAS
from pipeline.evidence.tie_ratios import TIES_KEPT
from pipeline.vocabulary.arrays import Bool, Float64

# Cells of one calculation of the mixture.
_CHUNK = 4096
# A ratio of e⁶⁰⁰ is finite and above every level.
_MAX_LOG = 600.0
# A voter whose average stays below this with an upper estimate of every cell keeps the estimate.
_EXACT_FROM = 30.0


@dataclass(frozen=True)
class VoterValues:
    """E-values of v voters, against the null hypothesis that the voter is honest.

    Attributes:
        band: float64[v], the values against the least favourable honest voter in the band.
        cells: float64[v], the values against the mixture of tastes.
    """

    band: Float64
    cells: Float64

    @classmethod
    def ones(cls, voters: int) -> VoterValues:
        """Return e-values of 1 for `voters` voters: the values of voters who were not evaluated."""
        return cls(np.ones(voters), np.ones(voters))

    @property
    def average(self) -> Float64:
        """float64[v], the average of `band` and `cells`."""
        return np.asarray((self.band + self.cells) / 2)


class VoterEvaluator:
    """Evaluates voters by references. The object stores the arrays that do not depend on a reference."""

    def __init__(self, votes: BacklogVotes, cells: BacklogCells) -> None:
        self.votes, self.cells, self.ranked = votes, cells, RankedCells.of(cells)

    def evaluate(self, reference: Reference, who: Bool, into: VoterValues) -> None:
        """Write the e-values of some voters into `into`.

        If the average of a voter's values is below 30 even with an upper bound of the value against the mixture, the
        upper bound is written.

        Args:
            reference: a reference that was fitted without these voters.
            who: bool[v], the voters.
            into: the values of all voters; changed in place.
        """
        votes, cells, size = self.votes, self.cells, len(self.votes.names)
        ranked = self.ranked.of_voters(cells, who)
        sums = generic_sums(votes, np.flatnonzero(who[votes.voter]), reference)
        generic = generic_evidence(sums).sum(axis=1) * E_UNIT
        about = target_evidence(votes, cells, ranked, reference).sum(axis=1) * E_UNIT
        into.band[who] = (np.bincount(cells.voter[ranked.cell], about, size) + generic)[who]
        found, counts = count_rows(votes, cells, ranked.rows, reference)
        voter = cells.voter[found]
        weight = TARGET_WEIGHT * cell_weights(voter.astype(np.int64), counts.votes)
        bound = np.exp(np.minimum(_upper_logs(counts, reference), _MAX_LOG))
        most = np.bincount(voter, weight * bound, size) + generic
        near = ((into.band + most) / 2 >= _EXACT_FROM)[voter]
        bound[near] = cell_e_values(counts.take(near), reference)
        into.cells[who] = (np.bincount(voter, weight * bound, size) + generic)[who]


def log_cells(counts: CellCounts, reference: Reference, taste: float) -> Float64:
    """Return ln of the likelihood ratio of every alternative about each cell.

    Args:
        counts: the counts of the c cells.
        reference: the reference that the chances in `counts` come from.
        taste: the standard deviation of honest tastes, in logits.

    Returns:
        float64[c, 18], in the order of `WEIGHTS`.
    """
    parts = [np.zeros((0, WEIGHTS.size))]
    for low in range(0, len(counts.votes), _CHUNK):
        some = counts.take(slice(low, low + _CHUNK))
        parts.append(log_ratios(some, reference, taste).reshape(-1, WEIGHTS.size))
    return np.concatenate(parts)


def cell_e_values(counts: CellCounts, reference: Reference) -> Float64:
    """Return float64[c], the e-value of each cell: evidence that the voter promotes or demotes the cell's model.

    The null hypothesis is an honest voter whose taste has the upper estimate of the reference as standard deviation.

    Args:
        counts: the counts of the c cells.
        reference: the reference that the chances in `counts` come from.
    """
    return np.asarray(
        np.exp(np.minimum(log_cells(counts, reference, reference.taste.upper), _MAX_LOG)) @ WEIGHTS.ravel()
    )


def _upper_logs(counts: CellCounts, reference: Reference) -> Float64:
    """Return an upper estimate of ln of each cell's e-value, which is fast to compute: float64[c].

    A mean over tastes of (1 + p x)ⁿ is at least that of the mean p, so the ratios of wins and of losses without taste
    are upper bounds. The ratio of ties is taken at a share of ties three standard deviations above the voter's.
    """
    n, votes = np.array(DELTAS), counts.votes[:, None].astype(float)
    a = reference.tie_prior[0] + (counts.other_ties + counts.votes - counts.wins - counts.losses)
    b = reference.tie_prior[1] + (counts.other_votes - counts.other_ties + counts.wins + counts.losses)
    share = a / (a + b)
    high = np.minimum(share + 3 * np.sqrt(share * (1 - share) / (a + b)), 0.98)[:, None]
    kept, best = np.array(TIES_KEPT), np.full(len(counts.votes), -np.inf)
    for wins, losses, mean, over_all in (
        (counts.wins, counts.losses, counts.high, counts.high + counts.tied_high),
        (counts.losses, counts.wins, counts.against, counts.against + counts.tied_against),
    ):
        decided = (wins + losses)[:, None]
        p = np.minimum(mean[:, None] * CHANCE_UNIT / np.maximum(decided, 1), 1)
        won = n * wins[:, None] - decided * np.log1p(p * np.expm1(n))
        tied = (votes - decided) * np.log(kept) + decided * (np.log1p(-kept * high) - np.log1p(-high))
        lost = np.maximum(1 - over_all[:, None] * CHANCE_UNIT / votes, 0) * (
            1 - np.maximum(2 * share[:, None] - high, 0)
        )
        rare = -n * losses[:, None] - votes * np.log1p(lost * np.expm1(-n))
        for one in (won + np.maximum(tied, 0), rare):
            best = np.maximum(best, one.max(axis=1))
    return best
