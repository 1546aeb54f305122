"""Sums the votes that audits evaluate, block by block, so that little memory is needed for each vote.

Most audits need only sums. The audits `lockstep` and `prompts` compare votes with each other, so 24 bytes are kept for
each vote. If there are more than MOST_COMPARED votes, only the newest ones are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.audits.lockstep import BUCKET, Integers
from pipeline.ratings import PairCounts
from pipeline.store.boards.audit_queries import VoteColumns
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vocabulary.time import DAY

MOST_COMPARED = 20_000_000
"""Number of newest leaves whose votes are compared with each other. 20 million votes take 0.5 GB, and 1 GB while they
are compared."""

_OUTCOMES = len(OUTCOMES)
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class ComparedVotes:
    """The n votes that are kept for the audits that compare votes with each other. Each attribute is a column.

    Attributes:
        voter: int64[n], pseudonym of the voter; −1 for a vote without a voter.
        what: integers[n], a number for the pair of models and the outcome. Two votes have the same number if they have
            the same two models and the same outcome for each, whichever model was on the left.
        when: integers[n], number of the ten-minute interval (`lockstep.BUCKET`) in which the vote was cast.
        prompt: int64[n], 64 bits of the prompt's hash; 0 for a vote without a prompt.
        left_out: number of older votes that are not kept.
    """

    voter: Int64
    what: Integers
    when: Integers
    prompt: Int64
    left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class VoteSums:
    """Sums over the accepted votes in the log. Votes between two names of one model are left out.

    A cell is a combination of category, pair of models and outcome that has votes.

    Attributes:
        models: names of the K models.
        votes: number of votes.
        newest: time of the newest vote in microseconds since 1970 UTC; 0 without votes.
        cells: int64[C], the number that encodes each cell.
        cell_votes: int64[C], number of votes in each cell.
        days: int64[D], the days with votes, counted from 1970-01-01 UTC, ascending.
        battles: int64[D], number of votes on each day.
        appearances: int64[D, K], number of votes on each day that name each model.
        late: int64[D, K], like `appearances`, but only for votes at a later time of day than the newest vote.
        first_at: int64[K], time of the first vote that names each model, in microseconds since 1970 UTC; the largest
            integer for a model without votes.
        before_release: int64[K], number of votes that name each model up to its release; 0 for a model without a
            release.
    """

    models: tuple[str, ...]
    votes: int
    newest: int
    cells: Int64
    cell_votes: Int64
    days: Int64
    battles: Int64
    appearances: Int64
    late: Int64
    first_at: Int64
    before_release: Int64

    def categories(self) -> dict[int, int]:
        """Return category → its number of votes.

        A category is given by its term number (term_no); 0 stands for none.
        """
        names, place = np.unique(self._split()[0], return_inverse=True)
        total = np.zeros(len(names), dtype=np.int64)
        np.add.at(total, place.ravel(), self.cell_votes)
        return dict(zip(names.tolist(), total.tolist(), strict=True))

    def counts(self, category: int | None = None) -> PairCounts:
        """Return the pair counts of all votes, or of the votes in one category.

        Args:
            category: term number (term_no) of the category; None for all votes.
        """
        of, low, high, outcome = self._split()
        rows = np.ones(len(of), dtype=np.bool_) if category is None else of == category
        pair, place = np.unique((low * max(len(self.models), 1) + high)[rows], return_inverse=True)
        table = np.zeros((len(pair), _OUTCOMES), dtype=np.int64)
        np.add.at(table, (place.ravel(), outcome[rows]), self.cell_votes[rows])
        return PairCounts.from_rows(self.models, *np.divmod(pair, max(len(self.models), 1)), table)

    def recent(self, days: int) -> Int64:
        """Return int64[K], the number of votes on each model in the `days` days before the newest vote."""
        last = self.newest // DAY - days
        total: Int64 = self.appearances[self.days > last].sum(axis=0) + self.late[self.days == last].sum(axis=0)
        return total

    def _split(self) -> tuple[Int64, Int64, Int64, Int64]:
        """Return category, lower model code, higher model code and outcome of each cell."""
        rest, outcome = np.divmod(self.cells, _OUTCOMES)
        rest, high = np.divmod(rest, max(len(self.models), 1))
        category, low = np.divmod(rest, max(len(self.models), 1))
        return category, low, high, outcome


class VoteSummer:
    """Sums blocks of votes as they are read, so that all votes need not be in memory at once.

    Args:
        models: names of the K models.
        newest: time of the newest vote in microseconds since 1970 UTC.
        released_at: model → time of its release in microseconds since 1970 UTC.
        compared: expected number of votes to keep for the audits that compare votes. Memory for this number is
            allocated at once, and for more votes when they come. None to keep no votes.
    """

    def __init__(
        self, models: tuple[str, ...], newest: int, released_at: Mapping[str, int], *, compared: int | None
    ) -> None:
        size = len(models)
        self._models, self._newest, self._votes, self._left_out = models, newest, 0, 0
        self._until = np.array([released_at.get(name, np.iinfo(np.int64).min) for name in models], dtype=np.int64)
        self._cells = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._days: dict[int, npt.NDArray[np.int64]] = {}
        self._first_at, self._before = np.full(size, _NEVER), np.zeros(size, dtype=np.int64)
        self._kept = None if compared is None else _Columns(compared)

    def add(self, votes: VoteColumns, *, old: bool = False) -> None:
        """Add a block of votes to the sums.

        Args:
            votes: the votes. A model is given by its position in `models`.
            old: whether these votes are too old to be kept for the audits that compare votes.
        """
        different = votes.model_a != votes.model_b
        votes = votes if different.all() else votes.filter(different)
        size = len(votes.voter)
        if not size:
            return
        self._votes += size
        low, high = np.minimum(votes.model_a, votes.model_b), np.maximum(votes.model_a, votes.model_b)
        outcome = np.where((votes.model_a > votes.model_b) & (votes.outcome < 2), 1 - votes.outcome, votes.outcome)
        what = (low * len(self._models) + high) * _OUTCOMES + outcome
        self._add_cells(votes.category * (len(self._models) ** 2 * _OUTCOMES) + what)
        self._add_days(votes)
        for side in (votes.model_a, votes.model_b):
            np.minimum.at(self._first_at, side, votes.cast_at)
            self._before += np.bincount(side[votes.cast_at <= self._until[side]], minlength=len(self._models))
        if old:
            self._left_out += size
        elif self._kept is not None:
            voter = np.where(votes.voter == 0, -1, votes.voter)
            self._kept.append(voter, what, votes.cast_at // BUCKET, votes.prompt)

    def _add_cells(self, cells: Int64) -> None:
        found, times = np.unique(cells, return_counts=True)
        known, votes = self._cells
        merged, place = np.unique(np.concatenate([known, found]), return_inverse=True)
        total = np.zeros(len(merged), dtype=np.int64)
        np.add.at(total, place.ravel(), np.concatenate([votes, times]))
        self._cells = merged, total

    def _add_days(self, votes: VoteColumns) -> None:
        """Add votes to the sums of each day: `battles`, `appearances` and `late` of `VoteSums`."""
        size = len(self._models)
        days, place = np.unique(votes.cast_at // DAY, return_inverse=True)
        place = place.ravel()
        late = votes.cast_at % DAY > self._newest % DAY
        sums = np.zeros((len(days), 1 + 2 * size), dtype=np.int64)
        sums[:, 0] = np.bincount(place, minlength=len(days))
        for side in (votes.model_a, votes.model_b):
            cell = place * size + side
            sums[:, 1 : 1 + size] += np.bincount(cell, minlength=len(days) * size).reshape(-1, size)
            sums[:, 1 + size :] += np.bincount(cell[late], minlength=len(days) * size).reshape(-1, size)
        for day, row in zip(days.tolist(), sums, strict=True):
            self._days[day] = self._days[day] + row if day in self._days else row

    def sums(self) -> VoteSums:
        """Return the sums over the votes that were added."""
        size, days = len(self._models), sorted(self._days)
        table = np.array([self._days[day] for day in days], dtype=np.int64).reshape(len(days), 1 + 2 * size)
        return VoteSums(
            self._models, self._votes, self._newest, *self._cells, np.array(days, dtype=np.int64), table[:, 0],
            table[:, 1 : 1 + size], table[:, 1 + size :], self._first_at, self._before,
        )  # fmt: skip

    def take_compared(self) -> ComparedVotes | None:
        """Return the votes that were kept, and release them from this object. None if none were kept."""
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        voter, what, when, prompt = kept.columns()
        return ComparedVotes(voter, what, when, prompt, self._left_out)


class _Columns:
    """Columns that grow. The columns are allocated with np.empty, so rows that are not yet written take no memory."""

    def __init__(self, rows: int) -> None:
        self._rows = 0
        kinds = (np.int64, np.int32, np.int32, np.int64)
        self._columns: list[npt.NDArray[Any]] = [np.empty(rows, dtype=kind) for kind in kinds]

    def append(self, *columns: Int64) -> None:
        """Append rows, one array for each column."""
        end = self._rows + len(columns[0])
        for at, column in enumerate(columns):
            whole = self._columns[at]
            if not _fits(column, whole.dtype):
                whole = whole.astype(np.int64)
            if end > len(whole):
                whole = np.resize(whole, max(end, 2 * len(whole)))
            whole[self._rows : end] = column
            self._columns[at] = whole
        self._rows = end

    def columns(self) -> list[npt.NDArray[Any]]:
        """Return the rows written so far, one array for each column."""
        return [column[: self._rows] for column in self._columns]


def _fits(values: Int64, kind: np.dtype[Any]) -> bool:
    """Return whether the integers can be stored in a column of this type."""
    limits = np.iinfo(kind)
    return not len(values) or bool(values.min() >= limits.min and values.max() <= limits.max)
