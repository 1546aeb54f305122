"""Computes each voter's e-value after the last vote, as the average of two e-values.

The null hypothesis of both is an honest voter, and both use a reference that was fitted on the votes of other voters.
The value against bands compares the voter with the honest voter in a band of tastes who makes the value smallest
(`band_values`). The value against the mixture compares the voter with an honest voter whose taste is drawn from the
measured distribution of tastes (`pipeline.evidence.cells`). In the second value, the alternatives about single models
have the total weight TARGET_WEIGHT. If the providers of the models are known, a tenth of this weight goes to
alternatives about all models of one provider. The evidence of the alternatives about no model, such as "always left",
is computed for the first value, and added to the second value as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.backlog.backlog_votes import BacklogCells, BacklogVotes
from pipeline.backlog.band_values import RankedCells, generic_evidence, generic_sums, target_evidence
from pipeline.backlog.cell_sums import count_rows
from pipeline.detectors.voter.voter_bias.evidence_path import TARGET_WEIGHT
from pipeline.detectors.voter.voter_bias.target_models import RANKED_AFTER
from pipeline.evidence import E_UNIT, Reference
from pipeline.evidence.cell_counts import CellCounts
from pipeline.evidence.cells import PROVIDER_WEIGHT, WEIGHTS, cell_weights, honest_chances, log_ratios
from pipeline.evidence.honest_reference import DELTAS
from pipeline.evidence.taste_nulls import MOST_TOLD, told_logs
from pipeline.evidence.tie_ratios import TIES_KEPT
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64

# Votes of the voters that are evaluated at a time.
_PIECE_VOTES = 1 << 20
# Cells of one calculation of the mixture.
_CHUNK = 4096
# A ratio of e⁶⁰⁰ is finite and above every level.
_MAX_LOG = 600.0
# A voter whose average stays below this with an upper estimate of every cell keeps the estimate.
_EXACT_FROM = 30.0


@dataclass(frozen=True)
class VoterValues:
    """Two e-values of each of v voters, against two null hypotheses about an honest voter.

    Attributes:
        band: float64[v], against the honest voter with tastes within the band who makes the e-value smallest.
        cells: float64[v], against an honest voter whose tastes are drawn from the distribution of tastes.
    """

    band: Float64
    cells: Float64

    @classmethod
    def ones(cls, voters: int) -> VoterValues:
        """Return e-values of 1 for `voters` voters: the values of voters who were not evaluated."""
        return cls(np.ones(voters), np.ones(voters))

    @property
    def average(self) -> Float64:
        """float64[v], each voter's average of `band` and `cells`."""
        return np.asarray((self.band + self.cells) / 2)


