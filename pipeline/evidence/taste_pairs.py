"""Computes sums over pairs of a voter's votes, from which taste and sharpness are estimated.

A vote has two rows, one for each of its models. A cell has the rows of one voter with one model. Only cells with two or
more rows have pairs. Most cells of a large board have one row, and take no part in a sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import expit

from pipeline.evidence.grouped_sums import number_groups, order_by_cell
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int32, Int64
from pipeline.vocabulary.large_arrays import PIECE, keep, new_large, pieces, select_large

Codes = Int32 | Int64
"""Integers that identify models or voters."""

Cells = tuple[Int64, Int64]
"""Two arrays: the rows of cells, and the number of rows of each cell.

A row is an integer: 2i for the first model of vote i, and 2i + 1 for its second model. The rows of a cell are
neighbours, in the order of the votes."""

CAP = 4
"""By default, only a voter's first CAP votes on a model count."""


@dataclass(frozen=True)
class DecidedVotes:
    """The n decided votes, and m rows. Each vote has two rows, one for each of its models.

    A cell has the rows of one voter with one model. Of a cell, only the first rows are used, up to a cap. A cell with
    a single row is left out.

    Attributes:
        who: int64[n], number of each vote's voter, counted from 0.
        residual: float64[n], y − p, where y is 1 if the first model won, else 0, and p is the board's probability that
            it wins.
        weight: float64[n], p(1 − p).
        logit: float64[n], the board's logit of a win of the first model.
        whole: bool[n], whether neither row of a vote is beyond the cap of its cell.
        cell: int64[m], number of each row's cell, counted from 0, ascending.
        vote: int64[m], position of the row's vote among the decided votes.
        model: int64[m], position of the row's model.
        sign: float64[m], 1 for the first model of a vote, −1 for the second: the factor of the vote's residual.
        pair: int64[m], a number that is equal for the votes of one voter on the same two models, on whichever side.
    """

    who: Int64
    residual: Float64
    weight: Float64
    logit: Float64
    whole: Bool
    cell: Int64
    vote: Int64
    model: Int64
    sign: Float64
    pair: Int64

    def sharpness(self) -> float:
        """Estimate the standard deviation of sharpness over voters, from pairs of a voter's votes that share no model.

        A voter's sharpness is the factor by which the voter's logits differ from the board's logits. The result is 0 if
        there are no such pairs.
        """
        one = keep(np.flatnonzero(self.whole))
        if not len(one):
            return 0.0
        both, voters = keep(np.flatnonzero(self.whole[self.vote])), int(self.who.max()) + 1
        vote = keep(self.vote[both])
        # Two votes on one pair of models share both cells, so both rows of each are in cells with more rows.
        twice = keep(both[(self.sign[both] > 0) & (np.bincount(vote, minlength=len(self.who))[vote] == 2)])
        u, w = keep(self.residual * self.logit), keep(self.logit**2 * self.weight)
        # All pairs, minus the pairs that share a model; the pairs that share both were taken away twice.
        shared = (vote, keep(self.cell[both])), (keep(self.vote[twice]), keep(self.pair[twice]))
        above, below = (
            _squares(self.who, x, voters, one) - self._by_voter(*shared[0], x) + self._by_voter(*shared[1], x)
            for x in (u, w)
        )
        q = 1 / (1 + _sums(self.who, w, voters, one))
        bottom = float((q * below).sum())
        return float(np.sqrt(max(float((q * above).sum()), 0.0) / bottom)) if bottom > 0 else 0.0

    def _by_voter(self, votes: Int64, group: Int64, values: Float64) -> Float64:
        """Return, for each voter, the sum of (Σx)² − Σx² over the voter's groups of votes.

        Args:
            votes: int64[r], positions of votes in `values`.
            group: int64[r], the group of each of these votes. A group has votes of one voter only.
            values: float64[n], x of each decided vote.
        """
        inside, voters = keep(number_groups(group)), int(self.who.max()) + 1
        owner = np.zeros(int(inside.max(initial=-1)) + 1, dtype=np.int64)
        owner[inside] = self.who[votes]
        sums = _squares(inside, keep(values[votes]), len(owner))
        return np.asarray(np.bincount(owner, weights=sums, minlength=voters), dtype=np.float64)


def _squares(group: Int64, values: Float64, groups: int, rows: Int64 | None = None) -> Float64:
    """Return (Σx)² − Σx² of each group. The sums are over the given `rows`, or over all rows if `rows` is None."""
    x, xx = (_sums(group, values, groups, rows, power) for power in (1, 2))
    return np.asarray(x**2 - xx, dtype=np.float64)


def _sums(group: Int64, values: Float64, groups: int, rows: Int64 | None = None, power: int = 1) -> Float64:
    """Return Σ xᵖ of each group, where x are the values at `rows` (None for all rows) and p is `power`.

    The sum is made piece by piece, because `numpy.bincount` would copy all rows.
    """
    found = np.zeros(groups)
    for piece in pieces(len(group if rows is None else rows)):
        some = piece if rows is None else rows[piece]
        x = values[some]
        np.add.at(found, group[some], x if power == 1 else x**power)
    return found


