"""Counts votes by voter and model, and by voter and provider. The evidence against a mixture of tastes needs them.

A cell has a voter's votes on one model, or a voter's votes on the models of one provider.

The votes of a voter that are already added to the sums of the voter's state are called folded; their counts are in the
state (`state_codec`). The counts of later votes are added when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.target_models import EvaluatedVotes, TargetModels
from pipeline.evidence import Reference
from pipeline.evidence.cell_counts import CellCounts
from pipeline.vocabulary.arrays import Bool, Int64

COUNTS = 8
"""Number of counts of a cell: wins, losses, ties, and the sums high, against, tied_high, tied_against and even of
`evidence.cell_counts.CellCounts`."""


@dataclass(frozen=True)
class ProviderCells:
    """The counts of m voters' votes on the models of each provider: c entries, one for each voter and provider.

    Entries are sorted by voter, then by provider.

    Attributes:
        voter: int64[c], position of the voter among the m voters.
        provider: int64[c], number of the provider (`Reference.provider`).
        counts: int64[c, COUNTS], over the votes in which one of the two models is the provider's and the other is not.
    """

    voter: Int64
    provider: Int64
    counts: Int64


@dataclass(frozen=True)
class CellsOfVotes:
    """The cells of several voters, each with its counts after one of the voter's votes. Such a vote is called a look.

    Attributes:
        look: int64[c], the vote after which each cell was counted, as a position in the list of looks, ascending.
        key: int64[c], model number (model_no) or number of the provider of each cell.
        counts: the counts of each cell.
    """

    look: Int64
    key: Int64
    counts: CellCounts


@dataclass(frozen=True)
class CellHistory:
    """What each of n votes adds to the counts of its voter's cells, and the counts of earlier votes.

    A cell has a voter's votes on one model, or on the models of one provider. The counts of earlier votes come from the
    voter's state and are called folded.

    Arrays with 2n rows have two rows for each vote: model a, then model b.

    Attributes:
        votes: the n votes.
        targets: the models of the voters, with their folded counts.
        rows: int64[2n], the position of the row's model in `targets`.
        providers: the providers of the voters, with their folded counts; counts of a new provider are 0.
        provider_rows: int64[2n], the position of the row's provider in `providers`, −1 without one.
        steps: int64[2n, COUNTS], the numbers that each row adds to the counts of the row's model, and of its provider.
    """

    votes: EvaluatedVotes
    targets: TargetModels
    rows: Int64
    providers: ProviderCells
    provider_rows: Int64
    steps: Int64

    @classmethod
    def of(
        cls,
        votes: EvaluatedVotes,
        targets: TargetModels,
        rows: Int64,
        folded: ProviderCells,
        reference_of: Callable[[int], Reference],
    ) -> CellHistory:
        """Compute the counts that each of n votes adds to cells.

        Args:
            votes: the votes, sorted by voter.
            targets: all models that the voters have met.
            rows: int64[2n], for each vote the positions in `targets` of model a and of model b.
            folded: the cells of providers, with the counts before these votes.
            reference_of: returns the reference of a snapshot, given its sequence number.
        """
        n = len(votes.voter)
        steps, provider = np.zeros((n, 2, COUNTS), dtype=np.int64), np.full((n, 2), -1, dtype=np.int64)
        for sequence in np.unique(votes.snapshot).tolist():
            at = np.flatnonzero(votes.snapshot == sequence)
            reference, outcome = reference_of(sequence), votes.outcome[at]
            a, b = reference.index_of(votes.model_a[at]), reference.index_of(votes.model_b[at])
            high, against = reference.high_chances[a, b], reference.high_chances[b, a]
            tied, even = outcome == 2, reference.tie_factors[a, b]
            one, other = reference.provider[a], reference.provider[b]
            for side, (mine, rival, own) in enumerate(((high, against, one), (against, high, other))):
                won, lost = outcome == side, (outcome != side) & ~tied
                columns = (won, lost, tied, mine * ~tied, rival * ~tied, mine * tied, rival * tied, even)
                steps[at, side] = np.stack(columns, axis=1)
                provider[at, side] = np.where(one == other, -1, own)
        by_row = provider.ravel()
        known = np.flatnonzero(by_row >= 0)
        joined, places = _join(np.repeat(votes.voter, 2)[known], by_row[known], folded)
        provider_rows = np.full(2 * n, -1, dtype=np.int64)
        provider_rows[known] = places
        return cls(votes, targets, rows, joined, provider_rows, steps.reshape(-1, COUNTS))

    def folded(self, kept: Bool) -> tuple[Int64, ProviderCells]:
        """Return the counts of the voters' cells, with the selected votes added.

        A cell of a provider is left out if all its counts are 0.

        Args:
            kept: bool[n], the selected votes.

        Returns:
            Two values: int64[t, COUNTS], the counts of the cells of models, in the order of `targets`; and the cells of
            providers.
        """
        rows = np.repeat(kept, 2)
        counts = self.targets.cells + _sum_rows(self.rows[rows], self.steps[rows], len(self.targets.voter))
        with_provider = rows & (self.provider_rows >= 0)
        place = self.provider_rows[with_provider]
        after = self.providers.counts + _sum_rows(place, self.steps[with_provider], len(self.providers.voter))
        met = after[:, :3].any(axis=1)
        return counts, ProviderCells(self.providers.voter[met], self.providers.provider[met], after[met])

    def after(self, looks: Int64) -> tuple[CellsOfVotes, CellsOfVotes]:
        """Return, for each of some votes (looks), the cells of the vote's voter after this vote.

        Args:
            looks: int64[l], positions of votes.

        Returns:
            Two values: the cells of models, and the cells of providers. A voter's cells are repeated for each of the
                voter's looks.
        """
        voter = self.votes.voter[looks]
        first = np.searchsorted(self.votes.voter, voter)
        rows, row_look = _ranges(2 * first, 2 * looks + 2)
        tied = (self.votes.outcome[looks] == 2).astype(np.int64)
        whole = self.votes.votes[looks] + 1, self.votes.ties[looks] + tied
        models = _cells_at(
            voter, self.targets.voter, self.targets.model, self.targets.cells,
            self.rows[rows], row_look, self.steps[rows], whole,
        )  # fmt: skip
        known = self.provider_rows[rows] >= 0
        rows, row_look = rows[known], row_look[known]
        providers = _cells_at(
            voter, self.providers.voter, self.providers.provider, self.providers.counts,
            self.provider_rows[rows], row_look, self.steps[rows], whole,
        )  # fmt: skip
        return models, providers


def _join(voter: Int64, provider: Int64, folded: ProviderCells) -> tuple[ProviderCells, Int64]:
    """Add an empty cell to `folded` for each new pair of a voter and a provider.

    Returns:
        The cells, and the position of each row's cell among them.
    """
    width = int(max(provider.max(initial=0), folded.provider.max(initial=0))) + 1
    known, rows = folded.voter * width + folded.provider, voter * width + provider
    codes = np.union1d(known, rows)
    counts = np.zeros((len(codes), COUNTS), dtype=np.int64)
    counts[np.searchsorted(codes, known)] = folded.counts
    return ProviderCells(codes // width, codes % width, counts), np.searchsorted(codes, rows)


def _ranges(first: Int64, end: Int64) -> tuple[Int64, Int64]:
    """Return the positions in all ranges [first, end), range after range, and the number of each position's range."""
    lengths = end - first
    which = np.repeat(np.arange(len(first)), lengths)
    return np.arange(len(which)) - (np.cumsum(lengths) - lengths)[which] + first[which], which


