"""Represents the votes of a backlog as columns, sorted by voter and time, and the cells of these votes.

A backlog is a set of votes that are evaluated together, by comparing voters with each other. An example is all votes
from before the first snapshot. A cell has the votes of one voter on one model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.evidence import group_starts
from pipeline.vocabulary.arrays import Bool, Int8, Int32, Int64

TIED = 2
"""The outcome that stands for `tie` and for `both_bad`."""

NO_VOTER = 0
"""The pseudonym of a vote without a voter."""


@dataclass(frozen=True)
class BacklogVotes:
    """The n votes of v voters, sorted by voter, then by time. Votes without a voter are left out.

    Attributes:
        models: M, the number of models; a model is a number from 0 to M − 1.
        names: int64[v], the pseudonym of each voter.
        row: int64[n], the row of each vote in the caller's columns.
        voter: int32[n], position of the vote's voter in `names`, ascending.
        model_a, model_b: int32[n], the models.
        outcome: int8[n]: 0 (a wins), 1 (b wins), or TIED.
        at: int64[n], event time in microseconds since 1970 UTC; NO_TIME if unknown.
        network: int32[n], number of the vote's network, 0 for none.
    """

    models: int
    names: Int64
    row: Int64
    voter: Int32
    model_a: Int32
    model_b: Int32
    outcome: Int8
    at: Int64
    network: Int32

    @classmethod
    def from_columns(
        cls,
        models: int,
        voter: Int64,
        model_a: npt.ArrayLike,
        model_b: npt.ArrayLike,
        outcome: npt.ArrayLike,
        at: Int64,
        network: npt.ArrayLike | None = None,
    ) -> BacklogVotes:
        """Sort columns of n votes by voter and time, and leave out votes without a voter.

        Votes of a voter at one time keep the order of their rows.

        Args:
            models: M, the number of models.
            voter: int64[n], pseudonyms; NO_VOTER for a vote without a voter.
            model_a, model_b: int[n], numbers of the models, from 0 to M − 1.
            outcome: int[n], positions in OUTCOMES. The two kinds of ties both become TIED.
            at: int64[n], event times in microseconds since 1970 UTC; NO_TIME for a vote without a time.
            network: int[n], numbers of the networks, 0 for none; None if all are unknown.
        """
        known = np.flatnonzero(voter != NO_VOTER)
        names, code = np.unique(voter[known], return_inverse=True)
        order = np.lexsort((at[known], code.ravel()))
        rows = known[order]
        networks = np.zeros(len(voter), dtype=np.int32) if network is None else np.asarray(network)
        return cls(
            models,
            names,
            rows,
            code.ravel()[order].astype(np.int32),
            np.asarray(model_a)[rows].astype(np.int32),
            np.asarray(model_b)[rows].astype(np.int32),
            np.minimum(np.asarray(outcome)[rows], TIED).astype(np.int8),
            at[rows],
            networks[rows].astype(np.int32),
        )

    def take(self, rows: npt.NDArray[np.int64] | Bool) -> BacklogVotes:
        """Return the votes of some rows. `names` stays the same, also if a voter has no vote among these rows.

        Args:
            rows: bool[n], true for the selected votes; or int64, their positions, ascending.
        """
        columns = ("row", "voter", "model_a", "model_b", "outcome", "at", "network")
        return BacklogVotes(self.models, self.names, *(getattr(self, name)[rows] for name in columns))

    def with_outcomes(self, outcome: Int8) -> BacklogVotes:
        """Return a copy of the votes with other outcomes. `outcome` is int8[n]: 0 (a wins), 1 (b wins), or TIED."""
        return replace(self, outcome=outcome)

    @cached_property
    def starts(self) -> Int64:
        """int64[v + 1], the row of each voter's first vote; the last number is n."""
        return np.searchsorted(self.voter, np.arange(len(self.names) + 1)).astype(np.int64)

    @cached_property
    def votes_of_voter(self) -> Int64:
        """int64[v], the number of votes of each voter."""
        return np.diff(self.starts)

    @cached_property
    def ties_of_voter(self) -> Int64:
        """int64[v], the number of ties of each voter."""
        return np.bincount(self.voter[self.outcome == TIED], minlength=len(self.names))

    @cached_property
    def votes_before(self) -> Int64:
        """int64[n], for each vote the number of earlier votes of the same voter."""
        return np.arange(len(self.voter)) - self.starts[self.voter]

    @cached_property
    def ties_before(self) -> Int64:
        """int64[n], for each vote the number of earlier ties of the same voter."""
        tied = np.concatenate([[0], np.cumsum(self.outcome == TIED)])
        return np.asarray(tied[:-1] - tied[self.starts[self.voter]])


