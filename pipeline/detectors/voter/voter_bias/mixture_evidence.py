"""Computes the part of the evidence of `voter_bias` that compares a voter with a mixture of honest tastes ("cells").

A level is a value of the evidence at which an alert opens or escalates. This evidence is computed only after some
votes, which are called looks. A vote is a look in three cases: the other part of the evidence (`evidence_path`) reaches
the first level; it is the 32nd, 64th, … vote of the voter; or the voter has an alert and it is the fourth, eighth, …
vote. At a look an upper bound is computed first. For most honest voters the bound is below the level, so the evidence
itself is not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.detectors.voter.voter_bias.cell_counts import CellHistory, CellsOfVotes, ProviderCells
from pipeline.detectors.voter.voter_bias.evidence_path import TARGET_WEIGHT, EvidencePath
from pipeline.evidence import E_UNIT, Reference, to_e_units
from pipeline.evidence.cells import PROVIDER_WEIGHT, average_ratios, cell_weights, log_bounds, log_ratios
from pipeline.evidence.swapped_outcomes import swapped_bounds, swapped_log_ratio
from pipeline.scoring.signals import LEVELS
from pipeline.vocabulary.arrays import Bool, Float64, Int64

SWAPPED_WEIGHT = 0.15
"""Weight of the alternative that the voter swaps win and loss, with tastes and errors of the ratings integrated out."""

_GENERIC_WEIGHTS = np.array([0.1, 0.1, 0.05])
"""Weights of always left, always right and against the rating, each as the band has it (`evidence_path.GENERIC`)."""

LOOK_EVERY, LOOK_EVERY_ALERTED = 32, 4
"""A voter without an alert is evaluated after every 32nd vote, a voter with an alert after every fourth vote."""

_CRITICAL_LEVEL = 2
_MAX_LOG = 32 * np.log(2.0)
_LEAST_VOTES = 3
# The last level: the voter is not evaluated again.
_LAST = len(LEVELS)


def is_look(votes: int, emitted: int) -> bool:
    """Return whether the mixture is evaluated after a vote because of the vote's number.

    The mixture is evaluated after every 32nd vote of a voter, and after every fourth vote of a voter with an alert.

    Args:
        votes: number of the voter's votes, this vote included.
        emitted: the highest level that was emitted about the voter. After the last level nothing is evaluated.
    """
    return emitted < _LAST and votes % (LOOK_EVERY_ALERTED if emitted else LOOK_EVERY) == 0


def looks_of(votes: Int64, emitted: Int64) -> Bool:
    """Return bool[n], true for each vote after which the mixture is evaluated because of the vote's number (`is_look`).

    Args:
        votes: int64[n], number of the voter's votes, the vote included.
        emitted: int64[n], the highest level that was emitted about the voter.
    """
    return np.asarray((votes % np.where(emitted > 0, LOOK_EVERY_ALERTED, LOOK_EVERY) == 0) & (emitted < _LAST))


@dataclass(frozen=True)
class MixtureEvidence:
    """Computes the evidence of `voter_bias` against a mixture of honest tastes, for a batch of votes.

    The null hypothesis is an honest voter whose tastes are drawn from the board's distribution.

    Attributes:
        path: the votes of the batch, with the evidence against the band of honest tastes after each vote.
        providers: counts of the voters' earlier votes on each provider.
        reference_of: returns the reference of a snapshot, given the sequence number of the snapshot. A reference holds
            what a snapshot predicts about honest voters: strengths of the models with their covariance, the share of
            ties, and how much voters differ in taste.
        reference: the reference that evaluates the new votes of the batch. The other votes of the batch are earlier
            votes from the voters' states.
        looks: int64, positions of the votes after which the evidence may be needed, ascending.
    """

    path: EvidencePath
    providers: ProviderCells
    reference_of: Callable[[int], Reference]
    reference: Reference
    looks: Int64

    @cached_property
    def history(self) -> CellHistory:
        """The counts of the voters' votes on each model and on each provider after each vote."""
        return self.path.history(self.providers, self.reference_of)

    def level(self, vote: int, emitted: int) -> tuple[int, float]:
        """Return the level that the evidence has after a vote, and the e-value that an alert states.

        There are two e-values. The first is against a band of honest tastes (`evidence_path`), the second against the
        mixture of this class. The average of both decides whether level 1 is reached. The second e-value alone decides
        whether higher levels are reached. If an upper bound shows that no level above `emitted` is reached, the result
        is (0, 0.0), and the exact value is not computed.

        Args:
            vote: position of the vote.
            emitted: the level that was emitted before.
        """
        band = float(self.path.e[vote]) * E_UNIT
        bound = self.bounds.get(vote)
        if bound is None:
            bound = self._bound(np.array([vote]))[0]
        if max((band + bound) / 2 if not emitted else 0.0, bound) < LEVELS[emitted]:
            return 0, 0.0
        cells = self.value(vote)
        level = int(np.searchsorted(LEVELS, cells, side="right"))
        if level >= _CRITICAL_LEVEL:
            return level, cells
        average = (band + cells) / 2
        return int(average >= LEVELS[0]), average

    @cached_property
    def bounds(self) -> dict[int, float]:
        """For each of the `looks`: position of the vote → an upper bound of the e-value of the mixture after it."""
        if not len(self.looks):
            return {}
        return dict(zip(self.looks.tolist(), self._bound(self.looks).tolist(), strict=True))

    def value(self, vote: int) -> float:
        """Return the e-value of the mixture after a vote, given the vote's position."""
        found, parts = self._generic(np.array([vote])), self.parts(np.array([vote]))
        found += SWAPPED_WEIGHT * np.exp(self._swapped_log(parts[0][1]))
        for weight, cells in parts:
            rows, share = large_cells(cells)
            found += weight * (share * self._capped_ratios(cells, rows)).sum()
        return float(found[0])

    def _bound(self, looks: Int64) -> Float64:
        """Return an upper bound of the e-value of the mixture after each of l votes, float64[l].

        First, `log_bounds` bounds each cell. Where the sum may reach a level, the cells with the largest bounds are
        computed exactly, a few of them. For most honest voters the sum is then below the level, so the other cells,
        which take most of the time, are never computed.
        """
        found, parts = self._generic(looks), self.parts(looks)
        models = parts[0][1]
        place = self.reference.index_of(models.key)
        found += SWAPPED_WEIGHT * np.exp(swapped_bounds(models.look, place, models.counts, self.reference, len(looks)))
        large = [(weight, cells, *large_cells(cells)) for weight, cells in parts]
        bounds = [
            weight * share * np.exp(np.minimum(log_bounds(cells.counts.take(rows), self.reference), _MAX_LOG))
            for weight, cells, rows, share in large
        ]
        where = [cells.look[rows] for _, cells, rows, _ in large]
        total = _total(found, where, bounds)
        number = sum(np.bincount(look, minlength=len(looks)) for look in where)
        # Below this sum, no level is reached, also if the evidence against the band is added.
        enough = np.clip(2 * LEVELS[0] - self.path.e[looks] * E_UNIT, 1.0, LEVELS[0])
        most = np.where(total >= enough, enough / (2 * np.maximum(number, 1)), np.inf)
        for (weight, cells, rows, share), look, bound in zip(large, where, bounds, strict=True):
            exact = np.flatnonzero(bound > most[look])
            bound[exact] = weight * share[exact] * self._capped_ratios(cells, rows[exact])
        return _total(found, where, bounds) * (1 + 1e-9)

    def _capped_ratios(self, cells: CellsOfVotes, rows: Int64) -> Float64:
        ratios = log_ratios(cells.counts.take(rows), self.reference, self.reference.taste.upper)
        return np.asarray(np.minimum(average_ratios(ratios), np.exp(_MAX_LOG)))

    def parts(self, looks: Int64) -> tuple[tuple[float, CellsOfVotes], ...]:
        """Return the cells of the voters after some votes, with the total weight of the alternatives about these cells.

        Args:
            looks: int64[l], positions of votes.

        Returns:
            Two pairs of a weight and cells: first the cells of models, then the cells of providers.
        """
        models, providers = self.history.after(looks)
        return ((TARGET_WEIGHT * (1 - PROVIDER_WEIGHT), models), (TARGET_WEIGHT * PROVIDER_WEIGHT, providers))

    def _generic(self, looks: Int64) -> Float64:
        return np.asarray(to_e_units(_GENERIC_WEIGHTS, self.path.generic[looks]).sum(axis=1) * E_UNIT)

    def _swapped_log(self, models: CellsOfVotes) -> float:
        return swapped_log_ratio(self.reference.index_of(models.key), models.counts, self.reference)

    def habits(self, vote: int, models: CellsOfVotes) -> tuple[list[float], float]:
        """Return what the alternatives that are not about a model add to the e-value after a vote.

        Args:
            vote: position of the vote.
            models: the cells of models of the vote's voter after the vote, from `parts`.

        Returns:
            Two values: what each alternative of `evidence_path.GENERIC` adds, where "votes against the rating" has both
                of its forms; and the logarithm of the ratio that the voter swaps win and loss.
        """
        generic = to_e_units(_GENERIC_WEIGHTS, self.path.generic[vote]) * E_UNIT
        swapped = self._swapped_log(models)
        generic[-1] += SWAPPED_WEIGHT * np.exp(swapped)
        return generic.tolist(), swapped


def _total(first: Float64, look: Sequence[Int64], values: Sequence[Float64]) -> Float64:
    """Return float64[l], for each look its first value plus the sum of its cells' values."""
    parts = [np.bincount(of, weights=value, minlength=len(first)) for of, value in zip(look, values, strict=True)]
    return np.asarray(first + sum(parts))


def large_cells(cells: CellsOfVotes) -> tuple[Int64, Float64]:
    """Find the cells with enough votes for evidence.

    Returns:
        Two arrays: int64, the positions of these cells, ascending; and float64, the weight of each in its voter's
        e-value (`cell_weights`).
    """
    rows = np.flatnonzero(cells.counts.votes >= _LEAST_VOTES)
    return rows, cell_weights(cells.look, cells.counts.votes)[rows]
