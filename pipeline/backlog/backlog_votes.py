"""Represents the votes of a backlog as columns, sorted by voter and time, and the cells of these votes.

A backlog is a set of votes that are evaluated together, by comparing voters with each other. An example is all votes
from before the first snapshot. A cell has the votes of one voter on one model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evidence import group_starts
from pipeline.vocabulary.arrays import Bool, Int8, Int32, Int64
from pipeline.vocabulary.large_arrays import PIECE, join_large, keep, new_large, pieces

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

        Votes of one voter with the same time stay in the order of their rows.

        Args:
            models: M, the number of models.
            voter: int64[n], pseudonyms; NO_VOTER for a vote without a voter.
            model_a, model_b: int[n], numbers of the models, from 0 to M − 1.
            outcome: int[n], positions in OUTCOMES. The two kinds of ties both become TIED.
            at: int64[n], event times in microseconds since 1970 UTC; NO_TIME for a vote without a time.
            network: int[n], numbers of the networks, 0 for none; None if all are unknown.
        """
        rows = np.lexsort((at, voter))
        rows = keep(rows[voter[rows] != NO_VOTER])
        who = voter[rows]
        new = group_starts(who)
        names, codes = who[new], new_large((len(rows),), np.int32)
        np.cumsum(new, dtype=np.int32, out=codes)
        codes -= 1
        networks = np.broadcast_to(np.int32(0), len(voter)) if network is None else np.asarray(network)
        return cls(
            models,
            names,
            rows,
            codes,
            take_rows(np.asarray(model_a), rows, np.int32),
            take_rows(np.asarray(model_b), rows, np.int32),
            take_rows(np.asarray(outcome), rows, np.int8, TIED),
            take_rows(at, rows, np.int64),
            take_rows(networks, rows, np.int32),
        )

    def take(self, rows: npt.NDArray[np.int64] | Bool) -> BacklogVotes:
        """Return the votes of some rows. `names` stays the same, also if a voter has no vote among these rows.

        Args:
            rows: bool[n], true for the selected votes; or int64, their positions, ascending.
        """
        columns = ("row", "voter", "model_a", "model_b", "outcome", "at", "network")
        return BacklogVotes(self.models, self.names, *(keep(getattr(self, name)[rows]) for name in columns))

    def with_outcomes(self, outcome: Int8) -> BacklogVotes:
        """Return a copy of the votes with other outcomes. `outcome` is int8[n]: 0 (a wins), 1 (b wins), or TIED."""
        return replace(self, outcome=outcome)

    def runs_of_voters(self) -> list[slice]:
        """Divide the votes into one or more runs of about PIECE votes; all votes of a voter are in one run."""
        ends = self.starts[np.searchsorted(self.starts, np.arange(PIECE, len(self.voter), PIECE))]
        edges = np.unique(np.concatenate([[0], ends, [len(self.voter)]])).tolist()
        return [slice(low, high) for low, high in pairwise(edges)] or [slice(0, 0)]

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
        return keep(np.arange(len(self.voter)) - self.starts[self.voter])

    @cached_property
    def ties_before(self) -> Int64:
        """int64[n], for each vote the number of earlier ties of the same voter."""
        tied = np.concatenate([[0], np.cumsum(self.outcome == TIED)])
        return keep(np.asarray(tied[:-1] - tied[self.starts[self.voter]]))


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
        return cls._of_sides(votes, votes.model_a, votes.model_b, 1)

    @classmethod
    def of_providers(cls, votes: BacklogVotes, providers: Int64, least: int) -> BacklogCells:
        """Return the cells of voters and providers.

        A cell has the votes of one voter in which one of the two models is the provider's and the other is not.

        Args:
            votes: the votes. A vote on two models of one provider is in no cell.
            providers: int64[M], the number of the provider of each model, from 0 to M − 1; −1 if it is unknown.
            least: cells with fewer votes are left out.
        """
        a, b = (providers.astype(np.int32)[side] for side in (votes.model_a, votes.model_b))
        return cls._of_sides(votes, np.where(a != b, a, -1), np.where(a != b, b, -1), least)

    @classmethod
    def _of_sides(cls, votes: BacklogVotes, side_a: Int32, side_b: Int32, least: int) -> BacklogCells:
        """Return the cells of voters and models, or of voters and providers.

        The cells are computed for one run of voters after another and then joined. The votes are sorted by voter, so
        the joined cells are sorted by voter too.

        Args:
            votes: the n votes.
            side_a, side_b: int32[n], the models of each vote, or their providers; −1 for a side that is in no cell.
            least: cells with fewer votes are left out.
        """
        parts = [_sort_rows(votes, side_a, side_b, part, least) for part in votes.runs_of_voters()]
        starts = np.cumsum([0, *(len(part[0]) for part in parts)])
        for part, start in zip(parts, starts.tolist(), strict=False):
            part[4][...] += start
        columns = zip(*parts, strict=True)
        return cls(*(join_large(list(column)) for column in columns))

    def runs_of_cells(self) -> list[slice]:
        """Divide the 2n rows into runs of about PIECE rows. All rows of a cell are in one run."""
        ends = np.unique(np.searchsorted(self.cell, self.cell[PIECE::PIECE])).tolist()
        return [slice(low, high) for low, high in pairwise([0, *ends, len(self.cell)])]

    def capped_votes(self, cap: int) -> Bool:
        """Return bool[n], true for a vote that is among its voter's first `cap` votes on both of the vote's models."""
        kept = np.ones(len(self.vote) // 2, dtype=np.bool_)
        kept[self.vote[self.place >= cap]] = False
        return kept


def take_rows(
    column: npt.NDArray[Any], rows: Int32 | Int64, kind: npt.DTypeLike, most: int | None = None
) -> npt.NDArray[Any]:
    """Copy some rows of a column to a new array of the type `kind` (`new_large`); values above `most` become `most`."""
    result = new_large((len(rows),), kind)
    for piece in pieces(len(rows)):
        values = column[rows[piece]]
        result[piece] = values if most is None else np.minimum(values, most)
    return result


def _sort_rows(votes: BacklogVotes, side_a: Int32, side_b: Int32, part: slice, least: int) -> tuple[Any, ...]:
    """Compute the columns of `BacklogCells` for some of the votes. Cells are numbered from 0 within these votes.

    Args:
        votes: all n votes.
        side_a, side_b: int32[n], the models of each vote, or their providers; −1 for a side that is in no cell.
        part: the positions of the votes, which have all votes of their voters.
        least: cells with fewer votes are left out.

    Returns:
        The attributes of `BacklogCells` in their order.
    """
    n, voter = part.stop - part.start, votes.voter[part].astype(np.int64) * votes.models
    sides = np.concatenate([side_a[part], side_b[part]])
    code = np.tile(voter, 2) + sides
    kept = np.flatnonzero(sides >= 0)
    # Rows of one cell stay in the order of the votes.
    order = kept[np.lexsort((kept % max(n, 1), code[kept]))]
    first = np.flatnonzero(group_starts(code[order])) if len(order) else np.zeros(0, dtype=np.int64)
    count = np.diff(np.append(first, len(order)))
    order, count = order[np.repeat(count >= least, count)], count[count >= least]
    code, first = code[order], np.cumsum(count) - count
    who, model = np.divmod(code[first], max(votes.models, 1))
    cell, vote = np.repeat(np.arange(len(first)), count), order % max(n, 1) + part.start
    ties = np.bincount(cell[votes.outcome[vote] == TIED], minlength=len(first))
    place = np.arange(len(code)) - np.repeat(first, count)
    numbers = [one.astype(np.int32) for one in (who, model, count, ties, cell, vote)]
    return *map(keep, numbers), order < n, keep(place.astype(np.int32))
