"""Computes the exact e-value of `voter_bias` after every vote.

The e-value is against the hypothesis that the voter's tastes stay in the band of honest tastes. Only few voters need
the exact e-value: those for whom a faster upper bound of the e-value reached the level of an alert. A *target* is a
model that a voter has met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.detectors.voter.voter_bias.cell_counts import CellHistory, ProviderCells
from pipeline.detectors.voter.voter_bias.target_models import (
    RANKED_AFTER,
    EvaluatedVotes,
    FoldedSums,
    JoinedVotes,
    TargetModels,
    join_targets,
)
from pipeline.evidence import DELTAS, E_UNIT, LOG_UNIT, Reference, group_starts, running_sums, to_e_units
from pipeline.evidence.cells import VERBS
from pipeline.evidence.tie_ratios import TARGET_TIE_RATIOS
from pipeline.vocabulary.arrays import Float64, Int64

GENERIC = ("always votes for the left side", "always votes for the right side", "votes against the rating")
TARGET_WEIGHT = 0.6
"""Total weight of the alternatives about single models. With a larger weight, voters who always choose one side would
be found only after more than ten votes."""

# Weights of promotes and demotes (most attackers promote), and of the sizes δ of each. The smallest δ gets most: with
# equal weights 2% fewer attackers at half strength are found, and the others four votes sooner.
_VERBS, _SIZES = (2 / 3, 1 / 3), (0.6, 0.2, 0.2)
_ALTERNATIVES = np.outer(_VERBS, _SIZES).ravel()

GENERIC_WEIGHT = (1 - TARGET_WEIGHT) / len(GENERIC)
# exp() of it is finite and above every level.
_MAX_LOG = 600.0


@dataclass(frozen=True)
class EvidencePath:
    """The evidence of `voter_bias` after each of n votes, the votes of several voters.

    Arrays with 2n rows have two rows for each vote: model a, then model b.

    Attributes:
        voter: int64[n], index of the vote's voter, ascending.
        joined: the votes joined with the models that their voters have met.
        sums: int64[2n, 6], sums over the voter's votes so far of the log-likelihood ratios of six alternatives about
            the row's model, in units of 2⁻²⁰ nats.
        generic: int64[n, 3], the same sums for the alternatives GENERIC, which are not about a model.
        about: int64[n], the part of the e-value from alternatives about models, in units of 2⁻²⁴.
        e: int64[n], the e-value, in units of 2⁻²⁴.
        votes: the votes.
    """

    voter: Int64
    joined: JoinedVotes
    sums: Int64  # [2n, 6] log-ratio sums of the row's model after the vote
    generic: Int64  # [n, 3]
    about: Int64  # [n] the part of the e-value from alternatives about models, units of 2⁻²⁴
    e: Int64  # [n] the e-value
    votes: EvaluatedVotes

    def bound(self, i: int) -> int:
        """Return an upper bound of ln e after vote i, in units of 2⁻²⁰ nats.

        The bound includes the most that models without a rank can add: their weights sum to TARGET_WEIGHT/(ranked + 1),
        where `ranked` is the number of models with a rank. It also includes the most that rounding down takes from each
        component. The bound does not depend on how the votes are split into calls, since it is stored in states.
        """
        ranked = int(self.joined.ranked[i])
        rest = TARGET_WEIGHT / (ranked + 1) * self._unranked_average(i)
        whole = (int(self.e[i]) + 6 * ranked + 4) * E_UNIT + rest
        return int(np.ceil(np.log(whole) / LOG_UNIT)) + 2

    def _unranked_average(self, i: int) -> float:
        """Return the largest average likelihood ratio among the voter's models without a rank; at least 1.

        The average of a model is over the alternatives about the model. Only the voter's votes up to vote i count.
        """
        voter, targets, rows = int(self.voter[i]), self.joined.targets, self.joined.rows
        low, high = np.searchsorted(targets.voter, [voter, voter + 1]).tolist()
        first = int(np.searchsorted(self.voter, voter))
        here = rows[2 * first : 2 * i + 2] - low
        later = rows[2 * i + 2 : 2 * int(np.searchsorted(self.voter, voter, side="right"))] - low
        votes = targets.votes[low:high] - np.bincount(later, minlength=high - low)
        before, after = self._averages
        average = before[low:high].copy()
        average[here] = after[2 * first : 2 * i + 2]  # of equal positions the last assignment wins
        return float(average[votes < RANKED_AFTER].max(initial=1.0))

    @cached_property
    def _averages(self) -> tuple[Float64, Float64]:
        """Two arrays: the average ratio of the alternatives about a model, for each row of `joined.targets` and `sums`.

        The first array is about the sums before the votes, the second about the sums after each vote.
        """
        return _average(self.joined.targets.sums), _average(self.sums)

    def fold(
        self, folded: FoldedSums, providers: ProviderCells, reference_of: Callable[[int], Reference]
    ) -> tuple[FoldedSums, TargetModels, ProviderCells]:
        """Add the votes to the sums, models and provider cells of each voter. The arguments are not changed.

        Args:
            folded: the sums over the earlier votes of each voter.
            providers: the cells of providers, with the counts of the earlier votes.
            reference_of: returns the reference of a snapshot, given its sequence number.

        Returns:
            Three values after each voter's last vote: the sums; the models that the voters have met; and the cells of
                providers.
        """
        last = np.append(group_starts(self.voter)[1:], True)[: len(self.voter)]
        who = self.voter[last]
        after = FoldedSums(folded.met.copy(), folded.generic.copy(), folded.total.copy())
        after.met[who], after.generic[who] = self.joined.met[last], self.generic[last]
        after.total[who] = self.about[last]
        targets = self.joined.targets
        sums = targets.sums.copy()
        sums[self.joined.rows] = self.sums  # of equal positions the last assignment wins
        cells, beside = self.history(providers, reference_of).folded(np.ones(len(self.voter), dtype=np.bool_))
        models = TargetModels(targets.voter, targets.model, targets.rank, targets.votes, sums, cells)
        return after, models, beside

    def history(self, providers: ProviderCells, reference_of: Callable[[int], Reference]) -> CellHistory:
        """Return what each vote of the path adds to the counts of its voter's cells, and the counts before all of them.

        A cell has a voter's votes on one model, or a voter's votes on the models of one provider. The counts before
        the path come from `joined.targets` for models, and from `providers` for providers.

        Args:
            providers: the cells of providers before the votes of the path; not changed.
            reference_of: returns the reference of a snapshot, given the sequence number of the snapshot.
        """
        return CellHistory.of(self.votes, self.joined.targets, self.joined.rows, providers, reference_of)

    def shares(self, i: int) -> tuple[list[tuple[str, int, float, float]], list[tuple[str, float]]]:
        """Return the parts of the e-value after vote i.

        Returns:
            Two lists. The first has an item for each alternative about a model: (promotes or demotes, model number,
                size δ of the bias in logits, part). The second has an item for each text in GENERIC: (text, part).
        """
        targets, rows = self.joined.targets, self.joined.rows
        here = np.flatnonzero(np.repeat(self.voter == self.voter[i], 2)[: 2 * i + 2])
        sums = targets.sums.copy()
        sums[rows[here]] = self.sums[here]
        votes = targets.votes - np.bincount(rows, minlength=len(targets.votes))
        votes += np.bincount(rows[here], minlength=len(votes))
        met = np.flatnonzero((targets.voter == self.voter[i]) & (votes >= RANKED_AFTER))
        target_e = to_e_units(_weight(targets.rank[met]), sums[met]) * E_UNIT
        about = [
            (verb, int(targets.model[m]), delta, float(target_e[r, c]))
            for r, m in enumerate(met.tolist())
            for c, (verb, delta) in enumerate((v, d) for v in VERBS for d in DELTAS)
        ]
        generic = to_e_units(GENERIC_WEIGHT, self.generic[i]) * E_UNIT
        return about, list(zip(GENERIC, generic.tolist(), strict=True))


def compute_path(
    votes: EvaluatedVotes, folded: FoldedSums, targets: TargetModels, reference_of: Callable[[int], Reference]
) -> EvidencePath:
    """Compute the evidence after each vote of m voters, starting from the sums of their earlier votes.

    Args:
        votes: n votes of m voters.
        folded: the sums over the earlier votes of each voter; not changed.
        targets: the models that each voter met before these votes; not changed.
        reference_of: returns the reference of a snapshot, given its sequence number.
    """
    joined = join_targets(votes.voter, votes.model_a, votes.model_b, targets, folded.met)
    steps, generic_steps = _steps(votes, Reference.taste_band(joined.before), reference_of)
    generic = running_sums(generic_steps, votes.voter, folded.generic)
    sums, change = _target_sums(joined, steps)
    about = running_sums(change, votes.voter, folded.total)
    e = about + to_e_units(GENERIC_WEIGHT, generic).sum(axis=1)
    return EvidencePath(votes.voter, joined, sums, generic, about, e, votes)


def _steps(votes: EvaluatedVotes, band: Int64, reference_of: Callable[[int], Reference]) -> tuple[Int64, Int64]:
    """Return the log-likelihood ratios of n votes, in units of 2⁻²⁰ nats.

    To promote one model of a battle has the same effect as to demote the other, but each alternative uses the band of
    its own model. A tie counts only by the ratio of the event "tie".

    Args:
        votes: the n votes.
        band: the band of honest tastes for each vote and model (`Reference.taste_band`): a of vote 0, b of vote 0, ….
        reference_of: sequence number of a snapshot → its reference.

    Returns:
        Two arrays. The first is int64[2n, 6], with a row for model a and a row for model b of each vote. Its columns
        are "promotes" for each of the three δ, then "demotes" for each δ. The second is int64[n, 3], the ratios of
        the generic alternatives.
    """
    n = len(votes.voter)
    about, generic = np.empty((n, 2, 2, 3), dtype=np.int64), np.empty((n, 3), dtype=np.int64)
    bands = band.reshape(n, 2)
    for sequence in np.unique(votes.snapshot).tolist():
        rows = np.flatnonzero(votes.snapshot == sequence)
        reference, outcome = reference_of(sequence), votes.outcome[rows].astype(np.int64)
        a, b = reference.index_of(votes.model_a[rows]), reference.index_of(votes.model_b[rows])
        won_a, won_b = (outcome == 0).astype(np.int64), (outcome == 1).astype(np.int64)
        tied = (outcome == 2).astype(np.int64)
        level = reference.tie_level(a, b, reference.expected_tie_share(votes.ties[rows], votes.votes[rows]))
        by_ties, decided = TARGET_TIE_RATIOS[level, tied], (1 - tied)[:, None]
        for place, band_ in enumerate(bands[rows].T):
            about[rows, place, place] = reference.target_ratios[band_, a, b, won_a] * decided + by_ties
            about[rows, place, 1 - place] = reference.target_ratios[band_, b, a, won_b] * decided + by_ties
        generic[rows] = reference.generic_steps(a, b, outcome, level)
    return about.reshape(2 * n, 6), generic


def _target_sums(joined: JoinedVotes, steps: Int64) -> tuple[Int64, Int64]:
    """Add the log-ratios of n votes to the sums of their models.

    Args:
        joined: the n votes. Each has two rows: model a, then model b.
        steps: int64[2n, 6], the log-ratios of each row, in units of 2⁻²⁰ nats (`_steps`).

    Returns:
        Two arrays. The first is int64[2n, 6]: for each row, the sums about the row's model after the vote. The columns
            are the six alternatives about a model: promotes by each δ, then demotes by each δ. The second is int64[n]:
            by how much each vote changes the e-value's part about models, in units of 2⁻²⁴.
    """
    targets, rows = joined.targets, joined.rows
    order = np.argsort(rows, kind="stable")
    group, before = rows[order], joined.before[order]
    sums = running_sums(steps[order], group, targets.sums)
    weight = _weight(targets.rank[group])
    has_rank = before >= RANKED_AFTER - 1
    after = np.where(has_rank, to_e_units(weight, sums).sum(axis=1), 0)
    first = group_starts(group)
    earlier = np.empty_like(after)
    earlier[1:] = after[:-1]
    at_start = group[first]
    initial = to_e_units(weight[first], targets.sums[at_start]).sum(axis=1)
    earlier[first] = np.where(before[first] >= RANKED_AFTER, initial, 0)
    change, unsorted = np.empty_like(after), np.empty_like(sums)
    change[order], unsorted[order] = after - earlier, sums
    return unsorted, change.reshape(-1, 2).sum(axis=1)


def _average(sums: Int64) -> Float64:
    """Return float64[n], the weighted average of the six likelihood ratios of each model.

    `sums`, int64[n, 6], has the logarithms of these ratios in units of 2⁻²⁰ nats. The columns are added in a fixed
    order, so that the result is the same on every machine.
    """
    average = np.zeros(len(sums))
    for weight, column in zip(_ALTERNATIVES.tolist(), sums.T, strict=True):
        average += weight * np.exp(np.minimum(column * LOG_UNIT, _MAX_LOG))
    return average


def _weight(rank: Int64) -> Float64:
    """Return the weights of the six alternatives about a model of rank r, float64[n, 6].

    Their sum is 0.6/(r(r + 1)), or 0 for a model without a rank.
    """
    whole = np.where(rank > 0, TARGET_WEIGHT, 0.0) / (np.maximum(rank, 1) * (rank + 1))
    return np.asarray(whole[:, None] * _ALTERNATIVES)