@dataclass(frozen=True)
class BacklogCells:
    """The cells of a backlog. A cell has the votes of one voter on one model, so each vote is in two cells.

    There are c cells. A row is one vote in one cell, so the n votes have 2n rows. The object from `of_providers` has
    cells of one voter and one provider instead. Its arrays of rows are shorter than 2n, since small cells are left out.

    Attributes:
        voter, model: int32[c], voter and model (or provider) of each cell, sorted by voter, then by model.
        votes, ties: int32[c], number of votes and of ties in each cell.
        cell: int32[2n], the cell of each row. Rows are sorted by cell, then by time.
        vote: int32[2n], the position of the row's vote.
        is_a: bool[2n], whether the cell's model is model a of the vote.
        place: int32[2n], number of earlier votes in the same cell.
    """

    voter: Int32
    model: Int32
    votes: Int32
    ties: Int32
    cell: Int32
    vote: Int32
    is_a: Bool
    place: Int32

    @classmethod
    def of(cls, votes: BacklogVotes) -> BacklogCells:
        """Return the cells of some votes: one cell for each voter and each model that the voter has voted on."""
        n = len(votes.voter)
        code = np.empty(2 * n, dtype=np.int64)
        code[:n] = votes.voter.astype(np.int64) * votes.models + votes.model_a
        code[n:] = votes.voter.astype(np.int64) * votes.models + votes.model_b
        # Stable: rows of one cell stay in the order of votes if the two halves are interleaved by the vote.
        return cls._of_rows(votes, code, np.lexsort((np.tile(np.arange(n, dtype=np.int32), 2), code)))

    @classmethod
    def of_providers(cls, votes: BacklogVotes, providers: Int64, least: int) -> BacklogCells:
        """Return the cells of voters and providers: a cell has a voter's votes on exactly one model of one provider.

        Args:
            votes: the votes. A vote on two models of one provider is in no cell.
            providers: int64[M], the number of the provider of each model, from 0 to M − 1; −1 if it is unknown.
            least: cells with fewer votes are left out.
        """
        n, a, b = len(votes.voter), providers[votes.model_a], providers[votes.model_b]
        code = np.concatenate([a, b]) + np.tile(votes.voter.astype(np.int64) * votes.models, 2)
        kept = np.flatnonzero((np.concatenate([a, b]) >= 0) & np.tile(a != b, 2))
        order = kept[np.lexsort((kept % max(n, 1), code[kept]))]
        first = np.flatnonzero(group_starts(code[order])) if len(order) else np.zeros(0, dtype=np.int64)
        count = np.diff(np.append(first, len(order)))
        return cls._of_rows(votes, code, order[np.repeat(count >= least, count)])

    @classmethod
    def _of_rows(cls, votes: BacklogVotes, code: Int64, order: Int64) -> BacklogCells:
        """Return the cells of some rows.

        Args:
            votes: the n votes.
            code: int64[2n], the cell of model a of each vote, then of model b: voter · M + model.
            order: the rows, sorted by code, then by vote.
        """
        n, code = len(votes.voter), code[order]
        first = np.flatnonzero(group_starts(code)) if len(code) else np.zeros(0, dtype=np.int64)
        count = np.diff(np.append(first, len(code)))
        voter, model = np.divmod(code[first], max(votes.models, 1))
        place = np.arange(len(code)) - np.repeat(first, count)
        cell, vote = np.repeat(np.arange(len(first), dtype=np.int32), count), (order % max(n, 1)).astype(np.int32)
        ties = np.bincount(cell[votes.outcome[vote] == TIED], minlength=len(first))
        return cls(
            voter.astype(np.int32),
            model.astype(np.int32),
            count.astype(np.int32),
            ties.astype(np.int32),
            cell,
            vote,
            order < n,
            place.astype(np.int32),
        )

    def capped_votes(self, cap: int) -> Bool:
        """Return bool[n], true for a vote that is among its voter's first `cap` votes on both of the vote's models."""
        kept = np.ones(len(self.vote) // 2, dtype=np.bool_)
        kept[self.vote[self.place >= cap]] = False
        return kept