class VoterEvaluator:
    """Computes the e-values of voters by given references. The object stores the arrays that need no reference."""

    def __init__(self, votes: BacklogVotes, cells: BacklogCells, providers: Int64 | None = None) -> None:
        """Store the arrays.

        Args:
            votes: the votes of the backlog.
            cells: the cells of these votes.
            providers: int64[M], for each model an integer that identifies its provider: the number of one of the
                provider's models. −1 for a model without a known provider. None if no provider is known.
        """
        self.votes, self.cells, self.ranked = votes, cells, RankedCells.of(cells)
        self.of_providers = None if providers is None else BacklogCells.of_providers(votes, providers, RANKED_AFTER)

    def evaluate(self, reference: Reference, who: Bool, into: VoterValues) -> None:
        """Write the e-values of some voters into `into`.

        The value `cells` takes long to compute. So an upper bound of `cells` is computed first. If the average of
        `band` and this bound is below 30 for a voter, the bound is written instead of the value.

        Args:
            reference: a reference that was fitted without these voters.
            who: bool[v], true for the voters to evaluate.
            into: the values of all voters; changed in place.
        """
        for some in self._in_pieces(who):
            self._evaluate(reference, some, into)

    def _in_pieces(self, who: Bool) -> Iterator[Bool]:
        """Yield masks bool[v] of disjoint parts of the selected voters, each with about _PIECE_VOTES votes or fewer.

        The e-value of a voter does not depend on other voters, and the counts of a cell take over a hundred bytes.
        """
        part = np.cumsum(np.where(who, self.votes.votes_of_voter, 0)) // _PIECE_VOTES
        for number in range(int(part[-1]) + 1 if len(part) else 0):
            some = who & (part == number)
            if some.any():
                yield some

    def _evaluate(self, reference: Reference, who: Bool, into: VoterValues) -> None:
        votes, cells, size = self.votes, self.cells, len(self.votes.names)
        ranked = self.ranked.of_voters(cells, who)
        sums = generic_sums(votes, np.flatnonzero(who[votes.voter]), reference)
        generic = generic_evidence(sums).sum(axis=1) * E_UNIT
        about = target_evidence(votes, cells, ranked, reference).sum(axis=1) * E_UNIT
        into.band[who] = (np.bincount(cells.voter[ranked.cell], about, size) + generic)[who]
        parts = self.weighted_cells(reference, who, ranked)
        bounds = [np.exp(np.minimum(_upper_logs(one.counts, reference), _MAX_LOG)) for one in parts]
        most = sum((one.add(bound, size) for one, bound in zip(parts, bounds, strict=True)), generic)
        for one, bound in zip(parts, bounds, strict=True):
            near = ((into.band + most) / 2 >= _EXACT_FROM)[one.voter]
            bound[near] = cell_e_values(one.counts.take(near), reference)
        exact = sum((one.add(bound, size) for one, bound in zip(parts, bounds, strict=True)), generic)
        into.cells[who] = exact[who]

    def weighted_cells(self, reference: Reference, who: Bool, ranked: RankedCells) -> list[WeightedCells]:
        """Count the votes of cells and weight the cells.

        Returns:
            One or two items. The first has the cells of voters and models, the second the cells of voters and
            providers. The second is missing if no provider is known.

        Args:
            reference: the ratings from which an honest voter's chances are computed.
            who: bool[v], the voters whose cells are returned.
            ranked: the ranked cells of these voters on models.
        """
        whole = TARGET_WEIGHT * (1 - PROVIDER_WEIGHT) if self.of_providers is not None else TARGET_WEIGHT
        parts = [WeightedCells.of(self.votes, self.cells, ranked.rows, reference, whole)]
        if self.of_providers is not None:
            rows = np.flatnonzero(who[self.of_providers.voter[self.of_providers.cell]])
            weight = TARGET_WEIGHT * PROVIDER_WEIGHT
            parts.append(WeightedCells.of(self.votes, self.of_providers, rows, reference, weight))
        return parts


@dataclass(frozen=True)
class WeightedCells:
    """The counts of c cells, and the weights of the cells in the e-values of voters.

    A cell has the votes of one voter on one model, or on the models of one provider.

    Attributes:
        voter: int32[c], the voter of each cell.
        key: int32[c], the number of the cell's model or provider.
        counts: the counts from which the e-value of each cell is computed.
        weight: float64[c], the weight of the cell in the voter's e-value.
    """

    voter: Int32
    key: Int32
    counts: CellCounts
    weight: Float64

    @classmethod
    def of(
        cls, votes: BacklogVotes, cells: BacklogCells, rows: Int64, reference: Reference, whole: float
    ) -> WeightedCells:
        """Count the votes of some cells, and compute the weights of these cells.

        Args:
            votes: the votes of the backlog.
            cells: the cells of these votes, of models or of providers.
            rows: positions of the rows of `cells` that count; a row is a vote in a cell. Cells without such a row are
                left out.
            reference: the reference that gives the chances of the counts.
            whole: the total weight of the cells of one voter.
        """
        found, counts = count_rows(votes, cells, rows, reference)
        voter = cells.voter[found]
        weight = whole * cell_weights(voter.astype(np.int64), counts.votes)
        return cls(voter, cells.model[found], counts, weight)

    def add(self, values: Float64, voters: int) -> Float64:
        """Return float64[v], for each voter the weighted sum of the values of the voter's cells.

        Args:
            values: float64[c], a value for each cell, such as its e-value.
            voters: v, the number of voters.
        """
        return np.asarray(np.bincount(self.voter, self.weight * values, voters))


