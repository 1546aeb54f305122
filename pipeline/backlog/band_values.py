"""Computes the e-value of each voter against bands of honest taste, after the voter's last vote.

The null hypothesis is an honest voter whose logit of each win lies within a band around the logit of the reference. The
e-value is computed against the voter in the band who makes the e-value smallest. The detector `voter_bias` has the same
alternatives and weights: the voter promotes or demotes a model, or always chooses one side, or votes against the
rating. `voter_bias` computes a value after each vote; here only the value after the last vote is needed, so sums over
cells replace the computation vote by vote. A cell has the votes of one voter on one model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backlog.backlog_votes import TIED, BacklogCells, BacklogVotes
from pipeline.backlog.cell_sums import model_positions
from pipeline.detectors.voter.voter_bias.evidence_path import GENERIC, TARGET_WEIGHT
from pipeline.detectors.voter.voter_bias.target_models import RANKED_AFTER
from pipeline.evidence import LOG_UNIT, Reference, to_e_units
from pipeline.evidence.tie_ratios import TARGET_TIE_RATIOS
from pipeline.vocabulary.arrays import Bool, Float64, Int64

# The weights of "promotes" and "demotes", and of the sizes δ of each, as in `voter_bias`.
_ALTERNATIVES = np.outer((2 / 3, 1 / 3), (0.6, 0.2, 0.2)).ravel()


@dataclass(frozen=True)
class RankedCells:
    """The cells with at least RANKED_AFTER votes, their ranks and their rows. None of these depends on a reference.

    A cell has the votes of one voter on one model. A row is one vote in one cell. Only ranked cells are evidence about
    their model.

    Attributes:
        cell: int64[c], positions of the ranked cells in `BacklogCells`, ascending.
        rank: int64[c], rank of each of these cells: 1 for the voter's first cell that reached RANKED_AFTER votes, 2 for
            the second, and so on.
        rows: int64[r], positions of the rows of these cells in `BacklogCells`, ascending.
        start: int64[c], the position in `rows` of each ranked cell's first row.
        band: int64[r], the position of each row's band on the first axis of `Reference.target_ratios`.
    """

    cell: Int64
    rank: Int64
    rows: Int64
    start: Int64
    band: Int64

    @classmethod
    def of(cls, cells: BacklogCells) -> RankedCells:
        """Rank each voter's cells in the order in which the cells reached RANKED_AFTER votes.

        If two cells reach this number by the same vote, the cell of the vote's model a comes first. Cells with fewer
        votes have no rank and are left out.
        """
        reach = np.flatnonzero(cells.place == RANKED_AFTER - 1)
        cell = cells.cell[reach].astype(np.int64)  # one row for each ranked cell, ascending
        # Of two models that get a rank by one vote, model a is first.
        order = np.lexsort((~cells.is_a[reach], cells.vote[reach]))
        voter = cells.voter[cell[order]]
        new = np.append(True, voter[1:] != voter[:-1]) if len(voter) else np.zeros(0, dtype=np.bool_)
        start = np.flatnonzero(new)
        place = np.arange(len(order)) - np.repeat(start, np.diff(np.append(start, len(order)))) + 1
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = place
        ranked = np.zeros(len(cells.voter), dtype=np.bool_)
        ranked[cell] = True
        rows = np.flatnonzero(ranked[cells.cell])
        starts = np.searchsorted(cells.cell[rows], cell)
        before = cells.place[rows].astype(np.int64)
        return cls(cell, rank, rows, starts.astype(np.int64), Reference.taste_band(before))

    def of_voters(self, cells: BacklogCells, who: Bool) -> RankedCells:
        """Return the ranked cells of the selected voters: `who`, bool[v], is true for a selected voter."""
        kept = who[cells.voter[self.cell]]
        lengths = np.diff(np.append(self.start, len(self.rows)))
        rows = np.repeat(kept, lengths)
        starts = np.cumsum(lengths[kept]) - lengths[kept]
        return RankedCells(self.cell[kept], self.rank[kept], self.rows[rows], starts, self.band[rows])


def target_evidence(votes: BacklogVotes, cells: BacklogCells, ranked: RankedCells, reference: Reference) -> Int64:
    """Compute the evidence of each alternative about the model of each ranked cell.

    The weights of the alternatives are included, so the sum over a voter's cells is the part of the voter's e-value
    that is about models. A vote on a model that the reference lacks is no evidence.

    Args:
        votes: the votes of the backlog.
        cells: the cells of these votes.
        ranked: the ranked cells to evaluate.
        reference: a reference that was fitted without the voters of these cells.

    Returns:
        int64[c, 6], e-values in units of 2⁻²⁴, for c ranked cells. The first three columns are "promotes" with each
        size δ of the bias, the last three "demotes" with each δ.
    """
    sums = np.empty((len(ranked.cell), 6), dtype=np.int64)
    lengths = np.append(ranked.start, len(ranked.rows))
    for low, high in _chunks(lengths):
        rows = ranked.rows[lengths[low] : lengths[high]]
        steps = _target_steps(votes, cells, rows, ranked.band[lengths[low] : lengths[high]], reference)
        sums[low:high] = np.add.reduceat(steps, ranked.start[low:high] - lengths[low], axis=0)
    weight = (TARGET_WEIGHT / (ranked.rank * (ranked.rank + 1.0)))[:, None] * _ALTERNATIVES
    return to_e_units(weight, sums)


# A ratio of e⁶⁰⁰ is finite and above every level.
_MAX_LOG = 600.0
# Rows of one calculation, so that its arrays stay small.
_CHUNK = 200_000


def _chunks(ends: Int64) -> list[tuple[int, int]]:
    """Split cells into ranges (first, end) of about _CHUNK rows. Cell i has rows `ends[i]` to `ends[i + 1]` − 1."""
    if len(ends) < 2:
        return []
    edges = np.unique(np.searchsorted(ends, np.arange(0, ends[-1] + _CHUNK, _CHUNK)).clip(0, len(ends) - 1))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _target_steps(votes: BacklogVotes, cells: BacklogCells, rows: Int64, band: Int64, reference: Reference) -> Int64:
    vote, is_a = cells.vote[rows], cells.is_a[rows]
    i, j = model_positions(votes, cells, rows, reference)
    rated = (i >= 0) & (j >= 0)
    i, j = np.where(rated, i, 0), np.where(rated, j, 0)
    outcome = votes.outcome[vote]
    tied = (outcome == TIED).astype(np.int64)
    won = ((outcome == 0) == is_a).astype(np.int64)
    level = reference.tie_level(i, j, reference.expected_tie_share(votes.ties_before[vote], votes.votes_before[vote]))
    by_ties, decided = TARGET_TIE_RATIOS[level, tied], (1 - tied)[:, None]
    steps = np.empty((len(rows), 6), dtype=np.int64)
    steps[:, :3] = reference.target_ratios[band, i, j, won] * decided + by_ties
    steps[:, 3:] = reference.target_ratios[band, j, i, 1 - won] * decided + by_ties
    steps[~rated] = 0
    return steps


def generic_sums(votes: BacklogVotes, rows: Int64, reference: Reference) -> Int64:
    """Sum each voter's log-likelihood ratios of three alternatives: always left, always right, against the rating.

    Args:
        votes: the votes of all v voters.
        rows: int64[r], positions of the votes that count. A vote on a model without a rating in the reference does not
            count.
        reference: a reference that was fitted without the voters of these rows.

    Returns:
        int64[v, 3] in units of 2⁻²⁰ nats, one column for each alternative; 0 for a voter without counted votes.
    """
    sums = np.zeros((len(votes.names), 3))
    for low in range(0, len(rows), _CHUNK):
        some = rows[low : low + _CHUNK]
        a = reference.index_of(votes.model_a[some].astype(np.int64))
        b = reference.index_of(votes.model_b[some].astype(np.int64))
        rated = (a >= 0) & (b >= 0)
        own = reference.expected_tie_share(votes.ties_before[some][rated], votes.votes_before[some][rated])
        level = reference.tie_level(a[rated], b[rated], own)
        ratios = reference.generic_steps(a[rated], b[rated], votes.outcome[some][rated].astype(np.int64), level)
        # Integers below 2⁵³ are exact in float64, which is what `bincount` adds up.
        for column in range(3):
            sums[:, column] += np.bincount(votes.voter[some][rated], ratios[:, column], len(votes.names))
    return sums.astype(np.int64)


def random_values(votes: BacklogVotes, rows: Int64, reference: Reference) -> Float64:
    """Return the evidence that each voter clicks at random, float64[v], against an honest voter.

    The evidence is the average of two likelihood ratios: one over the voter's decisive votes, and one over all votes,
    ties included. The evidence is 1 for a voter without counted votes. The error rate of this evidence is measured, not
    proved.

    Args:
        votes: the votes of all v voters.
        rows: int64[r], positions of the votes that count. A vote on a model without a rating in the reference does not
            count.
        reference: a reference that was fitted without the voters of these rows.
    """
    decided, ties = np.zeros(len(votes.names)), np.zeros(len(votes.names))
    for low in range(0, len(rows), _CHUNK):
        some = rows[low : low + _CHUNK]
        a = reference.index_of(votes.model_a[some].astype(np.int64))
        b = reference.index_of(votes.model_b[some].astype(np.int64))
        rated = (a >= 0) & (b >= 0)
        some, a, b = some[rated], a[rated], b[rated]
        outcome, voter = votes.outcome[some].astype(np.int64), votes.voter[some]
        tied = outcome == TIED
        own = reference.expected_tie_share(votes.ties_before[some], votes.votes_before[some])
        steps = np.where(tied, 0, reference.generic_ratios[a, b, np.minimum(outcome, 1), 3])
        decided += np.bincount(voter, steps, len(votes.names))
        ties += np.bincount(voter, reference.random_tie_ratio(tied, own), len(votes.names))
    sums = np.minimum(np.stack([decided, decided + ties]) * LOG_UNIT, _MAX_LOG)
    return np.asarray(np.exp(sums).mean(axis=0))


def generic_evidence(sums: Int64) -> Int64:
    """Compute what the alternatives always left, always right and against the rating add to each voter's e-value.

    Args:
        sums: int64[v, 3], the result of `generic_sums`.

    Returns:
        int64[v, 3] in units of 2⁻²⁴, one column for each alternative. The weights of the alternatives are included.
    """
    return to_e_units((1 - TARGET_WEIGHT) / len(GENERIC), sums)
