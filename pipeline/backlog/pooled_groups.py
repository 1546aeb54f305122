"""Pools the evidence of the voters of one group: a network, or the accounts of one age.

The voters of a group are evaluated by a reference that was fitted without the fold of the group, so that a group's own
votes cannot make the group look honest. The group with the strongest evidence is reported. Its members are excluded,
and the other voters are evaluated again, until no group is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.backlog.folds import FOLDS, fold_of, hash_voters
from pipeline.backlog.pool_rounds import ALPHA, MEMBER
from pipeline.backlog.pooled_voters import SIDES, PooledCells, find_members, log_products
from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.backlog.voter_rounds import Progress, no_progress
from pipeline.backlog.voter_values import VoterEvaluator
from pipeline.evidence.cells import WEIGHTS
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int64

SHARES = (0.03, 0.1, 0.3, 0.6, 0.95)
"""The shares ε of biased voters in a group: a group may consist of nobody else."""

LEAST_VOTERS = 5
"""Groups with fewer voters on a model are not tested: single voters have evidence of their own."""

_MOST_FOUND = 20


@dataclass(frozen=True)
class GroupFinding:
    """A group whose voters promote or demote a model.

    Attributes:
        group: number of the group.
        model: number of the model.
        direction: one of SIDES.
        log_e: ln of the e-value.
        voters: number of the group's voters with enough votes on the model.
        members: int64[k], positions of the voters who promote or demote the model, ascending.
        tests: number of pairs of a group and a model that were tested.
    """

    group: int
    model: int
    direction: str
    log_e: float
    voters: int
    members: Int64
    tests: int


@dataclass(frozen=True)
class GroupPools:
    """Pools voters by groups.

    Attributes:
        evaluator: has the votes and their cells.
        group: int64[v], the group of each voter; 0 for none.
        key: the key of the folds.
        progress: called after each pass over the voters.
    """

    evaluator: VoterEvaluator
    group: Int64
    key: bytes
    progress: Progress = no_progress

    def find(self, excluded: Bool, alpha: float = ALPHA) -> list[GroupFinding]:
        """Find groups in rounds: the strongest in each round, until no e-value is above (number of tests)/α.

        At most 20 groups are found. The search also ends after a group without members that can be named.

        Args:
            excluded: bool[v], voters who count neither in references nor in groups.
            alpha: the tolerated probability of a false finding.

        Returns:
            The findings, in the order in which they were found. None if no voter has a group.
        """
        if not self.group.any():
            return []
        votes, cells = self.evaluator.votes, self.evaluator.cells
        fold = fold_of(hash_voters(self.group, self.key))
        fitter = ReferenceFitter(votes, cells, fold[votes.voter], FOLDS)
        found: list[GroupFinding] = []
        while len(found) < _MOST_FOUND:
            one = self._strongest(fitter, fold, excluded, alpha)
            self.progress()
            if one is None:
                break
            found.append(one)
            if not len(one.members):
                break
            excluded = excluded.copy()
            excluded[one.members] = True
        return found

    def _strongest(self, fitter: ReferenceFitter, fold: Int8, excluded: Bool, alpha: float) -> GroupFinding | None:
        references = fitter.fit_without([[k] for k in range(FOLDS)], excluded)
        parts = [
            PooledCells.of(self.evaluator, reference, (fold == k) & ~excluded & (self.group > 0))
            for k, reference in enumerate(references)
            if reference is not None
        ]
        if not parts:
            return None
        pooled, models = PooledCells.join(parts), self.evaluator.votes.models
        code, place = np.unique(self.group[pooled.voter] * models + pooled.model, return_inverse=True)
        voters = np.bincount(place.ravel(), minlength=len(code))
        tested = np.flatnonzero(voters >= LEAST_VOTERS)
        if not len(tested):
            return None
        logs = self._by_side(pooled, place.ravel(), len(code))[tested]
        whole = np.logaddexp.reduce(logs, axis=1)
        best = int(whole.argmax())
        if whole[best] <= math.log(len(tested) / alpha):
            return None
        group, model = divmod(int(code[tested[best]]), models)
        side = int(logs[best].argmax())
        mine = np.flatnonzero(place.ravel() == tested[best])
        some = PooledCells(pooled.voter[mine], pooled.model[mine], pooled.log_e[mine])
        posterior = find_members(some, side, np.zeros(len(excluded), dtype=np.int64))
        members = np.sort(some.voter[posterior >= MEMBER])
        log_e, count = float(whole[best]), int(voters[tested[best]])
        return GroupFinding(group, model, SIDES[side], log_e, count, members, len(tested))

    @staticmethod
    def _by_side(pooled: PooledCells, place: Int64, groups: int) -> Float64:
        """Return ln E of each group and side, float64[groups, 2]."""
        logs = log_products(pooled.log_e, place, groups, SHARES) + np.log(WEIGHTS.ravel())
        return np.asarray(np.logaddexp.reduce(logs.reshape(groups, len(SIDES), -1), axis=2))