def log_cells(counts: CellCounts, reference: Reference, taste: float, *, pooled: bool = False) -> Float64:
    """Return ln of the likelihood ratio of every alternative about each cell.

    Args:
        counts: the counts of the c cells.
        reference: the reference that the chances in `counts` come from.
        taste: the standard deviation of honest tastes, in logits.
        pooled: whether ratios of different voters will be multiplied (`evidence.cells.log_ratios`).

    Returns:
        float64[c, 18], in the order of `WEIGHTS`.
    """
    parts = [np.zeros((0, WEIGHTS.size))]
    for low in range(0, len(counts.votes), _CHUNK):
        some = counts.take(slice(low, low + _CHUNK))
        parts.append(log_ratios(some, reference, taste, pooled=pooled).reshape(-1, WEIGHTS.size))
    return np.concatenate(parts)


def cell_e_values(counts: CellCounts, reference: Reference) -> Float64:
    """Return float64[c], the e-value of each cell: evidence that the voter promotes or demotes the cell's model.

    The null hypothesis is an honest voter whose taste has the standard deviation `reference.taste.upper`.

    Args:
        counts: the counts of the c cells.
        reference: the reference that the chances in `counts` come from.
    """
    return np.asarray(
        np.exp(np.minimum(log_cells(counts, reference, reference.taste.upper), _MAX_LOG)) @ WEIGHTS.ravel()
    )


def _upper_logs(counts: CellCounts, reference: Reference) -> Float64:
    """Return an upper estimate of ln of each cell's e-value, which is fast to compute: float64[c].

    The ratios of wins and of losses have the mean of (1 + p(e^δ − 1))ⁿ over tastes in the denominator, where the chance
    p of a win depends on the taste. This mean is at least the value at the mean of p. So the ratios without taste are
    upper bounds. The ratio of ties is taken at a share of ties three standard deviations above the voter's share.
    """
    n, votes = np.array(DELTAS), counts.votes[:, None].astype(float)
    a = reference.tie_prior[0] + (counts.other_ties + counts.votes - counts.wins - counts.losses)
    b = reference.tie_prior[1] + (counts.other_votes - counts.other_ties + counts.wins + counts.losses)
    share = a / (a + b)
    high = np.minimum(share + 3 * np.sqrt(share * (1 - share) / (a + b)), 0.98)[:, None]
    kept, best = np.array(TIES_KEPT), np.full(len(counts.votes), -np.inf)
    for side in (counts, counts.turned()):
        wins, losses = side.wins, side.losses
        decided = (wins + losses)[:, None]
        p = honest_chances(side.high, side.against, decided[:, 0].astype(float), 0.0)[0][:, None]
        over_all = side.high + side.tied_high, side.against + side.tied_against
        lost_at = 1 - honest_chances(*over_all, votes[:, 0], 0.0)[0][:, None]
        won = n * wins[:, None] - decided * np.log1p(p * np.expm1(n))
        tied = (votes - decided) * np.log(kept) + decided * (np.log1p(-kept * high) - np.log1p(-high))
        lost = lost_at * (1 - np.maximum(2 * share[:, None] - high, 0))
        rare = -n * losses[:, None] - votes * np.log1p(lost * np.expm1(-n))
        fewest = np.maximum(2 * share[:, None] - high, 0)
        told = told_logs((votes - decided)[:, 0], losses.astype(float)) - votes * np.log1p(
            (lost - fewest) * np.expm1(-n)
        )
        for one in (won + np.maximum(tied, 0), rare, np.minimum(told, MOST_TOLD)):
            best = np.maximum(best, one.max(axis=1))
    return best