def shared_cells(who: Codes, model_a: Codes, model_b: Codes) -> Cells:
    """Return the cells with two or more rows. A cell has the rows of one voter with one model.

    Args:
        who: int[n], number of each vote's voter, counted from 0.
        model_a, model_b: int[n], numbers of the models of each vote. A vote has two rows: 2i for model a of vote i, and
            2i + 1 for model b.

    Returns:
        Two arrays: int64, the rows of these cells, cell by cell; and int64, the number of rows of each cell.
    """
    if not (who[1:] >= who[:-1]).all():
        return _shared_in_run(who, model_a, model_b)
    # Some voters after another, which takes little memory and gives the same rows.
    edges = np.unique([0, *np.searchsorted(who, who[PIECE::PIECE]), len(who)]).tolist()
    found = [_shared_in_run(*(x[low:high] for x in (who, model_a, model_b))) for low, high in pairwise(edges)]
    rows = [row + 2 * low for (row, _), low in zip(found, edges, strict=False)]
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *rows]), np.concatenate([none, *(sizes for _, sizes in found)])


def _shared_in_run(who: Codes, model_a: Codes, model_b: Codes) -> Cells:
    models: Codes = np.concatenate([model_a[:, None], model_b[:, None]], axis=1).ravel()
    row, sizes = order_by_cell(np.repeat(who - (who.min() if len(who) else 0), 2), models)
    return row[np.repeat(sizes > 1, sizes)].astype(np.int64), sizes[sizes > 1]


def decided_votes(
    voter: Int64,
    model_a: Codes,
    model_b: Codes,
    outcome: Int8,
    difference: Float64,
    cells: Cells | None = None,
    cap: int = CAP,
) -> DecidedVotes:
    """Return the votes that are not ties, with their rows in cells of two or more rows.

    Each vote has two rows, one for each of its models. A cell contains the rows of one voter with one model. Of a cell,
    only the first `cap` rows are used.

    Args:
        voter: int64[n], the voter of each vote.
        model_a, model_b: int[n], positions of the models of each vote.
        outcome: int8[n], 0 (a wins), 1 (b wins), or 2 and more for ties, which are left out.
        difference: float64[n], the board's logit of a win of model a.
        cells: the cells of all these votes (`shared_cells`), if the caller has them.
        cap: number of a voter's votes on a model that count.
    """
    kept = outcome < 2
    decided = np.flatnonzero(kept)
    who, logit = keep(number_groups(voter[decided])), keep(difference[decided])
    first, second = keep(model_a[decided]), keep(model_b[decided])
    row, sizes = shared_cells(who, first, second) if cells is None else _decided_cells(cells, kept)
    cell, starts = keep(np.repeat(np.arange(len(sizes)), sizes)), np.cumsum(sizes) - sizes
    whole, used = np.ones(len(decided), dtype=np.bool_), np.ones(len(row), dtype=np.bool_)
    for piece in pieces(len(row)):
        beyond = np.arange(piece.start, piece.stop) - starts[cell[piece]] >= cap
        whole[row[piece][beyond] // 2], used[piece] = False, ~beyond
    row, cell = select_large(row, used), select_large(cell, used)
    p = keep(expit(logit))
    residual, weight = keep((outcome[decided] == 0) - p), keep(p * (1 - p))
    return DecidedVotes(who, residual, weight, logit, whole, cell, *_describe_rows(row, who, first, second))


def _describe_rows(row: Int64, who: Int64, first: Codes, second: Codes) -> tuple[Int64, Int64, Float64, Int64]:
    """Return the attributes `vote`, `model`, `sign` and `pair` of `DecidedVotes`.

    Args:
        row: int64[r], the rows. Row 2i is model a of the decided vote i, row 2i + 1 is its model b.
        who: int64[d], the voter of each decided vote.
        first, second: int[d], the models a and b of each decided vote.
    """
    vote, model, pair = (new_large((len(row),), np.int64) for _ in range(3))
    sign = new_large((len(row),), np.float64)
    width = max(int(first.max(initial=0)), int(second.max(initial=0))) + 1
    for piece in pieces(len(row)):
        number, is_first = row[piece] // 2, row[piece] % 2 == 0
        a, b = first[number], second[number]
        vote[piece], sign[piece], model[piece] = number, np.where(is_first, 1.0, -1.0), np.where(is_first, a, b)
        pair[piece] = (who[number] * width + np.minimum(a, b)) * width + np.maximum(a, b)
    return vote, model, sign, pair


def _decided_cells(cells: Cells, decided: Bool) -> Cells:
    """Restrict cells to the votes that the mask `decided` selects. Vote k of these has the rows 2k and 2k + 1.

    A cell contains the rows of one voter with one model. A cell that is left with fewer than two rows is dropped.
    """
    row, sizes = cells
    kept = decided[row // 2]
    number = np.cumsum(decided) - 1
    cell = np.repeat(np.arange(len(sizes)), sizes)[kept]
    left = np.bincount(cell, minlength=len(sizes))
    row, many = row[kept], left[cell] > 1
    return (2 * number[row // 2] + row % 2)[many], left[left > 1]


def pair_sums(group: Int64, residual: Float64, weight: Float64) -> tuple[Float64, Float64]:
    """Return two sums over the pairs of rows of each group. Their ratio estimates a variance between voters.

    Args:
        group: int64[n], the group of each row, from 0.
        residual: float64[n], r: the residual of each row.
        weight: float64[n], w: the weight of each row, such as p(1 − p).

    Returns:
        Two arrays, float64[groups] each: q[(Σr)² − Σr²] and q[(Σw)² − Σw²], with q = 1/(1 + Σw).
    """
    r, rr, w, ww = (np.bincount(group, weights=x**power) for x in (residual, weight) for power in (1, 2))
    q = 1 / (1 + w)
    return q * (r**2 - rr), q * (w**2 - ww)
