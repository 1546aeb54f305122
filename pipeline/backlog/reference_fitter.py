"""Fits the reference of a fold on the votes of the other folds.

At most CAP votes of a voter on any model count. Without this limit, the votes of attackers in the other folds move the
reference so far that the attackers look honest. With 20% attack votes, none of 417 attackers is found without the
limit, and all 417 with it. The covariance is clustered by voter, since the votes of one voter are not independent.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline.backlog.backlog_votes import TIED, BacklogCells, BacklogVotes, take_rows
from pipeline.errors import RatingError
from pipeline.evidence import Reference
from pipeline.evidence.taste import ASSUMED_CONCENTRATION, Taste, estimate_taste, estimate_tie_habits
from pipeline.ratings import PairCounts, fit, select_rated_models
from pipeline.ratings.bradley_terry import sandwich_covariance
from pipeline.ratings.clustered_sandwich import clustered_scatter
from pipeline.ratings.residuals import residuals
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64
from pipeline.vocabulary.large_arrays import keep, select_large

CAP = 3
"""The largest number of votes of a voter on a model that count in a reference."""


class ReferenceFitter:
    """Fits references on the votes of some folds, without excluded voters.

    The object stores the sums that do not change when voters are excluded.
    """

    def __init__(
        self,
        votes: BacklogVotes,
        cells: BacklogCells,
        fold: npt.NDArray[np.integer],
        folds: int,
        left_out: Bool | None = None,
        cap: int | None = CAP,
    ) -> None:
        """Choose the votes that may count.

        Args:
            votes: the n votes.
            cells: the cells of these votes.
            fold: int[n], the fold of each vote, from 0 to `folds` − 1.
            folds: number of folds.
            left_out: bool[n], votes that count in no reference; None for no vote.
            cap: the largest number of votes of a voter on a model that count; None to count all.
        """
        self._votes, self._folds, self._fold = votes, folds, fold
        self._names = tuple(f"{number:07d}" for number in range(votes.models))
        counted = cells.capped_votes(cap) if cap is not None else np.ones(len(votes.voter), dtype=np.bool_)
        self._rows = keep(np.flatnonzero(counted if left_out is None else counted & ~left_out))
        self._tastes: dict[tuple[int, ...], Taste] = {}

    def fit_without(self, held_out: Sequence[Sequence[int]], excluded: Bool) -> list[Reference | None]:
        """Fit one reference for each list of folds, on the votes of all folds that are not in the list.

        Args:
            held_out: lists of folds; the votes of these folds do not count in the reference of the list.
            excluded: bool[v], voters whose votes do not count.

        Returns:
            A reference for each list, with the model numbers of the backlog; None if the votes cannot be rated. The
                taste of the voters is estimated in the first call with a list, and later calls with that list use the
                same estimate.
        """
        votes = self._votes
        rows = self._rows
        if excluded.any():
            rows = select_large(rows, ~take_rows(excluded, take_rows(votes.voter, rows, np.int32), np.bool_))
        fold = take_rows(self._fold, rows, self._fold.dtype)
        parts = [self._count(rows[fold == k]) for k in range(self._folds)]
        found: list[Reference | None] = []
        for without in held_out:
            kept = PairCounts.merge(part for k, part in enumerate(parts) if k not in without)
            found.append(self._fit(kept, select_large(rows, ~np.isin(fold, without)), tuple(without)))
        return found

    def _count(self, rows: Int64) -> PairCounts:
        votes = self._votes
        return PairCounts.from_codes(self._names, votes.model_a[rows], votes.model_b[rows], votes.outcome[rows])

    def _fit(self, counts: PairCounts, rows: Int64, without: tuple[int, ...]) -> Reference | None:
        votes = self._votes
        try:
            rated, _ = select_rated_models(counts.decisive(), least_share=0.0)
            estimate = fit(rated)
        except RatingError:
            return None
        codes = np.array([int(name) for name in rated.models], dtype=np.int64)
        place = np.full(votes.models, -1, dtype=np.int32)
        place[codes] = np.arange(len(codes))
        a, b = (take_rows(place, take_rows(side, rows, np.int32), np.int32) for side in (votes.model_a, votes.model_b))
        among = (a >= 0) & (b >= 0)
        rows, a, b = (select_large(column, among) for column in (rows, a, b))
        outcome, voter = take_rows(votes.outcome, rows, np.int8), take_rows(votes.voter, rows, np.int64)
        decided = outcome != TIED
        covariance = _clustered(
            estimate.theta, estimate.hessian, *(select_large(column, decided) for column in (a, b, outcome, voter))
        )
        if covariance is None:
            return None
        share = float(np.clip(counts.tie_share(), 1e-6, 1 - 1e-6))
        found = Reference(0, codes, estimate.theta, covariance, share, self._tie_prior(voter, outcome == TIED, share))
        if without not in self._tastes:  # hardly changes when voters are excluded: a median over models
            difference = take_rows(estimate.theta, a, np.float64)
            difference -= take_rows(estimate.theta, b, np.float64)
            self._tastes[without] = estimate_taste(voter, a, b, outcome, difference)
        return replace(found, taste=self._tastes[without])

    def _tie_prior(self, voter: Int64, tied: Bool, share: float) -> tuple[float, float]:
        votes, ties = np.bincount(voter), np.bincount(voter, tied)
        habits = estimate_tie_habits(votes, ties.astype(np.int64))
        concentration = ASSUMED_CONCENTRATION if habits is None else habits.concentration
        return concentration * share, concentration * (1 - share)


def _clustered(
    theta: Float64, hessian: Float64, a: Int32, b: Int32, outcome: npt.NDArray[np.int8], voter: Int64
) -> Float64 | None:
    """Return float64[K, K], the covariance of θ clustered by voter; None if the information is singular.

    Args:
        theta: float64[K], the fitted strengths θ.
        hessian: float64[K, K], the information.
        a, b: int32[n], positions of the models of each vote.
        outcome: int8[n], codes of the outcomes.
        voter: int64[n], equal for votes of one voter.
    """
    residual = keep(residuals(theta, a, b, outcome))
    return sandwich_covariance(hessian, clustered_scatter(a, b, residual, voter, len(theta)))
