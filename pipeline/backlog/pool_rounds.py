"""Finds the models that groups of pooled voters promote or demote, one after another, the strongest first.

Voters are pooled if each has too few votes to be found alone. While the votes of one attack count in the reference, the
opponents of the attacked model seem to be attacked too. So each round reports only the strongest model. The members of
the group that promotes or demotes this model are excluded, and the other voters are evaluated again, until no model is
found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline.backlog.folds import fold_of
from pipeline.backlog.pooled_voters import SIDES, PooledCells, find_members, pool_models, strata_of
from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.backlog.voter_rounds import Progress, no_progress
from pipeline.backlog.voter_values import VoterEvaluator
from pipeline.evidence import Reference
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int64, UInt64

HALVES, BLOCKS = 2, 5
MEMBER = 0.9
"""A voter is named as a member of a group if the probability of membership is at least this."""

ALPHA = 0.05
"""The tolerated probability that any model of a board is reported falsely."""

# Attacks that are looked for one after another, and steps in which the members and the reference are improved.
_MOST_FOUND, _MOST_STEPS = 10, 6
# Members come from all voters on a model, so that at least half of these are taken as honest.
_MOST_SHARE = 0.5
_PARTS = range(HALVES * BLOCKS)


@dataclass(frozen=True)
class PooledFinding:
    """A model that a group of voters promotes or demotes.

    Attributes:
        model: number of the model.
        direction: `promotes` or `demotes`.
        log_e: ln of the e-value. The null hypothesis is that all voters on the model are honest. For accomplices, it is
            ln of the e-value of the strongest voter who was found alone.
        members: int64[k], positions of the voters who belong to the group, ascending.
        likelihood: float64[k], the probabilities that these voters belong to the group.
        expected: the expected number of members among all voters.
        votes: number of the members' votes.
        accomplices: whether the members are accomplices of voters who were found alone by their own evidence. The
            voters who were found alone are not among the members.
    """

    model: int
    direction: str
    log_e: float
    members: Int64
    likelihood: Float64
    expected: float
    votes: int
    accomplices: bool = False


@dataclass(frozen=True)
class KnownTarget:
    """A model that some voters promote or demote. Each of these voters was found by the voter's own evidence.

    Attributes:
        model: number of the model.
        side: position of the direction in SIDES.
        log_e: ln of the e-value of the strongest of these voters.
    """

    model: int
    side: int
    log_e: float


@dataclass(frozen=True)
class VoterPools:
    """Pools voters to find the models that they promote or demote together.

    Each voter is evaluated by a reference that was fitted without this voter's votes.

    Attributes:
        evaluator: has the votes and their cells.
        hashes: uint64[v], the keyed hash of each voter.
        progress: called after each pass over the voters.
    """

    evaluator: VoterEvaluator
    hashes: UInt64
    progress: Progress = no_progress

    def find_accomplices(self, targets: Sequence[KnownTarget], suspects: Bool, excluded: Bool) -> list[PooledFinding]:
        """Find accomplices: voters who promote or demote the same model as a voter who was found alone.

        An accomplice has too few votes to be found alone.

        Args:
            targets: the models that the voters who were found alone promote or demote.
            suspects: bool[v], voters who are left out altogether.
            excluded: bool[v], the voters who were found alone, and the suspects; they count in no reference.

        Returns:
            One finding for each target that has accomplices; its members are the accomplices alone.
        """
        votes, stratum = self.evaluator.votes, strata_of(self.evaluator.votes)
        fitter = ReferenceFitter(votes, self.evaluator.cells, self._part[votes.voter], HALVES * BLOCKS)
        found = []
        for one in targets:
            group = self._members(fitter, stratum, suspects, excluded, one)
            new = ~excluded[group.members]
            if new.any():
                members, likelihood = group.members[new], group.likelihood[new]
                count = int(votes.votes_of_voter[members].sum())
                found.append(replace(group, members=members, likelihood=likelihood, votes=count, accomplices=True))
                excluded = excluded.copy()
                excluded[members] = True
            self.progress()
        return found

    def find(self, excluded: Bool, alpha: float = ALPHA) -> tuple[list[PooledFinding], Float64]:
        """Find models that groups of voters promote or demote, one after another.

        Each round finds the model with the largest e-value, and excludes the members of its group. If no member can be
        named, the votes on the model count in no reference of the later rounds. The rounds end when no e-value is above
        (number of models)/α, or after ten findings. The null hypothesis of a model's e-value is that all voters on the
        model are honest.

        Args:
            excluded: bool[v], voters who count neither in references nor in pools.
            alpha: α, the tolerated probability of a false finding.

        Returns:
            Two values: the findings, in the order in which they were found; and float64[M], ln of the e-value of each
                model in the first round. It is 0 for every model if no reference could be fitted.
        """
        votes, cells = self.evaluator.votes, self.evaluator.cells
        stratum = strata_of(votes)
        left_out = np.zeros(len(votes.voter), dtype=np.bool_)
        closed = np.zeros(votes.models, dtype=np.bool_)
        found: list[PooledFinding] = []
        first: Float64 | None = None
        for _ in range(_MOST_FOUND):
            fitter = ReferenceFitter(votes, cells, self._part[votes.voter], HALVES * BLOCKS, left_out)
            logs = self._pool(fitter, stratum, excluded)
            self.progress()
            if logs is None:
                break
            whole = np.logaddexp.reduce(logs, axis=1)
            first = whole if first is None else first
            whole = np.where(closed, -np.inf, whole)
            model = int(whole.argmax())
            if whole[model] <= threshold(votes.models, alpha):
                break
            side = int(logs[model].argmax())
            one = self._members(fitter, stratum, excluded, excluded, KnownTarget(model, side, float(whole[model])))
            found.append(one)
            if len(one.members):
                excluded = excluded.copy()
                excluded[one.members] = True
            else:  # Nobody can be named: no vote on this model counts in the references of the others.
                left_out |= (votes.model_a == model) | (votes.model_b == model)
                closed[model] = True
        return found, np.zeros(votes.models) if first is None else first

    def _pool(self, fitter: ReferenceFitter, stratum: Int64, excluded: Bool) -> Float64 | None:
        """Return float64[M, 2], ln E of each model and side (promotes, demotes).

        The result is None if no reference can be fitted on one of the two halves.

        A hash splits the voters into two halves, and each half into blocks. E is the average of two e-values. The first
        is the average over the halves, each evaluated by a reference from the other half. The second is the product
        over the blocks, each evaluated by a reference from the earlier blocks of both halves. The second is stronger on
        a board with many votes. On a board with few votes, it is weak, because its references rest on few votes.
        """
        logs = []
        for k, reference in enumerate(self._half_references(fitter, excluded)):
            if reference is None:
                return None
            logs.append(self._pooled([(reference, self._part // BLOCKS == k)], stratum, excluded))
        blocks = self._part % BLOCKS
        earlier = fitter.fit_without([[p for p in _PARTS if p % BLOCKS >= k] for k in range(1, BLOCKS)], excluded)
        chain = [(reference, blocks == k) for k, reference in enumerate(earlier, 1) if reference is not None]
        halves = np.logaddexp.reduce(np.stack(logs), axis=0) - math.log(HALVES)
        if not chain:
            return np.asarray(halves)
        return np.asarray(np.logaddexp(halves, self._pooled(chain, stratum, excluded)) - math.log(2))

    def _pooled(self, chain: Sequence[tuple[Reference, Bool]], stratum: Int64, excluded: Bool) -> Float64:
        parts = [PooledCells.of(self.evaluator, reference, who & ~excluded) for reference, who in chain]
        return pool_models(PooledCells.join(parts), stratum, self.evaluator.votes.models)

    def _half_references(self, fitter: ReferenceFitter, excluded: Bool) -> list[Reference | None]:
        """Return a reference for each half of the voters, fitted on the other half; None if it cannot be rated."""
        return fitter.fit_without([[p for p in _PARTS if p // BLOCKS == k] for k in range(HALVES)], excluded)

    @cached_property
    def _part(self) -> Int8:
        """int8[v], the part of each voter, which a hash decides. A part is a block of a half: half · BLOCKS + block."""
        return fold_of(self.hashes, HALVES * BLOCKS)

    def _members(
        self, fitter: ReferenceFitter, stratum: Int64, left_out: Bool, excluded: Bool, target: KnownTarget
    ) -> PooledFinding:
        """Find the members of a group in steps.

        Each step fits references without the members that the step before found, and finds the members again. Each half
        of the voters is evaluated with a reference from the other half. The steps end when the members stay the same,
        after _MOST_STEPS steps, or when fewer halves than before can be rated.

        Args:
            fitter: fits the references.
            stratum: int64[v], the part of the voters that each voter belongs to, by the time of the first vote
                (`strata_of`).
            left_out: bool[v], voters who cannot be members.
            excluded: bool[v], voters who count in no reference.
            target: the model, and what the members do to it.
        """
        members, likelihood, expected, now = np.zeros(0, dtype=np.int64), np.zeros(0), 0.0, excluded
        rated = 1
        for _ in range(_MOST_STEPS):
            parts = [
                PooledCells.unlimited(self.evaluator, reference, (self._part // BLOCKS == k) & ~left_out, target.model)
                for k, reference in enumerate(self._half_references(fitter, now))
                if reference is not None
            ]
            if len(parts) < rated:
                break
            rated = len(parts)
            pooled = PooledCells.join(parts)
            posterior = find_members(pooled, target.side, stratum, _MOST_SHARE)
            order = np.argsort(pooled.voter)
            named = order[posterior[order] >= MEMBER]
            before, members, likelihood = members, pooled.voter[named], posterior[named]
            expected = float(posterior.sum())
            if np.array_equal(before, members):
                break
            now = excluded.copy()
            now[members] = True
        votes = int(self.evaluator.votes.votes_of_voter[members].sum())
        return PooledFinding(target.model, SIDES[target.side], target.log_e, members, likelihood, expected, votes)


def threshold(tests: int, alpha: float = ALPHA) -> float:
    """Return the natural logarithm of the e-value above which a test is a finding: ln(tests/α).

    Args:
        tests: number of tests that are made.
        alpha: α, the tolerated probability of a false finding among them.
    """
    return math.log(tests / alpha)
