"""Represents the votes of a file as columns of integer codes; a column that the file does not have is None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.ratings import Fit
from pipeline.ratings.clustered_sandwich import LEAST_VOTERS, effective_voters
from pipeline.ratings.voter_covariance import with_voter_covariance
from pipeline.vocabulary.arrays import Bool, Int8, Int32, Int64
from pipeline.vocabulary.large_arrays import keep, select_large

NO_TIME = np.iinfo(np.int64).min
"""The time of a vote without a time."""

_COLUMNS = (
    "model_a", "model_b", "outcome", "position", "voter", "prompt", "session", "time", "category", "language", "turn",
    "network", "voter_since", "style",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReportVotes:
    """N votes on K models. A column is None if the file has no such column.

    Attributes:
        models: names of the K models.
        model_a, model_b: int32[N], positions of the two models in `models`; the two differ.
        outcome: int32[N], position of the outcome in `OUTCOMES`.
        position: int8[N], 1 if model a was shown first, −1 if model b was shown first, 0 if unknown.
        voter, prompt, session: int64[N], equal numbers for votes of one voter, on one prompt, of one session; −1 if
            unknown.
        time: int64[N], microseconds since 1970 UTC; NO_TIME if unknown.
        category, language: int32[N], position in `categories` and `languages`; −1 if unknown.
        turn: int32[N], number of turns of the conversation before the vote, from 1; 0 if unknown.
        network: int64[N], equal numbers for votes from one network; −1 if unknown.
        voter_since: int64[N], when the account of the vote's voter was made, microseconds since 1970 UTC; NO_TIME if
            unknown.
        style: int8[N, 5], one column for each of `STYLE_FEATURES`. 1 if answer a has more of the feature, −1 if answer
            b has more. 0 if both have the same amount, or if it is unknown.
        categories, languages: names of the labels.
        provider: int32[K], position of each model's provider in `providers`; −1 if unknown.
        providers: names of the providers.
    """

    models: tuple[str, ...]
    model_a: Int32
    model_b: Int32
    outcome: Int32
    position: Int8 | None = None
    voter: Int64 | None = None
    prompt: Int64 | None = None
    session: Int64 | None = None
    time: Int64 | None = None
    category: Int32 | None = None
    language: Int32 | None = None
    turn: Int32 | None = None
    network: Int64 | None = None
    voter_since: Int64 | None = None
    style: Int8 | None = None
    categories: Sequence[str] = ()
    languages: Sequence[str] = ()
    provider: Int32 | None = None
    providers: Sequence[str] = ()

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.model_a)

    @property
    def codes(self) -> tuple[Int32, Int32, Int32]:
        """The columns `model_a`, `model_b` and `outcome`, in the order in which the estimators take them."""
        return self.model_a, self.model_b, self.outcome

    def select(self, rows: Bool | Int64) -> ReportVotes:
        """Return the votes of some rows. The models stay.

        Args:
            rows: bool[N], true for the selected votes; or int64, their positions.
        """
        if rows.dtype == np.bool_ and rows.all():
            return self
        columns: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        return replace(self, **{name: _take(column, rows) for name, column in columns.items() if column is not None})

    def between(self, models: Sequence[str]) -> ReportVotes:
        """Return the votes between some models. The result has only these models, in the given order.

        Args:
            models: names among `self.models`.
        """
        place = {name: code for code, name in enumerate(self.models)}
        kept = np.array([place[name] for name in models], dtype=np.int64)
        table = np.full(len(self.models), -1, dtype=np.int32)
        table[kept] = np.arange(len(kept), dtype=np.int32)
        a, b = keep(table[self.model_a]), keep(table[self.model_b])
        rows = (a >= 0) & (b >= 0)
        if rows.all():  # a copy of all columns would take as much memory again
            return replace(self, models=tuple(models), model_a=a, model_b=b, provider=self._providers_of(kept))
        selected = self.select(rows)
        return replace(
            selected, models=tuple(models), model_a=a[rows], model_b=b[rows], provider=self._providers_of(kept)
        )

    def _providers_of(self, models: Int64) -> Int32 | None:
        return None if self.provider is None else self.provider[models]

    def effective_voters(self) -> float | None:
        """Return the effective number of voters (`clustered_sandwich.effective_voters`); None if no voter is known."""
        voter = self.known("voter")
        return None if voter is None else effective_voters(voter)

    def has_few_voters(self) -> bool:
        """Return whether voters are known, but too few for a reliable covariance clustered by voter."""
        voters = self.effective_voters()
        return voters is not None and voters < LEAST_VOTERS

    def by_voter(self, fitted: Fit) -> Fit:
        """Return the fit of these votes with the covariance of dependent votes of one voter (`voter_covariance`).

        Args:
            fitted: the fit with the covariance of independent votes; returned as it is if no voter is known.
        """
        voter = self.known("voter")
        return fitted if voter is None else with_voter_covariance(fitted, self.codes, voter)

    def known(self, column: str) -> npt.NDArray[np.int64] | None:
        """Return `voter`, `prompt`, `session` or `network` as int64[N]; None if no vote has a value in this column."""
        values: Int64 | None = getattr(self, column)
        return None if values is None or not (values >= 0).any() else values


def _take(column: npt.NDArray[Any], rows: npt.NDArray[Any]) -> Any:
    return select_large(column, rows) if rows.dtype == np.bool_ else keep(column[rows])
