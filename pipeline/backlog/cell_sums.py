"""Counts the votes of cells, and sums an honest voter's chances of a win and of a tie over these votes.

A cell has the votes of one voter on one model.
"""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from scipy.special import expit, logit

from pipeline.backlog.backlog_votes import TIED, BacklogCells, BacklogVotes
from pipeline.evidence import Reference
from pipeline.evidence.cell_counts import CellCounts
from pipeline.evidence.honest_reference import CHANCE_UNIT
from pipeline.vocabulary.arrays import Int32, Int64
from pipeline.vocabulary.large_arrays import new_large, pieces

# Rows of one calculation, so that its arrays stay small.
_CHUNK = 500_000
_COLUMNS = 8


def count_rows(
    votes: BacklogVotes, cells: BacklogCells, rows: Int64, reference: Reference, raised: float = 0.0
) -> tuple[Int64, CellCounts]:
    """Count the votes of some rows of `cells`, cell by cell. A row is a vote in a cell.

    A row is not counted if the reference lacks one of the two models of its vote.

    Args:
        votes: the votes of a backlog, or its votes in cohorts (`CohortVotes.votes`).
        cells: the cells of these votes.
        rows: int64[r], positions of rows of `cells`, ascending.
        reference: gives the chances of an honest voter.
        raised: number of logits by which each honest chance of a win is raised before the chances are summed.

    Returns:
        Two values: int64[c], the positions in `cells` of the cells with a counted row, ascending; and the counts of
            these cells.
    """
    chances = _raise(reference.high_chances, raised) if raised else reference.high_chances
    number = _number_cells(cells.cell, rows)
    count = int(number[-1]) + 1 if len(rows) else 0
    sums = np.zeros((_COLUMNS, count))
    for low in range(0, len(rows), _CHUNK):
        at = slice(low, low + _CHUNK)
        _add(sums, votes, cells, rows[at], number[at], reference, chances)
    first = np.searchsorted(number, np.arange(count))
    kept = sums[0] > 0
    found = cells.cell[rows[first]].astype(np.int64)[kept]
    own = cells.voter[found]
    elsewhere = votes.votes_of_voter[own] - cells.votes[found], votes.ties_of_voter[own] - cells.ties[found]
    # Sums of integers below 2⁵³ are exact in float64.
    return found, CellCounts(*sums[:, kept].astype(np.int64), *(one.astype(np.int64) for one in elsewhere))


def _number_cells(cell: Int32, rows: Int64) -> Int64:
    """Return int64[r], a number for the cell of each row: 0, 1, 2 and so on, in the order of the cells.

    Args:
        cell: int32[2n], the cell of every row, ascending.
        rows: int64[r], positions of rows, ascending.
    """
    number, last = new_large((len(rows),), np.int64), 0
    for piece in pieces(len(rows)) if len(rows) else ():
        some = cell[rows[piece]]
        begins = np.append(piece.start > 0 and some[0] != cell[rows[piece.start - 1]], some[1:] != some[:-1])
        number[piece] = last + np.cumsum(begins)
        last = int(number[piece][-1])
    return number


def join_counts(parts: Sequence[CellCounts]) -> CellCounts:
    """Concatenate the counts of one or more groups of cells, in the order of `parts`."""
    return CellCounts(*(np.concatenate([getattr(p, one.name) for p in parts]) for one in fields(CellCounts)))


def _add(
    sums: np.ndarray, votes: BacklogVotes, cells: BacklogCells, rows: Int64, number: Int64, reference: Reference,
    chances: Int64,
) -> None:  # fmt: skip
    """Add the votes of some rows to the sums of their cells. Votes on models that the reference lacks are left out.

    Args:
        sums: float64[8, c], one row for each column of `CellCounts`; changed in place.
        votes, cells: the votes of the backlog, and their cells.
        rows: int64[r], positions of the rows in `cells`.
        number: int64[r], the column of `sums` for each row, ascending.
        reference: predicts the chances of a tie.
        chances: int64[K, K], an honest voter's largest chance of a win of model i against model j, in units of
            CHANCE_UNIT.
    """
    i, j = model_positions(votes, cells, rows, reference)
    rated = (i >= 0) & (j >= 0)
    i, j, rows, number = i[rated], j[rated], rows[rated], number[rated]
    outcome = votes.outcome[cells.vote[rows]]
    tied = outcome == TIED
    won = ~tied & ((outcome == 0) == cells.is_a[rows])
    high, against = chances[i, j], chances[j, i]
    columns = (
        np.ones(len(rows)), won, ~tied & ~won, high * ~tied, against * ~tied, high * tied, against * tied,
        reference.tie_factors[i, j],
    )  # fmt: skip
    low, end = (int(number[0]), int(number[-1]) + 1) if len(number) else (0, 0)
    for total, column in zip(sums, columns, strict=True):
        total[low:end] += np.bincount(number - low, column, end - low)


def model_positions(votes: BacklogVotes, cells: BacklogCells, rows: Int64, reference: Reference) -> tuple[Int64, Int64]:
    """Return two arrays int64[r]: the position in `reference` of each row's model, and of the row's opponent.

    The position is −1 for a model that the reference lacks. In a cell of a provider, the row's model is the model of
    this provider.

    Args:
        votes: the votes of a backlog, or its votes in cohorts (`CohortVotes.votes`).
        cells: the cells of these votes.
        rows: int64[r], positions of rows of `cells`.
        reference: the reference in which the models are looked up.
    """
    vote = cells.vote[rows]
    is_a = cells.is_a[rows]
    other = np.where(is_a, votes.model_b[vote], votes.model_a[vote])
    own = np.where(is_a, votes.model_a[vote], votes.model_b[vote])
    return reference.index_of(own.astype(np.int64)), reference.index_of(other.astype(np.int64))


def _raise(chances: Int64, logits: float) -> Int64:
    p = np.clip(chances * CHANCE_UNIT, 1e-9, 1 - 1e-9)
    units: Int64 = np.ceil(expit(logit(p) + logits) / CHANCE_UNIT).astype(np.int64)
    return units