def _sum_rows(place: Int64, steps: Int64, size: int) -> Int64:
    """Return int64[size, COUNTS]. Row i is the sum of the rows of `steps` whose element in `place` is i."""
    columns = [np.bincount(place, weights=column, minlength=size) for column in steps.T]
    return np.stack(columns, axis=1).astype(np.int64)


def _cells_at(
    voter: Int64,
    cell_voter: Int64,
    key: Int64,
    folded: Int64,
    row_cell: Int64,
    row_look: Int64,
    steps: Int64,
    whole: tuple[Int64, Int64],
) -> CellsOfVotes:
    """Return, for each of l votes (looks), those cells of the vote's voter that have at least one vote by then.

    Args:
        voter: int64[l], the voter of each look.
        cell_voter, key, folded: the c cells, sorted by voter. int64[c], the voter; int64[c], the number of the model or
            provider; int64[c, COUNTS], the folded counts.
        row_cell: int64[r], the cell of each row. A row is one model of a vote that one look includes: a vote of the
            same voter up to this look.
        row_look: int64[r], the look of each row.
        steps: int64[r, COUNTS], the counts that each row adds to the cell of the row.
        whole: the voter's numbers of votes and of ties after each look, int64[l] each.
    """
    first, end = np.searchsorted(cell_voter, voter), np.searchsorted(cell_voter, voter, side="right")
    cells, look = _ranges(first, end)
    start = np.cumsum(end - first) - (end - first)
    counts = folded[cells] + _sum_rows(start[row_look] + row_cell - first[row_look], steps, len(cells))
    met = counts[:, :3].any(axis=1)
    cells, look, counts = cells[met], look[met], counts[met]
    wins, losses, ties, *sums = counts.T
    votes = wins + losses + ties
    own = CellCounts(*[votes, wins, losses, *sums, whole[0][look] - votes, whole[1][look] - ties])
    return CellsOfVotes(look, key[cells], own)
